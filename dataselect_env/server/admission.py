"""How many connections a process accepts: no more than it has file descriptors for, since it needs some itself."""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from collections.abc import Callable
from typing import Any

from dataselect_env.server.settings import Settings

logger = logging.getLogger(__name__)

RESERVED = 64
"""File descriptors that are not for connections: the store, the page, the log."""
LINE_EVERY = 60.0
"""Seconds between lines of the log about refused connections."""


class Admission:
    """Decides about new connections.

    Args:
        most: Largest number of open connections.
        clock: Returns monotonic seconds.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self._clock = clock
        self._next_line = -LINE_EVERY

    @classmethod
    def of(cls, settings: Settings) -> Admission:
        """Return that of a process with these settings."""
        descriptors = _file_descriptors()
        return cls(settings.max_connections if descriptors is None else min(settings.max_connections, descriptors))

    def admits(self, count: int) -> bool:
        """Return whether there may be another connection beside ``count`` open ones."""
        if count < self.most:
            return True
        self._warn(f"{count} connections are open, the most that there may be; new ones are closed at once")
        return False

    def handle_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Handle an error that has reached the event loop; connections that cannot be accepted come by the thousand."""
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
            self._warn("a connection cannot be accepted: no file descriptors are left")
        else:
            loop.default_exception_handler(context)

    def _warn(self, text: str) -> None:
        now = self._clock()
        if now >= self._next_line:
            self._next_line = now + LINE_EVERY
            logger.warning(text)


def _file_descriptors() -> int | None:
    """Return how many file descriptors there are for connections; None where that is not known."""
    try:
        import resource  # noqa: PLC0415  (Windows has none)
    except ImportError:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else max(soft - RESERVED, 1)
