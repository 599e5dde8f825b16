"""Everything acquired so far, as rows that grow in place."""

from __future__ import annotations

import math

import numpy as np

from dataselect_env.arrays import Floats, Labels


class TrainingSet:
    """Rows with labels, and the sums over them that a step asks for.

    Args:
        X: Rows to begin with, (n, n_features).
        y: Their labels, (n,).
        capacity: Rows that may be added; room is made for them at once.
    """

    def __init__(self, X: Floats, y: Labels, capacity: int) -> None:
        self._X = np.empty((len(X) + capacity, X.shape[1]))
        self._y = np.empty(len(X) + capacity, dtype=np.int64)
        self._rows = 0
        self._sum = np.zeros(X.shape[1])
        self._sum_of_squares = 0.0
        self.extend(X, y)

    @property
    def X(self) -> Floats:  # noqa: N802
        """Features of all rows, (n, n_features), in the order in which they came; a view."""
        return self._X[: self._rows]

    @property
    def y(self) -> Labels:
        """Labels of all rows, (n,); a view."""
        return self._y[: self._rows]

    @property
    def centroid(self) -> Floats:
        """Mean row, (n_features,)."""
        mean: Floats = self._sum / self._rows
        return mean

    @property
    def spread(self) -> float:
        """Standard deviation over all entries of the rows."""
        entries = self._rows * len(self._sum)
        mean = float(self._sum.sum()) / entries
        return math.sqrt(self._sum_of_squares / entries - mean * mean)

    def extend(self, X: Floats, y: Labels) -> None:
        """Add rows (n, n_features) with labels (n,); there must be room for them."""
        end = self._rows + len(X)
        self._X[self._rows : end] = X
        self._y[self._rows : end] = y
        self._rows = end
        self._sum += X.sum(axis=0)
        self._sum_of_squares += float(np.vdot(X, X))
