"""Statistics of paired experiments: t intervals, differences by seed, rank correlation.

All intervals are two-sided t intervals of a mean: right for means of bounded scores over a few dozen seeds, whatever
the distribution of a single score.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from pydantic import Field
from scipy.special import stdtr, stdtrit

from dataselect_env.core.arrays import Floats
from dataselect_env.core.models import WireModel

CONFIDENCE = 0.95
METHOD = "95 % t intervals; differences are taken seed by seed (paired t test, two-sided)"


class Interval(WireModel):
    """A mean over seeds with its confidence interval."""

    mean: float = Field(description="Mean over the seeds.")
    low: float = Field(description="Lower end of the 95 % interval.")
    high: float = Field(description="Upper end of the 95 % interval.")

    @property
    def margin(self) -> float:
        """Half of the interval's width."""
        return (self.high - self.low) / 2


class Difference(Interval):
    """A mean difference between two policies on the same seeds."""

    pairs: int = Field(ge=2, description="Number of seeds.")
    p: float = Field(ge=0, le=1, description="Two-sided p value of the paired t test: chance of such a difference.")

    @property
    def significant(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def mean_interval(values: Sequence[float], *, confidence: float = CONFIDENCE) -> Interval:
    """Return the mean of at least two values with its t interval.

    Raises:
        ValueError: There are fewer than two values.
    """
    mean, error = _mean_and_error(values)
    margin = float(stdtrit(len(values) - 1, (1 + confidence) / 2)) * error
    return Interval(mean=mean, low=mean - margin, high=mean + margin)


def difference(ours: Sequence[float], theirs: Sequence[float], *, confidence: float = CONFIDENCE) -> Difference:
    """Return the mean of ``ours - theirs``, taken pair by pair, with its t interval and p value.

    Without any spread the interval is a point, and p is 1 for no difference and 0 for any other.

    Raises:
        ValueError: The lengths differ, or there are fewer than two pairs.
    """
    gaps = [one - other for one, other in zip(ours, theirs, strict=True)]
    interval = mean_interval(gaps, confidence=confidence)
    mean, error = _mean_and_error(gaps)
    p = 2 * float(stdtr(len(gaps) - 1, -abs(mean / error))) if error else float(mean == 0)
    return Difference(mean=mean, low=interval.low, high=interval.high, pairs=len(gaps), p=p)


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Return Spearman's rank correlation in [-1, 1]; equal values share the mean of their ranks.

    Raises:
        ValueError: The lengths differ, or one side does not vary, so that there is no correlation.
    """
    one, other = _ranks(first), _ranks(second)
    if len(one) != len(other):
        raise ValueError(f"cannot correlate {len(one)} values with {len(other)}")
    one, other = one - one.mean(), other - other.mean()
    length = math.sqrt(float(one @ one) * float(other @ other))
    if not length:
        raise ValueError("values that do not vary correlate with nothing")
    return float(one @ other) / length


def _mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and standard error; exactly 0 for values that are all the same."""
    if len(values) < 2:
        raise ValueError("an interval needs at least two values")
    mean = math.fsum(values) / len(values)
    if max(values) == min(values):
        return values[0], 0.0
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, math.sqrt(variance / len(values))


def _ranks(values: Sequence[float]) -> Floats:
    """Return ranks from 1, (n,)."""
    _, places, counts = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True)
    last: Floats = np.cumsum(counts).astype(np.float64)
    ranks: Floats = (last - (counts - 1) / 2)[places]
    return ranks
