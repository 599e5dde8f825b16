"""Episodes in lock-step are the episodes that are played alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from dataselect_env import Action, DataSelectEnv
from dataselect_env.core.errors import EnvError, EpisodeOver, InvalidInput, NoEpisode, UnknownTask
from dataselect_env.core.models import Reply, RewardMode
from dataselect_env.core.reward import TERMS
from dataselect_env.core.tasks import TASKS
from dataselect_env.core.vector import OBSERVATION, Lanes, Steps
from dataselect_env.core.warm_start import warm_start

MIX = [0.4, 0.4, 0.2]


def assert_same(steps: Steps, place: int, reply: Reply) -> None:
    """Hold everything that a step tells of one lane to the reply of the same step played alone."""
    info = reply.info
    assert info is not None
    assert steps.observations[place].tolist() == columns(reply)
    assert steps.rewards[place] == reply.reward
    assert {name: terms[place] for name, terms in steps.reward_terms.items()} == info.reward_terms
    assert (steps.done[place], steps.end_reasons[place]) == (reply.done, info.end_reason)
    assert steps.bought_by[place].tolist() == list(info.bought_by.values())
    assert (steps.bought[place], steps.mislabelled[place]) == (info.batch_size, info.mislabelled)
    for told, expected in ((steps.redundancy[place], info.redundancy), (steps.gain[place], info.gain)):
        assert math.isnan(told) if expected is None else told == expected
    grade = steps.grades[place]
    assert (grade is None) == (info.grade is None)
    if grade is not None and info.grade is not None:
        assert grade.passed == info.grade.passed
        assert grade.score == info.grade.score


def columns(reply: Reply) -> list[float]:
    return [float(getattr(reply.observation, name)) for name in OBSERVATION]


@pytest.mark.parametrize("reward_mode", ["shaped", "grade"])
def test_lanes_of_all_tasks_equal_solo_episodes_through_resets_of_some(reward_mode: RewardMode) -> None:
    """Random actions, now and then a stop, lanes left out at random, ended lanes started again with another task."""
    count, names = 7, list(TASKS)
    rng, lanes = np.random.default_rng(5), Lanes(count, reward_mode=reward_mode)
    envs = [DataSelectEnv() for _ in range(count)]
    idle, ended = list(range(count)), 0
    for _ in range(40):
        if idle:
            seeds = [int(rng.choice([7, 8, 20_003, 20_004])) for _ in idle]
            tasks = [names[int(rng.integers(len(names)))] for _ in idle]
            first = lanes.reset(tasks, seeds, idle)
            for place, lane in enumerate(idle):
                reply = envs[lane].reset(task_id=tasks[place], seed=seeds[place], reward_mode=reward_mode)
                assert first[place].tolist() == columns(reply)
        chosen = np.flatnonzero(rng.random(count) < 0.8).tolist() or [0]
        sizes, stops = rng.integers(0, 60, len(chosen)), rng.random(len(chosen)) < 0.05
        weights = rng.dirichlet([0.5] * 3, len(chosen)) * (rng.random((len(chosen), 3)) < 0.8)
        weights[weights.sum(axis=1) == 0] = MIX
        steps = lanes.step(sizes, weights, stops, chosen)
        for place, lane in enumerate(chosen):
            mix = dict(zip(("uncertainty", "diversity", "random"), weights[place].tolist(), strict=True))
            action = Action.stop() if stops[place] else Action.select(int(sizes[place]), **mix)
            assert_same(steps, place, envs[lane].step(action))
        idle = [lane for place, lane in enumerate(chosen) if steps.done[place]]
        ended += len(idle)
    assert ended > 20


def test_an_episode_is_the_same_beside_others() -> None:
    alone, among = Lanes(1), Lanes(5)
    alone.reset(["medium"], [3])
    among.reset(["easy", "medium", "hard", "easy", "medium"], [1, 3, 2, 3, 4])
    for size in (5, 30, 12):
        one, many = alone.step([size], [MIX]), among.step([9, size, 11, 40, 0], [MIX] * 5)
        assert one.observations[0].tolist() == many.observations[1].tolist()
        assert one.rewards[0] == many.rewards[1]


def test_a_step_tells_all_terms_of_the_shaped_reward() -> None:
    lanes = Lanes(2)
    lanes.reset(["easy", "hard"], [0, 0])
    steps = lanes.step([10, 10], [MIX, MIX], [False, True])
    assert tuple(steps.reward_terms) == TERMS
    assert steps.rewards == pytest.approx(sum(steps.reward_terms.values()))
    assert math.isnan(steps.gain[1])
    assert steps.end_reasons == (None, "stop")


GOOD = {"batch_sizes": [10, 10], "weights": [MIX, MIX], "stops": None, "lanes": None}


@pytest.mark.parametrize(
    ("change", "error", "field"),
    [
        ({"batch_sizes": [10]}, InvalidInput, "batch_sizes"),
        ({"batch_sizes": [10, -1]}, InvalidInput, "batch_sizes"),
        ({"batch_sizes": [10.0, 10.0]}, InvalidInput, "batch_sizes"),
        ({"batch_sizes": ["a", "b"]}, InvalidInput, "batch_sizes"),
        ({"weights": [MIX]}, InvalidInput, "weights"),
        ({"weights": [MIX, [0, 0, 0]]}, InvalidInput, "weights"),
        ({"weights": [MIX, [1, -1, 0]]}, InvalidInput, "weights"),
        ({"weights": [MIX, [math.nan, 1, 1]]}, InvalidInput, "weights"),
        ({"weights": [MIX, [math.inf, 1, 1]]}, InvalidInput, "weights"),
        ({"weights": [list("abc")] * 2}, InvalidInput, "weights"),
        ({"stops": [0, 1]}, InvalidInput, "stops"),
        ({"lanes": [0, 0]}, InvalidInput, "lanes"),
        ({"lanes": [0, 3]}, InvalidInput, "lanes"),
        ({"lanes": []}, InvalidInput, "lanes"),
        ({"lanes": [0, 2]}, NoEpisode, None),
    ],
)
def test_what_makes_no_sense_is_refused_and_steps_no_lane(
    change: dict[str, Any], error: type[EnvError], field: str | None
) -> None:
    lanes, untouched = Lanes(3), Lanes(3)
    for each in (lanes, untouched):
        each.reset(["easy", "hard"], [1, 2], [0, 1])
    given: dict[str, Any] = {**GOOD, "lanes": [0, 1], **change}
    with pytest.raises(error) as caught:
        lanes.step(**given)
    assert caught.value.field == field
    before, after = untouched.step([5, 5], [MIX] * 2, lanes=[0, 1]), lanes.step([5, 5], [MIX] * 2, lanes=[0, 1])
    assert before.observations.tolist() == after.observations.tolist()


def test_an_ended_lane_waits_for_its_reset() -> None:
    lanes = Lanes(2)
    lanes.reset(["easy", "easy"], [1, 2])
    lanes.step([10, 10], [MIX] * 2, [True, False])
    with pytest.raises(EpisodeOver, match="lane 0"):
        lanes.step([10, 10], [MIX] * 2)
    assert lanes.step([10], [MIX], lanes=[1]).bought.tolist() == [10]
    assert lanes.reset(["hard"], [5], [0])[0, OBSERVATION.index("remaining_budget")] == 100


def test_nonsense_at_a_reset_starts_nothing() -> None:
    with pytest.raises(InvalidInput, match="count"):
        Lanes(0)
    lanes = Lanes(2)
    for tasks, seeds, error in (
        (["easy", "nope"], [1, 2], UnknownTask),
        (["easy"], [1, 2], InvalidInput),
        (["easy", "easy"], [1], InvalidInput),
        (["easy", "easy"], [1, -1], InvalidInput),
        (["easy", "easy"], [1, 2**32], InvalidInput),
    ):
        with pytest.raises(error):
            lanes.reset(tasks, seeds)
        with pytest.raises(NoEpisode):
            lanes.step([10], [MIX], lanes=[0])


def test_lanes_keep_their_data_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set that is made anew at every step costs twenty steps."""
    lanes = Lanes(3)
    lanes.reset(["easy"] * 3, [0, 1, 2])
    warm_start.cache_clear()
    monkeypatch.setattr("dataselect_env.core.warm_start.make_warm_start", lambda _: pytest.fail("it was made anew"))
    lanes.step([5] * 3, [[1, 1, 1]] * 3)
