"""The classifier that is trained on what was bought: a scikit-learn SGDClassifier (SPEC section 6)."""

from __future__ import annotations

import copy

import numpy as np

from dataselect_env import sgd
from dataselect_env.arrays import Floats, Indices, Labels

CLASSES = np.array([0, 1])
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


def performance_of(log_odds: Floats, y: Labels) -> Floats:
    """Return 1 / (1 + log loss), in (0, 1], of log-odds (..., n) for labels (..., n) in {0, 1}: one for each row."""
    losses = np.logaddexp(0.0, np.where(y == 1, -log_odds, log_odds))
    performance: Floats = 1 / (1 + losses.sum(axis=-1) / y.shape[-1])
    return performance


class Learner:
    """An SGDClassifier with the few calls that an episode needs.

    Attributes:
        model: The classifier itself, a plain ``sklearn.linear_model.SGDClassifier``; its weights are right after every
            call.
    """

    def __init__(self) -> None:
        from sklearn.linear_model import SGDClassifier  # noqa: PLC0415  (a second of imports, at the first episode)

        # Rows arrive in an order that was drawn outside. The model still asks for a seed, though it shuffles nothing;
        # without one it would take it from numpy's global generator.
        self.model = SGDClassifier(loss="log_loss", learning_rate="optimal", alpha=ALPHA, shuffle=False, random_state=0)

    def copy(self) -> Learner:
        """Return another learner that has learned the same."""
        twin = Learner()
        twin.model = copy.deepcopy(self.model)
        return twin

    def train(self, X: Floats, y: Labels, rows: Indices, passes: int, rng: np.random.Generator) -> None:
        """Train incrementally: ``passes`` passes over ``X[rows]``, each in an order drawn from ``rng``.

        The passes are stacked into one, which gives the same weights as one ``partial_fit`` for each pass.

        Args:
            X: Features, (n, n_features), C-contiguous.
            y: Labels, (n,), in {0, 1}.
            rows: Rows to train on, (m,).
            passes: At least 1.
            rng: Stream of the orders.
        """
        order = np.concatenate([rng.permutation(rows) for _ in range(passes)])
        if hasattr(self.model, "coef_"):
            sgd.fastest()(self.model, X, y, order)
        else:
            self.model.partial_fit(X[order], y[order], classes=CLASSES)

    @property
    def weights(self) -> Floats:
        """Weights of the linear model, (n_features,); a view."""
        weights: Floats = self.model.coef_[0]
        return weights

    @property
    def intercept(self) -> float:
        """Intercept of the linear model."""
        return float(self.model.intercept_[0])

    def log_odds(self, X: Floats) -> Floats:
        """Return the log-odds of class 1, (n,), for features (n, n_features)."""
        odds: Floats = X @ self.weights + self.intercept
        return odds

    def performance(self, X: Floats, y: Labels) -> float:
        """Return the performance, in (0, 1], on features (n, n_features) and labels (n,) in {0, 1}."""
        return float(performance_of(self.log_odds(X), y))
