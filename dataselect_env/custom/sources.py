"""Sources of custom data: the rows of a table, or generated data sets.

The rows of a table are divided once: those of the validation split are the same for all seeds, and nothing is ever
fitted on them. Each seed draws its own seed set from the other rows, and the rest is its pool. Two seeds therefore
differ in the seed set, the wrong labels and all random draws, but share their rows: what is learned on some seeds of a
table is tested by new draws on other seeds, not by new rows.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import astuple, dataclass, field, fields, replace
from functools import lru_cache, partial
from typing import Self

import numpy as np

from dataselect_env.core import generator
from dataselect_env.core.arrays import Floats, Labels
from dataselect_env.core.data import Dataset, Pool
from dataselect_env.core.learner import ALPHA
from dataselect_env.core.tasks import Task
from dataselect_env.core.warm_start import WarmStart, warm_up
from dataselect_env.custom.definitions import Generator, LearnerSettings
from dataselect_env.custom.noise import AnnotatorNoise, NoiseModel, RecordedNoise
from dataselect_env.custom.report import TableReport
from dataselect_env.custom.splitting import SplitSizes, stratified

MAX_STARTS = 64
"""Warm starts of a table kept in memory; each holds a model and the rows of its seed set."""
MAX_START_BYTES = 64_000_000
"""Memory for the kept data sets of a generator; at least one is kept."""
WARM_UP_STREAM = 103
_SEED_SET_STREAM = 102


@dataclass(eq=False, kw_only=True)
class CustomSource(ABC):
    """Base class of the sources of custom data.

    Attributes:
        noise: Noise model of the pool.
        learner: Settings of the classifier.
    """

    noise: NoiseModel
    learner: LearnerSettings
    _start: Callable[[int], WarmStart] = field(init=False, repr=False)

    @abstractmethod
    def digest(self) -> str:
        """Return a fingerprint of the data."""

    def start(self, seed: int) -> WarmStart:
        """Return the warm start of a seed; the most recent ones are cached."""
        return self._start(seed)

    def pool(self, task: Task, seed: int, rng: np.random.Generator) -> Pool:  # noqa: ARG002
        """Return the pool of a seed with its labels; ``rng`` is the noise stream."""
        return self.noise.draw(self.start(seed), seed, rng)

    def __deepcopy__(self, _memo: object) -> Self:
        return self  # copies of an episode share its data

    def __reduce__(self) -> tuple[Callable[[], Self], tuple[()]]:
        values = {one.name: getattr(self, one.name) for one in fields(self) if one.init}
        return partial(type(self), **values), ()  # another process has a cache of its own


@dataclass(eq=False, kw_only=True)
class TableSource(CustomSource):
    """The rows of a table.

    Attributes:
        base: All rows, those of the validation split first; its seed set is empty.
        seed_size: Rows of each seed set, drawn with the class shares of the table.
        report: What the table and its columns were taken for.
    """

    base: Dataset
    seed_size: int
    report: TableReport | None = None

    def __post_init__(self) -> None:
        pool = self.base.X_pool
        squares: Floats = np.einsum("ij,ij->i", pool, pool)

        def start(seed: int) -> WarmStart:
            first = self.base.pool_rows.start
            rows = first + stratified(self.base.y_pool, self.seed_size, np.random.default_rng([seed, _SEED_SET_STREAM]))
            dataset = replace(self.base, number=seed, seed_rows=rows)
            return _warm_up(dataset, seed, self.learner, squares)

        self._start = lru_cache(maxsize=MAX_STARTS)(start)

    def digest(self) -> str:
        """Return a fingerprint of the rows, their labels, and the columns that the noise comes from."""
        parts = hashlib.sha256(self.base.X.data)
        parts.update(self.base.y.data)
        if isinstance(self.noise, RecordedNoise):
            parts.update(self.noise.labels.data)
        elif isinstance(self.noise, AnnotatorNoise) and self.noise.annotator is not None:
            parts.update(self.noise.annotator.data)
        return parts.hexdigest()


@dataclass(eq=False, kw_only=True)
class GeneratorSource(CustomSource):
    """Data sets of ``make_classification``, another one for each seed.

    Attributes:
        generator: Its parameters.
        sizes: Numbers of samples.
        balanced: Whether every class of the validation split has the same weight.
    """

    generator: Generator
    sizes: SplitSizes
    balanced: bool

    def __post_init__(self) -> None:
        bytes_each = self.sizes.total * self.generator.n_features * 8
        kept = max(1, min(MAX_STARTS, MAX_START_BYTES // bytes_each))
        self._start = lru_cache(maxsize=kept)(self._make)

    def digest(self) -> str:
        """Return a fingerprint of the parameters."""
        return hashlib.sha256(f"{self.generator.model_dump_json()} {astuple(self.sizes)}".encode()).hexdigest()

    def _make(self, seed: int) -> WarmStart:
        return _warm_up(self._generate(seed), seed, self.learner)

    def _generate(self, seed: int) -> Dataset:
        from sklearn.datasets import make_classification  # noqa: PLC0415  (a second of imports, at the first episode)

        parameters, sizes = self.generator.model_dump(), self.sizes
        shares = parameters.pop("class_shares")
        rng = generator.stream(seed)
        X, y = make_classification(**parameters, weights=shares, n_samples=sizes.total, flip_y=0.0, random_state=rng)
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
    rng = np.random.default_rng([seed, WARM_UP_STREAM])
    alpha = ALPHA if learner.alpha is None else learner.alpha
    return warm_up(dataset, rng, alpha=alpha, passes=learner.warm_up_passes, squares=squares)


def balanced_weights(y: Labels) -> Floats:
    """Return row weights, (n,), that add up to 1, with the same sum for each class."""
    _, which, sizes = np.unique(y, return_inverse=True, return_counts=True)
    weights: Floats = 1 / (len(sizes) * sizes[which.reshape(-1)])
    return weights
