"""``evaluate --url`` plays on a running server, and refuses what cannot be played there before it connects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dataselect_env import cli
from dataselect_env.cli.remote_options import remote_player
from tests.helpers.serving import Server, running_server

QUICK = ("--tasks", "hard", "--seeds", "3", "--processes", "1", "--no-files")
SEALED = ("--split", "sealed", "--policies", "probing")
SECRET = {"DATASELECT_SECRET": "s" * 32, "DATASELECT_SEALED_SIZE": "5"}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server(env=SECRET) as server:
        yield server


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments)


@pytest.mark.slow
def test_a_claim_on_the_sealed_split_is_verified(server: Server) -> None:
    url = ("--url", server.base_url)
    result = run("evaluate", *QUICK, *SEALED, *url, "--agent", "me", "--record", "runs.jsonl.gz")
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.split())
    assert f"Played on {server.base_url} by me. 3 indices (0 to 2, sealed split), rewards: shaped." in text
    assert "Student's t, wider where grades pile up" in text
    assert "hidden worlds" not in text
    result = run("verify", "runs.jsonl.gz", "--keys", server.base_url)
    assert result.exit_code == 0, result.output
    assert "probing on hard: 3 episodes (indices 0 to 2, sealed split), mean score" in result.stdout
    assert "3 of 3 episodes verified: 3 by receipt." in result.stdout


@pytest.mark.slow
def test_attempts_that_were_used_are_left_out_with_a_message(server: Server) -> None:
    arguments = ("evaluate", *QUICK, *SEALED, "--url", server.base_url, "--agent", "again")
    assert run(*arguments).exit_code == 0
    result = run(*arguments, "--seeds", "5")
    assert "3 of 5 episodes are left out: the agent had its attempt before." in result.stderr
    assert "3 episodes are left out, of which the agent had its attempt before." in " ".join(result.stdout.split())
    result = run(*arguments, "--seeds", "5", "--record", "none.jsonl")
    assert (result.exit_code, result.stdout) == (0, "Too few episodes are left for a report.\n")
    assert "The record has no episodes." in run("verify", "none.jsonl").stdout


@pytest.mark.slow
def test_a_run_goes_on_where_it_was_interrupted(server: Server) -> None:
    arguments = ("evaluate", *QUICK, *SEALED, "--url", server.base_url, "--agent", "on", "--resume", "run.jsonl")
    first = run(*arguments)
    assert run(*arguments).stdout == first.stdout
    assert "is of another run" in run(*arguments, "--agent", "another").stderr


@pytest.mark.slow
def test_open_splits_are_played_on_a_server_without_oracles(server: Server) -> None:
    policies = ("evaluate", *QUICK, "--policies", "stop,probing,oracle")
    here = run(*policies)
    there = run(*policies, "--url", server.base_url, "--record", "a.jsonl")
    assert "Not on a server, as they see hidden labels: oracle." in there.stderr
    rows = [[line for line in one.stdout.splitlines() if line.startswith(("stop", "probing"))] for one in (here, there)]
    assert rows[0] == rows[1]
    result = run("verify", "a.jsonl", "--keys", server.base_url)
    assert "6 of 6 episodes verified: 6 by receipt and replay." in result.stdout


@pytest.mark.slow
def test_a_refusal_of_the_server_is_one_sentence(server: Server) -> None:
    arguments = ("evaluate", *QUICK, *SEALED, "--url", server.base_url)
    result = run(*arguments, "--agent", "me", "--first-seed", "3")
    assert (result.exit_code, result.stderr) == (2, "Error: index: must lie in 0 to 4 for split sealed\n")
    result = run(*arguments, "--agent", "no spaces")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: agent: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--split", "sealed"], "--split sealed: name the server with --url"),
        (["--agent", "me"], "--agent: name the server with --url"),
        (["--agent-token-file", "token"], "--agent-token-file: name the server with --url"),
        (
            ["--split", "sealed", "--url", "http://host"],
            "--agent: episodes of the sealed split count",
        ),
        (
            ["--split", "sealed", "--url", "http://host", "--agent", "me"],
            "--policies: an agent has one attempt",
        ),
        (["--url", "ftp://host"], "url: should look like ws://host:7860 or https://host"),
        (["--url", "http://host", "--policies", "oracle"], "--policies: oracles see hidden labels and cannot play"),
        (["--server-order"], "--server-order: is for the split sealed, without --first-seed"),
        (["--url", "http://host", "--agent", "me", "--agent-token-file", "none"], "'none' does not exist"),
    ],
    ids=" ".join,
)
def test_mistakes_are_answered_before_anything_is_played(tmp_path: Path, arguments: list[str], words: str) -> None:
    (tmp_path / "token").write_text("abc")
    result = run("evaluate", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_the_token_comes_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("from-file\n")
    monkeypatch.setenv("DATASELECT_AGENT_TOKEN", "from-environment")
    for file, agent, token in (
        (tmp_path / "token", "me", "from-file"),
        (None, "me", "from-environment"),
        (None, None, None),
    ):
        found = remote_player("http://host", None, agent, file, ("random",))
        assert found is not None
        assert (found.agent_token, found.host.agent, found.host.sealed) == (token, agent, False)
