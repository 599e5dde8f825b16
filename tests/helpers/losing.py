"""A proxy in front of PostgreSQL that loses connections when a test says so."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from tests.helpers.serving import LOOPBACK

PIECE = 65_536


class LosingProxy:
    """Forwards connections to a server, and loses those on which a request contains certain bytes.

    Attributes:
        marker: The bytes; None loses no connection.
        delivers: Whether such a request reaches the server, whose answer is lost then.
        times: How many more connections are lost.
        is_down: Whether all connections are lost, and new ones are refused.
        goes_down: Whether this becomes so with the next connection that is lost.
        lost: Number of connections that were lost by their requests.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self.port = 0
        self.marker: bytes | None = None
        self.delivers, self.times, self.is_down, self.lost = True, 1, False, 0
        self.goes_down = False

    async def serve(self, started: threading.Event, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set."""
        server = await asyncio.start_server(self._connected, LOOPBACK, 0)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await stop.wait()
        server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_down:
            writer.transport.abort()
            return
        server_reader, server_writer = await asyncio.open_connection(LOOPBACK, self._target)
        answering = asyncio.create_task(self._forward(server_reader, writer))
        with suppress(OSError):
            while (piece := await reader.read(PIECE)) and not self.is_down:
                if self.marker is not None and self.marker in piece and self.times:
                    self.times -= 1
                    self.lost += 1
                    self.is_down |= self.goes_down
                    answering.cancel()
                    await asyncio.wait([answering])
                    if self.delivers:
                        server_writer.write(piece)
                        await server_reader.read(PIECE)  # it has been committed
                    break
                server_writer.write(piece)
        answering.cancel()
        server_writer.transport.abort()
        writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(PIECE):
                writer.write(piece)
        writer.close()


@contextmanager
def losing_proxy(url: str) -> Iterator[tuple[LosingProxy, str]]:
    """Yield a proxy in front of the server of a URL, and the URL that leads through it."""
    port = urlsplit(url).port
    assert port is not None
    proxy, started = LosingProxy(port), threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(proxy.serve(started, stop))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert started.wait(30)
        yield proxy, url.replace(f":{port}/", f":{proxy.port}/")
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
