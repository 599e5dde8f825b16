"""Running the application under uvicorn: options from the settings, and a stop that loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from dataselect_env.server import connections, logs
from dataselect_env.server.admission import Admission
from dataselect_env.server.settings import Settings
from dataselect_env.server.supervisor import STARTUP_FAILURE


def options(settings: Settings) -> dict[str, Any]:
    """Return the arguments of ``uvicorn.Config`` that follow from the settings."""
    return {
        "host": settings.host,
        "port": settings.port,
        "log_config": logs.config(settings.log_format, settings.log_level),
        "log_level": logs.server_level(settings.log_level),
        "access_log": False,  # the application writes its own, with ids
        "server_header": False,
        "forwarded_allow_ips": settings.trusted_proxies,
        "timeout_graceful_shutdown": settings.stop_timeout,
        "ws_max_size": settings.max_message_bytes,
        "ws_ping_interval": settings.ping_interval,
        "ws_ping_timeout": settings.ping_timeout,
        "ws_per_message_deflate": False,  # messages are small; compression costs more than it saves
        "h11_max_incomplete_event_size": 2
        * settings.max_header_bytes,  # beyond our own limit, which has a better answer
        **connections.options(settings),
    }


class Server(uvicorn.Server):
    """A server that lets its application finish before it closes connections.

    Args:
        config: uvicorn's configuration.
        on_error: Handles errors that reach the event loop.
        drain: Called once no new connection is accepted; when it returns, all connections are closed.
        on_start: Called once connections are accepted.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        on_error: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object],
        drain: Callable[[], Awaitable[None]],
        on_start: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(config)
        self._on_error = on_error
        self._drain = drain
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept connections."""
        asyncio.get_running_loop().set_exception_handler(self._on_error)
        await super().startup(sockets)
        self._on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuse new connections, let each session finish the message that it is answering, then close all."""
        for server in self.servers:
            server.close()
        await self._drain()
        await super().shutdown(sockets)


def run(
    app: ASGIApp,
    settings: Settings,
    drain: Callable[[], Awaitable[None]],
    *,
    listener: socket.socket | None = None,
    on_start: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGINT or SIGTERM; both end the process with status 0 once everything is stored.

    Args:
        app: The application.
        settings: Address, limits and log.
        drain: Called before connections are closed; lets running steps finish.
        listener: Bound socket to listen on, in place of the address of the settings.
        on_start: Called once connections are accepted.

    Raises:
        SystemExit: The server could not start.
    """
    on_error = Admission.of(settings).handle_error
    server = Server(uvicorn.Config(app, **options(settings)), on_error, drain, on_start)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _exit)  # uvicorn raises the signal again when it has stopped
    with contextlib.suppress(KeyboardInterrupt):
        server.run(None if listener is None else [listener])
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def _exit(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
