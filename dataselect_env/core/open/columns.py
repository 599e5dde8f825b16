"""What real tables do to clean columns: skew, steps, categories, nuisance, duplicates and outliers."""

from __future__ import annotations

import numpy as np

from dataselect_env.core.arrays import Floats

DECIMALS = 6
"""Features are rounded to so many decimals, so that sums in another order cannot change a problem."""
MOST_CATEGORIES = 6


def roughen(rng: np.random.Generator, X: Floats) -> Floats:
    """Return a table that is as untidy as real ones.

    Each change is made to about every third table: monotone warps, rounding to a few steps, categories as one-hot
    blocks, nuisance columns, and outliers in single cells.

    Args:
        rng: Random stream.
        X: Features, (n, d).
    """
    X = (X - X.mean(axis=0)) / (X.std(axis=0) + 1e-12)
    if rng.random() < 0.35:
        X = _warped(rng, X)
    if rng.random() < 0.3:
        some = rng.random(X.shape[1]) < rng.uniform(0.2, 1.0)
        steps = rng.uniform(0.8, 3.0)
        X[:, some] = np.round(X[:, some] * steps)
    if rng.random() < 0.3:
        X = _with_categories(rng, X)
    if rng.random() < 0.4:
        nuisance = max(1, int(X.shape[1] * rng.uniform(0.1, 1.0)))
        X = np.hstack([X, rng.standard_normal((len(X), nuisance))])
    if rng.random() < 0.25:
        cells = rng.random(X.shape) < 0.01
        X[cells] *= rng.uniform(3, 12)
    return X


def standardise(X: Floats, known: Floats) -> Floats:
    """Return features with mean 0 and standard deviation 1 over ``known``, without columns that are constant there."""
    spread = known.std(axis=0)
    keep = spread > 1e-6
    return np.ascontiguousarray(np.round((X[:, keep] - known[:, keep].mean(axis=0)) / spread[keep], DECIMALS))


def duplicated(rng: np.random.Generator, n: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return rows to take for n rows, (n,): in one of four tables up to a third of them copy another one."""
    rows = np.arange(n)
    if rng.random() < 0.25:
        copies = rng.permutation(n)[: int(n * rng.uniform(0.02, 0.35))]
        rows[copies] = rng.integers(n, size=len(copies))
    return rows


def _warped(rng: np.random.Generator, X: Floats) -> Floats:
    """Return the table with skewed, cubed or squashed columns."""
    kind = rng.integers(4, size=X.shape[1])
    warped: Floats = np.choose(kind, [X, np.exp(np.clip(X, -4, 4)), X**3 / 3, np.tanh(2 * X)])
    return warped


def _with_categories(rng: np.random.Generator, X: Floats) -> Floats:
    """Return the table with some columns cut into categories and written as one-hot blocks."""
    blocks = []
    for column in X.T:
        if rng.random() < 0.3:
            limits = np.quantile(column, np.sort(rng.random(int(rng.integers(1, MOST_CATEGORIES)))))
            code = np.searchsorted(limits, column)
            blocks.append(np.eye(len(limits) + 1)[code])
        else:
            blocks.append(column[:, None])
    return np.hstack(blocks)
