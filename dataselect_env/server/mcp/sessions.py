"""Sessions of MCP clients over HTTP: they have ids, and no connection whose end would close them."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dataselect_env.core.errors import SessionNotFound
from dataselect_env.server.session import Session
from dataselect_env.server.sessions import Sessions

IDLE_SECONDS = 1_800.0
"""Idle time after which a session may be evicted when all slots are taken."""


@dataclass(slots=True)
class _Entry:
    session: Session
    used: float
    connections: int = 0


class McpSessions:
    """MCP sessions by id; each takes a slot, as a WebSocket connection does.

    An idle session stays open until its slot is needed.

    Args:
        sessions: The service's sessions.
        clock: Returns monotonic seconds.
    """

    def __init__(self, sessions: Sessions, clock: Callable[[], float] = time.monotonic) -> None:
        self._sessions = sessions
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()  # longest idle first
        sessions.evict_idle = self._evict_idle

    def create(self) -> str:
        """Return the id of a new session.

        Raises:
            CapacityReached: All slots are taken, and no MCP session is idle.
        """
        session = self._sessions.open("mcp")
        session_id = secrets.token_urlsafe(24)
        self._entries[session_id] = _Entry(session, self._clock())
        return session_id

    def get(self, session_id: str) -> Session:
        """Return a session and restart its idle time.

        Raises:
            SessionNotFound: There is no session with this id, or it has been closed.
        """
        return self._touch(session_id).session

    def close(self, session_id: str) -> None:
        """Close a session and free its slot.

        Raises:
            SessionNotFound: There is no session with this id, or it has been closed.
        """
        self._touch(session_id)
        self._sessions.close(self._entries.pop(session_id).session)

    @contextmanager
    def attached(self, session_id: str) -> Iterator[Session]:
        """Yield a session for a WebSocket connection that shares it; it does not count as idle meanwhile.

        Raises:
            SessionNotFound: There is no session with this id, or it has been closed.
        """
        entry = self._touch(session_id)
        entry.connections += 1
        try:
            yield entry.session
        finally:
            entry.connections -= 1
            entry.used = self._clock()

    def _touch(self, session_id: str) -> _Entry:
        entry = self._entries.get(session_id)
        if entry is None:
            raise SessionNotFound("There is no such session; it was closed, or evicted after a long pause.")
        entry.used = self._clock()
        self._entries.move_to_end(session_id)
        return entry

    def _evict_idle(self) -> None:
        oldest = self._clock() - IDLE_SECONDS
        idle = [name for name, entry in self._entries.items() if entry.used <= oldest and not entry.connections]
        for name in idle:
            self.close(name)
