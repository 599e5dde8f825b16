"""uvicorn in a thread of this process, with the parser and the event loop of one's choice."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from dataselect_env.server.process import options
from dataselect_env.server.settings import Settings
from tests.helpers.serving import LOOPBACK

PATIENCE = 30.0
"""Seconds after which a test gives up."""
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
"""The handshake of a WebSocket."""


@dataclass(frozen=True)
class Host:
    """A server in this process.

    Attributes:
        port: Where it listens.
        server: uvicorn's server.
    """

    port: int
    server: uvicorn.Server

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self.server.server_state.connections)

    def connect(self) -> socket.socket:
        """Return a new connection; its calls give up after ``PATIENCE`` seconds."""
        return socket.create_connection((LOOPBACK, self.port), timeout=PATIENCE)

    def ask(self, *parts: bytes) -> bytes:
        """Send parts of a request one after the other; return all that comes back until the server closes.

        A part that the server no longer takes ends the sending.
        """
        with closing(self.connect()) as client:
            try:
                for part in parts:
                    client.sendall(part)
            except ConnectionError:
                pass
            return read_all(client)

    def until_closed(self) -> None:
        """Wait until no connection is open."""
        deadline = time.monotonic() + PATIENCE
        while self.connections:
            assert time.monotonic() < deadline, f"{self.connections} connections are still open"
            time.sleep(0.01)


def read_all(client: socket.socket) -> bytes:
    """Return what a server sends until it closes or resets the connection."""
    received = b""
    try:
        while piece := client.recv(65_536):
            received += piece
    except ConnectionError:
        pass
    return received


def frame(opcode: int, payload: bytes = b"", *, final: bool = True) -> bytes:
    """Return a masked WebSocket frame with a payload of less than 126 bytes; the mask is zero."""
    return bytes([opcode | (0x80 if final else 0), 0x80 | len(payload)]) + bytes(4) + payload


@contextmanager
def hosted(app: ASGIApp, settings: Settings, **choices: Any) -> Iterator[Host]:
    """Serve an application on a free port of the loopback interface, with the options of the real server.

    Args:
        app: The application.
        settings: Their limits hold.
        choices: Options of ``uvicorn.Config`` in place of those that follow from the settings.
    """
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        config = uvicorn.Config(app, **{**options(settings), "log_config": None, **choices})
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            deadline = time.monotonic() + PATIENCE
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                assert time.monotonic() < deadline
                time.sleep(0.005)
            yield Host(listener.getsockname()[1], server)
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            assert not thread.is_alive()
