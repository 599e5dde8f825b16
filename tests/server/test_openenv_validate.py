"""The official validator of OpenEnv: the package, the runtime graders without Docker, and a running server."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from openenv.validation import CheckStatus, Level, ProviderCapability, run_validation
from openenv.validation.graders.runtime import basic

from dataselect_env import Action
from dataselect_env.core.tasks import TASKS
from tests.helpers.checkout import copy_checkout
from tests.helpers.serving import Server, clean_environ, running_server

pytestmark = pytest.mark.slow

RUNTIME_CHECKS = (
    "runtime.startup",
    "runtime.reward_well_formed",
    "runtime.observation_schema",
    "runtime.state_contract",
)


def openenv(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "openenv.cli", *arguments],
        env=clean_environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_package_is_valid(tmp_path: Path) -> None:
    done = openenv("validate", str(copy_checkout(tmp_path / "checkout")))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS  static.manifest" in done.stdout


def test_a_running_server_is_valid() -> None:
    with running_server() as server:
        done = openenv("validate", "--url", server.base_url, "--json", "--timeout", "120")
        assert done.returncode == 0, done.stdout + done.stderr + server.log
    report = json.loads(done.stdout)
    assert report["passed"] is True
    assert all(criterion["passed"] for criterion in report["criteria"])


class Subject:
    """A server started from the package under validation, in the place of a container."""

    def __init__(self, root: Path) -> None:
        self._stack = ExitStack()
        command = (sys.executable, "-m", "uvicorn", "server.app:app", "--port", "{port}")
        self.server: Server = self._stack.enter_context(running_server(cwd=root, command=command))
        self.base_url = self.server.base_url

    def inspect(self) -> dict[str, Any]:
        return {"pid": self.server.process.pid}

    def stop(self) -> None:
        self._stack.close()


class SubprocessProvider:
    """Builds nothing and starts what openenv.yaml names as ``app``, so that the graders run without Docker."""

    name = "subprocess"
    capabilities = frozenset({ProviderCapability.IMAGE_BUILD})
    supported_network_modes = frozenset({"public", "no-network"})

    def __init__(self) -> None:
        self._root: Path | None = None

    def build(self, root: Path, _: object) -> str:
        self._root = root
        return "sha256:" + "0" * 64

    def start(self, _: object) -> Subject:
        assert self._root is not None
        return Subject(self._root)


def plan_for(task_id: str, reward_mode: str) -> dict[str, Any]:
    """Return the validator's script of an episode: buy in every step but the last, then stop."""
    task = TASKS[task_id]
    size = task.budget // task.max_steps
    actions = [Action.select(size, uncertainty=1, diversity=2, random=1)] * (task.max_steps - 1) + [Action.stop()]
    return {
        "plan_schema_version": "1",
        "reset": {
            "episode_id": f"validation-{task_id}",
            "seed": 7,
            "options": {"task_id": task_id, "reward_mode": reward_mode},
        },
        "actions": [action.model_dump(mode="json") for action in actions],
    }


@pytest.fixture
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the grader of schemas, which starts an interpreter, more than its five seconds on a busy machine."""

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, **{**options, "timeout": 120}, check=False)

    monkeypatch.setattr(basic, "subprocess", SimpleNamespace(run=run, TimeoutExpired=subprocess.TimeoutExpired))


@pytest.mark.usefixtures("_patient")
# OpenEnv's own collector opens its socket in a way that websockets is about to give up.
@pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager:DeprecationWarning")
@pytest.mark.parametrize(("task_id", "reward_mode"), [("easy", "shaped"), ("medium", "grade"), ("hard", "shaped")])
def test_the_runtime_graders_pass(tmp_path: Path, task_id: str, reward_mode: str) -> None:
    root = copy_checkout(tmp_path / "checkout")
    (root / "validation").mkdir()
    (root / "validation" / "runtime.json").write_text(json.dumps(plan_for(task_id, reward_mode)), encoding="utf-8")
    target = root / "openenv.yaml"
    manifest = yaml.safe_load(target.read_text(encoding="utf-8"))
    manifest["validation"]["execution"] = {"probe_path": "validation/runtime.json"}
    target.write_text(yaml.safe_dump(manifest), encoding="utf-8")

    report = run_validation(root, max_level=Level.SEMANTIC, provider=SubprocessProvider())

    checks = {check.check_id: check for check in report.results}
    for name in ("static.manifest", *RUNTIME_CHECKS):
        assert checks[name].status is CheckStatus.PASS, checks[name]
