"""Episodes stepped together are the episodes played alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dataselect_env.core import kernel
from dataselect_env.core.episode import Episode
from dataselect_env.core.episode_batch import EpisodeBatch
from dataselect_env.core.models import RewardMode
from dataselect_env.core.results import BatchResult, StepResult
from dataselect_env.core.tasks import PINNED, Task, get_task
from tests.helpers.owning import OWN, made

TASKS = [
    *(get_task(task_id) for task_id in PINNED),
    replace(get_task("hard"), task_id="small_steps", max_batch=9, min_batch=2, max_steps=7),
    replace(get_task("medium"), task_id="labels", extra_strategies=("confident_uncertainty",)),
    *(replace(made(**definition), task_id=name) for name, definition in OWN.items()),
]


def row(result: BatchResult, lane: int) -> dict[str, object]:
    audit = {name: values[lane] for name, values in result.audit.items()}
    return {
        "observed": tuple(result.observed[lane].tolist()),
        "reward": result.rewards[lane],
        "terms": {name: values[lane] for name, values in result.terms.items()},
        "batch_size": result.batch_size[lane],
        "bought_by": tuple(result.bought_by[lane].tolist()),
        "audit": {name: None if np.isnan(value) else value for name, value in audit.items()},
        "end": (result.end_reasons[lane], result.grades[lane], bool(result.done[lane])),
    }


def expected(result: StepResult) -> dict[str, object]:
    info = result.info
    return {
        "observed": tuple(map(float, result.observation.as_tuple())),
        "reward": result.reward,
        "terms": info.reward_terms,
        "batch_size": info.batch_size,
        "bought_by": tuple(info.bought_by.values()),
        "audit": {name: getattr(info, name) for name in ("mislabelled", "noise_ratio", "redundancy", "gain")},
        "end": (info.end_reason, info.grade, result.done),
    }


@pytest.mark.parametrize("reward_mode", ["shaped", "grade"])
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.task_id)
def test_each_lane_is_the_episode_played_alone(task: Task, reward_mode: RewardMode) -> None:
    lanes, rng = 9, np.random.default_rng(5)
    batch = EpisodeBatch(lanes, reward_mode, threads=3)
    alone = [Episode(task, 40 + lane, reward_mode) for lane in range(lanes)]
    for lane in range(lanes):
        batch.start(lane, Episode(task, 40 + lane, reward_mode, hold_data=True))
    while running := [lane for lane, episode in enumerate(alone) if episode.end_reason is None]:
        stop = rng.random(len(running)) < 0.1
        sizes = rng.integers(0, 40, len(running))
        weights = rng.dirichlet(np.ones(len(alone[0].strategies)), len(running))
        result = batch.step(np.array(running), stop, sizes, weights)
        for place, lane in enumerate(running):
            episode = alone[lane]
            single = (
                episode.stop()
                if stop[place]
                else episode.select_batch(int(sizes[place]), tuple(weights[place].tolist()))
            )
            assert row(result, place) == expected(single)
    batch.close()


@pytest.mark.skipif(not kernel.is_available(), reason="built without a C compiler")
def test_plain_tasks_are_played_by_the_kernel_and_others_are_not() -> None:
    by_kernel = [task.task_id for task in TASKS if Episode(task, 3).handles is not None]
    assert by_kernel == [*PINNED, "small_steps"]


def test_after_it_is_closed_it_plays_on() -> None:
    batch = EpisodeBatch(8, "shaped", threads=2)
    for lane in range(8):
        batch.start(lane, Episode(TASKS[0], lane))
    batch.close()
    batch.close()
    result = batch.step(np.arange(8), np.zeros(8, np.bool_), np.full(8, 10), np.ones((8, 3)))
    assert result.batch_size.tolist() == [10] * 8


def test_results_can_be_taken_apart() -> None:
    batch = EpisodeBatch(4, "shaped")
    for lane in range(4):
        batch.start(lane, Episode(TASKS[1], lane))
    result = batch.step(np.arange(4), np.array([False, True, False, True]), np.full(4, 10), np.ones((4, 3)))
    some = result.rows(np.array([3, 0]))
    assert [row(some, 0), row(some, 1)] == [row(result, 3), row(result, 0)]
