"""The training set of an episode: everything acquired so far."""

from __future__ import annotations

import math
from copy import copy

import numpy as np

from dataselect_env.core.arrays import Floats, Indices


class TrainingSet:
    """Row numbers of a data set with running sums over their features, which are not stored.

    Args:
        rows: Initial rows, (k,), k >= 1.
        X: Features of these rows, (k, n_features).

    Attributes:
        rows: Rows so far, in the order in which they were added.
    """

    def __init__(self, rows: Indices, X: Floats) -> None:
        self.rows = np.empty(0, dtype=np.intp)
        self._sum = np.zeros(X.shape[1])
        self._sum_of_squares = 0.0
        self.extend(rows, X)

    def copy(self) -> TrainingSet:
        """Return an independent training set with the same rows."""
        twin = copy(self)
        twin._sum = self._sum.copy()  # the rows are replaced, never changed
        return twin

    @property
    def centroid(self) -> Floats:
        """Mean of the features, (n_features,)."""
        mean: Floats = self._sum / len(self.rows)
        return mean

    @property
    def spread(self) -> float:
        """Standard deviation over all entries of the feature matrix."""
        entries = len(self.rows) * len(self._sum)
        mean = float(self._sum.sum()) / entries
        return math.sqrt(max(self._sum_of_squares / entries - mean * mean, 0.0))  # rounding can make it negative

    def extend(self, rows: Indices, X: Floats) -> None:
        """Add rows, (k,), with features (k, n_features)."""
        self.rows = np.concatenate([self.rows, rows])
        self._sum += X.sum(axis=0)
        self._sum_of_squares += float(np.vdot(X, X))
