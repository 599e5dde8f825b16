"""``SGDClassifier.partial_fit`` without its checks: the same updates, several times faster.

A call of ``partial_fit`` spends several times longer on checking its arguments than a step's updates take, and
scikit-learn has no public way around the checks. There are three ways of training here, fastest first:

1. ``compiled``: the package's own loop, ``native/_dataselect_env_compiled.pyx``, present where the package was
   installed on a machine with a C compiler. It sums in another order than scikit-learn: equal to 1e-10, not to the last
   bit.
2. ``direct``: scikit-learn's private loop, in the two forms that it has had since version 1.5.
3. ``partial_fit``: the public way.

At the first use each is tried on a small problem; one that is missing, or whose weights differ from those of
``partial_fit`` by more than that, is passed over.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
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

_L2_PENALTY = 2
_OPTIMAL_RATE = 2
_PASSIVE_AGGRESSIVE_LIMIT = (1.0,)
"""An argument that the loop took until scikit-learn 1.7 and that no other learning rate reads."""


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


def _direct(
    model: SGDClassifier, X: Floats, y: Labels, rows: Indices, *, negative: float, limit: tuple[float, ...]
) -> None:
    """Train by scikit-learn's private loop.

    Args:
        model: As of :data:`Update`, and so on.
        X: Features.
        y: Labels.
        rows: Which rows in which order.
        negative: What the loop calls label 0: -1, since scikit-learn 1.6 it is 0.
        limit: Further argument after alpha, where the loop has one.
    """
    from sklearn.linear_model._sgd_fast import _plain_sgd64  # noqa: PLC0415  (private: may be gone)
    from sklearn.utils._seq_dataset import ArrayDataset64  # noqa: PLC0415

    if len(model.intercept_) > 1:
        partial_fit(model, X, y, rows)  # the checks weigh little beside the updates of several classes
        return
    count = len(rows)
    data = ArrayDataset64(X[rows], np.where(y[rows] == 1, 1.0, negative), np.ones(count), seed=1)
    _, intercept, *_ = _plain_sgd64(
        model.coef_[0],  # a view: the loop changes the model's weights in place
        model.intercept_[0],
        None,  # average weights
        0.0,  # average intercept
        model._loss_function_,
        _L2_PENALTY,
        model.alpha,
        *limit,
        0.0,  # share of the L1 penalty
        data,
        np.zeros(count, dtype=np.uint8),  # no row is held out
        False,  # early stopping
        None,  # score for early stopping
        model.n_iter_no_change,
        1,  # passes
        -np.inf,  # tolerance
        1,  # fit the intercept
        0,  # verbose
        0,  # shuffle
        0,  # seed of the shuffling
        1.0,  # weight of class 1
        1.0,  # weight of class 0
        _OPTIMAL_RATE,
        model.eta0,
        model.power_t,
        0,  # one-class
        model.t_,
        1.0,  # decay of the intercept
        0,  # average
    )
    model.intercept_[0] = intercept
    model.t_ += count


WAYS: dict[str, tuple[Update, ...]] = {
    "compiled": (compiled,),
    "direct": tuple(
        partial(_direct, negative=negative, limit=limit)
        for negative in (0.0, -1.0)
        for limit in ((), _PASSIVE_AGGRESSIVE_LIMIT)
    ),
    "partial_fit": (partial_fit,),
}
"""The ways of training, fastest first, each in all its forms."""


def agrees(form: Update) -> bool:
    """Return whether a form exists here and gives the weights of ``partial_fit``."""
    from sklearn.linear_model import SGDClassifier  # noqa: PLC0415  (a second of imports, at the first episode)

    rng = np.random.default_rng(0)
    X, y, rows = rng.standard_normal((12, 11)), rng.integers(0, 2, 12), rng.permutation(np.repeat(np.arange(12), 2))
    models = []
    for update in (partial_fit, form):
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
    return {name: form for name, forms in WAYS.items() for form in forms if agrees(form)}


@cache
def fastest() -> Update:
    """Return the fastest way of training that is exact here."""
    return next(iter(ways().values()))
