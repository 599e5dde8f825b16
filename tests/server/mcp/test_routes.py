"""``/mcp`` as its clients use it: raw messages, the standard clients, and OpenEnv's own tool client."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from dataselect_env import DataSelectEnv
from dataselect_env.core.models import Action
from dataselect_env.server.app import create_app
from dataselect_env.server.mcp import protocol, stateless
from dataselect_env.server.mcp.tools import TOOLS
from dataselect_env.server.settings import Settings
from tests.helpers.actions import select
from tests.helpers.serving import Server, running_server

INITIALIZE = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


def post(client: TestClient, method: str, params: dict[str, Any] | None = None, **headers: str) -> Response:
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/mcp", json=message, headers=names)


def call(client: TestClient, tool: str, session: str | None = None, **arguments: object) -> dict[str, Any]:
    headers = {} if session is None else {"mcp_session_id": session}
    told: dict[str, Any] = post(client, "tools/call", {"name": tool, "arguments": arguments}, **headers).json()
    result: dict[str, Any] = told["result"]["structuredContent"]
    return result


# --- messages -------------------------------------------------------------------------------------------------------


def test_a_session_from_handshake_to_end(client: TestClient) -> None:
    opened = post(client, "initialize", INITIALIZE)
    assert opened.json()["result"]["protocolVersion"] == "2025-06-18"
    session = opened.headers["mcp-session-id"]
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    told = client.post("/mcp", json=ready, headers={"mcp-session-id": session})
    assert (told.status_code, told.content) == (202, b"")
    assert client.get("/health").json()["active_sessions"] == 1
    call(client, "start_episode", session, task_id="hard", seed=3)
    assert call(client, "stop", session)["done"] is True
    episode_id = call(client, "get_state", session)["episode_id"]
    assert client.delete("/mcp", headers={"mcp-session-id": session}).status_code == 204
    assert client.get("/health").json()["active_sessions"] == 0
    gone = post(client, "tools/list", mcp_session_id=session)
    assert (gone.status_code, gone.json()["id"]) == (404, 1)
    assert client.post("/grader", json={"episode_id": episode_id, "task_id": "hard"}).status_code == 200


def test_sessions_do_not_meet(client: TestClient) -> None:
    sessions = [post(client, "initialize", INITIALIZE).headers["mcp-session-id"] for _ in range(2)]
    for seed, session in enumerate(sessions):
        call(client, "start_episode", session, seed=seed)
    assert [call(client, "get_state", session)["seed"] for session in sessions] == [0, 1]


def test_without_a_session_episodes_are_those_of_http(client: TestClient) -> None:
    started = call(client, "start_episode", seed=1)["episode_id"]
    client.post("/reset", json={"seed": 2})
    assert call(client, "select_batch", batch_size=5, random=1, episode_id=started)["step"] == 1
    assert client.get("/state", params={"episode_id": started}).json()["step_count"] == 1


def test_an_episode_of_a_session_goes_on_by_its_id_wherever_it_is_named(client: TestClient) -> None:
    mine, other = (post(client, "initialize", INITIALIZE).headers["mcp-session-id"] for _ in range(2))
    episode = call(client, "start_episode", mine, task_id="hard", seed=1)["episode_id"]
    batch: dict[str, Any] = {"batch_size": 5, "random": 1}
    assert call(client, "select_batch", mine, **batch)["step"] == 1
    assert call(client, "select_batch", other, **batch, episode_id=episode)["step"] == 2
    assert call(client, "get_state", other)["code"] == "NO_EPISODE"
    assert call(client, "select_batch", **batch, episode_id=episode)["step"] == 3
    assert client.post("/step", json={**select(), "episode_id": episode}).json()["step"] == 4
    assert call(client, "get_state", mine)["step_count"] == 4
    client.delete("/mcp", headers={"mcp-session-id": mine})
    last = call(client, "stop", other, episode_id=episode)
    assert (last["step"], last["done"]) == (5, True)
    assert call(client, "get_grade", other, episode_id=episode)["score"] == last["info"]["grade"]["score"]
    env = DataSelectEnv()
    env.reset(task_id="hard", seed=1)
    for action in (*[Action.select(5, random=1)] * 3, Action(**select())):
        env.step(action)
    assert env.step(Action.stop()).reward == last["reward"]


def test_a_full_server_says_so() -> None:
    with TestClient(create_app(Settings(store="memory:", max_sessions=1))) as client:
        with client.websocket_connect("/ws"):
            refused = post(client, "initialize", INITIALIZE)
            assert "sessions of this server are in use" in refused.json()["error"]["message"]
            assert "mcp-session-id" not in refused.headers
        assert "result" in post(client, "initialize", INITIALIZE).json()


def test_other_requests_get_the_answers_of_the_transport(client: TestClient) -> None:
    stream = client.get("/mcp", headers={"accept": "text/event-stream"})
    assert (stream.status_code, stream.headers["allow"]) == (405, "DELETE, POST")
    assert client.delete("/mcp").status_code == 422
    assert client.delete("/mcp", headers={"mcp-session-id": "nobody"}).status_code == 404
    probe = post(client, "tools/list", mcp_protocol_version="2099-01-01")
    assert (probe.status_code, probe.json()["error"]["code"]) == (400, stateless.UNSUPPORTED_VERSION)
    assert probe.json()["error"]["data"] == {"supported": list(stateless.SUPPORTED), "requested": "2099-01-01"}
    failed = post(client, "initialize", {})
    assert failed.json()["error"]["code"] == -32602
    assert client.get("/health").json()["active_sessions"] == 0  # what failed has opened nothing


def test_it_answers_json_rpc_whatever_comes(client: TestClient) -> None:
    for body in (b"", b"{", b"{}", b"[]", b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}'):
        response = client.post("/mcp", content=body)
        assert response.status_code == 200
        assert response.json()["jsonrpc"] == "2.0"
    assert client.post("/mcp", content=b"[1]").json()[0]["error"]["code"] == -32600


def test_a_method_that_is_no_text_is_answered(client: TestClient) -> None:
    for method in ("{}", "[]", "1", "null"):
        answer = client.post("/mcp", content=f'{{"jsonrpc": "2.0", "id": 7, "method": {method}}}')
        assert (answer.status_code, answer.json()["error"]["code"]) == (200, -32600), method


def test_openenv_sessions_are_played_by_tools_and_websocket_alike(client: TestClient) -> None:
    session = post(client, "openenv/session/create").json()["result"]["session_id"]
    with client.websocket_connect(f"/ws?session_id={session}") as socket:
        socket.send_json({"type": "reset", "data": {"seed": 5}})
        socket.receive_json()
        named = {"name": "select_batch", "arguments": {"batch_size": 5, "random": 1}, "session_id": session}
        assert post(client, "tools/call", named).json()["result"]["structuredContent"]["step"] == 1
        socket.send_json({"type": "state"})
        assert socket.receive_json()["data"]["step_count"] == 1
    assert client.get("/health").json()["active_sessions"] == 1  # the connection was only a guest
    assert post(client, "openenv/session/close", {"session_id": session}).json()["result"] == {"closed": True}
    assert client.get("/health").json()["active_sessions"] == 0
    for method in ("tools/list", "openenv/session/close"):
        assert "no such session" in post(client, method, {"session_id": session}).json()["error"]["message"]
    with client.websocket_connect(f"/ws?session_id={session}") as socket:
        assert socket.receive_json()["data"]["code"] == "SESSION_NOT_FOUND"


# --- clients that nobody here wrote ----------------------------------------------------------------------------------

BATCHES: list[dict[str, Any]] = [
    {"batch_size": 5, "uncertainty": 1},
    {"batch_size": 20, "diversity": 0.7, "random": 0.3},
]


def in_process(task_id: str, seed: int) -> list[float | None]:
    env = DataSelectEnv()
    env.reset(task_id=task_id, seed=seed)
    moves: list[Any] = [Action.select(**batch) for batch in BATCHES]
    return [env.step(action).reward for action in [*moves, Action.stop()]]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.mark.slow
def test_fastmcp_plays_four_episodes_at_once(server: Server) -> None:
    import fastmcp

    async def play(seed: int) -> tuple[list[float], float]:
        async with fastmcp.Client(f"{server.base_url}/mcp") as agent:
            assert [tool.name for tool in await agent.list_tools()] == list(TOOLS)
            await agent.call_tool("start_episode", {"task_id": "hard", "seed": seed})
            moves: list[tuple[str, dict[str, Any]]] = [*(("select_batch", batch) for batch in BATCHES), ("stop", {})]
            rewards = [(await agent.call_tool(*move)).structured_content["reward"] for move in moves]
            grade = (await agent.call_tool("get_grade")).structured_content
            refused = await agent.call_tool("stop", raise_on_error=False)
            assert refused.is_error
            return rewards, grade["score"]

    async def play_all() -> list[tuple[list[float], float]]:
        return await asyncio.gather(*(play(seed) for seed in range(4)))

    for seed, (rewards, score) in enumerate(asyncio.run(play_all())):
        assert rewards == in_process("hard", seed)
        assert 0 <= score <= 1
    assert server.get("/health")["active_sessions"] == 0


@pytest.mark.slow
def test_the_official_client_plays(server: Server) -> None:
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def play() -> list[float]:
        async with (
            streamable_http_client(f"{server.base_url}/mcp") as (read, write, _),
            ClientSession(read, write) as agent,
        ):
            welcome = await agent.initialize()
            assert welcome.protocolVersion in protocol.VERSIONS
            await agent.send_ping()
            await agent.call_tool("start_episode", {"task_id": "medium", "seed": 9})
            moves: list[tuple[str, dict[str, Any]]] = [*(("select_batch", batch) for batch in BATCHES), ("stop", {})]
            results = [await agent.call_tool(*move) for move in moves]
            return [result.structuredContent["reward"] for result in results if result.structuredContent]

    assert asyncio.run(play()) == in_process("medium", 9)


@pytest.mark.slow
def test_openenvs_tool_client_plays(server: Server) -> None:
    from openenv.core.mcp_client import MCPToolClient

    async def play() -> list[float]:
        async with MCPToolClient(base_url=server.base_url) as agent:
            assert [tool.name for tool in await agent.list_tools()] == list(TOOLS)
            await agent.reset(task_id="easy", seed=4)  # over the WebSocket, which shares the session
            results = [await agent.call_tool("select_batch", **batch) for batch in BATCHES]
            results.append(await agent.call_tool("stop"))
            return [result["structuredContent"]["reward"] for result in results]

    assert asyncio.run(play()) == in_process("easy", 4)
    assert server.get("/health")["active_sessions"] == 0
