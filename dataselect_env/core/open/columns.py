"""What real tables do to clean columns: skew, steps, categories, nuisance, duplicates and outliers."""

from __future__ import annotations

from typing import Final

import numpy as np

from dataselect_env.core.arrays import Floats

DECIMALS: Final = 6
"""Features are rounded to so many decimals, so that sums in another order cannot change a problem."""
MOST_CATEGORIES: Final = 6
"""Categories that a column is cut into, at most."""
WARPED: Final = 0.35
"""Share of tables whose columns are skewed, cubed, squashed or left as they are, each as likely."""
STEPPED: Final = 0.3
"""Share of tables of which some columns are rounded to a few steps."""
CATEGORISED: Final = 0.3
"""Share of tables of which some columns become categories, and share of these columns."""
WITH_NUISANCE: Final = 0.4
"""Share of tables with nuisance columns of standard normal numbers."""
NUISANCE: Final = (0.1, 1.0)
"""Their number, over that of the other columns."""
WITH_OUTLIERS: Final = 0.25
"""Share of tables with outliers."""
OUTLIERS: Final = 0.01
"""Share of their cells that are outliers."""
OUTLYING: Final = (3, 12)
"""Factor of outliers."""
WITH_COPIES: Final = 0.25
"""Share of tables with duplicate rows."""
COPIES: Final = (0.02, 0.35)
"""Share of their rows that copy another one."""


def roughen(rng: np.random.Generator, X: Floats) -> Floats:
    """Return a table that is as untidy as real ones.

    Each change is made to some tables: monotone warps, rounding to a few steps, categories as one-hot blocks, nuisance
    columns, and outliers in single cells.

    Args:
        rng: Random stream.
        X: Features, (n, d).
    """
    X = (X - X.mean(axis=0)) / (X.std(axis=0) + 1e-12)
    if rng.random() < WARPED:
        X = _warped(rng, X)
    if rng.random() < STEPPED:
        some = rng.random(X.shape[1]) < rng.uniform(0.2, 1.0)
        steps = rng.uniform(0.8, 3.0)
        X[:, some] = np.round(X[:, some] * steps)
    if rng.random() < CATEGORISED:
        X = _with_categories(rng, X)
    if rng.random() < WITH_NUISANCE:
        nuisance = max(1, int(X.shape[1] * rng.uniform(*NUISANCE)))
        X = np.hstack([X, rng.standard_normal((len(X), nuisance))])
    if rng.random() < WITH_OUTLIERS:
        cells = rng.random(X.shape) < OUTLIERS
        X[cells] *= rng.uniform(*OUTLYING)
    return X


def standardise(X: Floats, known: Floats) -> Floats:
    """Return features with mean 0 and standard deviation 1 over ``known``, without columns that are constant there."""
    spread = known.std(axis=0)
    keep = spread > 1e-6
    return np.ascontiguousarray(np.round((X[:, keep] - known[:, keep].mean(axis=0)) / spread[keep], DECIMALS))


def duplicated(rng: np.random.Generator, n: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return rows to take for n rows, (n,): in one of four tables up to a third of them copy another one."""
    rows = np.arange(n)
    if rng.random() < WITH_COPIES:
        copies = rng.permutation(n)[: int(n * rng.uniform(*COPIES))]
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
        if rng.random() < CATEGORISED:
            limits = np.quantile(column, np.sort(rng.random(int(rng.integers(1, MOST_CATEGORIES)))))
            code = np.searchsorted(limits, column)
            blocks.append(np.eye(len(limits) + 1)[code])
        else:
            blocks.append(column[:, None])
    return np.hstack(blocks)
