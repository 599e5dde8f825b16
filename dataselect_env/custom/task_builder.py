"""From a task's definition and its data to a task."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dataselect_env.core.data import Dataset
from dataselect_env.core.episode import Episode
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.selection import strategies_of
from dataselect_env.core.strategies.registry import get_strategy, is_native
from dataselect_env.core.strategies.sampling import STRATEGIES
from dataselect_env.core.tasks import POOL_SIZE, Task
from dataselect_env.custom.definitions import LearnerSettings, Noise, TaskDefinition
from dataselect_env.custom.encoding import MOST_CELLS
from dataselect_env.custom.noise import Annotators, Confusion, Given, Instance, NoiseModel, Uniform, Unknown
from dataselect_env.custom.sources import (
    MEASURED_SEEDS,
    GeneratorSource,
    Sizes,
    TableSource,
    balanced_weights,
    best_alpha,
    divide,
    measured_range,
)
from dataselect_env.custom.tables import RawTable, TableProblem, encode, read_table

GENERATOR_SIZES = Sizes(seed=100, validation=200, pool=POOL_SIZE)
"""As of the built-in tasks."""
MOST_VALIDATION, MOST_SEEDS = 1_000, 100
"""Largest validation split and seed set that are chosen for a table."""
SEEDS_A_CLASS = 3
"""Smallest seed set that is chosen for a table, in samples for each class."""
LEAST_RISE = 0.02
"""By how much performance must rise from the start to the whole pool, or there is nothing to buy."""
DIGITS = 3
"""Decimals of measured thresholds."""


Data = TableSource | GeneratorSource


class Problem(Exception):
    """A task cannot be made; ``path`` is the field of its definition that must be changed."""

    def __init__(self, message: str, path: tuple[str, ...]) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


def make_task(name: str, definition: TaskDefinition, folder: Path) -> Task:
    """Return the task of a definition.

    Args:
        name: Of the task.
        definition: What its file says.
        folder: Where relative files are looked for.

    Raises:
        Problem: It cannot be made.
    """
    extra = tuple(_strategy(text, number) for number, text in enumerate(definition.strategies))
    make = _from_table(definition, folder) if definition.table is not None else _from_generator(definition)
    settings = definition.learner
    if settings.alpha is None:
        settings = best_alpha(make, settings, definition.budget)
    source = make(settings)
    start = source.start(0)
    dataset = start.dataset
    pool_size = int(np.count_nonzero(dataset.available))
    if definition.budget > pool_size:
        raise Problem(f"{definition.budget} exceeds the {pool_size} samples of the pool", ("budget",))
    rate = source.noise.rate(dataset)
    if rate >= 0.5:
        raise Problem(f"{rate:.0%} of the labels would be wrong; it should be less than half", ("noise",))
    low, high = _performance_range(definition, source)
    names = tuple(dict.fromkeys(extra))
    passes, weights = definition.score.passes, definition.score.weights
    told = f"{rate:.0%} of the labels are {'thought ' if not definition.has_ground_truth else ''}wrong"
    task = Task(
        task_id=name,
        summary=definition.summary
        or f"Buy at most {definition.budget} of {pool_size} samples of {name} in {dataset.n_classes} classes; {told}.",
        flip_y=round(rate, 6),
        budget=definition.budget,
        max_steps=definition.max_steps,
        performance_range=(low, high),
        pass_performance=round((low + high) / 2, DIGITS) if passes.performance is None else passes.performance,
        pass_noise=passes.noise,
        performance_weight=weights.performance,
        noise_weight=weights.noise,
        efficiency_weight=weights.efficiency,
        min_batch=definition.min_batch,
        max_batch=definition.max_batch,
        pool_size=pool_size,
        n_classes=dataset.n_classes,
        extra_strategies=names,
        mixing=definition.mixing,
        noise_trap=definition.noise_trap,
        has_ground_truth=definition.has_ground_truth,
        source=source,
        digest=hashlib.sha256(f"{definition.model_dump_json()} {source.digest()}".encode()).hexdigest(),
    )
    for number, further_name in enumerate(extra):
        _try_strategy(task, further_name, number)
    return task


def _try_strategy(task: Task, name: str, number: int) -> None:
    """Let a strategy that is not our own choose a batch: it may not be made for such data."""
    if is_native(get_strategy(name)):
        return
    weights = tuple(float(one == name) for one in strategies_of(task))
    try:
        Episode(task, MEASURED_SEEDS[0]).select_batch(task.min_batch, weights)
    except (InvalidInput, ValueError) as error:
        reason = error.message if isinstance(error, InvalidInput) else str(error)
        raise Problem(f"{name} cannot be used here: {reason}", ("strategies", str(number))) from None


def _strategy(text: str, number: int) -> str:
    if text in STRATEGIES:
        raise Problem(f"{text} is offered anyway; name further strategies only", ("strategies", str(number)))
    try:
        return get_strategy(text).name
    except InvalidInput as error:
        raise Problem(error.message, ("strategies", str(number))) from None


def _performance_range(definition: TaskDefinition, source: Data) -> tuple[float, float]:
    given = definition.score.performance_range
    if given is not None:
        return given[0], given[1]
    low, high = measured_range(source)
    if high - low < LEAST_RISE:
        raise Problem(
            f"buying does not help here: performance is {low:.3f} at the start and {high:.3f} with the whole pool. A"
            " linear model may not tell these classes apart, or the seed set is enough for it: choose other features,"
            " make split.seed smaller, or set score.performance_range. Where classes differ much in size, score.metric:"
            " balanced_log_loss may tell more",
            ("split",) if definition.split.seed is not None else (),
        )
    return round(low, DIGITS), round(high, DIGITS)


def _from_generator(definition: TaskDefinition) -> Callable[[LearnerSettings], Data]:
    generator, split = definition.generator, definition.split
    assert generator is not None  # noqa: S101  (the caller has looked)
    sizes = Sizes(
        split.seed or GENERATOR_SIZES.seed,
        split.validation or GENERATOR_SIZES.validation,
        split.pool or max(GENERATOR_SIZES.pool, definition.budget),
    )
    if sizes.total * generator.n_features > MOST_CELLS:
        raise Problem(
            f"{sizes.total:,} samples x {generator.n_features} features are too many; at most {MOST_CELLS:,} fit",
            ("split",),
        )
    classes = tuple(map(str, range(generator.n_classes)))
    noise = _noise(definition.noise, classes, None)
    balanced = _balanced(definition)
    return lambda learner: GeneratorSource(
        generator=generator, sizes=sizes, noise=noise, learner=learner, balanced=balanced
    )


def _from_table(definition: TaskDefinition, folder: Path) -> Callable[[LearnerSettings], Data]:
    table = definition.table
    assert table is not None  # noqa: S101  (the caller has looked)
    try:
        raw = read_table(table, folder)
        sizes = _sizes(definition, raw)
        validation, others = divide(raw.y, sizes)
        X = encode(raw, others)
    except TableProblem as problem:
        raise Problem(problem.message, ("table", *([problem.field] if problem.field else []))) from None
    rows = np.concatenate([validation, others])
    X, y = X[rows], raw.y[rows]
    X.flags.writeable = y.flags.writeable = False
    base = Dataset(
        number=0,
        X=X,
        y=y,
        n_classes=len(raw.classes),
        seed_rows=np.empty(0, dtype=np.intp),
        validation_rows=slice(0, len(validation)),
        pool_rows=slice(len(validation), len(rows)),
        weights=balanced_weights(y[: len(validation)]) if _balanced(definition) else None,
    )
    noise = Given(raw.given[rows]) if raw.given is not None else _noise(definition.noise, raw.classes, raw, rows)
    return lambda learner: TableSource(base=base, seed_size=sizes.seed, noise=noise, learner=learner)


def _balanced(definition: TaskDefinition) -> bool:
    return definition.score.metric == "balanced_log_loss"


def _sizes(definition: TaskDefinition, raw: RawTable) -> Sizes:
    """Return how many rows of a table are for what."""
    split, rows, classes = definition.split, len(raw.y), len(raw.classes)
    validation = split.validation or min(MOST_VALIDATION, max(10, rows // 5))
    seed = split.seed or min(MOST_SEEDS, max(SEEDS_A_CLASS * classes, rows // 50))
    if seed < classes:
        raise Problem(f"{seed} is too small for {classes} classes; it should be at least {classes}", ("split", "seed"))
    left = rows - validation - seed
    if split.pool is not None and split.pool > left:
        raise Problem(
            f"{split.pool} exceeds the {max(left, 0)} rows that are left of {rows} after {validation} for validation"
            f" and {seed} for the seed set",
            ("split", "pool"),
        )
    if left < definition.budget:
        raise Problem(
            f"the table has {rows} rows: {validation} for validation, {seed} for the seed set, and so {max(left, 0)}"
            f" for the pool; that is less than the budget of {definition.budget}",
            ("budget",),
        )
    return Sizes(seed, validation, split.pool or left)


def _noise(
    noise: Noise | None, classes: tuple[str, ...], raw: RawTable | None, rows: np.ndarray | None = None
) -> NoiseModel:
    """Return the noise model of a definition.

    Args:
        noise: What the definition says; None is no noise.
        classes: Names of the classes in the order of their codes.
        raw: The table, where there is one.
        rows: Its rows in the order of the data set.
    """
    if noise is None:
        return Uniform(0.0)
    if noise.uniform is not None:
        return Uniform(noise.uniform)
    if noise.unknown is not None:
        return Unknown(noise.unknown)
    if noise.instance is not None:
        return Instance(noise.instance.rate, noise.instance.where, noise.instance.sharpness)
    if noise.confusion is not None:
        return Confusion(_matrix(noise.confusion, classes))
    return _annotators(noise, raw, rows)


def _matrix(confusion: dict[str, dict[str, float]], classes: tuple[str, ...]) -> np.ndarray:
    matrix = np.eye(len(classes))
    for true, row in confusion.items():
        for wrong, probability in row.items():
            for name in (true, wrong):
                if name not in classes:
                    path = ("noise", "confusion", true, *([wrong] if name == wrong else []))
                    raise Problem(f"there is no class {name}; there are {', '.join(classes[:20])}", path)
            matrix[classes.index(true), classes.index(wrong)] = probability
            matrix[classes.index(true), classes.index(true)] -= probability
    return matrix


def _annotators(noise: Noise, raw: RawTable | None, rows: np.ndarray | None) -> Annotators:
    annotators = noise.annotators or {}
    path = ("noise", "annotators")
    if raw is None or raw.annotator is None:
        shares = np.array([one.share or 0.0 for one in annotators.values()])
        if not shares.all():
            raise Problem("each annotator needs a share, or table.annotator must name the column that tells", path)
        return Annotators(np.array([one.rate for one in annotators.values()]), shares / shares.sum())
    missing = [name for name in raw.annotators if name not in annotators]
    if missing:
        raise Problem(f"the column has annotators that have no rate: {', '.join(missing[:20])}", path)
    rates = np.array([annotators[name].rate for name in raw.annotators])
    return Annotators(rates, np.full(len(rates), 1 / len(rates)), raw.annotator[rows])
