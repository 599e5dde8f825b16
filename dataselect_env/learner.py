"""The classifier that is trained on what was bought: a scikit-learn SGDClassifier (SPEC section 6)."""

from __future__ import annotations

import copy

import numpy as np
from sklearn.linear_model import SGDClassifier

from dataselect_env import sgd
from dataselect_env.arrays import Floats, Labels

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


class Learner:
    """An SGDClassifier with the few calls that an episode needs.

    Attributes:
        model: The classifier itself, a plain ``sklearn.linear_model.SGDClassifier``; its weights are right after every
            call.
    """

    def __init__(self) -> None:
        # Rows arrive in an order that was drawn outside. The model still asks for a seed, though it shuffles nothing;
        # without one it would take it from numpy's global generator.
        self.model = SGDClassifier(loss="log_loss", learning_rate="optimal", alpha=ALPHA, shuffle=False, random_state=0)

    def copy(self) -> Learner:
        """Return another learner that has learned the same."""
        twin = Learner()
        twin.model = copy.deepcopy(self.model)
        return twin

    def train(self, X: Floats, y: Labels, passes: int, rng: np.random.Generator) -> None:
        """Train incrementally: ``passes`` passes over the rows, each in an order drawn from ``rng``.

        The passes are stacked into one ``partial_fit``, which gives the same weights as one call for each pass.
        """
        order = np.concatenate([rng.permutation(len(y)) for _ in range(passes)])
        if hasattr(self.model, "coef_"):
            sgd.fastest()(self.model, X[order], y[order])
        else:
            self.model.partial_fit(X[order], y[order], classes=CLASSES)

    def log_odds(self, X: Floats) -> Floats:
        """Return the log-odds of class 1, (n,), for features of shape (n, n_features)."""
        odds: Floats = X @ self.model.coef_[0] + self.model.intercept_[0]
        return odds

    def performance(self, X: Floats, y: Labels) -> float:
        """Return 1 / (1 + log loss), in (0, 1], on features (n, n_features) and labels (n,) in {0, 1}."""
        odds = self.log_odds(X)
        loss = np.logaddexp(0.0, np.where(y == 1, -odds, odds)).mean()
        return float(1 / (1 + loss))
