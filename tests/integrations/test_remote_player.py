"""Episodes of an evaluation on a server: which are played, what their records say, and how requests fail."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from dataselect_env.core.errors import AgentRefused, InvalidInput, TaskIndexOutOfRange, UnknownTask
from dataselect_env.evaluation.evaluate import Job, Plan, evaluate
from dataselect_env.evaluation.records import Host
from dataselect_env.evaluation.rollout import policy_rng, rollout
from dataselect_env.integrations import http_requests
from dataselect_env.integrations.http_requests import ATTEMPTS, ask, http_url
from dataselect_env.integrations.remote import RemoteError
from dataselect_env.integrations.remote_player import RemotePlayer, fetch_receipt, recorded_url
from dataselect_env.policies import get_policy
from tests.helpers.recording import http_server
from tests.helpers.serving import Server, running_server

SECRET = {"DATASELECT_SECRET": "s" * 32, "DATASELECT_SEALED_SIZE": "6"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server(env=SECRET) as server:
        yield server


def player(server: Server, agent: str | None, *, sealed: bool = True, token: str | None = None) -> RemotePlayer:
    return RemotePlayer(server.base_url, Host(url="http://host", agent=agent, sealed=sealed), token)


def plan(remote: RemotePlayer, *seeds: int, policy: str = "random", server_order: bool = False) -> Plan:
    return Plan(policies=(policy,), tasks=("hard",), seeds=seeds, host=remote.host, server_order=server_order)


# --- episodes -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_open_episodes_are_those_in_process_with_receipts(server: Server) -> None:
    remote = player(server, None, sealed=False)
    here = evaluate(Plan(policies=("probing", "random"), tasks=("hard",), seeds=(20_000, 20_001)))
    there = evaluate(Plan(policies=("probing", "random"), tasks=("hard",), seeds=(20_000, 20_001)), player=remote)
    keys = server.get("/keys")["keys"]
    for one, other in zip(there, here, strict=True):
        assert one.receipt is not None
        assert one.receipt.is_signed_by(keys[0]["public_key"])
        assert (one.receipt.seed, one.receipt.score, one.receipt.agent) == (one.seed, one.score, None)
        assert one.receipt.episode_id == one.episode_id
        assert one.model_copy(update={"receipt": None, "episode_id": None}) == other


@pytest.mark.slow
def test_sealed_episodes_have_an_index_in_place_of_the_seed(server: Server) -> None:
    remote = player(server, "indexed")
    found = evaluate(plan(remote, 0, 3), player=remote)
    assert [(one.seed, one.index, one.split) for one in found] == [(None, 0, "sealed"), (None, 3, "sealed")]
    for one in found:
        assert one.receipt is not None
        assert (one.receipt.index, one.receipt.agent, one.receipt.score) == (one.index, "indexed", one.score)
        assert one.actions is not None
        assert len(one.actions) == len(one.receipt.actions)


@pytest.mark.slow
def test_a_second_attempt_is_left_out(server: Server) -> None:
    remote = player(server, "twice")
    evaluate(plan(remote, 1), player=remote)
    steps: list[int] = []
    found = evaluate(plan(remote, 0, 1, 2), player=remote, progress=steps.append)
    assert [one.index for one in found] == [0, 2]
    assert sum(steps) == 3
    assert remote(Job(("random",), "hard", 1, "shaped")) == [None]


@pytest.mark.slow
def test_a_resumed_run_keeps_the_recorded_attempts(server: Server, tmp_path: Path) -> None:
    remote = player(server, "resumed")
    first = evaluate(plan(remote, 0, 1), player=remote, resume=tmp_path / "run.jsonl")
    again = evaluate(plan(remote, 0, 1, 2), player=remote, resume=tmp_path / "run.jsonl")
    assert again[:2] == first
    assert [one.index for one in again] == [0, 1, 2]


@pytest.mark.slow
def test_the_server_may_choose_the_indices(tmp_path: Path) -> None:
    with running_server(env={**SECRET, "DATASELECT_SEALED_ORDER": "server"}) as server:
        remote = player(server, "me")
        with pytest.raises(InvalidInput, match="index: this server chooses it"):
            evaluate(plan(remote, 0), player=remote)
        resume = tmp_path / "run.jsonl"
        first = evaluate(plan(remote, 0, 1, server_order=True), player=remote, resume=resume)
        found = evaluate(plan(remote, *range(4), server_order=True), player=remote, resume=resume)
        assert len({one.index for one in found}) == 4
        assert {one.index for one in first} < {one.index for one in found}
        assert [one.index for one in found] == sorted(one.number for one in found)
        assert (
            len(evaluate(plan(remote, *range(9), server_order=True), player=remote, resume=resume)) == 6
        )  # all it has


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "task", "error"), [((6,), "hard", TaskIndexOutOfRange), ((0,), "mine", UnknownTask)])
def test_the_server_says_what_was_wrong(
    server: Server, seeds: tuple[int, ...], task: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        player(server, "wrong")(Job(("random",), task, seeds[0], "shaped"))


@pytest.mark.slow
def test_registered_agents_need_their_token() -> None:
    with running_server(env={**SECRET, "DATASELECT_AGENTS": "registered"}) as server, pytest.raises(AgentRefused):
        evaluate(plan(player(server, "me", token="t" * 20), 0), player=player(server, "me", token="t" * 20))


@pytest.mark.slow
def test_without_a_secret_there_is_no_receipt() -> None:
    with running_server() as server:
        remote = player(server, "me", sealed=False)
        (one,) = evaluate(plan(remote, 20_000), player=remote)
        assert one.receipt is None
        assert one.episode_id is not None


@pytest.mark.slow
def test_connections_in_parallel_give_the_same_records(server: Server) -> None:
    found = []
    for number, processes in enumerate((1, 2)):
        remote = player(server, f"parallel-{number}")
        records = evaluate(plan(remote, *range(6)), player=remote, processes=processes)
        found.append([one.model_copy(update={"receipt": None, "episode_id": None}) for one in records])
    assert found[0] == found[1]


def test_a_player_travels_to_workers_and_hides_the_token() -> None:
    remote = RemotePlayer("http://host", Host(url="http://host", agent="me"), "secret-token")
    assert pickle.loads(pickle.dumps(remote)) == remote  # noqa: S301
    assert "secret-token" not in repr(remote)


def test_random_streams_come_from_the_index_where_the_seed_is_hidden() -> None:
    """The stream of a policy at index 5 is that of seed 5, on every machine."""
    first = rollout(get_policy("random"), "hard", 5).replies[0]
    hidden = first.model_copy(update={"seed": None, "index": 5})
    draws = []

    class Seat:
        def reset(self, **_: object) -> object:
            return hidden

    policy = get_policy("random")
    with (
        patch.object(type(policy), "start", lambda _self, _task, rng: draws.append(rng.random())),
        pytest.raises(InvalidInput),
    ):
        rollout(policy, "hard", 5, env=Seat())  # type: ignore[arg-type]
    assert draws == [policy_rng("random", 5).random()]


# --- addresses and requests -----------------------------------------------------------------------------------------


def test_records_name_no_password() -> None:
    assert recorded_url("wss://me:secret@host:80/base/ws?token=secret") == "wss://host:80/base"
    assert recorded_url("http://host/") == "http://host"


@pytest.mark.parametrize("url", ["http://host", "ws://host", "http://host/ws", "http://host/"])
def test_addresses_of_requests(url: str) -> None:
    assert http_url(url, "/keys") == "http://host/keys"
    assert http_url(url.replace("http", "https").replace("ws:", "wss:"), "/keys") == "https://host/keys"


def test_a_request_sends_the_token_and_returns_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATASELECT_TOKEN", "abc")
    with http_server({"/base/grader": [(200, b'{"a": 1}')]}) as (url, requests):
        assert ask(f"{url}/base", "/grader", {"b": 2}) == {"a": 1}
    assert requests == [("/base/grader", b'{"b": 2}', "Bearer abc")]


@pytest.mark.parametrize("status", http_requests.BUSY)
def test_a_busy_server_is_asked_again(status: int) -> None:
    with http_server({"/keys": [(status, b"{}"), (status, b"{}"), (200, b"[]")]}) as (url, requests):
        assert ask(url, "/keys", pause=0) == []
    assert len(requests) == 3


@pytest.mark.parametrize(
    ("status", "body", "words", "tries"),
    [
        (404, b'{"message": "there is none"}', "keys answers 404: there is none", 1),
        (500, b"oops", "keys answers 500$", 1),
        (503, b"{}", "keys answers 503$", ATTEMPTS),
        (200, b"<html>", "something that is not JSON", 1),
    ],
)
def test_a_refused_request(status: int, body: bytes, words: str, tries: int) -> None:
    with http_server({"/keys": [(status, body)]}) as (url, requests), pytest.raises(RemoteError, match=words):
        ask(url, "/keys", pause=0)
    assert len(requests) == tries


def test_a_server_that_is_not_there() -> None:
    with http_server({}) as (url, _):
        pass
    with pytest.raises(RemoteError, match="no answer from"):
        ask(url, "/keys", pause=0)


@pytest.mark.parametrize("answer", [[], {"receipt": {"version": 2}}, {"receipt": 3}], ids=str)
def test_a_receipt_that_cannot_be_read(answer: object) -> None:
    with (
        http_server({"/grader": [(200, json.dumps(answer).encode())]}) as (url, _),
        pytest.raises(RemoteError, match="a receipt that this version cannot read"),
    ):
        fetch_receipt(url, "episode")
