"""Reward functions beside the grade tell rollouts apart, are bounded, and leave the grade alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dataselect_env.core.errors import EpisodeOver, InvalidInput
from dataselect_env.core.tasks import TASKS
from dataselect_env.integrations import trl_rewards
from dataselect_env.integrations.trl_env import DataSelectToolEnv


def started() -> DataSelectToolEnv:
    env = DataSelectToolEnv()
    env.reset(task_id="medium", seed=7)
    return env


def test_rollouts_without_a_grade_are_told_apart() -> None:
    silent, wrong, half, right = (started() for _ in range(4))
    for env in (wrong, half):
        with pytest.raises(InvalidInput):
            env.select_batch(-1, random=1.0)
    for env in (half, right):
        env.select_batch(20, random=1.0)
    environments = [silent, wrong, half, right]
    assert trl_rewards.format_reward(environments, seed=[7] * 4) == [0, 0, 0.5, 1]
    assert trl_rewards.finished_reward(environments) == [0] * 4
    right.stop()
    with pytest.raises(EpisodeOver):
        right.stop()
    assert trl_rewards.format_reward([right]) == [pytest.approx(2 / 3)]
    right.reset(task_id="medium", seed=7)
    assert trl_rewards.format_reward([right]) == trl_rewards.finished_reward([right]) == [0]


def test_parts_are_those_of_the_grade() -> None:
    env, unfinished = started(), started()
    for one in (env, unfinished):
        one.select_batch(60, random=1.0)
    env.stop()
    parts: list[Callable[..., list[float]]] = [
        trl_rewards.performance_reward,
        trl_rewards.noise_reward,
        trl_rewards.efficiency_reward,
    ]
    performance, noise, efficiency = (part([env, unfinished], task_id=["medium"] * 2) for part in parts)
    task = TASKS["medium"]
    assert env.get_reward() == pytest.approx(task.performance_weight * performance[0] + task.noise_weight * noise[0])
    assert 0 < efficiency[0] < performance[0]
    assert performance[1] == noise[1] == efficiency[1] == 0
    assert trl_rewards.finished_reward([env, unfinished]) == [1, 0]
