"""The best samples of many pools at once, chosen in two rounds.

Utilities of whole pools are computed from inner products in single precision, with a bound on their error, and say who
is on the shortlist; those on it are compared in double precision. What is chosen is the same as if all had been, and
the memory that a step reads, which is what it spends its time on when many pools are looked at in turn, is halved.

References:
    Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1 (rounding errors of inner products).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dataselect_env.arrays import Floats, Floats32, Indices, Mask

EPSILON = float(np.finfo(np.float32).eps)
"""Twice the error of rounding to single precision."""


def product_error(longest: float, other: Floats) -> float:
    """Return a bound on the error of inner products in single precision.

    Args:
        longest: Length of the longest of the rows.
        other: The vector that they are multiplied with, (n_features,).
    """
    return EPSILON * (len(other) + 4) * longest * math.sqrt(float(other @ other))


def entropy_error(longest: float, weights: Floats) -> float:
    """Return a bound on the error of entropies of log-odds in single precision: their slope is at most 1/4."""
    return product_error(longest, weights) / 4 + 16 * EPSILON


def distance_error(longest: float, centroid: Floats) -> float:
    """Return a bound on the error of squared distances from inner products in single precision."""
    return 2 * product_error(longest, centroid)


@dataclass(frozen=True, slots=True, eq=False)
class Utilities:
    """Utilities of all samples of k pools.

    Attributes:
        approximate: Utilities up to an error, (k, n).
        errors: Bounds on the errors, (k,).
        exact: Gives the utilities, (m,), of some samples, for their pools, which rise, and their indices, (m,) both.
    """

    approximate: Floats | Floats32
    errors: Floats
    exact: Callable[[Indices, Indices], Floats]

    def best(self, left: Mask, counts: Indices) -> tuple[Indices, Indices]:
        """Return the best samples of each pool, as ``sampling.highest`` does for one.

        Args:
            left: Which samples can be chosen, (k, n).
            counts: How many to choose in each pool, (k,), at least 1 and at most what is left there.

        Returns:
            Pool and index of each, (sum(counts),) both; pool by pool, best first, ties in the order of the indices.
        """
        approximate = np.where(left, self.approximate, -np.inf)
        most = int(counts.max())
        tails = np.sort(np.partition(approximate, -most, axis=1)[:, -most:], axis=1)
        thresholds = tails[np.arange(len(counts)), most - counts] - 2 * self.errors
        pool, index = np.nonzero(approximate >= thresholds[:, None])
        order = np.lexsort((-self.exact(pool, index), pool))  # stable
        pool, index = pool[order], index[order]
        rank = np.arange(len(pool)) - np.searchsorted(pool, pool)
        kept = rank < counts[pool]
        return pool[kept], index[kept]
