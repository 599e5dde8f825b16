"""``SGDClassifier.partial_fit`` without its argument checks: the same updates, several times faster.

The checks of ``partial_fit`` take several times longer than the updates of a step, and scikit-learn has no public way
around them. There are two implementations of the updates, fastest first:

1. ``compiled``: a Cython loop, ``native/_dataselect_env_compiled.pyx``, available if a C compiler was present at
   installation. It adds up in another order than scikit-learn, so weights agree to 1e-10 and not to the last bit.
2. ``partial_fit``: the public method.

At first use, each is tried on a small problem. An implementation that is missing, or whose weights differ from those
of ``partial_fit`` by more than ``TOLERANCE``, is not used.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from dataselect_env.core.arrays import Floats, Indices, Labels

if TYPE_CHECKING:
    from sklearn.linear_model import SGDClassifier

Update = Callable[["SGDClassifier", Floats, Labels, Indices], None]
"""``update(model, X, y, rows)`` trains a fitted classifier on ``X[rows]`` as one ``partial_fit`` does.

The classifier has log loss, L2 penalty and ``optimal`` learning rate, and neither shuffles nor averages; more than two
classes are trained one-vs-rest. X is C-contiguous, (n, n_features); y are labels in 0 to n_classes - 1, (n,); rows are
indices in order of training, (m,)."""

TOLERANCE = 1e-10
"""Largest accepted difference from the weights of ``partial_fit``, relative to the largest weight."""


def partial_fit(model: SGDClassifier, X: Floats, y: Labels, rows: Indices) -> None:
    """Train with scikit-learn's public method."""
    model.partial_fit(X[rows], y[rows])


def compiled(model: SGDClassifier, X: Floats, y: Labels, rows: Indices) -> None:
    """Train with the package's compiled loop."""
    from _dataselect_env_compiled import update  # noqa: PLC0415  (missing if built without a compiler)

    if len(model.intercept_) == 1:
        model.intercept_[0] = update(model.coef_[0], model.intercept_[0], X, y, rows, model.alpha, model.t_)
    else:
        for label, weights in enumerate(model.coef_):
            of_class = (y == label).astype(np.int64)
            model.intercept_[label] = update(weights, model.intercept_[label], X, of_class, rows, model.alpha, model.t_)
    model.t_ += len(rows)


WAYS: dict[str, Update] = {"compiled": compiled, "partial_fit": partial_fit}
"""Implementations of the updates, fastest first."""


def agrees(way: Update) -> bool:
    """Return whether an implementation is available and agrees with ``partial_fit`` on a small problem."""
    from sklearn.linear_model import SGDClassifier  # noqa: PLC0415  (slow to import: about a second)

    rng = np.random.default_rng(0)
    X, y, rows = rng.standard_normal((12, 11)), rng.integers(0, 2, 12), rng.permutation(np.repeat(np.arange(12), 2))
    models = []
    for update in (partial_fit, way):
        model = SGDClassifier(loss="log_loss", learning_rate="optimal", alpha=0.01, shuffle=False, random_state=0)
        model.partial_fit(X[:6], y[:6], classes=np.array([0, 1]))
        try:
            update(model, X, y, rows)
        except (ImportError, AttributeError, TypeError, ValueError):
            return False
        models.append(model)
    expected, found = (np.append(model.coef_[0], model.intercept_) for model in models)
    difference = np.abs(expected - found).max()
    return bool(difference <= TOLERANCE * np.abs(expected).max()) and models[0].t_ == models[1].t_


@cache
def ways() -> dict[str, Update]:
    """Return the usable implementations, fastest first; ``partial_fit`` is always the last."""
    return {name: way for name, way in WAYS.items() if agrees(way)}


@cache
def fastest() -> Update:
    """Return the fastest usable implementation."""
    return next(iter(ways().values()))
