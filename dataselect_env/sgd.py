"""``SGDClassifier.partial_fit`` without its checks: scikit-learn's compiled loop, called directly.

A call of ``partial_fit`` spends several times longer on checking its arguments than a step's updates take, and
scikit-learn has no public way around the checks. This module calls the private loop in the two forms that it has had
since scikit-learn 1.5. At the first use it is tried on a small problem: where it is missing, or its weights differ from
those of ``partial_fit`` in a single bit, ``partial_fit`` is used instead and everything still works, slower.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import numpy as np
from sklearn.linear_model import SGDClassifier

from dataselect_env.arrays import Floats, Labels

Update = Callable[[SGDClassifier, Floats, Labels], None]
"""Trains a fitted binary classifier on rows in their order, as one ``partial_fit`` would."""

_L2_PENALTY = 2
_OPTIMAL_RATE = 2
_PASSIVE_AGGRESSIVE_LIMIT = (1.0,)
"""An argument that the loop took until scikit-learn 1.7 and that no other learning rate reads."""


def partial_fit(model: SGDClassifier, X: Floats, y: Labels) -> None:
    """Train by the public way."""
    model.partial_fit(X, y)


def _direct(model: SGDClassifier, X: Floats, y: Labels, *, negative: float, limit: tuple[float, ...]) -> None:
    """Train by the private loop.

    Args:
        model: Fitted, binary, L2 penalty, ``optimal`` learning rate, no shuffling, no averaging.
        X: Rows, (n, n_features), C-contiguous.
        y: Labels, (n,), in {0, 1}.
        negative: What the loop calls label 0: -1, since scikit-learn 1.6 it is 0.
        limit: Further argument after alpha, where the loop has one.
    """
    from sklearn.linear_model._sgd_fast import _plain_sgd64  # noqa: PLC0415  (private: may be gone)
    from sklearn.utils._seq_dataset import ArrayDataset64  # noqa: PLC0415

    rows = len(y)
    data = ArrayDataset64(X, np.where(y == 1, 1.0, negative), np.ones(rows), seed=1)
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
        np.zeros(rows, dtype=np.uint8),  # no row is held out
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
    model.t_ += rows


DIRECT_FORMS: tuple[Update, ...] = tuple(
    partial(_direct, negative=negative, limit=limit)
    for negative in (0.0, -1.0)
    for limit in ((), _PASSIVE_AGGRESSIVE_LIMIT)
)


def agrees(form: Update) -> bool:
    """Return whether a form of the private loop exists here and gives exactly the weights of ``partial_fit``."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((12, 3)), rng.integers(0, 2, 12)
    models = []
    for update in (partial_fit, form):
        model = SGDClassifier(loss="log_loss", learning_rate="optimal", alpha=0.01, shuffle=False, random_state=0)
        model.partial_fit(X[:6], y[:6], classes=np.array([0, 1]))
        try:
            update(model, X[6:], y[6:])
        except (ImportError, AttributeError, TypeError, ValueError):
            return False
        models.append((model.coef_.tobytes(), model.intercept_.tobytes(), model.t_))
    return models[0] == models[1]


@cache
def fastest() -> Update:
    """Return the fastest way of training that is exact with the scikit-learn that is installed."""
    return next(filter(agrees, DIRECT_FORMS), partial_fit)
