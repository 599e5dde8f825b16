"""The sessions of connected clients: how many there may be, and how they end when the server stops."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from dataselect_env.core.errors import CapacityReached, ServerStopping
from dataselect_env.server.limits import SessionTimeout
from dataselect_env.server.session import Session
from dataselect_env.server.store.base import EpisodeStore, Transport

DRAIN_INTERVAL = 0.01
"""Seconds between checks whether all connections of a stopping server have ended."""


class Sessions:
    """Sessions of WebSocket connections and MCP clients; each takes one of a limited number of slots.

    The slots are counted here and nowhere else. A closed session stays closed, whatever its connection does afterwards.

    Args:
        store: Where their episodes are stored.
        limit: Largest number of open sessions.
        on_change: Called with the number of open sessions whenever it may have changed.
    """

    def __init__(self, store: EpisodeStore, limit: int, on_change: Callable[[int], object] = lambda _: None) -> None:
        self._store = store
        self._limit = limit
        self._on_change = on_change
        self._connections: dict[Session, SessionTimeout | None] = {}  # open sessions; None: no connection right now
        self._stopping = asyncio.Event()
        self.evict_idle: Callable[[], None] = lambda: None
        """Called when all slots are taken, before a client is refused; may close sessions."""

    def __len__(self) -> int:
        """Open sessions."""
        return len(self._connections)

    @property
    def is_stopping(self) -> bool:
        """Whether the server is stopping and starts nothing new."""
        return self._stopping.is_set()

    def open(self, transport: Transport, timeout: SessionTimeout | None = None) -> Session:
        """Return a new session; :meth:`close` frees its slot.

        Args:
            transport: How the client reached the server.
            timeout: Ends the client's connection when the server stops.

        Raises:
            CapacityReached: All slots are taken.
            ServerStopping: The server is stopping.
        """
        self.check_running()
        if len(self) >= self._limit:
            self.evict_idle()
        if len(self) >= self._limit:
            raise CapacityReached(f"All {self._limit} sessions of this server are in use; try again later.")
        session = Session(self._store, transport)
        self._connections[session] = timeout
        self._on_change(len(self))
        return session

    def attach(self, session: Session, timeout: SessionTimeout | None) -> None:
        """Set the connection that ends with the server; None when the session has none any more."""
        if session in self._connections:
            self._connections[session] = timeout

    def close(self, session: Session) -> None:
        """Free the slot of a session; closing it again does nothing."""
        self._connections.pop(session, None)
        self._on_change(len(self))

    def check_running(self) -> None:
        """Raise ServerStopping when the server is stopping."""
        if self.is_stopping:
            raise ServerStopping("The server is stopping; try again in a moment.")

    def stop(self) -> None:
        """Open no more sessions, and end each connection after the message that it is answering."""
        self._stopping.set()
        for timeout in self._connections.values():
            if timeout is not None:
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
        while any(self._connections.values()) and time.monotonic() < deadline:
            await asyncio.sleep(DRAIN_INTERVAL)
