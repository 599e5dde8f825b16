"""``SGDClassifier.partial_fit`` without its argument checks: the same updates, several times faster.

The checks of ``partial_fit`` take several times longer than the updates of a step, and scikit-learn has no public way
around them. There are two implementations of the updates, fastest first:

1. ``compiled``: a loop in C, ``native/kernel.c``, available if a C compiler was present at installation. It adds up in
   another order than scikit-learn, so weights agree to 1e-10 and not to the last bit.
2. ``partial_fit``: the public method.

At first use, each is tried on a small problem. An implementation that is missing, or whose weights differ from those
of ``partial_fit`` by more than ``TOLERANCE``, is not used.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from dataselect_env.core.arrays import Floats, Indices, Labels

if TYPE_CHECKING:
    from sklearn.linear_model import SGDClassifier

    from dataselect_env.core.learner import Learner

Update = Callable[["Learner", Floats, Labels, Indices], None]
"""``update(learner, X, y, rows)`` trains on ``X[rows]`` as one ``partial_fit`` does; only the parameters change.

X is C-contiguous, (n, n_features); y are labels in 0 to n_classes - 1, (n,); rows are indices in order of training,
(m,). The classifier has log loss, an L2 penalty and the ``optimal`` learning rate, and neither shuffles nor averages.
"""

TOLERANCE = 1e-10
"""Largest accepted difference from the weights of ``partial_fit``, relative to the largest weight."""


def classifier(learner: Learner) -> SGDClassifier:
    """Return a fitted ``SGDClassifier`` with the parameters of a learner, which can be trained further."""
    model, parameters = deepcopy(_fitted(learner.n_classes)), learner.parameters
    model.alpha, model.t_, model.n_features_in_ = learner.alpha, 1.0 + learner.updates, parameters.shape[1] - 1
    model.coef_, model.intercept_ = parameters[:, :-1].copy(), parameters[:, -1].copy()
    return model


@cache
def _fitted(n_classes: int) -> SGDClassifier:
    """Return a classifier with everything that scikit-learn sets in a first ``partial_fit``."""
    from sklearn.linear_model import SGDClassifier  # noqa: PLC0415  (slow to import: about a second)

    # The caller draws the order of the rows, so the model does not shuffle. It needs a seed all the same: without
    # one, scikit-learn would draw from numpy's global generator.
    model = SGDClassifier(loss="log_loss", learning_rate="optimal", shuffle=False, random_state=0)
    return model.partial_fit(np.zeros((n_classes, 1)), np.arange(n_classes), classes=np.arange(n_classes))


def partial_fit(learner: Learner, X: Floats, y: Labels, rows: Indices) -> None:
    """Train with scikit-learn's public method."""
    model = classifier(learner)
    model.partial_fit(X[rows], y[rows])
    learner.parameters[:, :-1], learner.parameters[:, -1] = model.coef_, model.intercept_


def compiled(learner: Learner, X: Floats, y: Labels, rows: Indices) -> None:
    """Train with the package's compiled loop."""
    from _dataselect_env_compiled import update  # noqa: PLC0415  (missing if built without a compiler)

    update(learner.parameters, X, y, rows, learner.alpha, learner.updates)


WAYS: dict[str, Update] = {"compiled": compiled, "partial_fit": partial_fit}
"""Implementations of the updates, fastest first."""


def small_problem() -> tuple[Floats, Labels, Indices]:
    """Return features (12, 11), labels and rows on which the implementations are compared."""
    return np.sin(np.arange(132.0)).reshape(12, 11), np.arange(12) % 2, np.arange(24) * 7 % 12


EXPECTED = (
    -0.31485340676563206,
    0.5263273528318554,
    0.8836051715186823,
    0.428500470465258,
    -0.4205655870027577,
    -0.882965583318014,
    -0.5335710943351026,
    0.3063861980903303,
    0.8646534329638573,
    0.6279622891240212,
    -0.1860744873399694,
    0.3424398258874568,
)
"""The parameters that ``partial_fit`` learns there with an L2 penalty of 0.01; recorded, because scikit-learn takes a
second and 80 MB to import, and built-in tasks need nothing else of it where the compiled loop is used."""


def agrees(way: Update) -> bool:
    """Return whether an implementation is available and agrees with ``partial_fit`` on a small problem."""
    from dataselect_env.core.learner import Learner  # noqa: PLC0415  (which trains with this module)

    learner = Learner(2, 11, 0.01)
    try:
        way(learner, *small_problem())
    except (ImportError, AttributeError, TypeError, ValueError):
        return False
    difference = np.abs(learner.parameters - EXPECTED).max()
    return bool(difference <= TOLERANCE * np.abs(EXPECTED).max())


@cache
def ways() -> dict[str, Update]:
    """Return the usable implementations, fastest first; ``partial_fit`` is always the last."""
    return {name: way for name, way in WAYS.items() if agrees(way)}


@cache
def fastest() -> Update:
    """Return the fastest usable implementation."""
    return next((way for way in WAYS.values() if agrees(way)), partial_fit)
