"""The option ``--ray``: which cluster it means, and that Ctrl-C leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import patch

import click
import pytest
from click.testing import CliRunner

from dataselect_env import cli
from dataselect_env.cli import worker_options
from dataselect_env.evaluation import cluster
from dataselect_env.policies import own_module

MARK = "DATASELECT_TEST_MARK"
ENDLESS = """
import pathlib, signal, sys, time
from dataselect_env.cli import main

def endless(task, rng):
    pathlib.Path("FOLDER/playing").touch()
    time.sleep(600)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler); sys.path.insert(0, ".")  # background jobs ignore it
    main(["evaluate", "--policies", "endless:endless", "--tasks", "hard", "--seeds", "8", "--no-files", "--ray"])
"""


@pytest.fixture(autouse=True)
def _no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(worker_options.ADDRESS_VARIABLE, raising=False)


def address_of(*arguments: str) -> str | None:
    """Return the address that a command with ``--ray`` gets."""

    @click.command()
    @worker_options.ray_option
    def command(ray: str | None) -> str | None:
        return ray

    found: str | None = command.main(list(arguments), standalone_mode=False)
    return found


def test_the_address_is_that_of_the_option_else_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert worker_options.LOCAL == cluster.LOCAL
    given = ("head:6379", "ray://10.0.0.1:10001", "auto", "local")
    assert [address_of("--ray", address) for address in given] == list(given)
    assert (address_of(), address_of("--ray")) == (None, "local")
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert (address_of(), address_of("--ray"), address_of("--ray", "local")) == (None, "head:6379", "local")


@pytest.mark.parametrize("text", ["report.json", "http://head:8265", "head", "ray://head", "head:port", "a b:1"])
def test_what_is_no_address_is_refused_before_anything_starts(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    result = CliRunner().invoke(cli.main, ["evaluate", "--ray", text])
    assert result.exit_code == 2
    assert f"the value is {text}, but should be host:port, ray://host:port, auto or local" in result.stderr
    monkeypatch.setenv("RAY_ADDRESS", text)
    assert f"RAY_ADDRESS is {text}, but" in CliRunner().invoke(cli.main, ["evaluate", "--ray"]).stderr


def test_a_missing_ray_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    result = CliRunner().invoke(cli.main, ["evaluate", "--no-files", "--ray"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "Error: Ray is not installed: pip install 'dataselect-env[ray]'\n"


def test_a_cluster_does_not_play_on_a_server() -> None:
    """An episode that is played again would be another attempt there."""
    with patch("dataselect_env.cli.evaluate_command.remote_player"):
        result = CliRunner().invoke(cli.main, ["evaluate", "--ray", "local", "--url", "http://127.0.0.1:1"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--ray: not together with --url" in result.stderr


def test_modules_of_own_policies_are_sent() -> None:
    names = ("stop", "constant:13:random=1", "ppo:easy", "my.package.policies:best")
    assert [own_module(name) for name in names] == [None, None, None, "my.package.policies"]


def marked(value: str) -> list[int]:
    """Return the processes whose environment has the mark."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if f"{MARK}={value}".encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs the environment of other processes")
def test_interrupt_leaves_no_process_of_the_cluster(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: the extra ray")
    (tmp_path / "endless.py").write_text(ENDLESS.replace("FOLDER", str(tmp_path)))
    environment = {**os.environ, MARK: str(tmp_path), "RAY_DEFAULT_OBJECT_STORE_MEMORY_PROPORTION": "0.01"}
    with subprocess.Popen(
        [sys.executable, "endless.py"],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            end = time.monotonic() + 120
            while not (tmp_path / "playing").exists():
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.05)
            assert len(marked(str(tmp_path))) > 4, "the command, the services of the cluster and a worker"
            os.killpg(process.pid, signal.SIGINT)
            _, stderr = process.communicate(timeout=120)
            assert stderr.endswith("Interrupted. With --resume FILE a run can be continued.\n")
            assert process.returncode == 130
            assert marked(str(tmp_path)) == []
        finally:
            for left in marked(str(tmp_path)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(left, signal.SIGKILL)
