"""What starting the server loads: little, so that it answers soon and stays small until somebody plays."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from dataselect_env.core import kernel
from tests.helpers.serving import ROOT, clean_environ

MOST_MODULES = 875
"""Counted on Python 3.11 with the newest dependencies: 807 after the import of the server, 1,900 with scikit-learn."""


def modules_after(statement: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import json, sys; {statement}; print(json.dumps(list(sys.modules)))"],
        cwd=ROOT,
        env=clean_environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout))


@pytest.fixture(scope="module")
def modules() -> set[str]:
    """With the OpenAPI document, which the server makes when it has started."""
    return modules_after("import dataselect_env.cli, dataselect_env.server.app as s; s.app.openapi()")


def test_the_server_starts_without_what_only_episodes_and_extras_need(modules: set[str]) -> None:
    heavy = {"sklearn", "scipy", "pandas", "joblib", "gymnasium", "matplotlib", "openenv", "torch", "pytest", "httpx"}
    assert "fastapi" in modules
    assert not heavy & {name.partition(".")[0] for name in modules}


def test_the_server_loads_few_modules(modules: set[str]) -> None:
    assert len(modules) <= MOST_MODULES


@pytest.mark.slow
def test_an_episode_of_a_built_in_task_needs_no_scikit_learn_where_there_is_a_kernel() -> None:
    loaded = modules_after("from dataselect_env import DataSelectEnv; DataSelectEnv().reset(seed=1)")
    assert ("sklearn" in loaded) is not kernel.is_available()
