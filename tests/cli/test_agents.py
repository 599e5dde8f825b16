"""The command agents: tokens that a server then asks for, and mistakes met with a sentence."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dataselect_env import cli
from dataselect_env.core.errors import AgentRefused
from dataselect_env.server.store.sqlite import SQLiteStore
from tests.helpers.sessions import open_session


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"sqlite:///{tmp_path}/episodes.db"
    monkeypatch.setenv("DATASELECT_STORE", url)
    return url


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["agents", *arguments])


def play(url: str, **data: str) -> None:
    async def reset() -> None:
        store = SQLiteStore(Path(url.removeprefix("sqlite:///")))
        try:
            await open_session(store, "http").handle("reset", {"seed": 20_000, **data})
        finally:
            await store.close()

    asyncio.run(reset())


def test_a_token_is_printed_once_and_then_asked_for(url: str) -> None:
    added = run("add", "me")
    token = added.stdout.strip()
    assert (added.exit_code, len(token)) == (0, 43)
    assert "shown only once" in added.stderr
    play(url, agent="me", agent_token=token)
    with pytest.raises(AgentRefused):
        play(url, agent="me", agent_token="x" * 43)
    assert token not in run("list").stdout


def test_tokens_are_renewed_and_revoked(url: str) -> None:
    first = run("add", "me").stdout.strip()
    refused = run("add", "me")
    assert (refused.exit_code, refused.stderr) == (2, "Error: me is registered; --renew replaces its token\n")
    second = run("add", "me", "--renew").stdout.strip()
    with pytest.raises(AgentRefused):
        play(url, agent="me", agent_token=first)
    play(url, agent="me", agent_token=second)
    assert run("revoke", "me").exit_code == 0
    for token in (second, ""):
        with pytest.raises(AgentRefused):
            play(url, agent="me", agent_token=token)
    assert run("revoke", "other").stderr == "Error: other is not registered\n"


def test_the_list_has_every_agent_and_its_state(url: str) -> None:
    assert run("list").stdout == "No agent is registered, and none has played.\n"
    play(url, agent="guest")
    for name in ("a", "b"):
        run("add", name)
    run("revoke", "b")
    lines = [line.split("since")[0].split(maxsplit=1) for line in run("list").stdout.splitlines()]
    assert [(name, state.strip()) for name, state in lines] == [
        ("a", "registered"),
        ("b", "revoked"),
        ("guest", "not registered"),
    ]


@pytest.mark.parametrize("name", ["", "a b", "ä", "x" * 65, "../x"])
def test_names_that_requests_cannot_have_are_refused(url: str, name: str) -> None:
    result = run("add", "--", name)
    assert (result.exit_code, "a name has letters, digits and the characters . _ -" in result.stderr) == (2, True)
    assert run("list").stdout.startswith("No agent"), url


@pytest.mark.parametrize(
    ("store", "message"),
    [
        ("memory:", "--store: agents need a store that lasts"),
        ("nonsense", "--store: should be sqlite:///"),
        ("sqlite:////nowhere/at/all.db", "--store: there is no folder"),
    ],
)
def test_a_store_that_cannot_be_used_is_refused(store: str, message: str) -> None:
    result = run("list", "--store", store)
    assert (result.exit_code, message in result.stderr) == (2, True), result.stderr
