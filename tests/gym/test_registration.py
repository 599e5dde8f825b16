"""Ids for Gymnasium: there in either order of imports, without an import of Gymnasium that nobody asked for."""

from __future__ import annotations

import pickle
import subprocess
import sys

import gymnasium
import pytest

from dataselect_env.core.tasks import TASKS
from dataselect_env.gym.registration import env_id

IDS = ["DataSelect-Easy-v0", "DataSelect-Medium-v0", "DataSelect-Hard-v0"]
MAKE = "print(gymnasium.make('dataselect_env:DataSelect-Easy-v0').reset(seed=3)[1])"
PLAYED = "{'task_id': 'easy', 'seed': 3, 'step': 0}"


def run(code: str) -> str:
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_task_has_its_id() -> None:
    assert list(map(env_id, TASKS)) == IDS
    for task_id in TASKS:
        env = gymnasium.make(f"dataselect_env:{env_id(task_id)}")
        assert getattr(env.unwrapped, "task") == TASKS[task_id]  # noqa: B009  (gymnasium.Env has no such attribute)


SEARCH = "import dataselect_env, importlib.util; importlib.util.find_spec('gymnasium')"


@pytest.mark.parametrize(
    "imports",
    [
        pytest.param("import gymnasium", id="the id imports the package"),
        pytest.param(f"{SEARCH}; from gymnasium.spaces import Box; import gymnasium", id="the package first"),
    ],
)
def test_ids_are_there_in_every_order_of_imports(imports: str) -> None:
    assert run(f"{imports}; {MAKE}") == PLAYED


def test_the_package_alone_imports_no_gymnasium_and_leaves_no_trace_in_it() -> None:
    code = """
import sys
before = list(sys.meta_path)
import dataselect_env.core.env
print("gymnasium" in sys.modules)
import gymnasium
print(sys.meta_path == before, gymnasium.__spec__.loader is gymnasium.__loader__, type(gymnasium.__loader__).__name__)
import dataselect_env.gym.gym_env
print("matplotlib" in sys.modules)
"""
    assert run(code).split() == ["False", "True", "True", "SourceFileLoader", "False"]


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
