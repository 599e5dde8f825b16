"""The command ``verify`` prints what a record claims and what is false, and says so with its exit code."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dataselect_env import cli
from dataselect_env.cli import public_keys, verify_command
from dataselect_env.evaluation.records import EpisodeRecord, Header
from tests.helpers.recording import KEY_ID, http_server, keys_answer, played, public_key, served, write


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def keys(tmp_path: Path) -> str:
    (tmp_path / "keys.json").write_text(json.dumps(keys_answer()))
    return "keys.json"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ("verify", "--processes", "1", *arguments))


def verified(tmp_path: Path, header: Header, records: list[EpisodeRecord], *arguments: str) -> tuple[int, list[str]]:
    result = run(str(write(tmp_path, header, records)), *arguments)
    assert result.stderr == ""
    return result.exit_code, result.stdout.splitlines()


def altered(one: EpisodeRecord, **changes: Any) -> EpisodeRecord:
    return one.model_copy(update=changes)


# --- what it prints -------------------------------------------------------------------------------------------------


def test_all_is_verified_by_replay(tmp_path: Path) -> None:
    header, records = played("stop", "probing")
    scores = [one.score for one in records[3:]]
    assert verified(tmp_path, header, records) == (
        0,
        [
            "stop on hard: 3 episodes (seeds 20000 to 20002, test split), mean score 0.000",
            f"probing on hard: 3 episodes (seeds 20000 to 20002, test split), mean score {sum(scores) / 3:.3f}",
            "6 of 6 episodes verified: 6 by replay.",
        ],
    )


def test_a_false_episode_is_shown_with_line_and_step(tmp_path: Path) -> None:
    header, records = played("stop", "probing")
    records[4] = altered(records[4], rewards=(0.5, *records[4].rewards[1:]))
    code, lines = verified(tmp_path, header, records)
    assert code == 1
    assert lines[2].startswith("Line 6, step 1: reward is 0.5 in the record and ")
    assert lines[3:] == ["5 of 6 episodes verified: 5 by replay.", "1 episode false."]


def test_the_sealed_split_is_verified_by_receipt(tmp_path: Path, keys: str) -> None:
    code, lines = verified(tmp_path, *served("stop"), "--keys", keys)
    assert (code, lines) == (
        0,
        [
            "stop on hard: 3 episodes (indices 0 to 2, sealed split), mean score 0.000",
            "3 of 3 episodes verified: 3 by receipt.",
        ],
    )


def test_without_keys_signatures_are_not_checked(tmp_path: Path) -> None:
    code, lines = verified(tmp_path, *served("stop"))
    assert (code, lines[1:]) == (
        3,
        [
            "No --keys were given: the signatures of receipts are not checked against a trusted key.",
            "0 of 3 episodes verified.",
            "3 episodes cannot be verified: there is a receipt, but no key was given to check it.",
        ],
    )


def test_indices_that_are_left_out_are_counted(tmp_path: Path, keys: str) -> None:
    header, records = served("stop")
    _, lines = verified(tmp_path, header, [records[0], records[2]], "--keys", keys)
    assert lines[0].startswith("stop on hard: 2 episodes (indices 0 to 2, 1 of them missing, sealed split)")


def test_open_splits_with_receipts(tmp_path: Path, keys: str) -> None:
    header, records = served("stop", "random", sealed=False)
    records[1] = altered(records[1], receipt=None)
    code, lines = verified(tmp_path, header, records, "--keys", keys)
    assert code == 0
    assert lines[-1] == "6 of 6 episodes verified: 5 by receipt and replay, 1 by replay."


def test_the_same_episode_twice_is_false(tmp_path: Path) -> None:
    header, records = played("stop")
    code, lines = verified(tmp_path, header, [*records, records[0]])
    assert (code, lines[1]) == (1, "Line 5: the episode is that of line 2 again.")


def test_an_altered_byte_is_found(tmp_path: Path) -> None:
    path = write(tmp_path, *played("stop"))
    path.write_bytes(path.read_bytes().replace(b'"policy":"stop"', b'"policy":"stap"', 1))
    result = run(str(path))
    assert result.exit_code == 1
    assert "Line 5: the file was changed after it was written; its SHA-256 is another one." in result.stdout


def test_other_versions_are_named_where_a_replay_parts(tmp_path: Path) -> None:
    header, records = played("stop")
    header = header.model_copy(update={"versions": header.versions.model_copy(update={"numpy": "1.0"})})
    assert verified(tmp_path, header, records)[0] == 0
    code, lines = verified(tmp_path, header, [altered(records[0], score=0.5), *records[1:]])
    assert code == 1
    assert lines[-1].startswith("1 episode false. They were recorded with numpy 1.0 (here ")
    close = [altered(one, score=1e-10) for one in records]
    assert "3 replays not exact, but within 1e-09." in verified(tmp_path, header, close)[1]


@pytest.mark.slow
def test_a_task_of_ones_own_needs_its_data(tmp_path: Path) -> None:
    own = ("--data", "wine", "--noise", "0.2", "--budget", "20")
    arguments = ("--policies", "random", "--seeds", "2", "--processes", "1", "--no-files", "--record", "own.jsonl")
    code = f"from dataselect_env.cli import main; main({['evaluate', *own, *arguments]!r})"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    result = run("own.jsonl")
    assert result.exit_code == 3
    assert "2 episodes cannot be verified: task wine is unknown here; name its file with --task-file." in result.stdout
    code = f"from dataselect_env.cli import main; main({['verify', 'own.jsonl', '--processes', '1', *own]!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False, capture_output=True, timeout=120)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, b"2 of 2 episodes verified: 2 by replay.")


def test_large_files_are_checked_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_command, "BLOCK", 4)
    monkeypatch.setattr(verify_command, "PART", 3)
    header, records = played("stop", seeds=tuple(range(10)))
    records[9] = altered(records[9], score=0.5)
    code, lines = verified(tmp_path, header, records)
    assert code == 1
    assert lines[1].startswith("Line 11: score is 0.5")
    assert lines[2] == "9 of 10 episodes verified: 9 by replay."


@pytest.mark.slow
def test_what_is_printed_does_not_depend_on_the_processes(tmp_path: Path) -> None:
    header, records = played("stop", seeds=tuple(range(40)))
    records = [altered(one, score=0.5) if number % 3 else one for number, one in enumerate(records)]
    path = str(write(tmp_path, header, records))
    assert run(path, "--processes", "2").stdout == run(path).stdout


# --- mistakes -------------------------------------------------------------------------------------------------------


def refused(*arguments: str) -> str:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    return result.stderr.splitlines()[-1].removeprefix("Error: ")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = write(tmp_path, *played("stop"))
    path.write_bytes(path.read_bytes()[:-300])
    assert refused("runs.jsonl").startswith("runs.jsonl, line ")
    assert "does not exist" in refused("none.jsonl")
    assert "is a directory" in refused(".")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "--keys: keys.json is not JSON"),
        ("[]", "--keys: keys.json should have keys as GET /keys of a server answers them"),
        ('{"keys": []}', "--keys: keys.json has no keys"),
        ('{"keys": [{"key_id": "a", "algorithm": "Ed25519", "public_key": "AAAA"}]}', "--keys: keys.json should have"),
        ('{"keys": [{"key_id": "a", "algorithm": "RSA", "public_key": "AAAA"}]}', "--keys: keys.json has no keys"),
    ],
)
def test_files_that_have_no_keys(tmp_path: Path, content: str, words: str) -> None:
    write(tmp_path, *played("stop"))
    (tmp_path / "keys.json").write_text(content)
    assert refused("runs.jsonl", "--keys", "keys.json").startswith(words)


def test_keys_that_are_not_there(tmp_path: Path) -> None:
    write(tmp_path, *played("stop"))
    sentence = refused("runs.jsonl", "--keys", "none.json")
    assert sentence == "--keys: none.json cannot be read: No such file or directory"


def test_keys_of_files_and_servers_are_taken_together(keys: str) -> None:
    with http_server({"/base/keys": [(200, json.dumps(keys_answer(key_id="other")).encode())]}) as (url, _):
        for address in (f"{url}/base", f"{url}/base/keys"):
            found = public_keys.read_keys((keys, address))
            assert found == {KEY_ID: [public_key()], "other": [public_key()]}


def test_signatures_need_a_library(tmp_path: Path, keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, *served("stop"))
    monkeypatch.setitem(sys.modules, "cryptography", None)
    assert "pip install 'dataselect-env[sealed]'" in refused("runs.jsonl", "--keys", keys)
    assert run("runs.jsonl").exit_code == 3  # without keys there is nothing to check signatures with


# --- Ctrl-C ---------------------------------------------------------------------------------------------------------

SLOW = """
import pathlib, signal, sys, time
from dataselect_env.cli import main
from dataselect_env.evaluation import verification

def endless(job):
    pathlib.Path("checking").touch()
    time.sleep(600)

verification.check = endless
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main(["verify", "runs.jsonl", "--processes", "2"])
"""


@pytest.mark.slow
def test_interrupt_ends_the_workers(tmp_path: Path) -> None:
    write(tmp_path, *played("stop", seeds=tuple(range(20))))
    (tmp_path / "slow.py").write_text(SLOW)
    command = [sys.executable, "slow.py"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            while not (tmp_path / "checking").exists():
                assert process.poll() is None
                time.sleep(0.05)
            os.killpg(process.pid, signal.SIGINT)
            _, stderr = process.communicate(timeout=300)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert (process.returncode, stderr) == (130, "Interrupted.\n")
