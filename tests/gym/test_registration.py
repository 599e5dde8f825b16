"""Gymnasium ids: importing their package registers them; importing ``dataselect_env`` does not import Gymnasium."""

from __future__ import annotations

import pickle
import subprocess
import sys

import gymnasium
import pytest

from dataselect_env.core.tasks import TASKS
from dataselect_env.gym.registration import env_id

IDS = ["DataSelect-Easy-v0", "DataSelect-Medium-v0", "DataSelect-Hard-v0", "DataSelect-Open-v0"]
PLAYED = "{'task_id': 'easy', 'seed': 3, 'step': 0}"


def run(code: str) -> str:
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_task_has_its_id() -> None:
    assert list(map(env_id, TASKS)) == IDS
    for task_id in TASKS:
        env = gymnasium.make(f"dataselect_env.gym:{env_id(task_id)}")
        assert getattr(env.unwrapped, "task") == TASKS[task_id]  # noqa: B009  (gymnasium.Env has no such attribute)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("imports", "module"),
    [
        ("import gymnasium", "dataselect_env"),
        ("import gymnasium, dataselect_env", "dataselect_env"),
        ("import gymnasium", "dataselect_env.gym"),
        ("import dataselect_env, gymnasium", "dataselect_env.gym"),
        ("import dataselect_env.core.env, gymnasium", "dataselect_env.gym"),
    ],
)
def test_the_module_of_an_id_registers_it(imports: str, module: str) -> None:
    play = f"print(gymnasium.make('{module}:DataSelect-Easy-v0').reset(seed=3)[1])"
    assert run(f"{imports}; {play}") == PLAYED


def test_the_package_alone_imports_no_gymnasium() -> None:
    code = """
import sys
import dataselect_env.core.env
print("gymnasium" in sys.modules)
import dataselect_env.gym.env
print("matplotlib" in sys.modules)
"""
    assert run(code).split() == ["False", "False"]


def test_without_gymnasium_the_import_says_so() -> None:
    code = """
import sys
import dataselect_env
sys.path_hooks.clear(); sys.path_importer_cache.clear(); sys.path.clear()
try:
    import gymnasium
except ModuleNotFoundError as error:
    print(error)
"""
    assert run(code) == "No module named 'gymnasium'"


def test_a_spec_survives_json_and_pickle() -> None:
    spec = gymnasium.make("dataselect_env:DataSelect-Hard-v0", actions="discrete").spec
    assert spec is not None
    pickled = pickle.loads(pickle.dumps(spec))  # noqa: S301  (made here)
    for again in (gymnasium.envs.registration.EnvSpec.from_json(spec.to_json()), pickled):
        assert gymnasium.make(again).action_space == gymnasium.spaces.Discrete(25)
