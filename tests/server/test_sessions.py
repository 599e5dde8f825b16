"""The sessions of connected clients: one account of all slots, and how sessions end."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from dataselect_env.core.errors import CapacityReached, EnvError, ServerStopping, SessionNotFound
from dataselect_env.server.app import create_app
from dataselect_env.server.entries import Entries
from dataselect_env.server.keyring import Keyring
from dataselect_env.server.limits import SessionTimeout
from dataselect_env.server.sessions import Sessions
from dataselect_env.server.settings import Settings
from dataselect_env.server.store.sqlite import SQLiteStore

SETTINGS = Settings(store="memory:", max_sessions=2, idle_timeout=100, session_lifetime=1_000)
INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}}
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(store: SQLiteStore, clock: Clock) -> Sessions:
    return Sessions(store, Entries(store, SETTINGS, Keyring()), SETTINGS, clock=clock)


@pytest.fixture
def full_client() -> Iterator[TestClient]:
    """An application with two slots."""
    with TestClient(create_app(SETTINGS)) as client:
        yield client


class Connection(SessionTimeout):
    """A connection without a conversation; it notes why it should end."""

    def __init__(self) -> None:
        self.reason = None

    def end(self, reason: EnvError) -> None:
        self.reason = reason


def is_open(sessions: Sessions, session_id: str) -> bool:
    try:
        sessions.get(session_id)
    except SessionNotFound:
        return False
    return True


def active(client: TestClient) -> int:
    count: int = client.get("/health").json()["active_sessions"]
    return count


def create(client: TestClient) -> str:
    session_id: str = client.post("/mcp", json=INITIALIZE).headers["mcp-session-id"]
    return session_id


def first_message(client: TestClient, path: str) -> dict[str, Any]:
    with client.websocket_connect(path) as socket:
        message: dict[str, Any] = socket.receive_json()["data"]
        return message


# --- the account of slots --------------------------------------------------------------------------------------------


def test_connections_and_sessions_share_the_slots(sessions: Sessions) -> None:
    with sessions.connected(Connection()), sessions.connected(Connection()):
        assert len(sessions) == 2
        with pytest.raises(CapacityReached, match="2"):
            sessions.create()
        with pytest.raises(CapacityReached), sessions.connected(Connection()):
            pass
    assert len(sessions) == 0
    session_id = sessions.create()
    sessions.close(session_id)
    with pytest.raises(SessionNotFound):
        sessions.close(session_id)
    assert len(sessions) == 0


def test_each_connection_of_a_shared_session_takes_a_slot(sessions: Sessions) -> None:
    session_id = sessions.create()
    with ExitStack() as connections:
        first, second = (connections.enter_context(sessions.connected(Connection(), session_id)) for _ in range(2))
        assert first is second
        assert len(sessions) == 2  # the first connection takes over the slot of the session
        with pytest.raises(CapacityReached), sessions.connected(Connection(), session_id):
            pass
    assert len(sessions) == 1
    assert is_open(sessions, session_id)


def test_the_longest_idle_session_without_a_connection_makes_room(sessions: Sessions, clock: Clock) -> None:
    first, second = sessions.create(), sessions.create()
    clock.now = 1
    sessions.get(first)
    third = sessions.create()
    assert [is_open(sessions, one) for one in (first, second, third)] == [True, False, True]
    with sessions.connected(Connection(), first), sessions.connected(Connection()):
        assert [is_open(sessions, one) for one in (first, third)] == [True, False]
        with pytest.raises(CapacityReached):
            sessions.create()


def test_the_limits_of_connections_hold_for_sessions_without_one(sessions: Sessions, clock: Clock) -> None:
    idle, busy = sessions.create(), sessions.create()
    for clock.now in (60, 120):
        assert is_open(sessions, busy)
    sessions.expire()
    assert len(sessions) == 1
    assert not is_open(sessions, idle)
    with sessions.connected(Connection(), busy):
        clock.now = 900
        sessions.expire()
        assert is_open(sessions, busy)  # with a connection it is not idle
    clock.now = 999
    assert is_open(sessions, busy)
    clock.now = 1_000
    assert not is_open(sessions, busy)
    assert len(sessions) == 0


def test_the_end_of_a_session_ends_its_connections(sessions: Sessions, clock: Clock) -> None:
    closed, expired = Connection(), Connection()
    session_id = sessions.create()
    with sessions.connected(closed, session_id):
        sessions.close(session_id)
        assert closed.reason is not None
        assert closed.reason.code == "SESSION_NOT_FOUND"
        assert len(sessions) == 1  # until the connection has left
    assert len(sessions) == 0
    session_id = sessions.create()
    with sessions.connected(expired, session_id):
        clock.now = 1_000
        sessions.expire()
        assert expired.reason is not None
        assert expired.reason.code == "SESSION_EXPIRED"


def test_a_server_that_stops_ends_every_connection(sessions: Sessions) -> None:
    connections = [Connection(), Connection()]
    session_id = sessions.create()
    with sessions.connected(connections[0], session_id):
        with sessions.connected(connections[1], session_id):
            pass  # the other one is still there
        sessions.stop()
    assert [one.reason and one.reason.code for one in connections] == ["SERVER_STOPPING", None]
    with pytest.raises(ServerStopping):
        sessions.create()
    with pytest.raises(ServerStopping), sessions.connected(Connection(), session_id):
        pass


# --- over the wire ---------------------------------------------------------------------------------------------------


def test_a_session_closed_under_its_connection_frees_its_slot_for_good(full_client: TestClient) -> None:
    for _ in range(5):
        session_id = create(full_client)
        with full_client.websocket_connect(f"/ws?session_id={session_id}") as socket:
            assert full_client.delete("/mcp", headers={"mcp-session-id": session_id}).status_code == 204
            assert socket.receive_json()["data"]["code"] == "SESSION_NOT_FOUND"
            with pytest.raises(WebSocketDisconnect) as ended:
                socket.receive_json()
            assert ended.value.code == 4404
    assert active(full_client) == 0


def test_connections_to_one_session_are_limited(full_client: TestClient) -> None:
    session_id = create(full_client)
    path = f"/ws?session_id={session_id}"
    with full_client.websocket_connect(path), full_client.websocket_connect(path):
        assert active(full_client) == 2
        assert first_message(full_client, path)["code"] == "CAPACITY_REACHED"
    assert active(full_client) == 1


def test_sessions_that_nobody_uses_keep_nobody_out(full_client: TestClient) -> None:
    opened = [create(full_client) for _ in range(5)]
    assert active(full_client) == 2
    answers = [full_client.post("/mcp", json=PING, headers={"mcp-session-id": one}).status_code for one in opened]
    assert answers == [404, 404, 404, 200, 200]
    with full_client.websocket_connect("/ws") as socket:
        socket.send_json({"type": "reset"})
        assert socket.receive_json()["type"] == "observation"
