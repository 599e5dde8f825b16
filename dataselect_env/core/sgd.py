"""``SGDClassifier.partial_fit`` without its checks: the same updates, several times faster.

A call of ``partial_fit`` spends several times longer on checking its arguments than a step's updates take, and
scikit-learn has no public way around the checks. There are two ways of training here, fastest first:

1. ``compiled``: the package's own loop, ``native/_dataselect_env_compiled.pyx``, present where the package was
   installed on a machine with a C compiler. It sums in another order than scikit-learn: equal to 1e-10, not to the last
   bit.
2. ``partial_fit``: the public method.

At first use each is tried on a small problem. One that is missing, or whose weights differ from those of
``partial_fit`` by more than ``TOLERANCE``, is passed over.
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
"""Trains a fitted classifier (log loss, L2 penalty, ``optimal`` learning rate, no shuffling, no averaging) on
``X[rows]`` with the labels ``y[rows]``, 0 to n_classes - 1, as one ``partial_fit`` would; of more than two classes it
trains one against the rest for each. X is C-contiguous, (n, n_features)."""

TOLERANCE = 1e-10
"""Largest difference from the weights of ``partial_fit``, relative to the largest of them, that a way may have."""


def partial_fit(model: SGDClassifier, X: Floats, y: Labels, rows: Indices) -> None:
    """Train by the public way."""
    model.partial_fit(X[rows], y[rows])


def compiled(model: SGDClassifier, X: Floats, y: Labels, rows: Indices) -> None:
    """Train by the package's own compiled loop."""
    from _dataselect_env_compiled import update  # noqa: PLC0415  (missing where there was no compiler)

    if len(model.intercept_) == 1:
        model.intercept_[0] = update(model.coef_[0], model.intercept_[0], X, y, rows, model.alpha, model.t_)
    else:
        for label, weights in enumerate(model.coef_):
            of_class = (y == label).astype(np.int64)
            model.intercept_[label] = update(weights, model.intercept_[label], X, of_class, rows, model.alpha, model.t_)
    model.t_ += len(rows)


WAYS: dict[str, Update] = {"compiled": compiled, "partial_fit": partial_fit}
"""The ways of training, fastest first."""


def agrees(way: Update) -> bool:
    """Return whether a way exists here and gives the weights of ``partial_fit``."""
    from sklearn.linear_model import SGDClassifier  # noqa: PLC0415  (a second of imports, at the first episode)

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
    """Return the ways of training that are exact here, fastest first; ``partial_fit`` is always among them."""
    return {name: way for name, way in WAYS.items() if agrees(way)}


@cache
def fastest() -> Update:
    """Return the fastest way of training that is exact here."""
    return next(iter(ways().values()))
