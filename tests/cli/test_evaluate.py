"""The command ``evaluate`` prints a ladder, writes what it is asked to, and refuses mistakes before minutes of work."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dataselect_env import cli
from dataselect_env.core.tasks import TASKS
from dataselect_env.evaluation import evaluate, tuning
from dataselect_env.evaluation.ladder import Report
from dataselect_env.evaluation.records import Versions
from dataselect_env.policies import GROUPS
from dataselect_env.rendering import plots

OWN = """
from dataselect_env.core.models import Action

def cautious(task, rng):
    return lambda reply: Action.select(5, random=1) if reply.step == 0 else Action.stop()

def broken(task, rng):
    return lambda reply: 1 / 0

def silent(task, rng):
    return lambda reply: None
"""
QUICK = ("--policies", "stop,one-min-random,best-constant", "--tasks", "hard", "--seeds", "3", "--processes", "1")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has a working directory of its own: evaluations are written there."""
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ("evaluate", *arguments))


def refused(*arguments: str) -> str:
    """Run with a mistake; return the sentence that answers it."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    sentence = result.stderr.splitlines()[-1]
    assert sentence.startswith("Error: ")
    return sentence.removeprefix("Error: ")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's in the working directory."""
    name = f"own_evaluated_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.fixture
def nothing_played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "evaluate", lambda *_, **__: pytest.fail("episodes were played"))


# --- what it prints -------------------------------------------------------------------------------------------------


def test_the_ladder_is_printed_best_first() -> None:
    result = run(*QUICK, "--no-files")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    table = lines[lines.index("") + 1 :]
    assert table[0].split() == ["hard", "score", "pass", "perf.", "noise", "bought", "return", "difference"]
    assert [line.split()[0] for line in table[1:]] == ["best-constant", "one-min-random", "stop"]
    assert re.search(r"^stop +0\.\d{3}±0\.\d{3} +0% 0\.\d{3} +- +0\.0 +[+-]\d+\.\d\d  -0\.\d{3}±0\.\d{3}", table[3])


def test_it_says_what_was_played_and_how_to_read_it() -> None:
    text = " ".join(run(*QUICK).stdout.split())
    for fact in (
        "3 seeds (20000 to 20002, test split)",
        "rewards: shaped",
        "95 % confidence intervals",
        "paired by seed",
        "score minus that of best-constant; * marks a corrected p value below 0.05",
    ):
        assert fact in text


@pytest.mark.slow
def test_figures_do_not_depend_on_the_processes() -> None:
    assert run(*QUICK[:-1], "2").stdout == run(*QUICK).stdout


def test_all_policies_and_all_tasks_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    plans: list[evaluate.Plan] = []

    def remember(plan: evaluate.Plan, **_: object) -> list[object]:
        plans.append(plan)
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate, "evaluate", remember)
    monkeypatch.setattr(tuning, "find_best_constant", lambda *_, **__: "random")
    assert run("--policies", "all", "--tasks", "all", "--seeds", "50").exit_code == 130
    run("--policies", "ladder, my.module , oracle", "--tasks", "hard,easy")
    run("--split", "train", "--first-seed", "40")
    assert [(plan.policies, plan.tasks, plan.seeds[0], len(plan.seeds)) for plan in plans] == [
        ((*GROUPS["all"], *TASKS["open"].extra_strategies), tuple(TASKS), 20_000, 50),
        ((*GROUPS["ladder"], *TASKS["open"].extra_strategies), tuple(TASKS), 40, 50),
    ]


def test_names_and_tasks_keep_an_order(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    chosen = ("--policies", "stop, one-min-random ,stop", "--tasks", "hard,easy", "--seeds", "2")
    run(*chosen, "--processes", "1", "--json", str(target))
    table = Report.model_validate_json(target.read_text())
    assert table.settings.policies == ("stop", "one-min-random")
    assert table.settings.tasks == ("easy", "hard")
    assert table.settings.reference is None
    assert {row.difference for row in table.rows} == {None}


def test_help_lists_the_groups() -> None:
    output = " ".join(run("--help").output.split())
    for group, members in GROUPS.items():
        assert group in output
        if group != "all":
            assert members[-1] in output


# --- what it writes -------------------------------------------------------------------------------------------------


def test_json_has_versions_and_settings(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    run(*QUICK, "--reward-mode", "grade", "--reference", "stop", "--json", str(target))
    found = json.loads(target.read_text())
    assert found["versions"] == Versions.current().model_dump()
    assert (found["settings"]["reference"], found["settings"]["reward_mode"]) == ("stop", "grade")
    assert (found["settings"]["first_seed"], found["settings"]["last_seed"]) == (20_000, 20_002)
    assert [row["policy"] for row in found["rows"]] == ["stop", "one-min-random", "best-constant"]
    for row in found["rows"]:
        assert row["episode_return"] == pytest.approx(row["score"]["mean"], abs=1e-5)


def test_report_and_picture_are_written_unless_asked_not_to(tmp_path: Path) -> None:
    assert run(*QUICK, "--no-files").exit_code == 0
    assert list(tmp_path.iterdir()) == []
    result = run(*QUICK)
    assert "Wrote evaluation.json and evaluation.png." in result.stderr
    Report.model_validate_json((tmp_path / "evaluation.json").read_text())
    assert (tmp_path / "evaluation.png").read_bytes().startswith(b"\x89PNG")


def test_picture_is_drawn_where_it_is_asked_for(tmp_path: Path) -> None:
    assert run(*QUICK, "--plot", "picture.svg").exit_code == 0
    assert "<svg" in (tmp_path / "picture.svg").read_text()
    assert not (tmp_path / "evaluation.png").exists()


def test_without_matplotlib_there_is_a_report_and_a_word_about_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: Path) -> None:
        raise plots.CannotPlot("matplotlib is not installed")

    monkeypatch.setattr(plots, "check", missing)
    result = run(*QUICK)
    assert result.exit_code == 0
    assert "No picture: matplotlib is not installed." in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["evaluation.json"]


def test_resumed_run_plays_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = (*QUICK, "--resume", str(tmp_path / "run.jsonl"))
    first = run(*arguments)
    monkeypatch.setattr(evaluate, "play_job", lambda _: pytest.fail("an episode was played again"))
    assert run(*arguments).stdout == first.stdout


def test_interrupt_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate, "play_job", interrupt)
    result = run(*QUICK, "--resume", str(tmp_path / "run.jsonl"))
    assert (result.exit_code, result.stderr) == (130, "Interrupted. Run the same command again to continue.\n")
    result = run(*QUICK)
    assert (result.exit_code, result.stderr) == (130, "Interrupted. With --resume FILE a run can be continued.\n")


SLOW = """
import os, pathlib, signal, sys, time
from dataselect_env.cli import main

if __name__ == "__mp_main__":  # a worker, while it starts
    pathlib.Path(f"starting-{os.getpid()}").touch()
    while not pathlib.Path("go").exists():
        time.sleep(0.05)

def endless(task, rng):
    pathlib.Path("playing").touch()
    time.sleep(600)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler); sys.path.insert(0, ".")  # background jobs ignore it
    main(["evaluate", "--policies", sys.argv[1], "--tasks", "hard", "--seeds", "8", "--processes", "2", "--no-files"])
"""


@contextlib.contextmanager
def slow_workers(folder: Path, policy: str) -> Iterator[subprocess.Popen[str]]:
    """Evaluate with workers that do not start to play before there is a file ``go``."""
    (folder / "slow.py").write_text(SLOW)
    command = [sys.executable, "slow.py", policy]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def wait_for(process: subprocess.Popen[str], folder: Path, name: str) -> list[Path]:
    while not (found := list(folder.glob(name))):
        assert process.poll() is None
        time.sleep(0.05)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["starting-*", "playing"])
def test_interrupt_ends_the_workers(tmp_path: Path, moment: str) -> None:
    """Ctrl-C goes to the whole process group. Workers that are waited for would hold the command up for minutes."""
    with slow_workers(tmp_path, "slow:endless") as process:
        if moment == "playing":
            (tmp_path / "go").touch()
        wait_for(process, tmp_path, moment)
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=300)
    assert (process.returncode, stderr) == (130, "Interrupted. With --resume FILE a run can be continued.\n")


@pytest.mark.slow
def test_workers_leave_interrupts_to_the_parent_from_their_first_moment(tmp_path: Path) -> None:
    with slow_workers(tmp_path, "stop") as process:
        for path in wait_for(process, tmp_path, "starting-*"):
            os.kill(int(path.name.partition("-")[2]), signal.SIGINT)
        (tmp_path / "go").touch()
        _, stderr = process.communicate(timeout=300)
    assert (process.returncode, stderr) == (0, "")


def test_own_policy_of_the_working_directory(own: str) -> None:
    result = run("--policies", f"{own}:cautious,stop", "--tasks", "easy", "--seeds", "2", "--processes", "1")
    assert result.exit_code == 0, result.output
    assert re.search(r"^own_evaluated_tes\.\.\. .* 5\.0 ", result.stdout, re.M)


# --- mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("nothing_played")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--policies", "balancd"], ["there is no policy 'balancd'", "did you mean balanced?"]),
        (["--policies", " , "], ["name at least one"]),
        (["--policies", "nowhere:start"], ["could not import", "nowhere"]),
        (["--tasks", "hrad"], ["there is no task hrad", *TASKS]),
        (["--seeds", "1"], ["1 is not in the range"]),
        (["--processes", "0"], ["0 is not in the range"]),
        (["--split", "holdout"], ["train", "validation", "test"]),
        (["--split", "validation", "--seeds", "1001"], ["--split: validation has the seeds 10000 to 10999"]),
        (["--split", "test", "--first-seed", "5"], ["--split: test has the seeds 20000 to 20999, not 5 to 54"]),
        (["--first-seed", "4294967290"], ["seeds end at 4294967295"]),
        (["--reference", "giant-random"], ["giant-random is not among the policies evaluated", "probing"]),
        (["--reward-mode", "sparse"], ["shaped", "grade"]),
        (["--json", "no/such/folder/report.json"], ["--json: no/such/folder/report.json cannot be written: No such"]),
        (["--json", "file/report.json"], ["--json: file/report.json cannot be written: Not a directory"]),
        (["--json", "."], ["'--json'", "is a directory"]),
        (["--plot", "file/picture.png"], ["--plot: file/picture.png cannot be written: Not a directory"]),
        (["--resume", "no/such/folder/run.jsonl"], ["--resume: no/such/folder/run.jsonl cannot be written"]),
        (["--plot", "picture.gif"], ["--plot: picture.gif should end in one of .png"]),
        (["--json", "a.png", "--plot", "./a.png"], ["--plot: a.png is the file of --json already; name another one"]),
        (["--json", "file", "--data", "file"], ["--json: file is the file of --data already"]),
    ],
    ids=" ".join,
)
def test_mistakes_are_told_before_anything_is_played(tmp_path: Path, arguments: list[str], words: list[str]) -> None:
    (tmp_path / "file").touch()
    sentence = refused(*arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert [word for word in words if word not in sentence] == []


@pytest.mark.usefixtures("nothing_played")
def test_missing_matplotlib_is_told_before_anything_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: Path) -> None:
        raise plots.CannotPlot("matplotlib is not installed")

    monkeypatch.setattr(plots, "check", missing)
    assert refused("--plot", "picture.png") == "--plot: matplotlib is not installed"


@pytest.mark.usefixtures("nothing_played")
def test_files_that_there_are_keep_their_content_while_it_is_tried(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("before")
    refused("--json", "report.json", "--plot", "no/such/folder/picture.png")
    assert (tmp_path / "report.json").read_text() == "before"


def test_a_file_that_cannot_be_written_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "evaluation.json")

    monkeypatch.setattr(Path, "write_text", full)
    result = run(*QUICK)
    assert (result.exit_code, "best-constant" in result.stdout) == (2, True)
    assert result.stderr == "Error: evaluation.json cannot be written: No space left on device\n"


@pytest.mark.parametrize(
    ("attribute", "words"),
    [("broken", ["ZeroDivisionError", "line 8"]), ("silent", ["returned NoneType, not an Action"])],
)
def test_own_policy_that_fails(own: str, attribute: str, words: list[str]) -> None:
    sentence = refused("--policies", f"{own}:{attribute}", "--seeds", "2", "--processes", "1")
    assert [word for word in (f"{own}:{attribute}", *words) if word not in sentence] == []


def test_file_of_something_else(tmp_path: Path) -> None:
    target = tmp_path / "notes.md"
    target.write_text("# Notes\n")
    assert "notes.md, line 1: not a line of an evaluation" in refused(*QUICK, "--resume", str(target))
    assert target.read_text() == "# Notes\n"
