"""Builds a task from its definition and its data."""

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
from dataselect_env.core.tasks import Task
from dataselect_env.custom.calibration import DECIMALS, MEASURED_SEEDS, best_alpha, performance_range
from dataselect_env.custom.definitions import LearnerSettings, TaskDefinition
from dataselect_env.custom.encoding import MAX_CELLS
from dataselect_env.custom.errors import TableError, TaskDefinitionError
from dataselect_env.custom.noise import NoiseModel, RecordedNoise, noise_model
from dataselect_env.custom.sources import CustomSource, GeneratorSource, TableSource, balanced_weights
from dataselect_env.custom.splitting import divide, generator_sizes, table_sizes
from dataselect_env.custom.tables import encode, read_table

SourceFactory = Callable[[LearnerSettings], CustomSource]
"""Returns the source of a task for given settings of the learner."""


def make_task(name: str, definition: TaskDefinition, folder: Path) -> Task:
    """Return the task of a definition; it is not registered.

    Args:
        name: Name of the task.
        definition: Definition from a task file or from options.
        folder: Folder that relative file names start at.

    Raises:
        TaskDefinitionError: The task cannot be built.
    """
    strategies = [_strategy_name(text, index) for index, text in enumerate(definition.strategies)]
    make_source = _table_source(definition, folder) if definition.table is not None else _generator_source(definition)
    settings = definition.learner
    if settings.alpha is None:
        settings = best_alpha(make_source, settings, definition.budget)
    task = _task(name, definition, make_source(settings), tuple(dict.fromkeys(strategies)))
    for index, strategy in enumerate(strategies):
        _try_strategy(task, strategy, index)
    return task


def _task(name: str, definition: TaskDefinition, source: CustomSource, strategies: tuple[str, ...]) -> Task:
    """Return the task on a source, with the numbers that the definition leaves open filled in."""
    dataset = source.start(0).dataset
    pool_size = int(np.count_nonzero(dataset.available))
    if definition.budget > pool_size:
        raise TaskDefinitionError(f"{definition.budget} exceeds the {pool_size} samples of the pool", ("budget",))
    rate = source.noise.rate(dataset)
    if rate >= 0.5:
        raise TaskDefinitionError(f"{rate:.0%} of the labels would be wrong; it should be less than half", ("noise",))
    low, high = performance_range(definition, source)
    passes, weights = definition.score.passes, definition.score.weights
    expected = "" if definition.has_ground_truth else "thought "
    summary = (
        f"Buy at most {definition.budget} of {pool_size} samples of {name} in {dataset.n_classes} classes;"
        f" {rate:.0%} of the labels are {expected}wrong."
    )
    return Task(
        task_id=name,
        summary=definition.summary or summary,
        flip_y=round(rate, 6),
        budget=definition.budget,
        max_steps=definition.max_steps,
        performance_range=(low, high),
        pass_performance=round((low + high) / 2, DECIMALS) if passes.performance is None else passes.performance,
        pass_noise=passes.noise,
        performance_weight=weights.performance,
        noise_weight=weights.noise,
        efficiency_weight=weights.efficiency,
        min_batch=definition.min_batch,
        max_batch=definition.max_batch,
        pool_size=pool_size,
        n_classes=dataset.n_classes,
        extra_strategies=strategies,
        mixing=definition.mixing,
        noise_trap=definition.noise_trap,
        has_ground_truth=definition.has_ground_truth,
        audited=definition.audited,
        source=source,
        digest=_digest(definition, source),
    )


def _digest(definition: TaskDefinition, source: CustomSource) -> str:
    """Return the fingerprint of definition and data; audited tasks keep that of the time before there was a choice."""
    text = definition.model_dump_json(exclude={"audited"} if definition.audited else None)
    return hashlib.sha256(f"{text} {source.digest()}".encode()).hexdigest()


def _strategy_name(text: str, index: int) -> str:
    """Return the name that actions use for a strategy of the definition."""
    path = ("strategies", str(index))
    if text in STRATEGIES:
        raise TaskDefinitionError(f"every task offers {text}; name further strategies only", path)
    try:
        return get_strategy(text).name
    except InvalidInput as error:
        raise TaskDefinitionError(error.message, path) from None


def _try_strategy(task: Task, name: str, index: int) -> None:
    """Let a strategy from outside of this package choose a batch, to find out whether it can handle the data."""
    if is_native(get_strategy(name)):
        return
    weights = tuple(float(one == name) for one in strategies_of(task))
    try:
        Episode(task, MEASURED_SEEDS[0]).select_batch(task.min_batch, weights)
    except InvalidInput as error:
        raise TaskDefinitionError(f"{name} cannot be used here: {error.message}", ("strategies", str(index))) from error


def _generator_source(definition: TaskDefinition) -> SourceFactory:
    generator, sizes = definition.generator, generator_sizes(definition)
    assert generator is not None  # noqa: S101  (the caller has checked)
    if sizes.total * generator.n_features > MAX_CELLS:
        message = f"{sizes.total:,} samples x {generator.n_features} features are too many; at most {MAX_CELLS:,} fit"
        raise TaskDefinitionError(message, ("split",))
    noise = noise_model(definition.noise, tuple(map(str, range(generator.n_classes))))
    return lambda learner: GeneratorSource(
        generator=generator, sizes=sizes, noise=noise, learner=learner, balanced=_is_balanced(definition)
    )


def _table_source(definition: TaskDefinition, folder: Path) -> SourceFactory:
    table = definition.table
    assert table is not None  # noqa: S101  (the caller has checked)
    try:
        raw = read_table(table, folder)
        sizes = table_sizes(definition, len(raw.y), len(raw.classes))
        validation, others = divide(raw.y, sizes)
        X = encode(raw, others)
    except TableError as error:
        raise TaskDefinitionError(error.message, ("table", error.field)) from None
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
        weights=balanced_weights(y[: len(validation)]) if _is_balanced(definition) else None,
    )
    given, annotator = (None if codes is None else codes[rows] for codes in (raw.given, raw.annotator))
    if given is not None:
        noise: NoiseModel = RecordedNoise(given)
    else:
        noise = noise_model(definition.noise, raw.classes, raw.annotators, annotator)
    return lambda learner: TableSource(base=base, seed_size=sizes.seed, noise=noise, learner=learner, report=raw.report)


def _is_balanced(definition: TaskDefinition) -> bool:
    return definition.score.metric == "balanced_log_loss"
