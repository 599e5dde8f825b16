"""The native vector environment gives the results of ``SyncVectorEnv`` in all autoreset modes."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_match import check_environments_match
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics

from dataselect_env.core.data import dataset_number
from dataselect_env.core.errors import EpisodeOver, InvalidInput, NoEpisode, UnknownTask
from dataselect_env.core.source import task_at
from dataselect_env.core.tasks import TASKS
from dataselect_env.core.warm_start import warm_start
from dataselect_env.gym.env import DataSelectGymEnv
from dataselect_env.gym.spaces import MENU_SIZES
from dataselect_env.gym.vector import DataSelectVectorEnv
from dataselect_env.policies.features import batch_sizes

HARD, OPEN = "dataselect_env.gym:DataSelect-Hard-v0", "dataselect_env.gym:DataSelect-Open-v0"
LANES = 3
MODES = pytest.mark.parametrize("mode", AutoresetMode)


def native(name: str = HARD, **choices: Any) -> VectorEnv[Any, Any, Any]:
    return gymnasium.make_vec(name, num_envs=LANES, vectorization_mode="vector_entry_point", **choices)


def single(mode: AutoresetMode, name: str = HARD, **choices: Any) -> SyncVectorEnv[Any, Any]:
    return SyncVectorEnv([lambda: gymnasium.make(name, **choices)] * LANES, autoreset_mode=mode)


def same(ours: Any, theirs: Any, where: str = "") -> None:
    """Compare two results of Gymnasium: keys, types, shapes and values, to the last bit."""
    assert type(ours) is type(theirs), where
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys(), where
        for key in ours:
            same(ours[key], theirs[key], f"{where}.{key}")
    elif isinstance(ours, tuple):
        for place, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            same(one, other, f"{where}[{place}]")
    elif isinstance(ours, np.ndarray):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape), where
        if ours.dtype == object:
            for one, other in zip(ours, theirs, strict=True):
                same(one, other, where)
        else:
            assert np.array_equal(ours, theirs), where
    else:
        assert ours == theirs, where


@MODES
@pytest.mark.parametrize(
    "choices",
    [
        {"actions": "box", "reward_mode": "grade"},
        {"actions": "multi_discrete", "observations": "dict", "split": "test"},
        {"actions": "discrete", "max_episode_steps": 3},
        {"name": OPEN, "actions": "multi_discrete"},
        {"name": OPEN, "actions": "discrete", "infos": "flat"},
        {"actions": "multi_discrete", "reward_mode": "grade", "infos": "flat"},
    ],
    ids=str,
)
def test_it_gives_what_single_environments_give(mode: AutoresetMode, choices: dict[str, Any]) -> None:
    ours, theirs = native(autoreset_mode=mode, **choices), single(mode, **choices)
    assert ours.metadata["autoreset_mode"] is mode
    for name in ("observation_space", "action_space", "single_observation_space", "single_action_space"):
        assert getattr(ours, name) == getattr(theirs, name)
    ours.action_space.seed(1)
    same(ours.reset(seed=20), theirs.reset(seed=20))
    ends = 0
    for _ in range(20):
        actions = ours.action_space.sample()
        if choices["actions"] == "box":
            actions[1, 0] = 1.0  # stops
        stepped = ours.step(actions)
        same(stepped, theirs.step(actions))
        over = stepped[2] | stepped[3]
        ends += int(over.sum())
        if mode is AutoresetMode.DISABLED and over.any():
            some, others = (envs.reset(options={"reset_mask": over, "split": "validation"}) for envs in (ours, theirs))
            assert np.array_equal(some[1]["_seed"], over)
            same(some, others)
    assert ends > (2 if "name" in choices else 5)


def test_each_lane_of_open_has_the_numbers_of_its_problem() -> None:
    envs = DataSelectVectorEnv(LANES, "open", actions="discrete", autoreset_mode=AutoresetMode.DISABLED)
    _, infos = envs.reset(seed=20)
    problems = [task_at(TASKS["open"], 20 + lane) for lane in range(LANES)]
    assert infos["problem"]["budget"].tolist() == [task.budget for task in problems]
    assert infos["problem"]["audited"].tolist() == [task.audited for task in problems]
    assert len(set(infos["problem"]["budget"].tolist())) > 1
    even = 1 + MENU_SIZES.index(0.0)  # by uncertainty, an even share of the budget
    _, _, _, _, infos = envs.step(np.full(LANES, even))
    assert infos["batch_size"].tolist() == [round(task.budget / task.max_steps) for task in problems]
    assert infos["_mislabelled"].tolist() == [task.audited for task in problems]
    assert "problem" not in infos
    masks, left = envs.action_masks(), [task.budget - round(task.budget / task.max_steps) for task in problems]
    for mask, rest, task in zip(masks, left, problems, strict=True):
        sizes = batch_sizes(task.budget, task.max_steps, np.array(MENU_SIZES))
        assert mask[2 : 1 + len(MENU_SIZES)].tolist() == (sizes[:-1] < rest).tolist()


class Lane(gymnasium.Env[Any, Any]):
    """The only lane of a vector environment, as a single environment."""

    render_mode = None

    def __init__(self) -> None:
        self.envs = DataSelectVectorEnv(1, "hard", autoreset_mode=AutoresetMode.DISABLED)
        self.observation_space, self.action_space = self.envs.single_observation_space, self.envs.single_action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        observations, infos = self.envs.reset(seed=seed, options=options)
        return observations[0], only_lane(infos)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observations, rewards, terminated, truncated, infos = self.envs.step(action[None])
        return observations[0], float(rewards[0]), bool(terminated[0]), bool(truncated[0]), only_lane(infos)


def only_lane(infos: dict[str, Any]) -> dict[str, Any]:
    """Return the infos of the only lane in the form of a single environment."""
    names = [name for name in infos if not name.startswith("_")]
    return {
        name: only_lane(infos[name]) if isinstance(infos[name], dict) else infos[name].tolist()[0] for name in names
    }


def test_a_lane_matches_a_single_environment() -> None:
    here = gymnasium.make(HARD)  # rewards agree up to rounding only: see above
    check_environments_match(here, Lane(), 20, seed=3, skip_rew=True, info_comparison="keys-equivalence")


def test_seeds_of_lanes() -> None:
    ours, theirs = native(), single(AutoresetMode.NEXT_STEP)
    some: Any = [5, None, 7]
    same(ours.reset(seed=some)[1]["seed"][[0, 2]], np.array([5, 7]))
    same(ours.reset(seed=np.arange(5, 8))[1]["seed"], np.array([5, 6, 7]))  # type: ignore[arg-type]
    same(ours.reset(seed=np.int64(9)), theirs.reset(seed=9))  # type: ignore[arg-type]
    same(ours.reset(), theirs.reset())  # drawn from the stream of each lane
    same(ours.reset(options={"task_id": "easy"}), theirs.reset(options={"task_id": "easy"}))


@pytest.mark.parametrize(("kind", "actions"), [("multi_discrete", [[6, 0, 1, 0], [5, 1, 0, 0]]), ("discrete", [6, 11])])
def test_masks_are_those_of_single_environments(kind: Any, actions: Any) -> None:
    ours = DataSelectVectorEnv(2, "hard", actions=kind)
    alone = [DataSelectGymEnv("hard", actions=kind) for _ in range(2)]
    ours.reset(seed=1)
    for lane, env in enumerate(alone):
        env.reset(seed=1 + lane)
    for _ in range(2):
        assert np.array_equal(ours.action_masks(), [env.action_masks() for env in alone])
        ours.step(np.array(actions))
        for lane, env in enumerate(alone):
            env.step(np.array(actions[lane]))


def test_data_sets_are_kept_if_asked_for() -> None:
    first = dataset_number(11)
    for keep in (False, True):
        envs = DataSelectVectorEnv(1, "hard", keep_datasets=keep)
        envs.reset(seed=11)
        envs.reset(seed=12)
        held = weakref.ref(warm_start(first))
        warm_start.cache_clear()
        gc.collect()
        assert (held() is not None) == keep


def test_wrappers_of_gymnasium_find_what_they_need() -> None:
    envs = RecordEpisodeStatistics(native(autoreset_mode="SameStep", reward_mode="grade"))
    envs.reset(seed=1)
    *_, infos = envs.step(np.tile(np.array([1, 0, 0, 0, 0], np.float32), (LANES, 1)))
    assert infos["episode"]["l"].tolist() == [1] * LANES
    assert infos["episode"]["r"] == pytest.approx(infos["final_info"]["grade"]["score"])


def test_what_cannot_be_made_is_refused() -> None:
    for choices, message in (
        ({"num_envs": 0}, "at least 1"),
        ({"actions": "tuple"}, "box, multi_discrete, discrete"),
        ({"observations": "options"}, "SyncVectorEnv"),
        ({"reward_mode": "sparse"}, "shaped, grade"),
        ({"autoreset_mode": "Never"}, "NextStep, SameStep, Disabled"),
        ({"url": "ws://localhost"}, 'vectorization_mode="async"'),
        ({"render_mode": "ansi"}, 'vectorization_mode="sync"'),
        ({"task_id": "open", "keep_datasets": True}, "keep_datasets: only for the tasks easy, medium, hard"),
    ):
        with pytest.raises(InvalidInput, match=message):
            DataSelectVectorEnv(**choices)
    with pytest.raises(UnknownTask):
        DataSelectVectorEnv(2, "harder")


def test_what_cannot_be_played_is_refused() -> None:
    envs = native(autoreset_mode=AutoresetMode.DISABLED)
    stop = np.tile(np.array([1, 0, 0, 0, 0], np.float32), (LANES, 1))
    with pytest.raises(NoEpisode):
        envs.step(stop)
    with pytest.raises(InvalidInput, match="one for each of 3 lanes, not 2"):
        envs.reset(seed=[1, 2])  # type: ignore[arg-type]
    for mask in ([True], np.zeros(LANES, np.bool_), np.ones(LANES)):
        with pytest.raises(InvalidInput, match="reset_mask"):
            envs.reset(options={"reset_mask": mask})
    envs.reset(seed=1)
    for actions in (stop[:2], stop[:, :4], np.full((LANES, 5), np.nan)):
        with pytest.raises(InvalidInput, match="action"):
            envs.step(actions)
    assert envs.step(stop)[2].all()  # nothing was lost
    with pytest.raises(EpisodeOver, match="lane 0"):
        envs.step(stop)
