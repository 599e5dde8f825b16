"""The Gymnasium environment keeps Gymnasium's contract and plays the same episodes as every transport."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.errors import EpisodeOver, InvalidInput, NoEpisode, UnknownSplit, UnknownTask
from dataselect_env.core.problem import as_described
from dataselect_env.core.tasks import SPLITS, TASKS
from dataselect_env.gym.env import DataSelectGymEnv
from dataselect_env.gym.infos import info_of, numbers_of
from dataselect_env.gym.registration import env_id
from dataselect_env.gym.spaces import largest
from dataselect_env.policies.features import FEATURES, decode
from dataselect_env.policies.options import History

DIVERSITY = np.array([-1, 0, -1, 1, -1], np.float32)
STOP = np.array([1, 0, 0, 0, 0], np.float32)
EACH_TASK = pytest.mark.parametrize("task_id", TASKS)


@pytest.mark.parametrize(
    ("actions", "observations", "reward_mode"),
    [
        ("box", "flat", "shaped"),
        ("multi_discrete", "dict", "grade"),
        ("discrete", "flat", "grade"),
        ("discrete", "options", "grade"),
    ],
)
def test_it_passes_gymnasiums_own_check(actions: str, observations: str, reward_mode: str) -> None:
    choices: Any = {"actions": actions, "observations": observations, "reward_mode": reward_mode}
    check_env(gymnasium.make("dataselect_env.gym:DataSelect-Hard-v0", **choices).unwrapped)


@pytest.mark.parametrize("task_id", ["medium", "open"])
def test_options_observations_hold_what_a_scorer_sees(task_id: str) -> None:
    env = DataSelectGymEnv(task_id, observations="options", actions="discrete")
    observation, _ = env.reset(seed=7)
    for action in (3, 5):
        assert env.observation_space.contains(observation)
        history = History(as_described(TASKS[task_id], env.replies[0].problem))
        for reply in env.replies:
            history.see(reply)
        assert np.array_equal(observation, history.state().astype(np.float32))
        observation, *_ = env.step(action)


@EACH_TASK
def test_it_plays_the_episode_of_the_seed(task_id: str) -> None:
    env, core = DataSelectGymEnv(task_id), DataSelectEnv()
    width = 5 + len(TASKS[task_id].extra_strategies)
    actions = np.random.default_rng(0).uniform(-1, 0.8, (TASKS[task_id].max_steps, width))
    _, info = env.reset(seed=np.int64(20_003))  # type: ignore[arg-type]  # Gymnasium itself takes no numpy integers
    reply = core.reset(task_id=task_id, seed=20_003)
    described = {} if reply.problem is None else {"problem": numbers_of(reply.problem)}
    assert info == {"task_id": task_id, "seed": 20_003, "step": 0, **described}
    task = as_described(TASKS[task_id], reply.problem)
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        reply = core.step(decode(task, action))
        assert reply.info is not None
        assert (reward, terminated, truncated) == (reply.reward, reply.done, False)
        assert {**info, **reply.info.model_dump(exclude_none=True)} == info
        performance = observation[FEATURES.index("performance")]
        assert performance == np.float32(reply.observation.current_performance)
        if terminated:
            break
    assert reply.done


def test_a_dict_observation_is_what_the_reply_tells() -> None:
    env, core = DataSelectGymEnv("hard", observations="dict"), DataSelectEnv()
    observation, _ = env.reset(seed=4)
    reply = core.reset(task_id="hard", seed=4)
    assert list(observation) == list(largest())
    for _ in range(2):
        for name, value in reply.observation.model_dump(exclude={"metadata"}).items():
            assert observation[name] == [np.float32(value)], name
        assert observation["step"] == [reply.step]
        observation, *_ = env.step(DIVERSITY)
        reply = core.step(decode(TASKS["hard"], DIVERSITY.astype(np.float64)))


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


def test_a_seed_too_large_for_an_episode_starts_a_stream() -> None:
    env = DataSelectGymEnv("easy")
    first, again = (env.reset(seed=2**63)[1]["seed"] for _ in range(2))
    assert first == again
    assert first in SPLITS["train"]
    assert env.reset(seed=2**32 - 1)[1]["seed"] == 2**32 - 1


def test_options_are_for_one_episode() -> None:
    env = DataSelectGymEnv("easy")
    observation, info = env.reset(seed=5, options={"task_id": "hard"})
    assert info["task_id"] == "hard"
    assert observation[FEATURES.index("noise_estimate")] == np.float32(TASKS["hard"].flip_y)
    assert env.reset(options={"split": "test"})[1]["seed"] in SPLITS["test"]
    _, info = env.reset()
    assert info["task_id"] == "easy"
    assert info["seed"] in SPLITS["train"]


# --- ends -----------------------------------------------------------------------------------------------------------


def test_stop_terminates() -> None:
    env = DataSelectGymEnv("easy")
    env.reset(seed=1)
    _, _, terminated, truncated, info = env.step(STOP)
    assert (terminated, truncated, info["end_reason"]) == (True, False, "stop")
    with pytest.raises(EpisodeOver):
        env.step(STOP)


def test_the_last_step_terminates_because_it_is_graded() -> None:
    env = DataSelectGymEnv("hard")
    env.reset(seed=1)
    smallest = np.array([-1, -1, -1, 1, -1], np.float32)
    ends = [env.step(smallest)[2:] for _ in range(TASKS["hard"].max_steps)]
    assert [terminated for terminated, _, _ in ends] == [False] * (len(ends) - 1) + [True]
    assert (ends[-1][1], ends[-1][2]["end_reason"]) == (False, "max_steps")
    assert "grade" in ends[-1][2]


def test_a_limit_of_the_users_own_truncates() -> None:
    env = gymnasium.make("dataselect_env.gym:DataSelect-Hard-v0", max_episode_steps=2)
    env.reset(seed=1)
    env.step(DIVERSITY)
    _, _, terminated, truncated, info = env.step(DIVERSITY)
    assert (terminated, truncated) == (False, True)
    assert "grade" not in info


def test_infos_of_episodes_that_end_at_different_times_can_be_collected() -> None:
    envs = SyncVectorEnv([lambda: DataSelectGymEnv("hard")] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    envs.reset(seed=1)
    *_, infos = envs.step(np.stack([DIVERSITY, STOP]))
    assert infos["final_info"]["_grade"].tolist() == [False, True]
    assert infos["_noise_ratio"].tolist() == [True, False]


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choices", "error", "message"),
    [
        ({"task_id": "harder"}, UnknownTask, "easy, medium, hard"),
        ({"split": "holdout"}, UnknownSplit, "train, validation, test"),
        ({"actions": "tuple"}, InvalidInput, "box, multi_discrete, discrete"),
        ({"observations": "image"}, InvalidInput, "flat, dict"),
        ({"reward_mode": "sparse"}, InvalidInput, "shaped, grade"),
        ({"render_mode": "human"}, InvalidInput, "ansi, rgb_array"),
        ({"url": "localhost:7860"}, InvalidInput, "ws://host:7860"),
    ],
)
def test_what_cannot_be_made_is_refused(choices: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        DataSelectGymEnv(**choices)


def test_what_cannot_be_played_is_refused() -> None:
    env = DataSelectGymEnv("hard")
    with pytest.raises(NoEpisode):
        env.step(STOP)
    with pytest.raises(InvalidInput, match="'tsk'; allowed are task_id, split"):
        env.reset(options={"tsk": "hard"})
    with pytest.raises(gymnasium.error.Error, match=r"[Ss]eed"):
        env.reset(seed=-1)
    env.reset(seed=1)
    for action in (np.full(5, np.nan), np.zeros(4), 0.5):
        with pytest.raises(InvalidInput, match="action"):
            env.step(action)
    assert info_of(DataSelectEnv().reset(task_id="hard", seed=1)) == env.reset(seed=1)[1]


def test_the_ids_and_the_class_make_the_same() -> None:
    assert gymnasium.make(env_id("medium")).unwrapped.__class__ is DataSelectGymEnv
