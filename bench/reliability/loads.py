"""Loads that one client can put on a server: requests and frames that are too large, too many, or never read.

Each load is a coroutine that keeps going until it is cancelled. A connection that the server ends is opened again.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from tests.helpers.serving import LOOPBACK

PIECE = 65_536
"""Bytes that a flood writes at once."""
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
TEXT, PING, PONG, CONTINUATION = 0x1, 0x9, 0xA, 0x0
STEP = {"action_type": "select_batch", "batch_size": 5, "strategy_weights": {"random": 1}}
PAUSE = 0.05
"""Seconds before a connection that the server ended is opened again."""

Attack = Callable[[int], Awaitable[None]]
"""Loads the server at a port over one connection, and returns when the server has ended it."""


def frame(opcode: int, payload: bytes = b"", *, final: bool = True) -> bytes:
    """Return a masked frame with a payload of at most 65,535 bytes; the mask is zero."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2, "big")
    return bytes([opcode | (0x80 if final else 0)]) + length + bytes(4) + payload


def message(kind: str, data: object) -> bytes:
    """Return the frame of a message of the OpenEnv protocol."""
    return frame(TEXT, json.dumps({"type": kind, "data": data}).encode())


async def _discard(reader: asyncio.StreamReader) -> None:
    while await reader.read(PIECE):
        pass


async def flood(port: int, start: bytes, piece: bytes, *, reads: bool = True) -> None:
    """Send ``start``, then ``piece`` over and over; read the answers, or leave them unread."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port, limit=1024)
    writer.transport.set_write_buffer_limits(high=PIECE)
    reading = asyncio.create_task(_discard(reader)) if reads else None
    try:
        writer.write(start)
        await writer.drain()
        if start == UPGRADE:
            await asyncio.sleep(PAUSE)  # bytes that arrive with the handshake may be lost
        many = piece * max(1, PIECE // len(piece))
        while reading is None or not reading.done():
            writer.write(many)
            await writer.drain()
            await asyncio.sleep(0)
    finally:
        writer.transport.abort()
        if reading is not None:
            reading.cancel()


async def ask_again(port: int, request: bytes, *, reads: bool = True) -> None:
    """Send a request, wait for the end of the answer, and send it again; or wait without reading."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port, limit=2**16)
    try:
        while True:
            writer.write(request)
            if not reads:
                reader._transport.pause_reading()  # type: ignore[attr-defined]  # the kernel's buffers fill up
                while not writer.is_closing():
                    await asyncio.sleep(1)
                return
            head = await reader.readuntil(b"\r\n\r\n")
            size = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), b":0")
            left = int(size.partition(b":")[2])
            while left:
                left -= len(await reader.read(min(left, PIECE))) or left
    finally:
        writer.transport.abort()


async def converse(port: int, *messages: bytes) -> None:
    """Send messages over a WebSocket, one after the other and again from the first; wait for each answer."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port, limit=2**20)
    try:
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        for one in itertools.cycle(messages):
            writer.write(one)
            await read_frame(reader)
    finally:
        writer.transport.abort()


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """Return the payload of a frame of the server."""
    size = (await reader.readexactly(2))[1]
    if size >= 126:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
    return await reader.readexactly(size)


def http(method: str, path: str, body: bytes = b"", *, close: bool = False) -> bytes:
    """Return an HTTP request."""
    last = "Connection: close\r\n" if close else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{last}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@dataclass(frozen=True)
class Load:
    """A kind of load.

    Attributes:
        connections: Number of connections at the same time.
        attack: What each does.
    """

    connections: int
    attack: Attack

    async def run(self, port: int) -> None:
        """Load the server until this is cancelled."""

        async def one() -> None:
            while True:
                with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                    await self.attack(port)
                await asyncio.sleep(PAUSE)

        await asyncio.gather(*(one() for _ in range(self.connections)))


def _rpc(method: str, count: int) -> bytes:
    return message("mcp", [{"jsonrpc": "2.0", "id": place, "method": method} for place in range(count)])


def _flood(start: bytes, piece: bytes, *, reads: bool = True, connections: int = 4) -> Load:
    return Load(connections, partial(flood, start=start, piece=piece, reads=reads))


def _ask(*request: bytes, connections: int = 4, reads: bool = True) -> Load:
    return Load(connections, partial(ask_again, request=b"".join(request), reads=reads))


def _talk(*messages: bytes, connections: int = 4) -> Load:
    return Load(connections, lambda port: converse(port, *messages))


CHUNKED = b"POST /reset HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
UNKNOWN = json.dumps({f"n{place}": 1 for place in range(20_000)}).encode()
LISTS = json.dumps({**STEP, "metadata": {"lists": [[]] * 60_000}}).encode()
TASK_LIST = http("POST", "/DataSelectEnv/tasks", b'{"split": "train"}')
CUSTOM, EPISODES = "large", ("first", "second")
"""A custom task of the server, and HTTP episodes on it, of which it keeps one in memory."""
WHOLE_BATCH = {"action_type": "select_batch", "batch_size": 3_000, "strategy_weights": {"cluster_medoid": 1}}
FILTERED = {"action_type": "select_batch", "batch_size": 50, "strategy_weights": {"confident_uncertainty": 1}}


def start(seed: int) -> bytes:
    """Return the message that starts an episode of the custom task."""
    return message("reset", {"task_id": CUSTOM, "seed": seed})


EVIDENCE = [part for seed in range(3) for part in (start(seed), message("step", FILTERED))]
"""Each episode weighs the labels of its pool at its first step."""

LOADS: dict[str, Load] = {
    "header lines without end": _flood(b"GET / HTTP/1.1\r\n", b"a: b\r\n"),
    "one header without end": _flood(b"GET / HTTP/1.1\r\na: ", b"x"),
    "an address without end": _flood(b"GET /", b"x"),
    "trailers without end": _flood(CHUNKED + b"1\r\n1\r\n0\r\n", b"a: b\r\n"),
    "chunks of one byte": _flood(CHUNKED, b"1\r\n \r\n"),
    "requests that wait for no answer": _flood(b"", http("GET", "/nowhere")),
    "messages that are not JSON": _flood(UPGRADE, frame(TEXT, b"x")),
    "pings": _flood(UPGRADE, frame(PING)),
    "pongs": _flood(UPGRADE, frame(PONG)),
    "empty continuations": _flood(UPGRADE, frame(CONTINUATION, final=False)),
    "steps that wait for no answer": _flood(UPGRADE, message("step", STEP)),
    "unread lists of tasks": _ask(TASK_LIST, connections=100, reads=False),
    "unread replies": _flood(UPGRADE, _rpc("tools/list", 4), reads=False, connections=8),
    "unread pongs": _flood(UPGRADE, frame(PING, b"x" * 125), reads=False, connections=8),
    "batches of 16 tools/list": _talk(_rpc("tools/list", 16)),
    "20,000 unknown names": _ask(http("POST", "/step", UNKNOWN)),
    "60,000 empty lists": _ask(http("POST", "/step", LISTS)),
    "resets on new data": _talk(message("reset", {}), connections=16),
    "lists of tasks": _ask(TASK_LIST),
    "the OpenAPI document": _ask(http("GET", "/openapi.json")),
    "batches of 3,000 by cluster_medoid": _talk(start(1), message("step", WHOLE_BATCH)),
    "label evidence of large pools": _talk(
        *(part for seed in range(3) for part in (start(seed), message("step", FILTERED)))
    ),
    "baseline on a custom task": _ask(http("GET", "/baseline")),
    "views of a pool": _ask(http("GET", f"/pool?episode_id={EPISODES[0]}"), connections=60),
    "episodes out of memory": _ask(*(http("GET", f"/state?episode_id={name}") for name in EPISODES)),
}
"""By name."""
