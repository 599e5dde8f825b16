import pytest

from dataselect_env.core.errors import CapacityReached, SessionNotFound
from dataselect_env.server.mcp.sessions import IDLE_SECONDS, McpSessions
from dataselect_env.server.service import Service
from dataselect_env.server.settings import Settings
from dataselect_env.server.store.sqlite import SQLiteStore


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_places_are_those_of_the_server_and_idle_sessions_make_room(store: SQLiteStore) -> None:
    service, clock = Service(Settings(store="memory:", max_sessions=3), store), Clock()
    sessions = McpSessions(service, clock)
    socket = service.connect()
    first, second = sessions.create(), sessions.create()
    assert service.active_sessions == 3
    with pytest.raises(CapacityReached):
        sessions.create()
    with pytest.raises(CapacityReached):
        service.connect()
    clock.now = IDLE_SECONDS / 2
    sessions.get(second)
    clock.now = IDLE_SECONDS
    service.connect()  # a WebSocket connection gets the place of the idle one
    with pytest.raises(SessionNotFound):
        sessions.get(first)
    sessions.get(second)
    sessions.close(second)
    with pytest.raises(SessionNotFound):
        sessions.close(second)
    service.disconnect(socket)
    assert (len(sessions), service.active_sessions) == (0, 1)


def test_a_session_with_a_connection_is_not_idle(store: SQLiteStore) -> None:
    service, clock = Service(Settings(store="memory:", max_sessions=1), store), Clock()
    sessions = McpSessions(service, clock)
    name = sessions.create()
    with sessions.attached(name) as session:
        clock.now = 2 * IDLE_SECONDS
        with pytest.raises(CapacityReached):
            service.connect()
        assert sessions.get(name) is session
    clock.now = 3 * IDLE_SECONDS
    service.connect()
    with pytest.raises(SessionNotFound), sessions.attached(name):
        pass
