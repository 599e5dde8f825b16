"""The distribution of the task ``open``, and the problem that a seed draws from it.

The constants state what is drawn and from what range; :mod:`dataselect_env.core.open.distribution` puts them into
words for docs/environment.md. A draw that cannot be played, because a class is missing or buying does not help, is
rejected and drawn again from the same stream, so a problem is a function of its seed alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np

from dataselect_env.core.arrays import Indices, Labels, total
from dataselect_env.core.data import Dataset, Pool
from dataselect_env.core.learner import MOST_PASSES, WARM_UP_PASSES, Learner, training_order
from dataselect_env.core.open import columns, families, noise
from dataselect_env.core.tasks import MIN_BATCH, SEALED, TASKS, Task, split_of
from dataselect_env.core.warm_start import WarmStart, performance_on, warm_up

PROBLEMS_VERSION: Final = 1
"""Part of the stream of every draw: another version is another set of problems."""
_STREAM: Final = 205
_NOISE_KIND_WEIGHTS: Final = {"none": 2.0, "uniform": 2.0}
"""Weights of kinds of noise; the others have weight 1."""

OPEN: Final = TASKS["open"]
"""The task as it stands in lists; its numbers are the upper limits of those of a problem."""
CLASSES: Final = (2, OPEN.n_classes)
TWO_CLASSES: Final = 0.5
"""Share of problems with two classes; the others have any larger number."""
EQUAL_SHARES: Final = 0.4
"""Share of tables whose classes are equally frequent."""
CONCENTRATION: Final = 4.0
"""Parameter of the symmetric Dirichlet distribution of the other tables' class shares."""
CLUSTERS: Final = (1, 4)
"""Clusters, leaves or styles of a class."""
FEATURES: Final = (4, 64)
"""Columns before categories and nuisance are added."""
MOST_COLUMNS: Final = 2 * FEATURES[1] * columns.MOST_CATEGORIES
"""Columns at most: each cut into categories, and as many of nuisance."""
RANK: Final = (2, 24)
SEPARATION_POWER: Final = 1.7
"""Separation is 1 - u^1.7 for uniform u: real classes are more often nearly separable than not."""
SEED_SAMPLES_PER_CLASS: Final = (3, 6)
LEAST_SEED: Final = 12
MOST_SEED: Final = SEED_SAMPLES_PER_CLASS[1] * CLASSES[1]
VALIDATION: Final = (60, 300)
POOL: Final = (150, OPEN.pool_size)
BUDGET: Final = (24, OPEN.budget)
LARGEST_SHARE: Final = 0.6
"""Largest share of the pool that a budget may buy."""
STEPS: Final = (4, OPEN.max_steps)
RATE: Final = (0.08, 0.42)
AS_DECLARED: Final = 0.6
"""Share of problems whose declared rate is the right one; for one half of the others it is too low."""
TOO_LOW: Final = (0.2, 0.8)
"""Factor of a declared rate that is too low."""
TOO_HIGH: Final = (1.2, 2.0)
"""Factor of a declared rate that is too high."""
MARGIN: Final = 0.05
"""What is added to a declared rate that is too high."""
TRAPPED: Final = {True: 0.5, False: 0.15}
"""Share of problems with the noise trap: with noise of kind confident or core, and with other noise."""
AUDITED: Final = 0.5
"""Share of problems whose batches are audited."""
SHARPNESS: Final = (2.0, 30.0)
ALPHAS: Final = (0.002, 0.006, 0.02, 0.06, 0.2, 0.6)
"""Candidate L2 penalties of the learner; the best one after a random purchase with right labels is taken."""
TRIED: Final = 80
"""Samples of that purchase."""
SEED_SETS: Final = 3
"""Further seed sets of a table, whose warm starts are averaged for the performance that scores 0."""
LEAST_RISE: Final = 0.025
"""Smallest rise of performance from the warm start to the whole pool with right labels."""
LARGEST_RATE: Final = OPEN.flip_y
"""Largest declared noise rate."""
KEPT: Final = 64
"""Problems kept in memory, up to 1.5 MB each."""


@dataclass(frozen=True, slots=True, eq=False)
class DrawnProblem:
    """One problem.

    Attributes:
        task: The task with the numbers of this problem.
        start: Data set and warm-started learner.
        family: Name of the family of the table.
        noise: Kind, rate and place of wrong labels; hidden from agents.
    """

    task: Task
    start: WarmStart
    family: str
    noise: noise.NoiseDraw


class OpenSource:
    """Data sets and pools of the task ``open``."""

    def start(self, seed: int) -> WarmStart:
        """Return the warm start of the seed's problem."""
        return problem(seed).start

    def pool(self, task: Task, seed: int, rng: np.random.Generator) -> Pool:  # noqa: ARG002
        """Return the pool of the seed's problem with its label noise."""
        drawn = problem(seed)
        dataset = drawn.start.dataset
        return noise.mislabel(drawn.noise, dataset, drawn.start.learner.probabilities(dataset.X_pool), rng)


@lru_cache(maxsize=KEPT)
def problem(seed: int) -> DrawnProblem:
    """Return the problem of a seed."""
    rng = np.random.default_rng([seed, _STREAM, PROBLEMS_VERSION])
    testing = split_of(seed) in ("test", SEALED)
    while True:
        drawn = _draw(rng, seed, testing=testing)
        if drawn is not None:
            return drawn


def _draw(rng: np.random.Generator, seed: int, *, testing: bool) -> DrawnProblem | None:
    """Draw a problem, or None if it cannot be played."""
    dataset, family = _table(rng, seed, testing=testing)
    if dataset is None:
        return None
    start = _warmed_up(dataset, seed)
    low, high = round(_warm_performance(start, seed), 3), round(_ceiling(start, seed), 3)
    if high - low < LEAST_RISE or start.performance >= high:
        return None
    pool_size = len(dataset.y_pool)
    budget = int(min(_log_uniform(rng, BUDGET), LARGEST_SHARE * pool_size))
    steps = min(int(rng.integers(STEPS[0], STEPS[1] + 1)), budget // MIN_BATCH)
    labels = _noise(rng, testing=testing)
    numbers = replace(
        OPEN,
        flip_y=_declared(rng, labels.rate),
        budget=budget,
        max_steps=steps,
        performance_range=(low, high),
        pass_performance=round((low + high) / 2, 3),
        pool_size=pool_size,
        n_classes=dataset.n_classes,
        noise_trap=bool(rng.random() < TRAPPED[labels.kind in ("confident", "core")]),
        audited=bool(rng.random() < AUDITED),
    )
    return DrawnProblem(numbers, start, family, labels)


def _table(rng: np.random.Generator, seed: int, *, testing: bool) -> tuple[Dataset | None, str]:
    """Draw a table and divide its rows; the data set is None if a class has too few rows."""
    of = families.TESTING if testing else families.TRAINING
    family = str(rng.choice(list(of)))
    n_classes = 2 if rng.random() < TWO_CLASSES else int(rng.integers(CLASSES[0] + 1, CLASSES[1] + 1))
    features = round(_log_uniform(rng, FEATURES))
    seed_size = max(LEAST_SEED, int(rng.integers(SEED_SAMPLES_PER_CLASS[0], SEED_SAMPLES_PER_CLASS[1] + 1)) * n_classes)
    validation, pool = round(_log_uniform(rng, VALIDATION)), round(_log_uniform(rng, POOL))
    shares = (
        np.full(n_classes, 1 / n_classes)
        if rng.random() < EQUAL_SHARES
        else rng.dirichlet(np.full(n_classes, CONCENTRATION))
    )
    shape = families.Shape(
        rows=seed_size + validation + pool,
        features=features,
        rank=min(features, round(_log_uniform(rng, RANK))),
        separation=float(1 - rng.random() ** SEPARATION_POWER),
        clusters=int(rng.integers(CLUSTERS[0], CLUSTERS[1] + 1)),
        shares=shares,
    )
    X, y = of[family](rng, shape)
    rows = columns.duplicated(rng, shape.rows)
    X, y = columns.roughen(rng, X[rows]), y[rows].astype(np.int64)
    order = _division(rng, y, shape, seed_size, validation)
    if order is None:
        return None, family
    X, y, first = X[order], y[order], seed_size + validation
    X = columns.standardise(X, np.concatenate([X[:seed_size], X[first:]]))
    X.flags.writeable = y.flags.writeable = False
    return Dataset(
        number=seed,
        X=X,
        y=y,
        n_classes=n_classes,
        seed_rows=np.arange(seed_size),
        validation_rows=slice(seed_size, first),
        pool_rows=slice(first, shape.rows),
    ), family


def _division(
    rng: np.random.Generator, y: Labels, shape: families.Shape, seed_size: int, validation: int
) -> Indices | None:
    """Return the rows, those of the seed set first, then the validation split, then the pool.

    Seed set and validation split get at least two rows of each class, the pool ``MIN_BATCH``; None if there are fewer.
    The pool is in random order: a strategy sees the position of each sample, which must not tell its class.
    """
    order = rng.permutation(len(y))
    by_class = [order[y[order] == label] for label in range(shape.n_classes)]
    if min(map(len, by_class)) < 2 + 2 + MIN_BATCH:
        return None
    fixed = [np.concatenate([rows[begin : begin + 2] for rows in by_class]) for begin in (0, 2)]
    kept = np.concatenate([rows[4 : 4 + MIN_BATCH] for rows in by_class])
    others = _without(order, np.concatenate([*fixed, kept]), len(y))
    in_seed, outside = seed_size - len(fixed[0]), seed_size + validation - len(fixed[0]) - len(fixed[1])
    pool = rng.permutation(np.concatenate([others[outside:], kept]))
    return np.concatenate([fixed[0], others[:in_seed], fixed[1], others[in_seed:outside], pool])


def _without(rows: Indices, taken: Indices, count: int) -> Indices:
    """Return the rows that are not taken, in their order; all are below ``count``."""
    free = np.ones(count, dtype=np.bool_)
    free[taken] = False
    return rows[free[rows]]


def _warmed_up(dataset: Dataset, seed: int) -> WarmStart:
    """Return the warm start with the L2 penalty of highest performance after a random purchase with right labels."""
    rng, performances = _search_rng(seed), {}
    warming = training_order(dataset.seed_rows, WARM_UP_PASSES, rng)
    bought = rng.choice(len(dataset.y_pool), min(TRIED, len(dataset.y_pool)), replace=False)
    rows = np.concatenate([dataset.seed_rows, dataset.pool_rows.start + bought])
    order = np.concatenate([warming, training_order(rows, MOST_PASSES, rng)])  # the same for every penalty
    for alpha in ALPHAS:
        learner = Learner(dataset.n_classes, dataset.X.shape[1], alpha)
        learner.train_in_order(dataset.X, dataset.y, order)
        performances[alpha] = performance_on(dataset, learner, dataset.y, rows)
    return warm_up(dataset, _search_rng(seed), alpha=max(ALPHAS, key=lambda alpha: performances[alpha]))


def _search_rng(seed: int) -> np.random.Generator:
    """Return the stream of the training order of the warm start, and of the purchase that compares penalties."""
    return np.random.default_rng([seed, _STREAM, 2])


def _warm_performance(start: WarmStart, seed: int) -> float:
    """Return the mean performance of warm starts from ``SEED_SETS`` other seed sets of the table.

    An agent that starts from a lucky seed set then has something to lose, as on the tables of task files.
    """
    dataset, alpha = start.dataset, start.learner.alpha
    rng = np.random.default_rng([seed, _STREAM, 3])
    known = np.concatenate([dataset.seed_rows, np.arange(dataset.pool_rows.start, dataset.pool_rows.stop)])
    found = []
    for _ in range(SEED_SETS):
        rows = rng.permutation(known)
        first = np.concatenate([rows[dataset.y[rows] == label][:2] for label in range(dataset.n_classes)])
        others = _without(rows, first, len(dataset.y))[: len(dataset.seed_rows) - len(first)]
        drawn, learner = np.concatenate([first, others]), Learner(dataset.n_classes, dataset.X.shape[1], alpha)
        learner.train(dataset.X, dataset.y, drawn, WARM_UP_PASSES, rng)
        found.append(performance_on(dataset, learner, dataset.y, drawn))
    return total(found) / len(found)


def _ceiling(start: WarmStart, seed: int) -> float:
    """Return the performance of the warm-started learner after training on the whole pool with right labels."""
    dataset, learner = start.dataset, start.learner.copy()
    rows = np.concatenate([dataset.seed_rows, np.arange(dataset.pool_rows.start, dataset.pool_rows.stop)])
    learner.train(dataset.X, dataset.y, rows, MOST_PASSES, np.random.default_rng([seed, _STREAM, 1]))
    return performance_on(dataset, learner, dataset.y, rows)


def _noise(rng: np.random.Generator, *, testing: bool) -> noise.NoiseDraw:
    kinds = noise.TESTING if testing else noise.TRAINING
    weights = np.array([_NOISE_KIND_WEIGHTS.get(kind, 1.0) for kind in kinds])
    kind = str(rng.choice(kinds, p=weights / weights.sum()))
    confusion: noise.Confusion = ("any", "next", "likely")[int(rng.integers(3))]
    return noise.NoiseDraw(
        kind=kind,
        rate=0.0 if kind == "none" else float(rng.uniform(*RATE)),
        sharpness=_log_uniform(rng, SHARPNESS),
        confusion="likely" if kind == "boundary" else confusion,
        groups=int(rng.integers(2, 7)),
    )


def _declared(rng: np.random.Generator, rate: float) -> float:
    """Return the declared rate: right, too low or too high."""
    kind = rng.random()
    if kind < AS_DECLARED:
        declared = rate
    elif kind < (1 + AS_DECLARED) / 2:
        declared = rate * rng.uniform(*TOO_LOW)
    else:
        declared = min(LARGEST_RATE, rate * rng.uniform(*TOO_HIGH) + MARGIN)
    return round(float(declared), 3)


def _log_uniform(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    return float(np.exp(rng.uniform(np.log(bounds[0]), np.log(bounds[1]))))


SOURCE: Final = OpenSource()
"""The source of the task ``open``."""
