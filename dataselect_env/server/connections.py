"""Bounds on what one connection may hold or cost before the application sees a request.

uvicorn parses HTTP and WebSocket; it limits neither request lines, headers and trailers nor answers that a client does
not read. Its protocols therefore run inside :class:`HTTPConnection` and :class:`WebSocketConnection`, which it accepts
as its options ``http`` and ``ws``. The limits are the same for every parser and event loop:

- A connection is read a little at a time, once in each turn of the event loop, so that every connection gets its turn.
- While a client does not read its answers, nothing is read from it; after a time its connection is cut.
- The head of a request has a largest size, and must arrive in time.
- There is a largest number of connections.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from dataselect_env.core.errors import CapacityReached, HeadersTooLarge, URITooLong
from dataselect_env.server import parsers
from dataselect_env.server.admission import Admission
from dataselect_env.server.settings import Settings

logger = logging.getLogger(__name__)

HTTP_READ, WEBSOCKET_READ = 8_192, 1_024
"""Most bytes that are read from a connection in one turn. Requests and messages are usually smaller; as many bytes of
the smallest requests take about 10 ms, and of the smallest frames about 1 ms."""
CHECKS = 4
"""Checks of a connection in the time of the shorter of its limits."""
MOST_DISCARDED = 1_048_576
"""Bytes of a request that are read after it has been answered, and discarded, before the connection is closed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on one connection.

    Attributes:
        header_bytes: Size of the head of a request, and of its trailers.
        read_timeout: Seconds in which the head of a request must arrive.
        write_timeout: Seconds in which a client must read what it was sent.
    """

    header_bytes: int
    read_timeout: float
    write_timeout: float

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """Return the limits of the settings."""
        return cls(settings.max_header_bytes, settings.body_timeout, settings.write_timeout)


class Gate:
    """A transport whose reading several parties can pause; it goes on when none of them does.

    Args:
        transport: The transport of the connection.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self._holders: set[str] = set()
        self.is_closing = transport.is_closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    def write(self, data: bytes) -> None:
        """Send bytes, unless the connection has ended: of several waiting requests uvicorn ends only the last."""
        if not self.is_closing():
            self.transport.write(data)

    def hold(self, holder: str) -> None:
        """Pause reading until ``holder`` releases it."""
        if not self._holders:
            self.transport.pause_reading()
        self._holders.add(holder)

    def release(self, holder: str) -> None:
        """Read on, unless another party pauses it."""
        if holder in self._holders:
            self._holders.remove(holder)
            if not self._holders:
                self.transport.resume_reading()

    def pause_reading(self) -> None:
        """Pause reading for the protocol."""
        self.hold("protocol")

    def resume_reading(self) -> None:
        """Read on for the protocol."""
        self.release("protocol")


class Bounded(asyncio.BufferedProtocol):
    """A connection whose bytes pass to a protocol of uvicorn, within the limits.

    Args:
        protocol: The protocol.
        limits: The limits.
        read_size: Most bytes that are read in one turn of the event loop.
    """

    def __init__(self, protocol: asyncio.Protocol, limits: Limits, read_size: int) -> None:
        self.protocol = protocol
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._buffer = memoryview(bytearray(read_size))
        self._period = min(limits.read_timeout, limits.write_timeout) / CHECKS
        self._unread_since: float | None = None  # when the client was first found not to read
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to serve a connection; ``transport`` is a gate after an upgrade."""
        self.gate = transport if isinstance(transport, Gate) else Gate(transport)  # type: ignore[arg-type]
        self.protocol.connection_made(self.gate)  # type: ignore[arg-type]  # it acts like a transport
        self._timer = self._loop.call_later(self._period, self._check)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  (the caller's suggestion)
        """Return the buffer for the next bytes."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on bytes that have arrived; when there may be more of them, others have their turn first."""
        if nbytes == len(self._buffer):
            self.gate.hold("turn")
            self._loop.call_soon(self.gate.release, "turn")
        self.data_received(bytes(self._buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Pass bytes to the protocol."""
        self.protocol.data_received(data)

    def eof_received(self) -> bool | None:
        """Note that the client sends no more."""
        return self.protocol.eof_received()

    def pause_writing(self) -> None:
        """Stop reading as well: what a client sends could lead to more answers."""
        self.gate.hold("answers")
        self.protocol.pause_writing()

    def resume_writing(self) -> None:
        """Read on: the client has read most of what it was sent."""
        self._unread_since = None
        self.gate.release("answers")
        self.protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """End with the connection."""
        if self._timer is not None:
            self._timer.cancel()
        self.protocol.connection_lost(exc)

    def is_late(self, now: float) -> bool:  # noqa: ARG002
        """Return whether the client has let a time limit for sending pass."""
        return False

    def _check(self) -> None:
        """Cut the connection of a client that has let a limit pass."""
        if self.gate.get_protocol() is not self:
            return  # a WebSocket connection has taken over
        now = self._loop.time()
        if not self.gate.get_write_buffer_size():
            self._unread_since = None
        elif self._unread_since is None:
            self._unread_since = now
        elif now - self._unread_since >= self._limits.write_timeout:
            logger.info("a client does not read; its connection was cut")
            self.gate.abort()
            return
        if self.is_late(now):
            self.gate.close()
        self._timer = self._loop.call_later(self._period, self._check)


class HTTPConnection(Bounded):
    """A connection that speaks HTTP until it is upgraded to a WebSocket.

    Args:
        protocol: The protocol that parses it.
        limits: The limits.
        admission: Decides whether there may be another connection.
    """

    def __init__(self, protocol: Any, limits: Limits, admission: Admission) -> None:
        super().__init__(protocol, limits, HTTP_READ)
        self._http: Any = protocol
        self._admission = admission
        self._progress: tuple[object, object, int] = (None, None, 0)  # the request, its waiting body, and its length
        self._fruitless = 0  # bytes since the last progress: of heads, chunk extensions and trailers
        self._has_line = False  # whether there was a line break among them
        self._answered: Any = None  # the request that was answered at the last check
        self._waiting_since = self._loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to serve a connection, or close it when there are too many."""
        if self._admission.admits(len(self._http.connections)):
            super().connection_made(transport)
            return
        self.protocol = asyncio.Protocol()  # uvicorn's does not get to know of this connection
        self.gate = Gate(transport)  # type: ignore[arg-type]
        self.gate.write(parsers.refusal(CapacityReached("This server has too many connections; try again later.")))
        self.gate.close()

    def data_received(self, data: bytes) -> None:
        """Pass bytes to the parser, and refuse what leads to nothing."""
        super().data_received(data)
        if self._has_progressed():
            self._fruitless, self._has_line = 0, False
            return
        self._fruitless += len(data)
        self._has_line |= b"\n" in data
        if self.gate.is_closing():
            return
        if self._is_discarding():
            if self._fruitless > MOST_DISCARDED:
                self.gate.close()
        elif self._fruitless > self._limits.header_bytes:
            kind, what = (HeadersTooLarge, "headers") if self._has_line else (URITooLong, "address")
            self._http.refuse(kind(f"The {what} of a request should have at most {self._limits.header_bytes} bytes."))

    def _has_progressed(self) -> bool:
        """Return whether there is a new request, or more of a body that the application waits for."""
        cycle, (last_cycle, last_body, last_length) = self._http.cycle, self._progress
        body = None if cycle is None else cycle.body
        length = len(body or b"")
        self._progress = (cycle, body, length)  # holds the body, so that another one cannot have its place in memory
        if cycle is not last_cycle:
            return True
        return not self._is_discarding() and length > (last_length if body is last_body else 0)

    def _is_discarding(self) -> bool:
        """Return whether the rest of a request arrives that has already been answered."""
        cycle = self._http.cycle
        return bool(cycle is not None and cycle.response_complete and cycle.more_body)

    def is_late(self, now: float) -> bool:
        """Return whether the head of a request has been missing for too long."""
        cycle = self._http.cycle
        if cycle is not self._answered or not (cycle is None or cycle.response_complete):
            self._answered, self._waiting_since = cycle, now
        return now - self._waiting_since >= self._limits.read_timeout


class WebSocketConnection(Bounded):
    """A connection that speaks WebSocket.

    Args:
        protocol: The protocol that parses it.
        limits: The limits.
    """

    def __init__(self, protocol: asyncio.Protocol, limits: Limits) -> None:
        super().__init__(protocol, limits, WEBSOCKET_READ)


def options(settings: Settings) -> dict[str, Any]:
    """Return the options of ``uvicorn.Config`` that put the limits in place."""
    limits, admission = Limits.of(settings), Admission.of(settings)

    def make_http(**arguments: Any) -> Bounded:
        return HTTPConnection(parsers.HTTPParser(**arguments), limits, admission)

    def make_websocket(**arguments: Any) -> Bounded:
        return WebSocketConnection(parsers.WebSocketParser(**arguments), limits)

    return {"http": make_http, "ws": make_websocket}
