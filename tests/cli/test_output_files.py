"""The record that ``evaluate`` writes, and where it is refused before anything is played."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dataselect_env import cli
from dataselect_env.evaluation import evaluate
from dataselect_env.evaluation.evaluate import Plan
from dataselect_env.evaluation.record_file import RecordFile

QUICK = ("--policies", "stop,random", "--tasks", "hard", "--seeds", "2", "--processes", "1")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ("evaluate", *arguments))


@pytest.mark.parametrize("name", ["runs.jsonl", "runs.jsonl.gz"])
def test_a_record_has_all_episodes_in_the_order_of_the_plan(tmp_path: Path, name: str) -> None:
    result = run(*QUICK, "--no-files", "--record", name)
    assert (result.exit_code, result.stderr) == (0, f"Wrote {name}.\n")
    plan = Plan(policies=("stop", "random"), tasks=("hard",), seeds=(20_000, 20_001))
    file = RecordFile(tmp_path / name)
    assert file.header == plan.header
    assert [one for _, one in file.episodes()] == evaluate.evaluate(plan)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_record_stands_beside_report_and_picture() -> None:
    result = run(*QUICK, "--record", "runs.jsonl")
    assert "Wrote runs.jsonl and evaluation.json and evaluation.png." in result.stderr


def test_a_resumed_run_writes_the_same_record(tmp_path: Path) -> None:
    run(*QUICK, "--no-files", "--record", "first.jsonl", "--resume", "run.jsonl")
    run(*QUICK, "--no-files", "--record", "second.jsonl", "--resume", "run.jsonl")
    assert (tmp_path / "first.jsonl").read_bytes() == (tmp_path / "second.jsonl").read_bytes()


@pytest.mark.slow
def test_records_do_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    for processes in ("1", "2"):
        run(*QUICK[:-1], processes, "--no-files", "--record", f"{processes}.jsonl.gz")
    assert (tmp_path / "1.jsonl.gz").read_bytes() == (tmp_path / "2.jsonl.gz").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--record", "no/such/runs.jsonl"], "--record: no/such/runs.jsonl cannot be written: No such file"),
        (["--record", "."], "is a directory"),
        (["--record", "file"], "--record: file exists already; name another file"),
        (["--record", "a", "--resume", "a"], "--record: a is the file of --resume already; name another one"),
        (["--record", "a", "--resume", "a", "--no-files"], "--record: a is the file of --resume already"),
        (["--record", "a", "--json", "./a"], "--record: a is the file of --json already"),
        (["--record", "a.png", "--plot", "a.png"], "--record: a.png is the file of --plot already"),
    ],
    ids=" ".join,
)
def test_files_in_the_way_are_refused_before_anything_is_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    (tmp_path / "file").write_text("something")
    monkeypatch.setattr(evaluate, "evaluate", lambda *_, **__: pytest.fail("episodes were played"))
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "something")]
