"""Revision 2026-07-28: no handshake, no session, and an episode goes by its id."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi.testclient import TestClient

from dataselect_env.server.mcp import jsonrpc, stateless
from dataselect_env.server.mcp.backend import SessionBackend
from dataselect_env.server.mcp.stateless import CAPABILITIES_KEY, REVISION, SERVER_KEY, SUPPORTED, VERSION_KEY
from dataselect_env.server.mcp.tools import TOOLS
from dataselect_env.server.service import Service
from dataselect_env.server.settings import Settings
from dataselect_env.server.store.sqlite import SQLiteStore
from tests.helpers.sessions import open_session

META = {VERSION_KEY: REVISION, CAPABILITIES_KEY: {}}


def post(client: TestClient, method: str, *, meta: dict[str, Any] | None = None, **params: Any) -> tuple[int, Any]:
    """Post a request as the clients of this revision do; return status and response."""
    message = {
        "jsonrpc": "2.0",
        "id": 7,
        "method": method,
        "params": {**params, "_meta": META if meta is None else meta},
    }
    headers = {"mcp-protocol-version": REVISION, "mcp-method": method}
    headers |= {"mcp-name": params["name"]} if "name" in params else {}
    response = client.post("/mcp", json=message, headers=headers)
    return response.status_code, response.json()


def call(client: TestClient, tool: str, **arguments: Any) -> dict[str, Any]:
    status, told = post(client, "tools/call", name=tool, arguments=arguments)
    assert (status, told["result"]["resultType"]) == (200, "complete")
    data: dict[str, Any] = told["result"]["structuredContent"]
    return data


def test_it_says_what_it_is(client: TestClient) -> None:
    status, told = post(client, "server/discover")
    result = told["result"]
    assert (status, result["resultType"], result["supportedVersions"]) == (200, "complete", list(SUPPORTED))
    assert (result["capabilities"], set(result["_meta"][SERVER_KEY])) == ({"tools": {}}, {"name", "version"})
    assert client.get("/health").json()["active_sessions"] == 0


def test_tools_that_act_on_an_episode_demand_its_id(client: TestClient) -> None:
    listed = {tool["name"]: tool["inputSchema"] for tool in post(client, "tools/list")[1]["result"]["tools"]}
    assert list(listed) == list(TOOLS)
    demanding = {name for name, schema in listed.items() if "episode_id" in schema.get("required", ())}
    assert demanding == {"select_batch", "stop", "get_state", "get_grade"}
    call(client, "start_episode", seed=1)
    for tool in ("stop", "get_state", "get_grade"):
        refused = call(client, tool)
        assert (refused["code"], refused["field"]) == ("VALIDATION_ERROR", "episode_id"), refused


def test_episodes_go_by_their_ids(client: TestClient) -> None:
    first, second = (call(client, "start_episode", task_id="hard", seed=seed)["episode_id"] for seed in (1, 2))
    assert call(client, "select_batch", batch_size=5, random=1, episode_id=first)["step"] == 1
    assert call(client, "get_state", episode_id=second)["step_count"] == 0
    assert call(client, "stop", episode_id=first)["done"] is True
    assert 0 <= call(client, "get_grade", episode_id=first)["score"] <= 1
    assert client.post("/step", json={"action_type": "stop"}).status_code == 409  # not the latest one of HTTP


@pytest.mark.parametrize(
    ("method", "meta", "status", "code"),
    [
        ("initialize", META, 404, jsonrpc.METHOD_NOT_FOUND),
        ("ping", META, 404, jsonrpc.METHOD_NOT_FOUND),
        ("tools/list", {}, 400, jsonrpc.INVALID_PARAMS),
        ("tools/list", {VERSION_KEY: REVISION}, 400, jsonrpc.INVALID_PARAMS),
        ("tools/list", {VERSION_KEY: 5, CAPABILITIES_KEY: {}}, 400, jsonrpc.INVALID_PARAMS),
        ("tools/list", {VERSION_KEY: "2025-11-25", CAPABILITIES_KEY: {}}, 400, stateless.HEADER_MISMATCH),
    ],
)
def test_what_it_refuses(client: TestClient, method: str, meta: dict[str, Any], status: int, code: int) -> None:
    got, told = post(client, method, meta=meta)
    assert (got, told["error"]["code"], told["id"]) == (status, code, 7)


def test_headers_repeat_the_message(client: TestClient) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_tasks", "_meta": META}}
    right = {"mcp-protocol-version": REVISION, "mcp-method": "tools/call", "mcp-name": "list_tasks"}
    assert client.post("/mcp", json=message, headers=right).status_code == 200
    for header in right:
        wrong = client.post("/mcp", json=message, headers={**right, header: "stop"})
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, stateless.HEADER_MISMATCH), header
    notification = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"_meta": META}}
    assert client.post("/mcp", json=notification, headers={"mcp-protocol-version": REVISION}).status_code == 202


def test_a_connection_speaks_both_kinds_of_revision(store: SQLiteStore) -> None:
    service = Service(Settings(store="memory:"), store)
    backend = SessionBackend(open_session(store, "mcp"), service)

    def ask(method: str, params: dict[str, Any]) -> Any:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return asyncio.run(stateless.respond_either(message, backend, service))

    assert ask("server/discover", {"_meta": META})["result"]["supportedVersions"] == list(SUPPORTED)
    assert ask("server/discover", {})["error"]["code"] == jsonrpc.METHOD_NOT_FOUND
    future = ask("tools/list", {"_meta": {**META, VERSION_KEY: "2099-01-01"}})["error"]
    assert (future["code"], future["data"]["requested"]) == (stateless.UNSUPPORTED_VERSION, "2099-01-01")
    assert ask("initialize", {"protocolVersion": "2025-11-25"})["result"]["protocolVersion"] == "2025-11-25"
