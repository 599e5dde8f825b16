"""The sessions of connected clients: how many there may be, how long they last, and how they end with the server."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from dataselect_env.core.errors import CapacityReached, EnvError, ServerStopping, SessionExpired, SessionNotFound
from dataselect_env.server.entries import Entries
from dataselect_env.server.limits import SessionTimeout
from dataselect_env.server.session import Session
from dataselect_env.server.settings import Settings
from dataselect_env.server.store.base import EpisodeStore

DRAIN_INTERVAL = 0.01
"""Seconds between checks whether all connections of a stopping server have ended."""


@dataclass(slots=True, eq=False)
class _McpSession:
    """A session that has an id, and any number of WebSocket connections that share it."""

    session: Session
    opened: float
    used: float
    connections: set[SessionTimeout] = field(default_factory=set)


class Sessions:
    """Sessions of WebSocket connections, and of MCP clients over HTTP, which have ids instead.

    Each connection takes one of a limited number of slots, and so does each MCP session without a connection. They are
    counted here and nowhere else. When all slots are taken, the MCP session without a connection that has been idle
    longest makes room.

    Args:
        store: Where their episodes are stored.
        entries: Decides about the start of episodes.
        settings: Number of slots, idle timeout and lifetime.
        on_change: Called with the number of taken slots whenever it may have changed.
        clock: Returns monotonic seconds.
    """

    def __init__(
        self,
        store: EpisodeStore,
        entries: Entries,
        settings: Settings,
        on_change: Callable[[int], object] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._entries = entries
        self._limit = settings.max_sessions
        self._idle, self._lifetime = settings.idle_timeout, settings.session_lifetime
        self._on_change = on_change
        self._clock = clock
        self._connections: set[SessionTimeout] = set()
        self._mcp: OrderedDict[str, _McpSession] = OrderedDict()  # by id, the longest idle first
        self._stopping = asyncio.Event()

    def __len__(self) -> int:
        """Taken slots."""
        return len(self._connections) + sum(not one.connections for one in self._mcp.values())

    @property
    def is_stopping(self) -> bool:
        """Whether the server is stopping and starts nothing new."""
        return self._stopping.is_set()

    @contextmanager
    def connected(self, timeout: SessionTimeout, session_id: str | None = None) -> Iterator[Session]:
        """Yield the session of a WebSocket connection: a new one, or the MCP session of this id.

        Args:
            timeout: Ends the connection, for instance when the server stops or the MCP session is closed.
            session_id: Id of an MCP session.

        Raises:
            CapacityReached: All slots are taken.
            ServerStopping: The server is stopping.
            SessionNotFound: There is no session with this id, or it has ended.
        """
        self.check_running()
        shared = None if session_id is None else self._find(session_id)
        if shared is None or shared.connections:  # the first connection takes over the slot of its session
            self._make_room()
        others = set() if shared is None else shared.connections
        self._connections.add(timeout)
        others.add(timeout)
        self._on_change(len(self))
        try:
            yield Session(self._store, "websocket", self._entries) if shared is None else shared.session
        finally:
            self._connections.discard(timeout)
            others.discard(timeout)
            if session_id is not None and shared is not None:
                self._note_use(session_id, shared)
            self._on_change(len(self))

    def create(self) -> str:
        """Return the id of a new MCP session.

        Raises:
            CapacityReached: All slots are taken by connections.
            ServerStopping: The server is stopping.
        """
        self.check_running()
        self._make_room()
        session_id, now = secrets.token_urlsafe(24), self._clock()
        self._mcp[session_id] = _McpSession(Session(self._store, "mcp", self._entries), now, now)
        self._on_change(len(self))
        return session_id

    def get(self, session_id: str) -> Session:
        """Return an MCP session and restart its idle time.

        Raises:
            SessionNotFound: There is no session with this id, or it has ended.
        """
        return self._find(session_id).session

    def close(self, session_id: str) -> None:
        """Close an MCP session, and its connections after the messages that they are answering.

        Raises:
            SessionNotFound: There is no session with this id, or it has ended.
        """
        self._find(session_id)
        self._end(session_id, SessionNotFound("The session of this connection was closed."))

    def expire(self) -> None:
        """Close the MCP sessions that have been idle for too long or have reached their lifetime."""
        for session_id, one in list(self._mcp.items()):
            if self._is_over(one):
                self._end(session_id, SessionExpired(f"A session lasts {self._lifetime:g} s at most; start another."))

    def check_running(self) -> None:
        """Raise ServerStopping when the server is stopping."""
        if self.is_stopping:
            raise ServerStopping("The server is stopping; try again in a moment.")

    def stop(self) -> None:
        """Open no more sessions, and end each connection after the message that it is answering."""
        self._stopping.set()
        for timeout in self._connections:
            timeout.end(ServerStopping("The server is stopping; connect again in a moment."))

    async def wait_for_stop(self, seconds: float) -> None:
        """Return when the server is stopping, or after ``seconds``."""
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    async def drain(self, patience: float) -> None:
        """Stop, and return when all connections have ended, or after ``patience`` seconds."""
        self.stop()
        deadline = time.monotonic() + patience
        while self._connections and time.monotonic() < deadline:
            await asyncio.sleep(DRAIN_INTERVAL)

    def _make_room(self) -> None:
        """Raise CapacityReached unless a slot is free, if need be that of an idle MCP session."""
        if len(self) >= self._limit:
            idle = next((session_id for session_id, one in self._mcp.items() if not one.connections), None)
            if idle is None:
                raise CapacityReached(f"All {self._limit} sessions of this server are in use; try again later.")
            del self._mcp[idle]

    def _find(self, session_id: str) -> _McpSession:
        found = self._mcp.get(session_id)
        if found is not None and self._is_over(found):
            self.expire()
            found = None
        if found is None:
            raise SessionNotFound("There is no such session; it was closed, or ended after a long pause.")
        self._note_use(session_id, found)
        return found

    def _note_use(self, session_id: str, one: _McpSession) -> None:
        one.used = self._clock()
        if session_id in self._mcp:
            self._mcp.move_to_end(session_id)

    def _is_over(self, one: _McpSession) -> bool:
        now = self._clock()
        is_idle = not one.connections and now >= one.used + self._idle
        return is_idle or now >= one.opened + self._lifetime

    def _end(self, session_id: str, reason: EnvError) -> None:
        for timeout in self._mcp.pop(session_id).connections:
            timeout.end(reason)
        self._on_change(len(self))
