"""Confidence intervals of mean grades, paired differences between policies, and corrections for many comparisons.

The seeds of a built-in task are a stratified sample: of every ten consecutive seeds a fixed number belongs to each
hidden world, and grades differ more between the worlds than within them. A mean varies only within the worlds, and an
interval that ignores them is up to three times too wide. Two methods make an interval:

- Student's t for a stratified mean: variances within strata, degrees of freedom by Welch and Satterthwaite.
- Where grades pile up (half of them or more are equal), episodes that were not drawn matter more than the spread of
  those that were. The interval then also covers a Bayesian bootstrap within the strata with one episode added, twice as
  far from the median as the farthest one seen, or at the end of the scale where all are equal. For grades that are all
  0 or all 1 this is the exact binomial interval (Clopper and Pearson).

``bench/validity/coverage.py`` measures how often these intervals cover the true mean, beside plain t intervals and BCa.

References:
    Cochran, Sampling Techniques, 1977, chapter 5 (stratified means and their degrees of freedom).
    Rubin, The Bayesian Bootstrap, 1981.
    Clopper and Pearson, The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial, 1934.
    Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979.
"""
# ruff: noqa: PLC0415  (scipy.stats takes a second to import, and servers do without)

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from pydantic import Field

from dataselect_env.core.arrays import Floats
from dataselect_env.core.data import world_of
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.tasks import Task
from dataselect_env.core.validation import WireModel

CONFIDENCE = 0.95
METHOD = (
    "95 % confidence intervals of the mean: Student's t within the hidden worlds, wider where grades pile up; "
    "differences are paired by seed, their p values corrected for the number of comparisons (Holm)"
)
SEALED_METHOD = "95 % confidence intervals of the mean: Student's t, wider where grades pile up"
"""The method on a sealed split, where hidden worlds are unknown and one policy plays."""
PILED = 0.5
"""Share of equal values from which an interval allows for values that were not drawn."""
BEYOND = 2.0
"""How far from the median the episode is that was not drawn, in distances of the farthest one that was."""
DRAWS = 20_000
"""Draws of the Bayesian bootstrap. The smallest p value that it can give is 1 in 10,000."""
RNG_SEED = 0
"""Default seed of the Bayesian bootstrap: equal grades give equal intervals."""
MOST_CELLS = 4_000_000
"""Entries of one array of bootstrap weights at most."""

Scale = tuple[float, float]
"""Lowest and highest value that is possible."""
GRADES: Scale = (0.0, 1.0)
UNBOUNDED: Scale = (-math.inf, math.inf)


class Interval(WireModel):
    """A mean over seeds with its 95 % confidence interval, which need not be symmetric."""

    mean: float = Field(description="Mean over the seeds.")
    low: float = Field(description="Lower end of the 95 % interval.")
    high: float = Field(description="Upper end of the 95 % interval.")

    @property
    def margin(self) -> float:
        """Distance from the mean to the farther end."""
        return max(self.high - self.mean, self.mean - self.low)


class Difference(Interval):
    """A mean difference between two policies on the same seeds."""

    pairs: int = Field(ge=2, description="Number of seeds.")
    p: float = Field(ge=0, le=1, description="Two-sided p value of the hypothesis that the mean difference is 0.")
    p_corrected: float = Field(ge=0, le=1, description="The same, corrected for all comparisons of the report (Holm).")

    @property
    def significant(self) -> bool:
        """Whether the corrected p value is below 0.05."""
        return self.p_corrected < 1 - CONFIDENCE


def strata_of(task: Task, seeds: Sequence[int | None]) -> list[str] | None:
    """Return the hidden world of each seed of a pinned task; other tasks have none, a sealed split hides them."""
    known = [seed for seed in seeds if seed is not None]
    return [world_of(seed) for seed in known] if task.pinned and len(known) == len(seeds) else None


def mean_interval(
    values: Sequence[float],
    strata: Sequence[Hashable] | None = None,
    *,
    scale: Scale = GRADES,
    confidence: float = CONFIDENCE,
    rng_seed: int = RNG_SEED,
    draws: int = DRAWS,
) -> Interval:
    """Return the mean of a sample with its confidence interval.

    Args:
        values: One value a seed, at least two.
        strata: Stratum of each value, in the same order. None, or a stratum with a single value, makes it one stratum.
        scale: Values that are possible at all; the interval stays within. Default: grades.
        confidence: In (0, 1).
        rng_seed: Seed of the Bayesian bootstrap.
        draws: Number of its draws.

    Raises:
        InvalidInput: Fewer than two values, another number of strata, or equal values on an infinite scale.
    """
    sample = _Sample.of(values, strata)
    return _interval(sample, sample.bootstrap(scale, rng_seed, draws), scale, confidence)


def difference(
    ours: Sequence[float],
    theirs: Sequence[float],
    strata: Sequence[Hashable] | None = None,
    *,
    scale: Scale = GRADES,
    confidence: float = CONFIDENCE,
    rng_seed: int = RNG_SEED,
    draws: int = DRAWS,
) -> Difference:
    """Return the mean of ``ours - theirs``, taken pair by pair, with its interval and p value.

    Arguments and errors are those of :func:`mean_interval`; ``scale`` is that of the single values. The p value is not
    corrected: :func:`corrected` does that for several differences together.

    Raises:
        InvalidInput: Also when ``ours`` and ``theirs`` differ in length.
    """
    if len(ours) != len(theirs):
        raise InvalidInput(f"theirs: {len(theirs)} values cannot be paired with {len(ours)}", field="theirs")
    gaps = [one - other for one, other in zip(ours, theirs, strict=True)]
    width = scale[1] - scale[0]
    possible, sample = (-width, width), _Sample.of(gaps, strata)
    drawn = sample.bootstrap(possible, rng_seed, draws)
    found, p = _interval(sample, drawn, possible, confidence), _p_value(sample, drawn)
    return Difference(**found.model_dump(), pairs=len(gaps), p=p, p_corrected=p)


def corrected(differences: Sequence[Difference]) -> list[Difference]:
    """Return the differences with p values that allow for their number (Holm), in the same order."""
    count, highest = len(differences), 0.0
    result = list(differences)
    for place, index in enumerate(sorted(range(count), key=lambda number: differences[number].p)):
        highest = max(highest, min(1.0, (count - place) * differences[index].p))
        result[index] = differences[index].model_copy(update={"p_corrected": highest})
    return result


def standard_error(values: Sequence[float], strata: Sequence[Hashable] | None = None) -> float:
    """Return the standard error of the mean of a stratified sample; arguments as of :func:`mean_interval`."""
    return _Sample.of(values, strata).error


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Return Spearman's rank correlation, in [-1, 1]; NaN with a warning where one side does not vary."""
    from scipy import stats

    return float(stats.spearmanr(first, second).statistic)


Drawn = tuple[Floats, Floats]
"""Draws of the mean with an unseen low episode, and with an unseen high one, (draws,) each."""


def _interval(sample: _Sample, drawn: Drawn | None, scale: Scale, confidence: float) -> Interval:
    """Return Student's interval, and with ``drawn`` the hull of both, cut to the scale."""
    low, high = sample.t_interval(confidence)
    if drawn is not None:
        low = min(low, float(np.quantile(drawn[0], (1 - confidence) / 2)))
        high = max(high, float(np.quantile(drawn[1], (1 + confidence) / 2)))
    return Interval(mean=sample.mean, low=max(low, scale[0]), high=min(high, scale[1]))


def _p_value(sample: _Sample, drawn: Drawn | None) -> float:
    """Return 1 less the confidence of the widest interval that leaves 0 out."""
    p = sample.t_p_value()
    if drawn is None:
        return p
    tail = min(np.count_nonzero(drawn[0] <= 0), np.count_nonzero(drawn[1] >= 0))
    return max(p, min(1.0, 2 * (tail + 1) / (len(drawn[0]) + 1)))


@dataclass(frozen=True, slots=True)
class _Sample:
    """A stratified sample of at least two values.

    Attributes:
        groups: The values of each stratum, ascending; two or more in each.
    """

    groups: tuple[Floats, ...]

    @classmethod
    def of(cls, values: Sequence[float], strata: Sequence[Hashable] | None) -> Self:
        array = np.sort(np.asarray(values, dtype=np.float64))
        if len(array) < 2:
            raise InvalidInput(f"values: an interval needs at least two, not {len(array)}", field="values")
        if strata is None:
            return cls((array,))
        if len(strata) != len(array):
            raise InvalidInput(f"strata: {len(array)} values have {len(strata)} strata", field="strata")
        found: dict[Hashable, list[float]] = {}
        for stratum, value in zip(strata, values, strict=True):
            found.setdefault(stratum, []).append(value)
        if min(map(len, found.values())) < 2:
            return cls((array,))
        return cls(tuple(np.sort(found[stratum]) for stratum in sorted(found, key=str)))

    @property
    def values(self) -> Floats:
        values: Floats = np.concatenate(self.groups)
        return values

    @property
    def shares(self) -> Floats:
        shares: Floats = np.array([len(group) for group in self.groups]) / len(self.values)
        return shares

    @property
    def mean(self) -> float:
        return math.fsum(self.values) / len(self.values)

    @property
    def error(self) -> float:
        return math.sqrt(self._variances().sum())

    @property
    def piled(self) -> bool:
        """Whether half of the values or more are equal, or there is no spread within any stratum."""
        _, counts = np.unique(self.values, return_counts=True)
        return bool(counts.max() >= PILED * len(self.values) or self.error == 0)

    def _variances(self) -> Floats:
        """Return the share of each stratum in the variance of the mean; exactly 0 for equal values."""
        parts = [0.0 if np.ptp(group) == 0 else float(np.var(group, ddof=1)) / len(group) for group in self.groups]
        variances: Floats = self.shares**2 * np.array(parts)
        return variances

    def _degrees(self) -> float:
        """Return the degrees of freedom by Welch and Satterthwaite; there is some spread."""
        parts = self._variances()
        sizes = np.array([len(group) for group in self.groups])
        return float(parts.sum() ** 2 / (parts**2 / (sizes - 1)).sum())

    def t_interval(self, confidence: float) -> tuple[float, float]:
        from scipy import special

        if self.error == 0:
            return self.mean, self.mean
        tail = special.stdtrit(self._degrees(), [(1 - confidence) / 2, (1 + confidence) / 2])
        low, high = tail * self.error + self.mean
        return float(low), float(high)

    def t_p_value(self) -> float:
        from scipy import special

        if self.error == 0:
            return float(self.mean == 0)
        return float(2 * special.stdtr(self._degrees(), -abs(self.mean) / self.error))

    def bootstrap(self, scale: Scale, rng_seed: int, draws: int) -> Drawn | None:
        """Return draws of the mean where values pile up, else None.

        The weights of the episodes of a stratum are Dirichlet(1, ..., 1) times its share, that of the unseen episode is
        Beta(1, n): together those of a Bayesian bootstrap with n + 1 episodes, kept to the shares of the strata.
        """
        if not self.piled:
            return None
        values, rng = self.values, np.random.default_rng(rng_seed)
        middle = float(np.median(values))
        low, high = scale
        if np.ptp(values) > 0:
            low = max(low, middle - BEYOND * (middle - values.min()))
            high = min(high, middle + BEYOND * (values.max() - middle))
        elif math.isinf(low) or math.isinf(high):
            raise InvalidInput("values: equal values on an infinite scale have no interval", field="values")
        means = np.zeros(draws)
        for share, group in zip(self.shares, self.groups, strict=True):
            means += share * _dirichlet_means(group, rng, draws)
        evenly = (np.arange(draws) + 0.5) / draws  # every quantile of the Beta distribution once: less noise than draws
        unseen = 1 - rng.permutation(evenly) ** (1 / len(values))
        return means + unseen * (low - means), means + unseen * (high - means)


def _dirichlet_means(group: Floats, rng: np.random.Generator, draws: int) -> Floats:
    """Return means of values, (n,), under Dirichlet(1, ..., 1) weights, (draws,)."""
    at_once = max(1, MOST_CELLS // len(group))
    parts = []
    for start in range(0, draws, at_once):
        weights = rng.exponential(size=(min(at_once, draws - start), len(group)))
        parts.append(weights @ group / weights.sum(axis=1))
    return np.concatenate(parts)
