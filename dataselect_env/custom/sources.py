"""Pools from a user's own data: rows of a table, or data sets of a generator with other parameters.

The rows of a table are divided once: those of the validation split are the same for all seeds, and nothing is ever
fitted on them. Of the others each seed draws its own seed set; what is left is its pool. So two seeds differ in what is
known at the start, in which labels are wrong and in all draws, but they share rows: what was learned on some seeds of a
table is tested on others by new draws, not by new rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from statistics import fmean
from typing import Self

import numpy as np

from dataselect_env.core.arrays import Floats, Indices, Labels
from dataselect_env.core.data import Dataset, Pool
from dataselect_env.core.learner import ALPHA, MOST_PASSES
from dataselect_env.core.strategies import sampling
from dataselect_env.core.tasks import Task
from dataselect_env.core.warm_start import WarmStart, performance_on, warm_up
from dataselect_env.custom.definitions import Generator, LearnerSettings
from dataselect_env.custom.noise import Annotators, Given, NoiseModel

STARTS = 64
"""Warm starts of a table kept in memory; each takes a model and the rows of its seed set."""
STARTS_BYTES = 64_000_000
"""Memory that the kept data sets of a generator may take; one is kept in any case."""
ALPHAS = (0.002, 0.006, 0.02, 0.06, 0.2, 0.6)
"""Penalties to choose from; the built-in tasks have the second."""
MEASURED_SEEDS = (0, 1, 2)
"""Seeds, of the train split, that penalties and ranges are measured on."""
_DIVISION_STREAM, _SEED_SET_STREAM, _WARM_UP_STREAM, _TRIAL_STREAM = 101, 102, 103, 104


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many samples there are of each kind."""

    seed: int
    validation: int
    pool: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.seed + self.validation + self.pool


@dataclass(eq=False, kw_only=True)
class CustomSource:
    """What tables and generators have in common.

    Attributes:
        noise: Which labels are wrong.
        learner: Settings of the classifier.
    """

    noise: NoiseModel
    learner: LearnerSettings
    _start: Callable[[int], WarmStart] = field(init=False, repr=False)

    def start(self, seed: int) -> WarmStart:
        """Return what the episode of a seed starts from; the latest are kept."""
        return self._start(seed)

    def pool(self, task: Task, seed: int, rng: np.random.Generator) -> Pool:  # noqa: ARG002
        """Return the pool of a seed with its labels; ``rng`` is the stream of the noise."""
        return self.noise.draw(self.start(seed), seed, rng)

    def __deepcopy__(self, _memo: object) -> Self:
        return self  # a copy of an episode shares its data


@dataclass(eq=False, kw_only=True)
class TableSource(CustomSource):
    """The rows of a table.

    Attributes:
        base: All rows, those of the validation split first; its seed set is empty.
        seed_size: Rows that each seed draws for its seed set, with the shares that the classes have in the table.
    """

    base: Dataset
    seed_size: int

    def __post_init__(self) -> None:
        pool = self.base.X_pool
        squares: Floats = np.einsum("ij,ij->i", pool, pool)

        def start(seed: int) -> WarmStart:
            first = self.base.pool_rows.start
            rows = first + stratified(self.base.y_pool, self.seed_size, np.random.default_rng([seed, _SEED_SET_STREAM]))
            dataset = replace(self.base, number=seed, seed_rows=rows)
            return _warm_up(dataset, seed, self.learner, squares)

        self._start = lru_cache(maxsize=STARTS)(start)

    def digest(self) -> str:
        """Return a fingerprint of the rows, their labels, and what else of the table the noise is made of."""
        parts = hashlib.sha256(self.base.X.data)
        parts.update(self.base.y.data)
        if isinstance(self.noise, Given):
            parts.update(self.noise.labels.data)
        elif isinstance(self.noise, Annotators) and self.noise.who is not None:
            parts.update(self.noise.who.data)
        return parts.hexdigest()


@dataclass(eq=False, kw_only=True)
class GeneratorSource(CustomSource):
    """Data sets of ``make_classification``, another one for each seed.

    Attributes:
        generator: Its parameters.
        sizes: Of the parts.
        balanced: Whether every class of the validation split counts the same.
    """

    generator: Generator
    sizes: Sizes
    balanced: bool

    def __post_init__(self) -> None:
        bytes_each = self.sizes.total * self.generator.n_features * 8
        kept = max(1, min(STARTS, STARTS_BYTES // bytes_each))
        self._start = lru_cache(maxsize=kept)(self._make)

    def digest(self) -> str:
        """Return a fingerprint of the parameters."""
        return hashlib.sha256(repr((self.generator, self.sizes)).encode()).hexdigest()

    def _make(self, seed: int) -> WarmStart:
        return _warm_up(self._generate(seed), seed, self.learner)

    def _generate(self, seed: int) -> Dataset:
        from sklearn.datasets import make_classification  # noqa: PLC0415  (a second of imports, at the first episode)

        parameters, sizes = self.generator.model_dump(), self.sizes
        shares = parameters.pop("class_shares")
        X, y = make_classification(**parameters, weights=shares, n_samples=sizes.total, flip_y=0.0, random_state=seed)
        validation = slice(sizes.seed, sizes.seed + sizes.validation)
        known = np.concatenate([X[: sizes.seed], X[validation.stop :]])
        X = np.ascontiguousarray((X - known.mean(axis=0)) / known.std(axis=0))
        y = y.astype(np.int64)
        X.flags.writeable = y.flags.writeable = False
        return Dataset(
            number=seed,
            X=X,
            y=y,
            n_classes=self.generator.n_classes,
            seed_rows=np.arange(sizes.seed),
            validation_rows=validation,
            pool_rows=slice(validation.stop, sizes.total),
            weights=balanced_weights(y[validation]) if self.balanced else None,
        )


def _warm_up(dataset: Dataset, seed: int, learner: LearnerSettings, squares: Floats | None = None) -> WarmStart:
    rng = np.random.default_rng([seed, _WARM_UP_STREAM])
    alpha = ALPHA if learner.alpha is None else learner.alpha
    return warm_up(dataset, rng, alpha=alpha, passes=learner.warm_up_passes, squares=squares)


def divide(y: Labels, sizes: Sizes) -> tuple[Indices, Indices]:
    """Return the rows of the validation split and those that seed sets and pools are made of.

    Both are drawn evenly by class, always in the same way; rows that are too many are left out.

    Args:
        y: Labels, (n,).
        sizes: At most n in all.
    """
    rng = np.random.default_rng([_DIVISION_STREAM])
    validation = stratified(y, sizes.validation, rng)
    others = np.setdiff1d(np.arange(len(y)), validation)
    return validation, others[stratified(y[others], sizes.seed + sizes.pool, rng)]


def stratified(y: Labels, count: int, rng: np.random.Generator) -> Indices:
    """Return ``count`` distinct indices into ``y``, (n,), ascending, with the shares of the classes in ``y``.

    Every class is there, if ``count`` allows.
    """
    labels, sizes = np.unique(y, return_counts=True)
    quotas = list(sampling.quotas(count, tuple(map(float, sizes))))
    while count >= len(quotas) and 0 in quotas:
        quotas[quotas.index(max(quotas))] -= 1
        quotas[quotas.index(0)] += 1
    drawn = [
        rng.choice(np.flatnonzero(y == label), quota, replace=False)
        for label, quota in zip(labels, quotas, strict=True)
    ]
    return np.sort(np.concatenate(drawn))


def balanced_weights(y: Labels) -> Floats:
    """Return weights of rows, (n,), that add up to 1 in all and to the same for each class."""
    _, which, sizes = np.unique(y, return_inverse=True, return_counts=True)
    weights: Floats = 1 / (len(sizes) * sizes[which.reshape(-1)])
    return weights


def best_alpha(
    make: Callable[[LearnerSettings], TableSource | GeneratorSource], settings: LearnerSettings, budget: int
) -> LearnerSettings:
    """Return settings with the best of ``ALPHAS``: the highest mean performance after a random purchase.

    Labels are right, as far as that is known: tasks that differ in their noise alone have the same classifier.

    Args:
        make: Returns where the data come from, for settings of the learner.
        settings: Their alpha is looked for.
        budget: Samples that are bought.
    """
    found = {}
    for alpha in ALPHAS:
        tried = settings.model_copy(update={"alpha": alpha})
        found[alpha] = fmean(_after_random(make(tried), seed, budget) for seed in MEASURED_SEEDS)
    return settings.model_copy(update={"alpha": max(ALPHAS, key=lambda alpha: found[alpha])})


def _after_random(source: TableSource | GeneratorSource, seed: int, budget: int) -> float:
    """Return the performance after a random purchase of the whole budget at once."""
    rng = np.random.default_rng([seed, _TRIAL_STREAM])
    start = source.start(seed)
    dataset, learner = start.dataset, start.learner.copy()
    available = np.flatnonzero(dataset.available)
    bought = rng.choice(available, min(budget, len(available)), replace=False)
    rows = np.concatenate([dataset.seed_rows, dataset.pool_rows.start + bought])
    learner.train(dataset.X, dataset.y, rows, MOST_PASSES, rng)
    return performance_on(dataset, learner, dataset.y, rows)


def measured_range(
    source: TableSource | GeneratorSource, seeds: tuple[int, ...] = MEASURED_SEEDS
) -> tuple[float, float]:
    """Return the mean performance at the start, and after training on the whole pool with right labels.

    Args:
        source: Where the data come from.
        seeds: Which seeds to measure.
    """
    first, last = [], []
    for seed in seeds:
        start = source.start(seed)
        dataset, learner = start.dataset, start.learner.copy()
        rows = np.concatenate([dataset.seed_rows, dataset.pool_rows.start + np.flatnonzero(dataset.available)])
        learner.train(dataset.X, dataset.y, rows, MOST_PASSES, np.random.default_rng([seed, _WARM_UP_STREAM]))
        first.append(start.performance)
        last.append(performance_on(dataset, learner, dataset.y, rows))
    return fmean(first), fmean(last)
