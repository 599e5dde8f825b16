"""The classifier that is trained on what was bought: a scikit-learn SGDClassifier (SPEC section 6)."""

from __future__ import annotations

import copy

import numpy as np

from dataselect_env.core import sgd
from dataselect_env.core.arrays import Floats, Indices, Labels

ALPHA = 0.006
"""L2 penalty; with scikit-learn's ``optimal`` schedule it also sets the learning rate, 1 / (alpha (t + t0))."""
WARM_UP_PASSES = 10
SAMPLES_PER_PASS = 5
MOST_PASSES = 4
"""Every fifth sample bought pays for a pass over everything acquired, at most four a batch: budget buys training, the
number of steps does not, and one giant batch buys less of it than several batches."""


def passes_for(bought_before: int, bought_after: int) -> int:
    """Return the training passes that a batch pays for, 1 to ``MOST_PASSES``.

    Counted on the running total, so that small batches together pay for as much as they would at once.
    """
    return max(1, min(MOST_PASSES, bought_after // SAMPLES_PER_PASS - bought_before // SAMPLES_PER_PASS))


class Learner:
    """An SGDClassifier with the few calls that an episode needs; one-vs-rest for more than two classes.

    Args:
        n_classes: Number of classes, at least 2.
        alpha: L2 penalty.

    Attributes:
        model: The classifier itself, a plain ``sklearn.linear_model.SGDClassifier``; its weights are right after every
            call.
        n_classes: Number of classes.
    """

    def __init__(self, n_classes: int = 2, alpha: float = ALPHA) -> None:
        from sklearn.linear_model import SGDClassifier  # noqa: PLC0415  (a second of imports, at the first episode)

        # Rows arrive in an order that was drawn outside. The model still asks for a seed, though it shuffles nothing;
        # without one it would take it from numpy's global generator.
        self.model = SGDClassifier(loss="log_loss", learning_rate="optimal", alpha=alpha, shuffle=False, random_state=0)
        self.n_classes = n_classes

    def copy(self) -> Learner:
        """Return another learner that has learned the same."""
        twin = Learner(self.n_classes)
        twin.model = copy.deepcopy(self.model)
        return twin

    def train(self, X: Floats, y: Labels, rows: Indices, passes: int, rng: np.random.Generator) -> None:
        """Train incrementally: ``passes`` passes over ``X[rows]``, each in an order drawn from ``rng``.

        The passes are stacked into one, which gives the same weights as one ``partial_fit`` for each pass.

        Args:
            X: Features, (n, n_features), C-contiguous.
            y: Labels, (n,), in 0 to n_classes - 1.
            rows: Rows to train on, (m,).
            passes: At least 1.
            rng: Stream of the orders.
        """
        order = np.concatenate([rng.permutation(rows) for _ in range(passes)])
        if hasattr(self.model, "coef_"):
            sgd.fastest()(self.model, X, y, order)
        else:
            self.model.partial_fit(X[order], y[order], classes=np.arange(self.n_classes))

    @property
    def weights(self) -> Floats:
        """Weights of the linear model of two classes, (n_features,); a view."""
        weights: Floats = self.model.coef_[0]
        return weights

    @property
    def intercept(self) -> float:
        """Intercept of the linear model of two classes."""
        return float(self.model.intercept_[0])

    def log_odds(self, X: Floats) -> Floats:
        """Return the log-odds of class 1 of two, (n,), for features (n, n_features)."""
        odds: Floats = X @ self.weights + self.intercept
        return odds

    def probabilities(self, X: Floats) -> Floats:
        """Return class probabilities, (n, n_classes), for features (n, n_features); each row adds up to 1.

        Of more than two classes they are those of one-vs-rest, normalised, as scikit-learn gives them.
        """
        from scipy.special import expit  # noqa: PLC0415  (the built-in tasks do without)

        if self.n_classes == 2:
            of_one: Floats = expit(self.log_odds(X))
            return np.stack([1 - of_one, of_one], axis=1)
        scores: Floats = expit(X @ self.model.coef_.T + self.model.intercept_)
        total = scores.sum(axis=1, keepdims=True)
        normalised: Floats = np.divide(scores, total, out=np.full_like(scores, 1 / self.n_classes), where=total > 0)
        return normalised

    def performance(self, X: Floats, y: Labels) -> float:
        """Return 1 / (1 + log loss), in (0, 1], on features (n, n_features) and labels (n,)."""
        if self.n_classes == 2:
            log_odds = self.log_odds(X)
            losses = np.logaddexp(0.0, np.where(y == 1, -log_odds, log_odds))
        else:
            losses = -self._log_probabilities(X)[np.arange(len(y)), y]
        return float(1 / (1 + losses.sum() / len(y)))

    def balanced_performance(self, X: Floats, y: Labels, weights: Floats, counts: Labels) -> float:
        """Return 1 / (1 + log loss) where every class counts the same, in (0, 1].

        A model that was trained on few samples of a class gives it low probabilities everywhere. So these are divided
        by the shares of the classes in the training set first, and normalised (logit adjustment: Menon et al., "Long-
        tail Learning via Logit Adjustment", 2021): what is measured is how well the classes are told apart.

        Args:
            X: Features, (n, n_features).
            y: Labels, (n,).
            weights: How much each row counts, (n,), adding up to 1.
            counts: Samples of each class in the training set, (n_classes,); one more of each is taken for granted.
        """
        if self.n_classes == 2:
            log_odds = self.log_odds(X)
            logarithms = -np.logaddexp(0.0, np.stack([log_odds, -log_odds], axis=1))
        else:
            logarithms = self._log_probabilities(X)
        adjusted = _log_normalised(logarithms - np.log((counts + 1) / (counts.sum() + self.n_classes)))
        return float(1 / (1 - adjusted[np.arange(len(y)), y] @ weights))

    def _log_probabilities(self, X: Floats) -> Floats:
        """Return the logarithms of the probabilities of more than two classes, (n, n_classes).

        In logarithms nothing is rounded to a probability of zero, whose loss would be infinite.
        """
        return _log_normalised(-np.logaddexp(0.0, -(X @ self.model.coef_.T + self.model.intercept_)))


def _log_normalised(logarithms: Floats) -> Floats:
    """Return logarithms of values, (n, n_classes), less a number in each row, so that the values add up to 1."""
    highest = logarithms.max(axis=1, keepdims=True)
    normalised: Floats = logarithms - highest - np.log(np.exp(logarithms - highest).sum(axis=1, keepdims=True))
    return normalised
