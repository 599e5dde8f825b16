"""check_source: every kind of source of the package passes it, and each rule is broken by a source that fails it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from dataselect_env.core.arrays import Floats, Indices, Labels, Mask
from dataselect_env.core.data import Dataset, Pool
from dataselect_env.core.learner import Learner
from dataselect_env.core.source import source_of
from dataselect_env.core.tasks import TASKS, Task
from dataselect_env.core.warm_start import WarmStart, warm_up
from dataselect_env.testing import check_source
from dataselect_env.testing.sources import OTHERS, RULES
from tests.helpers.broken import requires
from tests.helpers.owning import OWN, RANGE, WINE, made, save, task_of


@pytest.mark.parametrize("task_id", ["easy", "hard"])
def test_the_built_in_source_keeps_the_contract(task_id: str) -> None:
    check_source(source_of(TASKS[task_id]), TASKS[task_id])


@pytest.mark.parametrize("name", OWN)
def test_sources_of_ones_own_data_keep_the_contract(name: str) -> None:
    task = task_of(name)
    check_source(source_of(task), task)


def test_given_labels_and_annotators_keep_the_contract(tmp_path: Any) -> None:
    names = np.array(["ant", "bee", "cow"])[np.arange(300) % 3]
    save(
        tmp_path,
        true=names,
        label=np.where(np.arange(300) % 7, names, "ant"),
        who=np.array(["a", "b"])[np.arange(300) % 2],
    )
    table = {"file": "t.csv", "target": "label"}
    noise = {"annotators": {"a": {"rate": 0.1}, "b": {"rate": 0.3}}}
    for fields in (
        {"table": {**table, "true_target": "true"}},
        {"table": {**table, "annotator": "who"}, "noise": noise},
    ):
        task = made(tmp_path, budget=40, score=RANGE, **fields)
        check_source(source_of(task), task)


# --- sources that break a rule --------------------------------------------------------------------------------------

TASK = made(**WINE, noise={"uniform": 0.2})
RIGHT = source_of(TASK)


@dataclass
class Changed:
    """The source of a table, with changes to what it returns."""

    start_from: Callable[[WarmStart, int], Any] = lambda start, _seed: start
    pool_from: Callable[[Pool, WarmStart, int], Any] = lambda pool, _start, _seed: pool

    def start(self, seed: int) -> Any:
        return self.start_from(RIGHT.start(seed), seed)

    def pool(self, task: Task, seed: int, rng: np.random.Generator) -> Any:
        return self.pool_from(RIGHT.pool(task, seed, rng), self.start(seed), seed)


def data(**changes: Any) -> Changed:
    """Return the source with other fields of its data sets; callables make them from the data set."""

    def start_from(start: WarmStart, _seed: int) -> WarmStart:
        made = {name: value(start.dataset) if callable(value) else value for name, value in changes.items()}
        return replace(start, dataset=replace(start.dataset, **made))

    return Changed(start_from)


class AllAvailable(Dataset):
    """A data set that offers its seed set too."""

    @property
    def available(self) -> Mask:
        return np.ones(len(self.y_pool), dtype=np.bool_)


def offers_all(start: WarmStart, _seed: int) -> WarmStart:
    dataset = start.dataset
    fields = {name: getattr(dataset, name) for name in Dataset.__slots__}
    return replace(start, dataset=AllAvailable(**fields))


def locked(array: Any) -> Any:
    array.flags.writeable = False
    return array


def shuffles_globally(pool: Pool, _start: WarmStart, _seed: int) -> Pool:
    np.random.shuffle([1, 2, 3])  # noqa: NPY002
    return pool


def warms_up_at_random(start: WarmStart, _seed: int) -> WarmStart:
    return warm_up(start.dataset, np.random.default_rng())


def forgets() -> Callable[[WarmStart, int], WarmStart]:
    """Return what keeps the latest 64 starts, and warms the others up at random when they are asked for again."""
    return lru_cache(maxsize=64)(warms_up_at_random)


def with_own_learners() -> Callable[[WarmStart, int], WarmStart]:
    """Return what gives starts with learners that may be trained, the same for the same seed."""
    kept: dict[int, WarmStart] = {}
    return lambda start, seed: kept.setdefault(seed, replace(start, learner=start.learner.copy()))


def with_shared_learners() -> Callable[[WarmStart, int], WarmStart]:
    """Return what gives starts whose learner hands out itself where a copy is asked for."""
    kept: dict[int, WarmStart] = {}

    def start_from(start: WarmStart, seed: int) -> WarmStart:
        if seed not in kept:
            kept[seed] = replace(start, learner=start.learner.copy())
            kept[seed].learner.copy = lambda: kept[seed].learner  # type: ignore[method-assign]
        return kept[seed]

    return start_from


def draws_noise_at_random(_pool: Pool, start: WarmStart, seed: int) -> Pool:
    return RIGHT.pool(TASK, seed, np.random.default_rng())


def trains_the_shared_learner(pool: Pool, start: WarmStart, seed: int) -> Pool:
    dataset = start.dataset
    start.learner.train(dataset.X, dataset.y, dataset.seed_rows, 1, np.random.default_rng(seed))
    return pool


def fails_for_large_seeds(start: WarmStart, seed: int) -> WarmStart:
    np.array(seed, dtype=np.int32)
    return start


def fails_later() -> Callable[[WarmStart, int], WarmStart]:
    """Return what fails after more calls than the checks before the episode make."""
    calls = itertools.count()

    def start_from(start: WarmStart, _seed: int) -> WarmStart:
        if next(calls) > 20 + len(OTHERS):
            raise OSError("the file is closed")
        return start

    return start_from


def trains_in_another_order(start: WarmStart, _seed: int) -> WarmStart:
    """Return a start that is equal, bit for bit, and whose learner draws its own orders of training."""

    class OwnOrder(Learner):
        def train(self, X: Floats, y: Labels, rows: Indices, passes: int, rng: np.random.Generator) -> None:  # noqa: ARG002
            super().train(X, y, rows, passes, np.random.default_rng())

        def copy(self) -> Learner:
            twin = super().copy()
            twin.__class__ = OwnOrder
            return twin

    learner = start.learner.copy()
    learner.__class__ = OwnOrder
    return replace(start, learner=learner)


def mislabels_everything(pool: Pool, start: WarmStart, _seed: int) -> Pool:
    everything = Pool(start.dataset.y, np.ones_like(pool.mislabelled))
    return relabelled(everything, start.dataset.pool_rows)


def relabelled(pool: Pool, rows: slice) -> Pool:
    labels = pool.labels.copy()
    labels[rows] = (labels[rows] + 1) % 3
    return Pool(labels, pool.mislabelled)


BROKEN: dict[str, dict[str, Changed]] = {
    "runs": {
        "start(0) returned NoneType": Changed(lambda _start, _seed: None),
        "pool(task, 0, rng) returned int64 (178,)": Changed(pool_from=lambda pool, _start, _seed: pool.labels),
        "start(4294967295) raised OverflowError": Changed(fails_for_large_seeds),
    },
    "generators": {"pool(task, 0, rng) used the global": Changed(pool_from=shuffles_globally)},
    "start": {
        "has other values in performance, learner.model.coef_": Changed(warms_up_at_random),
        "The start of seed 4294967295, asked for again, has other values in performance": Changed(forgets()),
    },
    "pool": {"has other values in labels, mislabelled": Changed(pool_from=draws_noise_at_random)},
    "arrays": {
        "X float32 (178, 13)": data(X=lambda one: one.X.astype(np.float32)),
        "y list": data(y=lambda one: one.y.tolist()),
        "or is not finite": data(X=lambda one: np.where(one.X > 2, np.nan, one.X)),
        "X float64 (178, 13)": data(X=lambda one: np.asfortranarray(one.X)),
    },
    "read-only": {
        "can be written: X": data(X=lambda one: one.X.copy()),
        "can be written: y": data(y=lambda one: one.y.copy()),
    },
    "labels": {
        "n_classes 4; the task has 3": data(n_classes=4),
        "labels 1 to 3": data(y=lambda one: locked(one.y + 1)),
        "offers 129 samples; pool_size is 134": data(pool_rows=lambda one: slice(one.pool_rows.start, 173)),
        "The pool of seed 0 has labels 0 to 10": Changed(
            pool_from=lambda pool, *_: Pool(pool.labels * 5, pool.mislabelled)
        ),
    },
    "rows": {
        "8 distinct seed rows of 9": data(seed_rows=lambda one: np.append(one.seed_rows[:8], one.seed_rows[:1])),
        "0 distinct seed rows of 0": data(seed_rows=lambda one: one.seed_rows[:0]),
        "among them slice(0, 35, 2)": data(validation_rows=slice(0, 35, 2)),
        "among them slice(35, 200, None)": data(pool_rows=slice(35, 200)),
    },
    "validation": {
        "in its pool": data(validation_rows=slice(0, 36)),
        "in its seed set": data(seed_rows=lambda one: np.append(one.seed_rows, 3)),
    },
    "seed set": {"offers rows of its seed set": Changed(offers_all)},
    "shared": {
        "after pool has other values in learner.model.": Changed(with_own_learners(), trains_the_shared_learner),
        "after an episode has other values in learner.model.": Changed(with_shared_learners()),
    },
    "warm start": {
        "has performance 0.9": Changed(lambda start, _seed: replace(start, performance=0.9)),
        "has squares": Changed(lambda start, _seed: replace(start, squares=start.squares * 2)),
    },
    "noise": {
        "mislabelled int64 (143,)": Changed(pool_from=lambda pool, *_: Pool(pool.labels, pool.mislabelled.astype(int))),
        "mislabelled says in the rows [": Changed(pool_from=lambda pool, *_: Pool(pool.labels, ~pool.mislabelled)),
        "in the rows [0 1]": Changed(pool_from=lambda pool, *_: relabelled(pool, slice(0, 2))),
    },
    "seed labels": {"of the seed set": Changed(pool_from=mislabels_everything)},
    "episode": {
        "seed 0 raised OSError: the file is closed": Changed(fails_later()),
        "played again, gave other replies": Changed(trains_in_another_order),
    },
}
"""Sources by the rule that they break and a part of the message."""


@pytest.mark.parametrize("rule", sorted(RULES.keys() - {"no truth"}))
def test_a_source_that_breaks_a_rule_fails_by_it(rule: str) -> None:
    for shown, source in BROKEN[rule].items():
        requires(RULES[rule], lambda: check_source(source, TASK), shown)  # noqa: B023


def test_a_source_that_knows_wrong_labels_does_not_fit_a_task_without_ground_truth() -> None:
    unknown = replace(TASK, has_ground_truth=False)
    requires(RULES["no truth"], lambda: check_source(RIGHT, unknown), "The pool of seed 0 has 27 mislabelled samples")


def test_the_task_of_a_check_does_not_stay() -> None:
    before = tuple(TASKS)
    check_source(RIGHT, TASK)
    with pytest.raises(AssertionError):
        check_source(BROKEN["episode"]["played again, gave other replies"], TASK)
    assert tuple(TASKS) == before
