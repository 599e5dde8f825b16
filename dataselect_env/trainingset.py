"""Everything acquired so far, as rows of a data set; the rows themselves are never copied."""

from __future__ import annotations

import math

import numpy as np

from dataselect_env.arrays import Floats, Indices


class TrainingSet:
    """Rows of a data set, and the sums over them that a step asks for.

    Args:
        X: Features of the data set, (n, n_features).
        rows: Rows to begin with, (m,).

    Attributes:
        rows: Rows so far, in the order in which they came.
    """

    def __init__(self, X: Floats, rows: Indices) -> None:
        self._X = X
        self.rows = np.empty(0, dtype=np.intp)
        self._sum = np.zeros(X.shape[1])
        self._sum_of_squares = 0.0
        self.extend(rows)

    @property
    def centroid(self) -> Floats:
        """Mean row, (n_features,)."""
        mean: Floats = self._sum / len(self.rows)
        return mean

    @property
    def spread(self) -> float:
        """Standard deviation over all entries of the rows."""
        entries = len(self.rows) * len(self._sum)
        mean = float(self._sum.sum()) / entries
        return math.sqrt(self._sum_of_squares / entries - mean * mean)

    def extend(self, rows: Indices) -> None:
        """Add rows, (k,)."""
        X = self._X[rows]
        self.rows = np.concatenate([self.rows, rows])
        self._sum += X.sum(axis=0)
        self._sum_of_squares += float(np.vdot(X, X))
