import asyncio
from typing import Any

import pytest

from dataselect_env.server.mcp import jsonrpc, protocol
from dataselect_env.server.mcp.backend import EpisodeBackend
from dataselect_env.server.mcp.protocol import MAX_BATCH, VERSIONS, Response
from dataselect_env.server.mcp.tools import TOOLS
from dataselect_env.server.service import Service
from dataselect_env.server.settings import Settings
from dataselect_env.server.store.sqlite import SQLiteStore


@pytest.fixture
def backend(store: SQLiteStore) -> EpisodeBackend:
    return Service(Settings(store="memory:"), store).http


def answer(message: object, backend: EpisodeBackend) -> Response | None:
    return asyncio.run(protocol.respond(message, backend))


def ask(backend: EpisodeBackend, method: str, **params: object) -> dict[str, Any]:
    told = answer({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, backend)
    assert isinstance(told, dict)
    return told


@pytest.mark.parametrize("version", VERSIONS)
def test_the_revision_of_the_client_is_spoken(backend: EpisodeBackend, version: str) -> None:
    result = ask(backend, "initialize", protocolVersion=version, capabilities={}, clientInfo={})["result"]
    assert result["protocolVersion"] == version
    assert set(result["capabilities"]) == {"tools"}
    assert "budget" in result["instructions"]


def test_a_client_of_another_revision_is_told_the_newest(backend: EpisodeBackend) -> None:
    assert ask(backend, "initialize", protocolVersion="2099-01-01")["result"]["protocolVersion"] == VERSIONS[0]
    assert ask(backend, "initialize")["error"]["code"] == jsonrpc.INVALID_PARAMS


def test_tools_are_listed_and_called_without_a_handshake(backend: EpisodeBackend) -> None:
    assert [tool["name"] for tool in ask(backend, "tools/list")["result"]["tools"]] == list(TOOLS)
    assert ask(backend, "tools/call", name="start_episode")["result"]["isError"] is False
    assert ask(backend, "tools/call", name="stop", arguments={})["result"]["structuredContent"]["done"] is True
    assert ask(backend, "ping")["result"] == {}


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("server/discover", {}, jsonrpc.METHOD_NOT_FOUND),
        ("tools/call", {}, jsonrpc.INVALID_PARAMS),
        ("tools/call", {"name": "reset"}, jsonrpc.INVALID_PARAMS),
        ("tools/call", {"name": ["stop"]}, jsonrpc.INVALID_PARAMS),
        ("tools/call", {"name": "stop", "arguments": [1]}, jsonrpc.INVALID_PARAMS),
    ],
)
def test_what_cannot_be_answered_is_an_error_of_the_protocol(
    backend: EpisodeBackend, method: str, params: dict[str, object], code: int
) -> None:
    assert ask(backend, method, **params)["error"]["code"] == code


def test_others_have_their_turn_between_the_messages_of_a_batch(backend: EpisodeBackend) -> None:
    async def ask_and_look_on() -> int:
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        asking = asyncio.create_task(protocol.respond([ping] * MAX_BATCH, backend))
        turns = 0
        while not asking.done():
            await asyncio.sleep(0)
            turns += 1
        return turns

    assert asyncio.run(ask_and_look_on()) >= MAX_BATCH


def test_a_notification_gets_no_answer(backend: EpisodeBackend) -> None:
    assert answer({"jsonrpc": "2.0", "method": "notifications/initialized"}, backend) is None


def test_a_batch_is_answered_message_by_message(backend: EpisodeBackend) -> None:
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    silent = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    told = answer([ping, silent, 5], backend)
    assert isinstance(told, list)
    assert [one.get("result", one.get("error", {}).get("code")) for one in told] == [{}, jsonrpc.INVALID_REQUEST]
    assert answer([silent], backend) is None
    for size in (0, MAX_BATCH + 1):
        refused = answer([ping] * size, backend)
        assert isinstance(refused, dict)
        assert refused["error"]["code"] == jsonrpc.INVALID_REQUEST
