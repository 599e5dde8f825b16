"""Sessions of MCP clients over HTTP, which have no connection whose end would free them."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dataselect_env.core.errors import SessionNotFound
from dataselect_env.server.service import Service
from dataselect_env.server.session import Session

IDLE_SECONDS = 1_800.0
"""A session that was not asked anything for so long makes room when somebody needs it."""


@dataclass(slots=True)
class _Place:
    session: Session
    used: float
    connections: int = 0


class McpSessions:
    """The sessions of one service by their ids; each takes one of its places, as a WebSocket connection does.

    An idle session is freed when its place is needed, and not before: it costs nobody anything until then.

    Args:
        service: Whose places they take.
        clock: Seconds that only grow.
    """

    def __init__(self, service: Service, clock: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._clock = clock
        self._places: OrderedDict[str, _Place] = OrderedDict()  # longest unused first
        service.make_room = self._free_idle

    def __len__(self) -> int:
        return len(self._places)

    def create(self) -> str:
        """Return the id of a new session.

        Raises:
            CapacityReached: All places are taken by sessions that are in use.
        """
        session = self._service.connect(transport="mcp")
        session_id = secrets.token_urlsafe(24)
        self._places[session_id] = _Place(session, self._clock())
        return session_id

    def get(self, session_id: str) -> Session:
        """Return a session, which counts as used.

        Raises:
            SessionNotFound: There is none of this id, or no longer.
        """
        return self._touch(session_id).session

    def close(self, session_id: str) -> None:
        """End a session and free its place.

        Raises:
            SessionNotFound: There is none of this id, or no longer.
        """
        self._touch(session_id)
        self._service.disconnect(self._places.pop(session_id).session)

    @contextmanager
    def attached(self, session_id: str) -> Iterator[Session]:
        """Give a session that a WebSocket connection plays too; while it does, the session is not idle.

        Raises:
            SessionNotFound: There is none of this id, or no longer.
        """
        place = self._touch(session_id)
        place.connections += 1
        try:
            yield place.session
        finally:
            place.connections -= 1
            place.used = self._clock()

    def _touch(self, session_id: str) -> _Place:
        place = self._places.get(session_id)
        if place is None:
            raise SessionNotFound(
                "There is no such session; it was closed, or made room for others after a long pause."
            )
        place.used = self._clock()
        self._places.move_to_end(session_id)
        return place

    def _free_idle(self) -> None:
        oldest = self._clock() - IDLE_SECONDS
        idle = [name for name, place in self._places.items() if place.used <= oldest and not place.connections]
        for name in idle:
            self.close(name)
