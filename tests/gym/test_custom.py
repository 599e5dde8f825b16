"""Gymnasium environments for custom tasks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import yaml
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.errors import InvalidInput, UnknownTask
from dataselect_env.core.strategies.sampling import STRATEGIES
from dataselect_env.core.tasks import TASKS
from dataselect_env.custom.task_file import TaskFileError
from dataselect_env.gym.env import DataSelectGymEnv
from dataselect_env.gym.vector import DataSelectVectorEnv
from tests.helpers.owning import FURTHER, WINE, forgotten, offered

KINDS = ("box", "multi_discrete", "discrete")
FIELDS: dict[str, dict[str, Any]] = {
    "known": {**WINE, "noise": {"uniform": 0.2}, "strategies": FURTHER, "mixing": "ranks"},
    "unknown": {**WINE, "noise": {"unknown": 0.2}, "strategies": ["margin"]},
    "three": {**WINE, "noise": {"uniform": 0.2}, "budget": 90, "max_steps": 20},
}


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    with forgotten():
        yield


@pytest.mark.parametrize(
    ("name", "actions"),
    [("known", "box"), ("known", "multi_discrete"), ("known", "discrete"), ("unknown", "box"), ("three", "box")],
)
def test_an_own_task_passes_gymnasiums_check(name: str, actions: Any) -> None:
    offered(**FIELDS[name])
    choices: Any = {"actions": actions, "observations": "dict" if actions == "box" else "flat"}
    check_env(gymnasium.make("dataselect_env.gym:DataSelect-v0", task_id="mine", **choices).unwrapped)


@pytest.mark.parametrize("actions", KINDS)
def test_every_action_of_the_space_can_be_played(actions: Any) -> None:
    task = offered(**FIELDS["known"])
    env = DataSelectGymEnv("mine", actions=actions)
    env.action_space.seed(3)
    used: set[str] = set()
    for seed in range(12):
        env.reset(seed=seed)
        over = False
        while not over:
            observation, _, over, _, info = env.step(env.action_space.sample())
            assert env.observation_space.contains(observation)
            used |= {strategy for strategy, count in info["bought_by"].items() if count}
            assert list(info["bought_by"]) == [*STRATEGIES, *task.extra_strategies]
    assert used == {*STRATEGIES, *FURTHER}


def test_a_discrete_action_of_a_further_strategy_buys_by_it_alone() -> None:
    offered(**{**FIELDS["known"], "mixing": "quotas"})
    env = DataSelectGymEnv("mine", actions="discrete")
    assert isinstance(env.action_space, gymnasium.spaces.Discrete)
    sizes = (int(env.action_space.n) - 25) // len(FURTHER)
    assert int(env.action_space.n) == 25 + sizes * len(FURTHER)
    for place, name in enumerate(FURTHER):
        env.reset(seed=1)
        *_, info = env.step(25 + place * sizes + 2)
        assert {strategy for strategy, count in info["bought_by"].items() if count} == {name}


def test_the_episode_is_that_of_the_environment_itself() -> None:
    offered(**{**FIELDS["known"], "mixing": "quotas"})
    env, core = DataSelectGymEnv("mine", actions="multi_discrete"), DataSelectEnv()
    env.reset(seed=6)
    core.reset(task_id="mine", seed=6)
    _, reward, *_, info = env.step(np.array([3, 1, 0, 2, 0, 1, 0, 0]))
    weights = {"uncertainty": 1.0, "random": 2.0, "k_center": 1.0}
    size = info["batch_size"]
    reply = core.step({"action_type": "select_batch", "batch_size": size, "strategy_weights": weights})
    assert reply.info is not None
    assert (reward, info["bought_by"]) == (reply.reward, reply.info.bought_by)


@pytest.mark.parametrize(
    ("name", "mode", "actions"),
    [
        (name, mode, KINDS[(place + turn) % 3])  # every two of them once
        for place, name in enumerate(FIELDS)
        for turn, mode in enumerate(AutoresetMode)
    ],
)
def test_the_vector_environment_equals_single_ones(name: str, mode: AutoresetMode, actions: Any) -> None:
    offered(**FIELDS[name])
    own = DataSelectVectorEnv(3, "mine", actions=actions, autoreset_mode=mode)
    single = SyncVectorEnv([lambda: DataSelectGymEnv("mine", actions=actions)] * 3, autoreset_mode=mode)
    assert own.action_space == single.action_space
    assert own.single_observation_space == single.single_observation_space
    single.action_space.seed(2)
    for one, other in zip(own.reset(seed=5), single.reset(seed=5), strict=True):
        same(one, other)
    for _ in range(12):
        chosen = single.action_space.sample()
        ours, theirs = own.step(chosen), single.step(chosen)
        for one, other in zip(ours, theirs, strict=True):
            same(one, other)
        over = ours[2] | ours[3]
        if mode is AutoresetMode.DISABLED and over.any():
            options = {"reset_mask": over}
            for one, other in zip(own.reset(options=options), single.reset(options=options), strict=True):
                same(one, other)


def same(one: Any, other: Any) -> None:
    """Compare two nested results."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            same(one[name], other[name])
    elif isinstance(one, np.ndarray) and one.dtype == object:
        for first, second in zip(one, other, strict=True):
            same(first, second)
    elif isinstance(one, np.ndarray):
        assert one == pytest.approx(np.asarray(other), abs=1e-6)
    else:
        assert one == other


def test_where_the_truth_is_unknown_no_info_tells_it() -> None:
    offered(**FIELDS["unknown"])
    env = DataSelectGymEnv("mine", actions="discrete")
    env.reset(seed=1)
    *_, info = env.step(7)
    assert info["batch_size"] > 0
    assert not {"mislabelled", "noise_ratio"} & info.keys()


@pytest.mark.parametrize("actions", ["multi_discrete", "discrete"])
def test_masks_fit_the_space(actions: Any) -> None:
    offered(**FIELDS["known"])
    env = DataSelectGymEnv("mine", actions=actions)
    env.reset(seed=1)
    mask = env.action_masks()
    space: Any = env.action_space
    assert mask.shape == ((int(space.n),) if actions == "discrete" else (int(space.nvec.sum()),))
    assert not mask[0]
    vector = DataSelectVectorEnv(2, "mine", actions=actions)
    vector.reset(seed=1)
    assert np.array_equal(vector.action_masks()[0], mask)


# --- task files -----------------------------------------------------------------------------------------------------


@pytest.fixture
def task_file(tmp_path: Path) -> str:
    path = tmp_path / "tasks.yaml"
    path.write_text(yaml.safe_dump({"tasks": {"filed": FIELDS["known"]}}))
    return str(path)


def test_an_environment_loads_the_task_file_that_it_is_given(task_file: str) -> None:
    with pytest.raises(UnknownTask):
        DataSelectGymEnv("filed")
    env = gymnasium.make("dataselect_env.gym:DataSelect-v0", task_id="filed", task_file=task_file)
    _, info = env.reset(seed=1)
    assert info["task_id"] == "filed"
    vector = gymnasium.make_vec("dataselect_env.gym:DataSelect-v0", num_envs=2, task_id="filed", task_file=task_file)
    assert vector.reset(seed=1)[1]["task_id"].tolist() == ["filed"] * 2
    assert "filed" in TASKS


@pytest.mark.parametrize("make", [DataSelectGymEnv, DataSelectVectorEnv])
def test_a_task_file_that_cannot_be_used_is_told(make: Any, tmp_path: Path) -> None:
    with pytest.raises(TaskFileError, match="cannot be read"):
        make(task_id="filed", task_file=str(tmp_path / "none.yaml"))


def test_workers_load_it_themselves(task_file: str) -> None:
    envs = gymnasium.make_vec(
        "dataselect_env.gym:DataSelect-v0",
        num_envs=2,
        vectorization_mode="sync",
        task_id="filed",
        task_file=task_file,
    )
    _, infos = envs.reset(seed=3)
    assert infos["seed"].tolist() == [3, 4]


def test_another_task_may_be_played_for_one_episode_only_with_the_same_actions(task_file: str) -> None:
    offered(**FIELDS["known"])
    env = DataSelectGymEnv("filed", task_file=task_file)
    assert env.reset(seed=1, options={"task_id": "mine"})[1]["task_id"] == "mine"
    with pytest.raises(InvalidInput, match="other strategies") as caught:
        env.reset(options={"task_id": "hard"})
    assert caught.value.field == "options"


def test_data_sets_of_own_tasks_are_not_kept() -> None:
    offered(**FIELDS["three"])
    envs = DataSelectVectorEnv(1, "hard", keep_datasets=True)
    envs.reset(seed=12)
    kept = len(envs._kept or ())
    envs.reset(seed=13, options={"task_id": "mine"})
    assert len(envs._kept or ()) == kept == 1
