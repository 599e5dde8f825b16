"""Check of sources: what they return for several seeds, asked again after many others, and an episode on it."""

from __future__ import annotations

import dataclasses
import math
from typing import Final

import numpy as np

from dataselect_env.core.data import Dataset, Pool
from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.models import Action
from dataselect_env.core.source import Source
from dataselect_env.core.tasks import SEED_LIMIT, Task
from dataselect_env.core.warm_start import WarmStart, performance_on
from dataselect_env.testing.rules import Rule, form, global_generators, is_array, offered

_SOURCE = "dataselect_env.core.source.Source"
_DATASET = "dataselect_env.core.data.Dataset"
_POOL = "dataselect_env.core.data.Pool"
_WARM_START = "dataselect_env.core.warm_start.WarmStart"

RULES: Final = {
    "runs": Rule("A source returns a start and a pool for every seed in [0, 2^32).", _SOURCE),
    "generators": Rule("A source draws from the seed and from rng only.", _SOURCE),
    "start": Rule("start returns equal values for equal seeds, whatever was asked in between.", _SOURCE),
    "pool": Rule("pool returns equal values for equal arguments, whatever was asked in between.", _SOURCE),
    "arrays": Rule(
        "X is a C-contiguous float64 array (n, n_features) of finite numbers, y an int64 array (n,).", _DATASET
    ),
    "labels": Rule(
        "Labels lie in 0 to n_classes - 1; n_classes and the size of the pool are those of the task.", _DATASET
    ),
    "rows": Rule("Seed rows are distinct, validation and pool rows are slices of step 1; none is empty.", _DATASET),
    "validation": Rule("No validation row is a row of the seed set or of the pool.", _DATASET),
    "seed set": Rule("Rows of the seed set cannot be bought.", _DATASET),
    "read-only": Rule("The arrays X and y of a data set are read-only, for episodes share them.", _DATASET),
    "shared": Rule("Neither pool nor an episode changes a start.", _WARM_START),
    "warm start": Rule(
        "performance is that of the learner on the validation split, squares are the squared lengths of pool rows.",
        _WARM_START,
    ),
    "noise": Rule(
        "Labels, int64 (n,), are not those of the data set exactly where mislabelled, bool (n_pool,), is true.", _POOL
    ),
    "seed labels": Rule("Labels of the seed set are those of the data set.", "dataselect_env.custom.noise"),
    "no truth": Rule("On a task without ground truth no sample is mislabelled.", _POOL),
    "episode": Rule(
        "An episode on the source can be played to its end, is graded, and is the same when repeated.", _SOURCE
    ),
}
"""The rules of :func:`check_source` by name."""

SEEDS: Final = (0, 1, 20_000, SEED_LIMIT - 1)
"""Seeds of the train split and of the test split, and the largest one."""
OTHERS: Final = range(100, 180)
"""Seeds that are asked for in between, so that caches forget the first ones: an episode asks for its start again."""
NAME: Final = "check-source"
"""Name of the task on the source while it is offered."""


def check_source(source: Source, task: Task) -> None:
    """Check that a source of data keeps its contract.

    It is asked for the starts and pools of several seeds, then for those of many others, and for the first ones again
    in another order. One episode of the task is played on it twice.

    Args:
        source: The source; ``task.source`` is not used.
        task: The task that is played on its data.

    Raises:
        AssertionError: The source breaks a rule; the message says which, and for which seed.
    """
    task = dataclasses.replace(task, task_id=NAME, source=source)
    seen = {seed: _check_seed(source, task, seed) for seed in SEEDS}
    for seed in OTHERS:
        _start(source, seed)
    for seed in reversed(SEEDS):
        start, pool = seen[seed]
        again = _contents(_start(source, seed))
        _require_same(RULES["start"], start, again, f"The start of seed {seed}, asked for again,")
        drawn = _pool_contents(_pool(source, task, seed))
        _require_same(RULES["pool"], pool, drawn, f"The pool of seed {seed}, asked for again,")
    _check_episode(source, task, seen[SEEDS[0]][0])


def _check_seed(source: Source, task: Task, seed: int) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Check what a source returns for a seed, and return the contents of start and pool."""
    start = _start(source, seed)
    _check_dataset(start.dataset, task, f"The data set of seed {seed}")
    _check_start(start, f"The start of seed {seed}")
    contents = _contents(start)
    pool = _pool(source, task, seed)
    _check_pool(pool, start.dataset, task, f"The pool of seed {seed}")
    _require_same(RULES["shared"], contents, _contents(start), f"The start of seed {seed} after pool")
    return contents, _pool_contents(pool)


def _check_episode(source: Source, task: Task, contents: dict[str, bytes]) -> None:
    """Play an episode twice; ``contents`` are those of its start."""
    start, what = _start(source, SEEDS[0]), f"An episode of seed {SEEDS[0]}"
    with offered(task):
        first = RULES["episode"].call(lambda: _played(task), what)
        _require_same(RULES["shared"], contents, _contents(start), f"The start of seed {SEEDS[0]} after an episode")
        again = RULES["episode"].call(lambda: _played(task), what)
    RULES["episode"].require(first == again, f"{what}, played again, gave other replies")


def _start(source: Source, seed: int) -> WarmStart:
    what = f"start({seed})"
    with global_generators(RULES["generators"], what):
        found: object = RULES["runs"].call(lambda: source.start(seed), what)
    if not isinstance(found, WarmStart):
        RULES["runs"].broken(f"{what} returned {form(found)}")
    return found


def _pool(source: Source, task: Task, seed: int) -> Pool:
    what = f"pool(task, {seed}, rng)"
    with global_generators(RULES["generators"], what):
        found: object = RULES["runs"].call(lambda: source.pool(task, seed, np.random.default_rng(seed)), what)
    if not isinstance(found, Pool):
        RULES["runs"].broken(f"{what} returned {form(found)}")
    return found


def _contents(start: WarmStart) -> dict[str, bytes]:
    """Return everything that an episode reads of a start, bit for bit, by name."""
    dataset, model = start.dataset, start.learner.model
    arrays = {
        "dataset.X": dataset.X,
        "dataset.y": dataset.y,
        "dataset.seed_rows": dataset.seed_rows,
        "dataset.weights": np.array([]) if dataset.weights is None else dataset.weights,
        "squares": start.squares,
        "performance": np.array(start.performance),
        **{f"learner.model.{name}": np.asarray(getattr(model, name)) for name in ("coef_", "intercept_", "t_")},
    }
    rows = repr((dataset.validation_rows, dataset.pool_rows, dataset.n_classes)).encode()
    return {**{name: array.tobytes() for name, array in arrays.items()}, "dataset's rows": rows}


def _pool_contents(pool: Pool) -> dict[str, bytes]:
    return {"labels": pool.labels.tobytes(), "mislabelled": pool.mislabelled.tobytes()}


def _require_same(rule: Rule, expected: dict[str, bytes], found: dict[str, bytes], what: str) -> None:
    other = [name for name, content in found.items() if content != expected[name]]
    rule.require(not other, f"{what} has other values in {', '.join(other)}")


def _check_dataset(dataset: Dataset, task: Task, what: str) -> None:
    X, y = dataset.X, dataset.y
    right = is_array(X, np.float64, None, None) and X.flags.c_contiguous and is_array(y, np.int64, len(X))
    RULES["arrays"].require(right and np.isfinite(X).all(), f"{what} has X {form(X)}, y {form(y)}, or is not finite")
    writeable = [name for name, array in (("X", X), ("y", y)) if array.flags.writeable]
    RULES["read-only"].require(not writeable, f"{what} has arrays that can be written: {', '.join(writeable)}")
    RULES["labels"].require(
        y.min() >= 0 and y.max() < dataset.n_classes == task.n_classes,
        f"{what} has labels {y.min()} to {y.max()} and n_classes {dataset.n_classes}; the task has {task.n_classes}",
    )
    _check_rows(dataset, what)
    size = int(dataset.available.sum())
    RULES["labels"].require(size == task.pool_size, f"{what} offers {size} samples; pool_size is {task.pool_size}")


def _check_rows(dataset: Dataset, what: str) -> None:
    """Check which rows are what."""
    n, seed_rows = len(dataset.X), dataset.seed_rows
    for part in (dataset.validation_rows, dataset.pool_rows):
        right = 0 <= part.start < part.stop <= n and part.step in (None, 1)
        RULES["rows"].require(right, f"{what} has {n} rows and among them {part}")
    distinct = np.unique(seed_rows)
    right = 0 < len(seed_rows) == len(distinct) and distinct[0] >= 0 and distinct[-1] < n
    RULES["rows"].require(right, f"{what} has {n} rows and {len(distinct)} distinct seed rows of {len(seed_rows)}")
    validation, available = np.zeros((2, n), dtype=np.bool_)
    validation[dataset.validation_rows] = True
    available[dataset.pool_rows] = dataset.available
    for name, held in (("seed set", validation[seed_rows]), ("pool", validation[dataset.pool_rows])):
        RULES["validation"].require(not held.any(), f"{what} has validation rows in its {name}")
    RULES["seed set"].require(not available[seed_rows].any(), f"{what} offers rows of its seed set")


def _check_start(start: WarmStart, what: str) -> None:
    dataset, learner = start.dataset, start.learner
    performance = performance_on(dataset, learner, dataset.y, dataset.seed_rows)
    RULES["warm start"].require(
        math.isclose(start.performance, performance),
        f"{what} has performance {start.performance}; its learner has {performance}",
    )
    squares = (dataset.X_pool**2).sum(axis=1)
    right = is_array(start.squares, np.float64, len(squares)) and np.allclose(start.squares, squares)
    RULES["warm start"].require(right, f"{what} has squares {form(start.squares)} that are not those of the pool")


def _check_pool(pool: Pool, dataset: Dataset, task: Task, what: str) -> None:
    labels, wrong = pool.labels, pool.mislabelled
    right = is_array(labels, np.int64, len(dataset.y)) and is_array(wrong, np.bool_, len(dataset.y_pool))
    RULES["noise"].require(right, f"{what} has labels {form(labels)}, mislabelled {form(wrong)}")
    right = labels.min() >= 0 and labels.max() < task.n_classes
    RULES["labels"].require(right, f"{what} has labels {labels.min()} to {labels.max()}; n_classes is {task.n_classes}")
    expected = np.zeros(len(labels), dtype=np.bool_)
    expected[dataset.pool_rows] = wrong
    other = np.flatnonzero((labels != dataset.y) != expected)
    RULES["noise"].require(not len(other), f"{what} has other labels than mislabelled says in the rows {other[:5]}")
    rows = dataset.seed_rows[labels[dataset.seed_rows] != dataset.y[dataset.seed_rows]]
    RULES["seed labels"].require(not len(rows), f"{what} has other labels in the rows {rows[:5]} of the seed set")
    marked = 0 if task.has_ground_truth else np.count_nonzero(wrong)
    RULES["no truth"].require(not marked, f"{what} has {marked} mislabelled samples")


def _played(task: Task) -> list[str]:
    """Return the replies of an episode that spends the budget in even batches of each strategy in turn, as JSON."""
    env = DataSelectEnv()
    replies = [env.reset(task_id=task.task_id, seed=SEEDS[0])]
    mixes = ({"uncertainty": 1.0}, {"diversity": 1.0}, {"random": 1.0}, {"uncertainty": 1.0, "diversity": 1.0})
    while not replies[-1].done:
        weights = mixes[len(replies) % len(mixes)]
        replies.append(env.step(Action.select(-(-task.budget // task.max_steps), **weights)))
    info = replies[-1].info
    if info is None or info.grade is None:
        raise ValueError("its last reply carries no grade")
    return [reply.model_dump_json(exclude={"episode_id": True, "metadata": {"episode_id"}}) for reply in replies]
