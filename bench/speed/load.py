"""A client that costs little compared with a server: raw sockets, prepared messages, no parsing.

Each connection sends a message, waits for the answer, checks its first bytes, and sends the next message.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import uvloop

Transport = Literal["websocket", "http"]
LOOPBACK = "127.0.0.1"
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
DEADLINE = 60.0
"""Seconds to wait for a first answer; only a hanging server takes longer."""


@dataclass
class Message:
    """One encoded message. Only steps are counted and timed."""

    raw: bytes
    is_step: bool


@dataclass
class Load:
    """The result of a run: seconds from message to answer for each step within the measured time."""

    seconds: float
    client_cpu: float
    latencies: list[float] = field(default_factory=list)


def websocket_message(kind: Literal["reset", "step"], data: dict[str, Any]) -> Message:
    """Return a text frame; its mask is zero, so that the payload is unchanged."""
    payload = json.dumps({"type": kind, "data": data}).encode()
    if len(payload) < 126:
        head = bytes([0x81, 0x80 | len(payload)])
    else:
        head = bytes([0x81, 0x80 | 126]) + len(payload).to_bytes(2, "big")
    return Message(head + bytes(4) + payload, kind == "step")


def http_message(kind: Literal["reset", "step"], data: dict[str, Any]) -> Message:
    """Return a request on a persistent connection."""
    payload = json.dumps(data).encode()
    head = f"POST /{kind} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
    return Message(head.encode() + str(len(payload)).encode() + b"\r\n\r\n" + payload, kind == "step")


def websocket_answer(buffer: bytearray) -> int | None:
    """Return the length of the first answer in bytes, None while it is incomplete.

    Raises:
        ValueError: It is not an observation.
    """
    if len(buffer) < 4 or buffer[0] == 0x89:  # or part of a ping
        return None
    length, start = buffer[1], 2
    if length == 126:
        length, start = int.from_bytes(buffer[2:4], "big"), 4
    elif length == 127:
        length, start = int.from_bytes(buffer[2:10], "big"), 10
    if len(buffer) < start + length:
        return None
    if buffer[0] != 0x81 or b"observation" not in buffer[start : start + 24]:
        raise ValueError(f"unexpected answer: {bytes(buffer[:300])!r}")
    return start + length


def http_answer(buffer: bytearray) -> int | None:
    """Return the length of the first answer in bytes, None while it is incomplete.

    Raises:
        ValueError: Its status is not 200.
    """
    head = buffer.find(b"\r\n\r\n")
    if head < 0:
        return None
    if not buffer.startswith(b"HTTP/1.1 200"):
        raise ValueError(f"unexpected answer: {bytes(buffer[:600])!r}")
    at = buffer[:head].lower().find(b"content-length: ") + 16  # a proxy may write it in other letters
    length = head + 4 + int(buffer[at : buffer.find(b"\r", at)])
    return length if len(buffer) >= length else None


ANSWERS: dict[Transport, Callable[[bytearray], int | None]] = {"websocket": websocket_answer, "http": http_answer}


class Connection(asyncio.Protocol):
    """One client that plays ``messages`` until it is stopped."""

    def __init__(self, transport: Transport, messages: Iterator[Message], failed: asyncio.Future[None]) -> None:
        self._kind: Transport = transport
        self._answer = ANSWERS[transport]
        self._messages = messages
        self._failed = failed
        self._buffer = bytearray()
        self._upgraded = transport == "http"
        self.latencies: list[float] = []
        self.answered: asyncio.Future[None] = failed.get_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the WebSocket handshake, or the first request."""
        self._transport = cast(asyncio.Transport, transport)
        if self._upgraded:
            self._next()
        else:
            self._transport.write(UPGRADE)

    def data_received(self, data: bytes) -> None:
        """Process received data; send the next message when the answer is complete."""
        self._buffer += data
        try:
            if not self._upgraded:
                self._upgrade()
                return
            while self._kind == "websocket" and self._pong():
                pass
            length = self._answer(self._buffer)
        except ValueError as error:
            if not self._failed.done():
                self._failed.set_exception(error)
            self._transport.close()
            return
        if length is not None:
            del self._buffer[:length]
            if not self.answered.done():
                self.answered.set_result(None)
            if self._sent.is_step:
                self.latencies.append(time.perf_counter() - self._sent_at)
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        """Report that the server closed the connection early."""
        if not self._failed.done():
            self._failed.set_exception(ConnectionError(f"the server closed a connection: {exc}"))

    def _upgrade(self) -> None:
        if b"\r\n\r\n" not in self._buffer:
            return
        if not self._buffer.startswith(b"HTTP/1.1 101"):
            raise ValueError(f"no WebSocket: {bytes(self._buffer[:300])!r}")
        self._buffer.clear()
        self._upgraded = True
        self._next()

    def _pong(self) -> bool:
        """Answer a ping at the beginning of the received data; return whether there was one."""
        if self._buffer[:1] != b"\x89" or len(self._buffer) < 2 or len(self._buffer) < 2 + self._buffer[1]:
            return False
        length = self._buffer[1]
        self._transport.write(bytes([0x8A, 0x80 | length]) + bytes(4) + self._buffer[2 : 2 + length])
        del self._buffer[: 2 + length]
        return True

    def _next(self) -> None:
        self._sent = next(self._messages)
        self._transport.write(self._sent.raw)
        self._sent_at = time.perf_counter()

    def close(self) -> None:
        """Close the connection."""
        self._transport.abort()


@dataclass(frozen=True)
class Plan:
    """Settings of the client.

    Attributes:
        port: Port of the server on the loopback interface.
        transport: Transport of the messages.
        warm_up: Seconds that do not count, from the moment when every connection has had an answer.
        seconds: Seconds that count, after these.
        mark: Called at the beginning and at the end of the seconds that count.
    """

    port: int
    transport: Transport
    warm_up: float
    seconds: float
    mark: Callable[[], None]


async def _run(plan: Plan, scripts: Iterable[Iterator[Message]]) -> Load:
    loop = asyncio.get_running_loop()
    failed: asyncio.Future[None] = loop.create_future()
    connections = [Connection(plan.transport, script, failed) for script in scripts]
    for one in connections:
        await loop.create_connection(lambda one=one: one, LOOPBACK, plan.port)  # type: ignore[misc]
    for one in connections:
        await asyncio.wait([failed, one.answered], timeout=DEADLINE, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait([failed], timeout=plan.warm_up)
    for one in connections:
        one.latencies.clear()
    plan.mark()
    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.wait([failed], timeout=plan.seconds)
    load = Load(time.perf_counter() - started, time.process_time() - cpu)
    plan.mark()
    for one in connections:
        load.latencies += one.latencies
    if failed.done():
        failed.result()
    failed.cancel()
    for one in connections:
        one.close()
    return load


def run(plan: Plan, scripts: Iterable[Iterator[Message]]) -> Load:
    """Play endless ``scripts``, one per connection, and return the result.

    Raises:
        ValueError, ConnectionError: An answer is not the expected one, or the server closed a connection.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(plan, scripts))
