"""The Gymnasium environment keeps Gymnasium's contract and plays the very episodes that every transport plays."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from dataselect_env.env import DataSelectEnv
from dataselect_env.errors import EpisodeOver, InvalidInput, NoEpisode, UnknownSplit, UnknownTask
from dataselect_env.gym_env import DataSelectGymEnv
from dataselect_env.policies.features import FEATURES, decode
from dataselect_env.tasks import SPLITS, TASKS

DIVERSITY = np.array([-1, 0, -1, 1, -1], np.float32)
STOP = np.array([1, 0, 0, 0, 0], np.float32)
EACH_TASK = pytest.mark.parametrize("task_id", TASKS)


@EACH_TASK
@pytest.mark.parametrize("reward_mode", ["shaped", "grade"])
def test_it_passes_gymnasiums_own_check(task_id: str, reward_mode: str) -> None:
    env = DataSelectGymEnv(task_id, reward_mode="grade" if reward_mode == "grade" else "shaped")
    with warnings.catch_warnings():
        # Without a registration the checker cannot make the environment anew to try its render modes: it has none.
        warnings.filterwarnings("ignore", message=".*alternative render modes.*")
        check_env(env)


@EACH_TASK
def test_it_plays_the_episode_of_the_seed(task_id: str) -> None:
    env, core = DataSelectGymEnv(task_id), DataSelectEnv()
    actions = np.random.default_rng(0).uniform(-1, 0.8, (TASKS[task_id].max_steps, 5))
    _, info = env.reset(seed=20_003)
    reply = core.reset(task_id=task_id, seed=20_003)
    assert info == {"task_id": task_id, "seed": 20_003, "step": 0}
    terminated = False
    for action in actions:
        if terminated:
            break
        observation, reward, terminated, truncated, info = env.step(action)
        reply = core.step(decode(TASKS[task_id], action))
        assert reply.info is not None
        assert (reward, terminated, truncated) == (reply.reward, reply.done, False)
        assert {**info, **reply.info.model_dump()} == info
        performance = observation[FEATURES.index("performance")]
        assert performance == np.float32(reply.observation.current_performance)
    assert reply.done


def test_grade_rewards_add_up_to_the_grade() -> None:
    env = DataSelectGymEnv("hard", reward_mode="grade")
    env.reset(seed=7)
    _, total, terminated, _, info = env.step(DIVERSITY)
    while not terminated:
        _, reward, terminated, _, info = env.step(DIVERSITY)
        total += reward
    assert total == pytest.approx(info["grade"]["score"])


@pytest.mark.parametrize("split", SPLITS)
def test_a_reset_without_a_seed_draws_from_the_split(split: str) -> None:
    env = DataSelectGymEnv("easy", split=split)
    env.reset(seed=5)
    seeds = [env.reset()[1]["seed"] for _ in range(3)]
    assert all(seed in SPLITS[split] for seed in seeds)
    assert len(set(seeds)) == 3
    env.reset(seed=5)
    assert [env.reset()[1]["seed"] for _ in range(3)] == seeds


def test_stop_ends_the_episode() -> None:
    env = DataSelectGymEnv("easy")
    env.reset(seed=1)
    _, _, terminated, _, info = env.step(STOP)
    assert terminated
    assert info["end_reason"] == "stop"
    with pytest.raises(EpisodeOver):
        env.step(STOP)


def test_what_cannot_be_played_is_refused() -> None:
    with pytest.raises(UnknownTask):
        DataSelectGymEnv("harder")
    with pytest.raises(UnknownSplit):
        DataSelectGymEnv("hard", split="holdout")
    with pytest.raises(NoEpisode):
        DataSelectGymEnv("hard").step(STOP)
    env = DataSelectGymEnv("hard")
    env.reset(seed=1)
    with pytest.raises(InvalidInput):
        env.step(np.full(5, np.nan, np.float32))
