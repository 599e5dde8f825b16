"""The ``VecEnv`` of Stable-Baselines3, against a stand-in for its base class, by the results of Gymnasium's own lanes.

``bench/consumers/stable_baselines3.py`` compares it with the library's ``DummyVecEnv`` and learns on it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from dataselect_env.core.errors import InvalidInput, UnknownTask
from dataselect_env.gym.spaces import MENU_SIZES

MODULE = "dataselect_env.gym.sb3"
LANES = 4
STOP, BUY = 0, 1 + MENU_SIZES.index(0.0)


class VecEnv:
    """The state that the base class keeps, as in version 2.9."""

    def __init__(self, num_envs: int, observation_space: Any, action_space: Any) -> None:
        self.num_envs, self.observation_space, self.action_space = num_envs, observation_space, action_space
        self.reset_infos: list[dict[str, Any]] = [{} for _ in range(num_envs)]
        self._reset_seeds()
        self._reset_options()
        self.render_mode = self.get_attr("render_mode")[0]  # type: ignore[attr-defined]

    def _reset_seeds(self) -> None:
        self._seeds: list[int | None] = [None] * self.num_envs

    def _reset_options(self) -> None:
        self._options: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]

    def _get_indices(self, indices: Any) -> Any:
        return range(self.num_envs) if indices is None else [indices] if isinstance(indices, int) else indices

    def seed(self, seed: int) -> None:
        self._seeds = [seed + place for place in range(self.num_envs)]

    def set_options(self, options: list[dict[str, Any]]) -> None:
        self._options = options

    def step(self, actions: Any) -> Any:
        self.step_async(actions)  # type: ignore[attr-defined]
        return self.step_wait()  # type: ignore[attr-defined]


@pytest.fixture
def sb3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    names = ("stable_baselines3", "stable_baselines3.common", "stable_baselines3.common.vec_env")
    for name in names:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    vars(sys.modules[names[-1]]).update(VecEnv=VecEnv)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    yield importlib.import_module(MODULE)
    sys.modules.pop(MODULE)


def reference(task_ids: list[str], **choices: Any) -> SyncVectorEnv[Any, Any]:
    def maker(place: int) -> Any:
        task_id = task_ids[place % len(task_ids)]
        return lambda: gymnasium.make("dataselect_env.gym:DataSelect-v0", task_id=task_id, **choices)

    return SyncVectorEnv([maker(place) for place in range(LANES)], autoreset_mode=AutoresetMode.SAME_STEP)


def row(values: Any, lane: int) -> Any:
    """Return what the infos or observations of a Gymnasium vector environment hold of one lane."""
    if not isinstance(values, dict):
        return values[lane]
    return {
        name: row(one, lane)
        for name, one in values.items()
        if name[0] != "_" and values.get(f"_{name}", [True] * LANES)[lane]
    }


@pytest.mark.parametrize(
    ("task_ids", "choices"),
    [
        (["medium"], {"reward_mode": "grade"}),
        (["easy", "hard", "medium"], {"infos": "flat"}),
        (["medium", "hard"], {"observations": "dict", "max_episode_steps": 2}),
    ],
)
def test_it_gives_what_single_environments_give(sb3: Any, task_ids: list[str], choices: dict[str, Any]) -> None:
    ours, theirs = (
        sb3.DataSelectVecEnv(task_ids, LANES, actions="discrete", **choices),
        reference(task_ids, actions="discrete", **choices),
    )
    ours.seed(20)
    first, infos = theirs.reset(seed=20)
    np.testing.assert_equal(ours.reset(), first)
    np.testing.assert_equal(ours.reset_infos, [row(infos, lane) for lane in range(LANES)])
    rng, ends, cuts = np.random.default_rng(1), 0, 0
    for _ in range(15):
        actions = rng.integers(25, size=LANES)
        observations, rewards, dones, rows = ours.step(actions)
        next_ones, theirs_rewards, terminated, truncated, infos = theirs.step(actions)
        np.testing.assert_equal(observations, next_ones)
        assert rewards.dtype == np.float32
        assert rewards.tolist() == theirs_rewards.astype(np.float32).tolist()
        assert dones.tolist() == (terminated | truncated).tolist()
        for lane, info in enumerate(rows):
            last = row(infos, lane)
            if dones[lane]:
                np.testing.assert_equal(info["terminal_observation"], last.pop("final_obs"))
                final = last.pop("final_info") | {"terminal_observation": info["terminal_observation"]}
                np.testing.assert_equal(ours.reset_infos[lane], last)
                last = final
            cut = bool(truncated[lane] and not terminated[lane])
            np.testing.assert_equal(info, last | {"TimeLimit.truncated": cut})
            ends, cuts = ends + int(dones[lane]), cuts + cut
    assert ends > 5
    assert (cuts > 0) == ("max_episode_steps" in choices)


def test_masks_are_found_and_those_of_each_environment(sb3: Any) -> None:
    venv = sb3.DataSelectVecEnv(["medium", "hard"], LANES, actions="discrete")
    venv.reset()
    assert len(venv.get_attr("action_masks")) == LANES
    before = np.stack(venv.env_method("action_masks"))
    venv.step(np.array([BUY, BUY, BUY, STOP]))
    after = np.stack(venv.env_method("action_masks"))
    assert before.shape == (LANES, 25)
    assert not before[:, STOP].any()
    assert after[:, STOP].tolist() == [True, True, True, False]  # the last has started again
    assert np.array_equal(np.stack(venv.env_method("action_masks", indices=[3, 1])), after[[3, 1]])


def test_seeds_and_options_hold_for_one_reset(sb3: Any) -> None:
    venv = sb3.DataSelectVecEnv("medium", 2)
    venv.seed(7)
    venv.set_options([{"split": "test"}] * 2)
    venv.reset()
    assert [info["seed"] for info in venv.reset_infos] == [7, 8]
    venv.reset()
    assert all(info["seed"] < 10_000 for info in venv.reset_infos)
    venv.set_options([{"split": "test"}, {}])
    with pytest.raises(InvalidInput, match="options: should be the same"):
        venv.reset()


def test_what_cannot_be_made_or_asked_is_refused(sb3: Any) -> None:
    with pytest.raises(InvalidInput, match="at least 1 for each of 2 tasks"):
        sb3.DataSelectVecEnv(["easy", "hard"], 1)
    with pytest.raises(UnknownTask):
        sb3.DataSelectVecEnv("harder")
    venv = sb3.DataSelectVecEnv("easy", 2)
    assert venv.env_is_wrapped(object, indices=0) == [False]
    for method, arguments in (("get_attr", ["task"]), ("set_attr", ["task", 1]), ("env_method", ["render"])):
        with pytest.raises(AttributeError, match="DataSelectVecEnv"):
            getattr(venv, method)(*arguments)
    venv.close()
