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
        room: Number of rows that can be added.

    Attributes:
        size: Number of rows.
        buffer: The rows, followed by the room for more, (k + room,).
        sums: Sums over the features, followed by the sum of their squares, (n_features + 1,).
    """

    def __init__(self, rows: Indices, X: Floats, room: int) -> None:
        self.size = 0
        self.buffer = np.zeros(len(rows) + room, dtype=np.intp)
        self.sums = np.zeros(X.shape[1] + 1)
        self.extend(rows, X)

    def copy(self) -> TrainingSet:
        """Return an independent training set with the same rows."""
        twin = copy(self)
        twin.buffer, twin.sums = self.buffer.copy(), self.sums.copy()
        return twin

    @property
    def rows(self) -> Indices:
        """Rows so far, (size,), in the order in which they were added; a view."""
        return self.buffer[: self.size]

    @property
    def centroid(self) -> Floats:
        """Mean of the features, (n_features,)."""
        mean: Floats = self.sums[:-1] / self.size
        return mean

    @property
    def spread(self) -> float:
        """Standard deviation over all entries of the feature matrix."""
        entries = self.size * (len(self.sums) - 1)
        mean = float(self.sums[:-1].sum()) / entries
        return math.sqrt(max(float(self.sums[-1]) / entries - mean * mean, 0.0))  # rounding can make it negative

    def extend(self, rows: Indices, X: Floats) -> None:
        """Add rows, (k,), with features (k, n_features)."""
        self.buffer[self.size : self.size + len(rows)] = rows
        self.size += len(rows)
        self.sums[:-1] += X.sum(axis=0)
        self.sums[-1] += np.vdot(X, X)
