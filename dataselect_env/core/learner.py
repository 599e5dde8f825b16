"""The classifier of an episode: a scikit-learn ``SGDClassifier``, trained on the samples acquired."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np

from dataselect_env.core import sgd
from dataselect_env.core.arrays import Floats, Indices, Labels

if TYPE_CHECKING:
    from sklearn.linear_model import SGDClassifier

ALPHA = 0.006
"""L2 penalty. It also sets the learning rate of scikit-learn's ``optimal`` schedule, 1 / (alpha (t + t0))."""
WARM_UP_PASSES = 10
"""Passes (epochs) over the seed set before an episode starts."""
SAMPLES_PER_PASS = 5
MOST_PASSES = 4
"""Every ``SAMPLES_PER_PASS``-th sample bought grants a pass (epoch) over everything acquired, at most ``MOST_PASSES`` a
batch. The budget buys training, not the number of steps, and one huge batch buys less of it than several batches."""


def passes_for(bought_before: int, bought_after: int) -> int:
    """Return the number of passes granted for a batch, from 1 to ``MOST_PASSES``.

    Passes are counted on the running total, so small batches lose no remainders.

    Args:
        bought_before: Samples bought before the batch.
        bought_after: Samples bought including the batch.
    """
    return max(1, min(MOST_PASSES, bought_after // SAMPLES_PER_PASS - bought_before // SAMPLES_PER_PASS))


def passes_for_many(bought_before: Indices, bought_after: Indices) -> Indices:
    """Return :func:`passes_for` for many batches, (n,)."""
    passes: Indices = np.clip(bought_after // SAMPLES_PER_PASS - bought_before // SAMPLES_PER_PASS, 1, MOST_PASSES)
    return passes


def training_order(rows: Indices, passes: int, rng: np.random.Generator) -> Indices:
    """Return rows, (m,), in a random order for each pass: (passes x m,)."""
    return np.concatenate([rng.permutation(rows) for _ in range(passes)])


class Learner:
    """The state of an ``SGDClassifier``: what an episode trains; one-vs-rest for more than two classes.

    Args:
        n_classes: Number of classes, at least 2.
        n_features: Number of features.
        alpha: L2 penalty.

    Attributes:
        n_classes, alpha: As given.
        parameters: Weights and, last, the intercept of each model, (n_models, n_features + 1); changed in place. There
            is one model for two classes, and one for each class if there are more.
        updates: Number of updates so far.
    """

    def __init__(self, n_classes: int, n_features: int, alpha: float = ALPHA) -> None:
        self.n_classes, self.alpha = n_classes, alpha
        self.parameters: Floats = np.zeros((1 if n_classes == 2 else n_classes, n_features + 1))
        self.updates = 0

    def copy(self) -> Learner:
        """Return an independent learner with the same weights."""
        twin = copy.copy(self)
        twin.parameters = self.parameters.copy()
        return twin

    @property
    def model(self) -> SGDClassifier:
        """The classifier as a plain ``sklearn.linear_model.SGDClassifier``; a new object at each call."""
        return sgd.classifier(self)

    def train(self, X: Floats, y: Labels, rows: Indices, passes: int, rng: np.random.Generator) -> None:
        """Train incrementally: ``passes`` passes over ``X[rows]``, each in an order drawn from ``rng``.

        The passes are concatenated into one, which gives the same weights as one ``partial_fit`` for each pass.

        Args:
            X: Features, (n, n_features), C-contiguous.
            y: Labels, (n,), in 0 to n_classes - 1.
            rows: Rows to train on, (m,).
            passes: Number of passes, at least 1.
            rng: Random stream of the training order.
        """
        self.train_in_order(X, y, training_order(rows, passes, rng))

    def train_in_order(self, X: Floats, y: Labels, order: Indices) -> None:
        """Train incrementally on ``X[order]``; otherwise as :meth:`train`."""
        sgd.fastest()(self, X, y, order)
        self.updates += len(order)

    def log_odds(self, X: Floats) -> Floats:
        """Return the log-odds of class 1 for features (n, n_features), (n,); for two classes only."""
        odds: Floats = X @ self.parameters[0, :-1] + self.parameters[0, -1]
        return odds

    def _scores(self, X: Floats) -> Floats:
        """Return the log-odds of each class against the others, (n, n_classes); for more than two classes."""
        scores: Floats = X @ self.parameters[:, :-1].T + self.parameters[:, -1]
        return scores

    def probabilities(self, X: Floats) -> Floats:
        """Return class probabilities for features (n, n_features): (n, n_classes), each row with sum 1.

        For more than two classes, the one-vs-rest probabilities are normalised as scikit-learn does it.
        """
        from scipy.special import expit  # noqa: PLC0415  (unused by the built-in tasks)

        if self.n_classes == 2:
            positive: Floats = expit(self.log_odds(X))
            return np.stack([1 - positive, positive], axis=1)
        scores: Floats = expit(self._scores(X))
        total = scores.sum(axis=1, keepdims=True)
        normalised: Floats = np.divide(scores, total, out=np.full_like(scores, 1 / self.n_classes), where=total > 0)
        return normalised

    def performance(self, X: Floats, y: Labels) -> float:
        """Return 1 / (1 + log loss) on features (n, n_features) and labels (n,); in (0, 1]."""
        if self.n_classes == 2:
            log_odds = self.log_odds(X)
            losses = np.logaddexp(0.0, np.where(y == 1, -log_odds, log_odds))
        else:
            losses = -self._log_probabilities(X)[np.arange(len(y)), y]
        return float(1 / (1 + losses.sum() / len(y)))

    def balanced_performance(self, X: Floats, y: Labels, weights: Floats, counts: Labels) -> float:
        """Return 1 / (1 + weighted log loss) after logit adjustment; in (0, 1].

        A model trained on few samples of a class gives it low probabilities everywhere. The probabilities are therefore
        divided by the class shares of the training set and normalised, so that the result measures how well the model
        separates the classes (post-hoc logit adjustment: Menon et al., "Long-Tail Learning via Logit Adjustment",
        2021).

        Args:
            X: Features, (n, n_features).
            y: Labels, (n,).
            weights: Weights of the rows, (n,), with sum 1.
            counts: Samples of each class in the training set, (n_classes,); one is added to each (Laplace smoothing).
        """
        if self.n_classes == 2:
            log_odds = self.log_odds(X)
            logarithms = -np.logaddexp(0.0, np.stack([log_odds, -log_odds], axis=1))
        else:
            logarithms = self._log_probabilities(X)
        adjusted = _log_normalised(logarithms - np.log((counts + 1) / (counts.sum() + self.n_classes)))
        return float(1 / (1 - adjusted[np.arange(len(y)), y] @ weights))

    def _log_probabilities(self, X: Floats) -> Floats:
        """Return log-probabilities for more than two classes, (n, n_classes).

        They stay finite where a probability would round to zero and make the loss infinite.
        """
        return _log_normalised(-np.logaddexp(0.0, -self._scores(X)))


def _log_normalised(logarithms: Floats) -> Floats:
    """Normalise log-probabilities, (n, n_classes), so that the probabilities of each row add up to 1 (log-softmax)."""
    highest = logarithms.max(axis=1, keepdims=True)
    normalised: Floats = logarithms - highest - np.log(np.exp(logarithms - highest).sum(axis=1, keepdims=True))
    return normalised
