"""The command line answers at once, shows what it should, and meets mistakes with a sentence."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner, Result

from dataselect_env import __version__, cli
from dataselect_env.cli import console
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import RewardMode
from dataselect_env.core.tasks import PINNED, TASKS
from dataselect_env.custom.task_file import TaskFileError
from dataselect_env.evaluation import baseline
from dataselect_env.policies import GROUPS, POLICIES
from dataselect_env.server.settings import SettingsError

OWN = """
from dataselect_env.core.models import Action
from dataselect_env.policies import constant

def cautious(task, rng):
    "Buys one small batch and stops."
    return lambda reply: Action.select(5, random=1) if reply.step == 0 else Action.stop()

def broken(task, rng):
    return lambda reply: Action.select(-1, random=1)

def never(task, rng):
    raise RuntimeError("not today")

def silent(task, rng):
    return lambda reply: None

def no_function(task, rng):
    return None

ready = constant("ready", "Buys.", Action.select(10, random=1))
"""


def run(*arguments: str, charset: str = "utf-8") -> Result:
    return CliRunner(charset=charset).invoke(cli.main, arguments)


def refused(*arguments: str) -> str:
    """Run with a mistake; return the sentence that answers it."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert result.stdout == "" or result.stdout.startswith("Task ")
    sentence = result.stderr.splitlines()[-1]
    assert sentence.startswith("Error: ")
    return sentence.removeprefix("Error: ")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's in the working directory."""
    name = f"own_cli_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    return name


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline, "BASELINE_SEEDS", baseline.BASELINE_SEEDS[:2])


# --- all of it ------------------------------------------------------------------------------------------------------


def test_help_names_every_command() -> None:
    output = run("--help").output
    assert re.findall(r"^  (\w+) ", output, flags=re.MULTILINE) == sorted(cli.main.commands)
    assert {"serve", "baseline", "play", "evaluate"} <= set(cli.main.commands)


def test_version() -> None:
    assert run("--version").output == f"dataselect-env, version {__version__}\n"


def test_help_loads_nothing_heavy() -> None:
    command = (
        "import sys; from dataselect_env.cli import main; main(['--help'], standalone_mode=False);"
        "print('modules', *sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout
    loaded = output.splitlines()[-1].split()[1:]
    assert [name for name in ("sklearn", "numpy", "pydantic", "fastapi", "uvicorn") if name in loaded] == []
    assert len(loaded) < 200


def test_unknown_command_and_option() -> None:
    assert "No such command 'fly'" in refused("fly")
    assert "--colour" in refused("play", "--colour", "red")


def test_wrong_values_are_usage_errors_wherever_they_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails_with(problem: Exception) -> None:
        def fail(*_: object) -> None:
            raise problem

        monkeypatch.setattr(baseline, "baseline_report", fail)

    for kind in (InvalidInput, TaskFileError, SettingsError):
        fails_with(kind("seeds: too few"))
        assert refused("baseline") == "seeds: too few"
    defect = ZeroDivisionError("a defect")
    fails_with(defect)
    assert run("baseline").exception is defect


# --- play -----------------------------------------------------------------------------------------------------------


def test_play_shows_the_whole_episode() -> None:
    result = run("play", "--task", "hard", "--policy", "random", "--seed", "20003")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "Seed    20003 (test split); rewards: shaped" in result.stdout
    assert re.findall(r"^ (\d)/8", result.stdout, flags=re.MULTILINE) == list("012345678")
    assert re.search(r"^Grade  0\.\d{3}", result.stdout, flags=re.MULTILINE)
    assert "\x1b" not in result.stdout


def test_play_repeats_itself() -> None:
    arguments = ("play", "--task", "medium", "--seed", "5")
    assert run(*arguments).output == run(*arguments).output


def test_play_in_mode_grade_returns_the_grade() -> None:
    output = run("play", "--policy", "diversity", "--seed", "20003", "--reward-mode", "grade").stdout
    grade, total = re.search(r"^Grade  (\S+)", output, re.M), re.search(r"^Return \+(\S+),", output, re.M)
    assert grade
    assert total
    assert grade[1] == total[1]


def test_play_draws_and_shows_a_seed() -> None:
    seeds = {re.findall(r"Seed    (\d+)", run("play", "--policy", "stop").stdout)[0] for _ in range(5)}
    assert len(seeds) > 1


def test_play_help_lists_the_policies() -> None:
    output = " ".join(run("play", "--help").output.split())
    for policy in POLICIES.values():
        assert f" {policy.name} {policy.description}" in output


def test_reward_modes_are_those_of_the_models() -> None:
    assert get_args(RewardMode) == console.REWARD_MODES


def test_play_an_oracle() -> None:
    output = run("play", "--task", "hard", "--policy", "oracle", "--seed", "1").stdout
    assert "Bought 100 of 100 samples; 0% of them carry a wrong label." in output


def test_play_own_policy_of_the_working_directory(own: str) -> None:
    output = " ".join(run("play", "--policy", f"{own}:cautious", "--seed", "1").stdout.split())
    assert "Buys one small batch and stops." in output
    assert "Bought 5 of 300 samples" in output
    assert "the policy stopped" in output


def test_play_own_policy_object(own: str) -> None:
    assert "Policy  ready: Buys." in run("play", "--policy", f"{own}:ready", "--seed", "1").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--task", "hrad"], [*TASKS]),
        (["--policy", "balancd"], [*GROUPS["reference"], "module:attribute", "there is no policy 'balancd'"]),
        (["--policy", "nowhere:start"], ["could not import", "nowhere"]),
        (["--policy", "os:nothing"], ["module os has no attribute 'nothing'"]),
        (["--policy", "os:sep"], ["start(task, rng)", "str"]),
        (["--reward-mode", "sparse"], ["shaped", "grade"]),
        (["--seed", "-1"], ["0<=x<=4294967295"]),
        (["--seed", "4294967296"], ["0<=x<=4294967295"]),
        (["--seed", "many"], ["not a valid integer"]),
    ],
    ids=" ".join,
)
def test_mistakes_in_play(arguments: list[str], words: list[str]) -> None:
    sentence = refused("play", *arguments)
    assert [word for word in words if word not in sentence] == []


def test_a_count_that_is_no_number_is_refused() -> None:
    result = CliRunner().invoke(cli.main, ["evaluate", "--seeds", "many"])
    assert result.exit_code == 2
    assert "'many' is not a valid integer" in result.stderr


@pytest.mark.parametrize(
    ("attribute", "words"),
    [
        ("broken", ["line 10", "ValidationError", "batch_size"]),
        ("never", ["line 13", "RuntimeError: not today"]),
        ("silent", ["returned NoneType, not an Action"]),
        ("no_function", ["returned NoneType, not a function"]),
    ],
)
def test_own_policy_that_fails(own: str, attribute: str, words: list[str]) -> None:
    sentence = refused("play", "--policy", f"{own}:{attribute}", "--seed", "1")
    assert f"{own}:{attribute}" in sentence
    assert [word for word in words if word not in sentence] == []


def test_output_without_unicode() -> None:
    result = run("play", "--policy", "random", "--seed", "20003", charset="ascii")
    assert result.exit_code == 0
    assert "##" in result.output
    assert result.output.isascii()


# --- baseline -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("short")
def test_baseline_table() -> None:
    result = run("baseline")
    assert (result.exit_code, result.stderr) == (0, "")
    assert [line.split()[0] for line in result.stdout.splitlines() if "%" in line] == list(
        baseline.BASELINE_POLICIES
    ) * len(PINNED)


@pytest.mark.usefixtures("short")
def test_baseline_json_is_the_report() -> None:
    assert json.loads(run("baseline", "--json").stdout) == baseline.baseline_report().model_dump(mode="json")


def in_terminal(program: str, *arguments: str) -> str:
    """Run Python code in a pseudo-terminal and return what it wrote."""
    ours, theirs = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | {"TERM": "xterm"}
    command = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=theirs, env=environment) as process:
        os.close(theirs)
        written = b""
        while True:
            try:
                piece = os.read(ours, 65_536)
            except OSError:  # Linux says so when the other end is closed
                break
            if not piece:
                break
            written += piece
    os.close(ours)
    assert process.returncode == 0, written
    return written.decode()


@pytest.mark.slow
def test_baseline_shows_progress_in_a_terminal() -> None:
    program = (
        "from dataselect_env.evaluation import baseline; baseline.BASELINE_SEEDS = (20000, 20001)\n"
        "from dataselect_env.cli import main; main(['baseline', '--json'])"
    )
    written = in_terminal(program)
    assert re.search(r"Playing episodes .*100%", written)
    assert '"rows"' in written


@pytest.mark.slow
def test_play_is_coloured_in_a_terminal_unless_asked_not_to() -> None:
    program = "from dataselect_env.cli import main; main(['play', '--policy', 'stop', '--seed', '1'])"
    assert "\x1b[" in in_terminal(program)
    assert "\x1b[" not in in_terminal(f"import os; os.environ['NO_COLOR'] = '1'\n{program}")


# --- python -m ------------------------------------------------------------------------------------------------------


def as_module(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dataselect_env", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


@pytest.mark.slow
def test_module_is_the_command_line() -> None:
    result = as_module("play", "--policy", "stop", "--seed", "1")
    assert (result.returncode, result.stderr) == (0, "")
    assert "the policy stopped" in result.stdout
    assert "Usage: python -m dataselect_env [OPTIONS]" in as_module("--help").stdout


@pytest.mark.slow
def test_module_without_arguments_serves() -> None:
    result = as_module(PORT="http", DATASELECT_PORT="http")  # a server would stay; this one cannot start
    assert result.returncode == 2
    assert result.stderr.startswith("Error: DATASELECT_PORT: ")
    assert "Traceback" not in result.stderr
