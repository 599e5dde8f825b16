"""Running an application under uvicorn: its options from the settings, and a stop that loses nothing."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess, multiprocess

from dataselect_env.server import logs
from dataselect_env.server.settings import Settings

WORKER_PATIENCE = 60
"""Seconds after which a worker that shows no sign of life is replaced."""

STARTUP_FAILURE = 3
"""Exit status of a server that could not start, as uvicorn has it."""


def options(settings: Settings) -> dict[str, Any]:
    """Return the arguments of ``uvicorn.Config``, and of ``uvicorn.run``, that the settings stand for."""
    return {
        "host": settings.host,
        "port": settings.port,
        "log_config": logs.config(settings.log_format, settings.log_level),
        "log_level": settings.log_level,
        "access_log": False,  # the application writes its own, with ids
        "server_header": False,
        "forwarded_allow_ips": settings.trusted_proxies,
        "timeout_graceful_shutdown": settings.stop_timeout,
        "ws_max_size": settings.max_message_bytes,
        "ws_ping_interval": settings.ping_interval,
        "ws_ping_timeout": settings.ping_timeout,
        "ws_per_message_deflate": False,  # messages are small: compressing them costs more than sending them
    }


class Server(uvicorn.Server):
    """A server that tells its application when it is about to stop, before connections are closed.

    Args:
        config: uvicorn's configuration.
        drain: Called once no new connection is accepted; when it returns, all connections are closed.
    """

    def __init__(self, config: uvicorn.Config, drain: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._drain = drain

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuse new connections, let sessions end after the message that they are answering, then close all."""
        for server in self.servers:
            server.close()
        await self._drain()
        await super().shutdown(sockets)


def run(app: ASGIApp, settings: Settings, drain: Callable[[], Awaitable[None]]) -> None:
    """Serve until SIGINT or SIGTERM; both end the process with status 0 once everything is stored.

    Args:
        app: The application.
        settings: Where to listen, limits and log.
        drain: Called before the connections are closed; lets running steps finish.

    Raises:
        SystemExit: The server could not start.
    """
    server = Server(uvicorn.Config(app, **options(settings)), drain)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _exit)  # what uvicorn hands a signal on to when it has stopped
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


class Worker(multiprocess.Process):
    """One of several processes, with the server of this module.

    Args:
        drain: As of :class:`Server`; a function of a module, which the process imports.
        config: uvicorn's configuration.
        sockets: What all of them listen on.
    """

    def __init__(self, drain: Callable[[], Awaitable[None]], config: uvicorn.Config, sockets: list[socket.socket]):
        super().__init__(config, sockets)
        self._drain = drain

    @property
    def server(self) -> Server:
        """The server; made in the process itself."""
        if self._server is None:
            self._server = Server(self.config, self._drain)
        assert isinstance(self._server, Server)  # noqa: S101
        return self._server


def run_workers(app: str, settings: Settings, drain: Callable[[], Awaitable[None]]) -> None:
    """Serve with ``settings.workers`` processes that share a port, until SIGINT or SIGTERM.

    Args:
        app: What each of them imports, as ``module:attribute``; it reads its settings from the environment.
        settings: Where to listen, limits and log.
        drain: Called in each of them before its connections are closed; a function of a module.
    """
    config = uvicorn.Config(
        app, workers=settings.workers, timeout_worker_healthcheck=WORKER_PATIENCE, **options(settings)
    )
    multiprocess.Process = partial(Worker, drain)  # type: ignore[assignment,misc]  # there is no other way to choose it
    Multiprocess(config, [config.bind_socket()]).run()


def _exit(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
