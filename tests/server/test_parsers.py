"""Limits inside uvicorn's parsers; test_connections has those outside of them."""

from __future__ import annotations

import asyncio
import importlib
import json
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from dataselect_env.server import parsers
from dataselect_env.server.settings import Settings
from tests.helpers.hosting import PATIENCE, UPGRADE, Host, frame, hosted, read_all
from tests.helpers.serving import LOOPBACK, Server, running_server

TEXT, PING, PONG, CONTINUATION, CLOSE = 0x1, 0x9, 0xA, 0x0, 0x8


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a message with its text, in capitals if its client had not waited for the last answer."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            text = event["text"]
            if text == "end":
                await send({"type": "websocket.close"})
                return
            await send({"type": "websocket.send", "text": text.upper() if event.get("queued") else text})


@pytest.fixture
def host() -> Iterator[Host]:
    with hosted(app, Settings(), lifespan="off") as server:
        yield server


def talk(host: Host, *frames: bytes, until: bytes = b"") -> bytes:
    """Send frames at once over a WebSocket; return what comes back, to the end or until it ends with ``until``."""
    with closing(host.connect()) as client:
        client.sendall(UPGRADE)
        assert b" 101 " in client.recv(4_096)
        client.sendall(b"".join(frames))
        received = b""
        while until and not received.endswith(until):
            received += client.recv(4_096)
        return received or read_all(client)


MANY = {
    "pings": frame(PING) * 2_000,
    "pongs": frame(PONG) * 2_000,
    "continuations": frame(TEXT, final=False) + frame(CONTINUATION, final=False) * 2_000,
}


@pytest.mark.parametrize("many", MANY.values(), ids=MANY)
def test_a_connection_with_too_many_control_frames_is_closed(host: Host, many: bytes) -> None:
    answer = talk(host, many)
    reason = b"too many control frames or fragments"
    assert answer.endswith(bytes([0x80 | CLOSE, 2 + len(reason)]) + (1008).to_bytes(2, "big") + reason)
    host.until_closed()


def test_a_connection_that_sends_on_after_the_end_is_cut(host: Host) -> None:
    with closing(host.connect()) as client:
        client.sendall(UPGRADE)
        assert b" 101 " in client.recv(4_096)
        client.sendall(frame(TEXT, b"end"))
        assert client.recv(4_096) == b"\x88\x02\x03\xe8"
        client.sendall(frame(TEXT, b"more") * 1_010)
        client.settimeout(5)  # less than the time that a client has to answer the close frame
        assert read_all(client) == b""
    host.until_closed()


def test_some_control_frames_and_fragments_are_fine(host: Host) -> None:
    text = frame(TEXT, b"a", final=False) + frame(PING, b"p") + frame(CONTINUATION, b"b")
    answer = talk(host, frame(PING) * 100, frame(PONG) * 100, text, until=b"\x81\x02ab")
    assert answer == frame(PONG).replace(b"\x80\0\0\0\0", b"\0") * 100 + b"\x8a\x01p\x81\x02ab"


def test_a_message_that_did_not_wait_is_marked(host: Host) -> None:
    assert (
        talk(host, frame(TEXT, b"a") * 3, frame(TEXT, b"z"), until=b"Z")
        == b"\x81\x01a" + b"\x81\x01A" * 2 + b"\x81\x01Z"
    )


def test_connections_take_turns() -> None:
    """Many messages of one connection are waiting when the first of another one arrives."""
    order: list[str] = []
    begin, loops = asyncio.Event(), []  # one event of the loop: both go on in the same turn

    async def taking_turns(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        loops.append(asyncio.get_running_loop())
        await begin.wait()
        while (event := await receive())["type"] == "websocket.receive":
            order.append(event["text"])
            if event["text"] == "z":
                await send({"type": "websocket.send", "text": "end"})

    with (
        hosted(taking_turns, Settings(), lifespan="off") as host,
        closing(host.connect()) as first,
        closing(host.connect()) as second,
    ):
        for client, text in ((first, b"a"), (second, b"b")):
            client.sendall(UPGRADE)
            assert b" 101 " in client.recv(4_096)
            client.sendall(frame(TEXT, text) * 50 + frame(TEXT, b"z"))
        time.sleep(1)  # both have been read
        loops[0].call_soon_threadsafe(begin.set)
        assert [client.recv(100) for client in (first, second)] == [b"\x81\x03end"] * 2
    assert all({one, other} == {"a", "b"} for one, other in zip(order[10:90:2], order[11:90:2], strict=True))


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"\r\n", 431, "HEADERS_TOO_LARGE"),
        (b"\x16\x03\x01\x02\x00 junk\r\n\r\n", 400, "MALFORMED_REQUEST"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400, "MALFORMED_REQUEST"),
    ],
)
def test_what_is_no_request_gets_an_error_body(host: Host, request_: bytes, status: int, code: str) -> None:
    head, _, body = host.ask(request_).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"content-type: application/json" in head
    assert {"code": code, "field": None}.items() <= json.loads(body).items()


def test_without_the_compiled_parser_the_other_one_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "uvicorn.protocols.http.httptools_impl", None)
        assert importlib.reload(parsers).HTTPParser is parsers.H11Parser
    kind: Any = importlib.reload(parsers).HTTPParser
    assert kind.__name__ == "HTTPToolsParser"


FOREIGN = UPGRADE.replace(b"localhost", b"localhost\r\nOrigin: https://elsewhere.example")
JUNK = (
    (b"\x16\x03\x01 junk\r\n\r\n",),
    (b"GET /health HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade, close\r\n\r\n",),
    (UPGRADE.replace(b"Version: 13", b"Version: 99"),),
    (UPGRADE.replace(b"/ws", b"/nowhere"),),
    (FOREIGN,),
    (UPGRADE, frame(TEXT, b"\xff")),
)
"""Requests and frames that a client should not send."""


def hang_up(server: Server, *parts: bytes, after: float) -> None:
    """Send parts, and close the connection."""
    with closing(socket.create_connection((LOOPBACK, server.port), timeout=PATIENCE)) as client:
        for part in parts:
            client.sendall(part)
            time.sleep(after)


@pytest.mark.slow
def test_faults_of_clients_are_logged_as_such() -> None:
    """A warning, an error or a traceback would say that the server needs attention."""
    with running_server(env={"DATASELECT_LOG_FORMAT": "json"}) as server:
        for parts in JUNK:
            hang_up(server, *parts, after=0.2)
        for path in ("/reset", "/step", "/grader", "/mcp"):
            request = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{"
            hang_up(server, request.encode(), after=0.2)
        for _ in range(20):
            hang_up(server, FOREIGN, after=0)
        metrics = urllib.request.urlopen(f"{server.base_url}/metrics").read().decode()
        server.terminate()
        lines = [json.loads(line) for line in server.log.splitlines()]
    assert [line for line in lines if line["level"] != "info" or "exception" in line] == []
    assert sum(line.get("status") == 499 for line in lines) == 4
    assert "INTERNAL_ERROR" not in metrics
