"""Flat infos: the same keys and types everywhere, with the numbers of nested infos."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.tasks import TASKS
from dataselect_env.gym.env import DataSelectGymEnv
from dataselect_env.gym.infos import END_REASONS, GRADE_FIELDS, FlatInfos
from dataselect_env.gym.vector import DataSelectVectorEnv

EACH_TASK = pytest.mark.parametrize("task_id", TASKS)
STOP, BUY = 0, 4
"""Entries of the menu: stop, and an even share of the budget by uncertainty."""


def types_of(info: dict[str, Any]) -> dict[str, type]:
    return {name: type(value) for name, value in info.items()}


def leaf(info: dict[str, Any], name: str) -> Any:
    """Return what a nested info has under a flat name; None if it has nothing."""
    for key, value in info.items():
        if key == name:
            return value
        if isinstance(value, dict) and name.startswith(f"{key}_"):
            return leaf(value, name.removeprefix(f"{key}_"))
    return None


@EACH_TASK
@pytest.mark.parametrize("reward_mode", ["shaped", "grade"])
def test_keys_and_types_are_the_same_at_every_reset_and_step(task_id: str, reward_mode: Any) -> None:
    env = DataSelectGymEnv(task_id, actions="discrete", reward_mode=reward_mode, infos="flat")
    expected = types_of(FlatInfos(TASKS[task_id].extra_strategies, reward_mode).zeros)
    assert set(expected.values()) == {np.int64, np.float64}  # TorchRL asks for their dtype
    for seed in range(3):
        assert types_of(env.reset(seed=seed)[1]) == expected
        terminated = False
        while not terminated:
            _, _, terminated, _, info = env.step(BUY)
            assert types_of(info) == expected
            assert np.isfinite(list(info.values())).all()  # check_env takes NaN for a difference


@EACH_TASK
def test_the_numbers_are_those_of_nested_infos(task_id: str) -> None:
    """Whatever a nested info says as a number, a flat info says too; what it leaves out is 0."""
    nested, flat = (DataSelectGymEnv(task_id, actions="discrete", infos=kind) for kind in ("nested", "flat"))
    audits = set()
    for seed in (2, 3, 4):
        pairs = [(nested.reset(seed=seed)[1], flat.reset(seed=seed)[1])]
        for action in (BUY, BUY, STOP):
            pairs.append((nested.step(action)[4], flat.step(action)[4]))
            if "end_reason" in pairs[-1][0]:
                break
        for theirs, ours in pairs:
            coded = {"audited": int("mislabelled" in theirs), "end_reason": END_REASONS.index(theirs.get("end_reason"))}
            assert {name: coded.get(name, leaf(theirs, name) or 0) for name in ours} == ours
        audits.add(pairs[1][1]["audited"])
        assert pairs[-1][1]["grade_breakdown_budget"] > 0
    assert audits == ({0, 1} if task_id == "open" else {1})


def test_every_number_of_a_grade_is_there() -> None:
    env = DataSelectGymEnv("hard", actions="discrete")
    env.reset(seed=1)
    env.step(BUY)
    grade = env.step(STOP)[4]["grade"]
    numbers = {f"breakdown_{name}": value for name, value in grade.pop("breakdown").items()} | grade
    assert {name for name, value in numbers.items() if not isinstance(value, str)} == GRADE_FIELDS.keys()


def test_lanes_have_them_too() -> None:
    envs = DataSelectVectorEnv(4, "medium", actions="discrete", infos="flat", autoreset_mode=AutoresetMode.SAME_STEP)
    _, infos = envs.reset(seed=1)
    expected = {name: values.dtype for name, values in infos.items()}
    assert {kind.kind for kind in expected.values()} == {"i", "f", "b"}
    assert [infos[f"_{name}"].all() for name in infos if not name.startswith("_")]
    ends = set()
    for step in range(14):
        *_, infos = envs.step(np.array([STOP if step % 5 == 4 else BUY, BUY, BUY + 1, BUY + 2]))
        final = infos.pop("final_info", None)
        infos = {
            name: values for name, values in infos.items() if not name.endswith("final_obs") and name != "_final_info"
        }
        assert {name: values.dtype for name, values in infos.items()} == expected
        if final is not None:
            assert {name: values.dtype for name, values in final.items()} == expected
            ends |= {END_REASONS[code] for code in final["end_reason"][final["_end_reason"]]}
    assert {"stop", "budget"} <= ends


def test_gymnasium_accepts_them() -> None:
    check_env(gymnasium.make("dataselect_env.gym:DataSelect-Hard-v0", infos="flat").unwrapped)


def test_other_kinds_are_refused() -> None:
    makers: list[Any] = [DataSelectGymEnv, DataSelectVectorEnv]
    for make in makers:
        with pytest.raises(InvalidInput, match="infos: should be one of nested, flat, not 'numbers'"):
            make(infos="numbers")
