import pytest

from dataselect_env.core.errors import CapacityReached, SessionNotFound
from dataselect_env.server.mcp.sessions import IDLE_SECONDS, McpSessions
from dataselect_env.server.sessions import Sessions
from dataselect_env.server.store.sqlite import SQLiteStore


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_places_are_those_of_the_server_and_idle_sessions_make_room(store: SQLiteStore) -> None:
    sessions, clock = Sessions(store, 3), Clock()
    mcp = McpSessions(sessions, clock)
    connection = sessions.open("websocket")
    first, second = mcp.create(), mcp.create()
    assert len(sessions) == 3
    with pytest.raises(CapacityReached):
        mcp.create()
    with pytest.raises(CapacityReached):
        sessions.open("websocket")
    clock.now = IDLE_SECONDS / 2
    mcp.get(second)
    clock.now = IDLE_SECONDS
    sessions.open("websocket")  # gets the place of the idle session
    with pytest.raises(SessionNotFound):
        mcp.get(first)
    mcp.get(second)
    mcp.close(second)
    with pytest.raises(SessionNotFound):
        mcp.close(second)
    sessions.close(connection)
    assert len(sessions) == 1


def test_a_session_with_a_connection_is_not_idle(store: SQLiteStore) -> None:
    sessions, clock = Sessions(store, 1), Clock()
    mcp = McpSessions(sessions, clock)
    name = mcp.create()
    with mcp.attached(name) as session:
        clock.now = 2 * IDLE_SECONDS
        with pytest.raises(CapacityReached):
            sessions.open("websocket")
        assert mcp.get(name) is session
    clock.now = 3 * IDLE_SECONDS
    sessions.open("websocket")
    with pytest.raises(SessionNotFound), mcp.attached(name):
        pass
