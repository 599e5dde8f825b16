"""The choice of rows as a task that a policy can play: the pool with its given labels, and the trusted rows.

The trusted rows have two parts in a task. The seed part warm-starts the learner, and its labels are trusted by filters;
on the validation part performance is measured, which drives the policy.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from dataselect_env.core.arrays import Floats, Indices, Labels
from dataselect_env.core.data import Dataset, Pool
from dataselect_env.core.strategies.evidence import leave_one_out
from dataselect_env.core.tasks import MIN_BATCH, TASKS, Task
from dataselect_env.core.warm_start import WarmStart, warm_up
from dataselect_env.custom.calibration import best_alpha
from dataselect_env.custom.definitions import LearnerSettings
from dataselect_env.custom.noise import UnknownNoise
from dataselect_env.custom.sources import WARM_UP_STREAM, CustomSource
from dataselect_env.policies.options import UNKNOWN_RANGE

EXTRA_STRATEGIES = TASKS["open"].extra_strategies
"""Query strategies that every curation offers beside uncertainty, diversity and random: those of the task ``open``."""
HIGHEST_NOISE = 0.45
"""Upper bound of the estimated share of wrong labels."""
_HALVES_STREAM = 105


@dataclass(frozen=True, eq=False, kw_only=True)
class NoisyTable:
    """A noisy table and trusted rows as arrays.

    Attributes:
        X: Encoded features of the table, (n, n_features).
        given: Given labels of the table, (n,), codes.
        X_trusted: Encoded features of the trusted rows, (m, n_features).
        y_trusted: Right labels of the trusted rows, (m,), codes.
        n_classes: Number of classes.
    """

    X: Floats
    given: Labels
    X_trusted: Floats
    y_trusted: Labels
    n_classes: int

    def only(self, trusted: Indices) -> NoisyTable:
        """Return the table with some of the trusted rows."""
        return replace(self, X_trusted=self.X_trusted[trusted], y_trusted=self.y_trusted[trusted])


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How rows are bought.

    Attributes:
        budget: Rows to buy at most.
        steps: Steps at most.
        noise_rate: Expected share of wrong labels, in [0, 0.5); None estimates it.
        seed: Seed of all draws, in [0, 2^32).
        extra_strategies: Query strategies offered beside uncertainty, diversity and random.
    """

    budget: int
    steps: int
    noise_rate: float | None
    seed: int
    extra_strategies: tuple[str, ...] = EXTRA_STRATEGIES


@dataclass(eq=False, kw_only=True)
class CurationSource(CustomSource):
    """The rows of one curation: validation part, pool, seed part, in this order.

    Attributes:
        dataset: All rows; the labels of the pool are the given ones.
    """

    dataset: Dataset

    def __post_init__(self) -> None:
        def start(seed: int) -> WarmStart:
            rng = np.random.default_rng([seed, WARM_UP_STREAM])
            assert self.learner.alpha is not None  # noqa: S101  (every caller gives one)
            return warm_up(self.dataset, rng, alpha=self.learner.alpha, passes=self.learner.warm_up_passes)

        self._start = lru_cache(maxsize=4)(start)

    def pool(self, task: Task, seed: int, rng: np.random.Generator) -> Pool:  # noqa: ARG002
        """Return the given labels, and an empty noise mask; an audit writes what it finds into both."""
        return Pool(self.dataset.y.copy(), np.zeros(len(self.dataset.y_pool), dtype=np.bool_))

    def digest(self) -> str:
        """Return a fingerprint of the rows and their labels."""
        parts = hashlib.sha256(self.dataset.X.data)
        parts.update(self.dataset.y.data)
        return parts.hexdigest()


def make_task(table: NoisyTable, settings: Settings, *, audited: bool) -> Task:
    """Return the task of choosing rows of a table.

    Args:
        table: The table; each class has at least one trusted row.
        settings: How rows are bought.
        audited: Whether the right labels of a batch are revealed once it is bought.
    """
    dataset = _dataset(table, settings.seed)
    rate = estimate_noise_rate(table) if settings.noise_rate is None else settings.noise_rate
    noise = UnknownNoise(rate)

    def make_source(learner: LearnerSettings) -> CurationSource:
        return CurationSource(noise=noise, learner=learner, dataset=dataset)

    source = make_source(best_alpha(make_source, LearnerSettings(), settings.budget))
    return Task(
        task_id="curation",
        summary=f"Choose at most {settings.budget} of {len(table.X)} rows of a table, some of whose labels are wrong.",
        flip_y=rate,
        budget=settings.budget,
        max_steps=settings.steps,
        performance_range=UNKNOWN_RANGE,
        pass_performance=UNKNOWN_RANGE[1],
        min_batch=min(MIN_BATCH, settings.budget),
        pool_size=len(table.X),
        n_classes=table.n_classes,
        extra_strategies=settings.extra_strategies,
        noise_trap=False,
        has_ground_truth=audited,
        source=source,
        digest=source.digest(),
    )


def trusted_halves(y: Labels, seed: int) -> tuple[Indices, Indices]:
    """Return the seed part and the validation part of the trusted rows, as indices into their labels ``y``, (m,).

    Each has a random half of every class; the odd row of a class is in the seed part, which thus has every class.
    """
    rng = np.random.default_rng([seed, _HALVES_STREAM])
    shuffled = [rng.permutation(np.flatnonzero(y == label)) for label in np.unique(y)]
    first = np.sort(np.concatenate([rows[: (len(rows) + 1) // 2] for rows in shuffled]))
    return first, np.setdiff1d(np.arange(len(y)), first)


def estimate_noise_rate(table: NoisyTable) -> float:
    """Return an estimate of the share of wrong labels in a table, in [0, ``HIGHEST_NOISE``].

    A model that is trained on all other rows disagrees with a share e of the trusted labels: its own mistakes. With a
    share r of wrong labels it disagrees with d = (1 - r) e + r (1 - e / (K - 1)) of the given labels, if its mistakes
    do not depend on whether the given label is wrong, and if all K - 1 other classes are equally likely. This is solved
    for r.
    """
    others = table.n_classes - 1
    given = _disagreement(table.X, table.given, table.X_trusted, table.y_trusted, table.n_classes)
    own = _disagreement(table.X_trusted, table.y_trusted, table.X, table.given, table.n_classes)
    discernible = 1 - own - own / others
    rate = (given - own) / discernible if discernible > 0 else HIGHEST_NOISE
    return float(np.clip(rate, 0.0, HIGHEST_NOISE))


def _disagreement(X: Floats, labels: Labels, X_others: Floats, y_others: Labels, n_classes: int) -> float:
    """Return the share of labels, (n,), that a model trained on all other rows does not predict."""
    return float((leave_one_out(X, labels, X_others, y_others, n_classes).argmax(axis=1) != labels).mean())


def _dataset(table: NoisyTable, seed: int) -> Dataset:
    seed_part, validation = trusted_halves(table.y_trusted, seed)
    X = np.concatenate([table.X_trusted[validation], table.X, table.X_trusted[seed_part]])
    y = np.concatenate([table.y_trusted[validation], table.given, table.y_trusted[seed_part]])
    X.flags.writeable = y.flags.writeable = False
    first_seed = len(validation) + len(table.X)
    return Dataset(
        number=seed,
        X=X,
        y=y,
        n_classes=table.n_classes,
        seed_rows=np.arange(first_seed, len(X)),
        validation_rows=slice(0, len(validation)),
        pool_rows=slice(len(validation), first_seed),
    )
