"""Limits on what one connection may hold, with each parser and event loop."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from dataselect_env.server import connections, parsers
from dataselect_env.server.admission import Admission
from dataselect_env.server.connections import HTTPConnection, Limits
from dataselect_env.server.settings import Settings
from tests.helpers.hosting import PATIENCE, UPGRADE, Host, frame, hosted, read_all

LIMIT = 16_384
"""Default of max_header_bytes."""
PIECES = 500
ANSWER = b"x" * 65_536
"""A piece of an answer; the kernel holds a few megabytes that a client has not read."""
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request with what it says in its body, or with 64 MB at ``/large``; echo messages of WebSockets."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] != "websocket.disconnect":
            if event["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": event["text"] * (1_000 if event.get("queued") else 1)})
        return
    if scope["type"] != "http":
        return
    body, more = b"", scope["path"] != "/deaf"
    while more:
        event = await receive()
        body, more = body + event.get("body", b""), event.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/large":
        for _ in range(1_024):
            await send({"type": "http.response.body", "body": ANSWER, "more_body": True})
    await send({"type": "http.response.body", "body": body})


ADMISSION = Admission(10)
"""Of ten connections."""
PARSERS = {"httptools": parsers.HTTPToolsParser, "h11": parsers.H11Parser}


@pytest.fixture(params=[("httptools", "uvloop"), ("httptools", "asyncio"), ("h11", "uvloop"), ("h11", "asyncio")])
def how(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the options of a server with one of the parsers on one of the loops."""
    parser, loop = request.param
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    limits = Limits(LIMIT, read_timeout=0.4, write_timeout=0.4)

    def connect(**arguments: Any) -> HTTPConnection:
        return HTTPConnection(PARSERS[parser](**arguments), limits, ADMISSION)

    return {"http": connect, "loop": loop}


@pytest.fixture
def host(how: dict[str, Any]) -> Iterator[Host]:
    """Return a server with short time limits."""
    with hosted(app, Settings(body_timeout=0.4, write_timeout=0.4), lifespan="off", **how) as server:
        yield server


def refusal_of(answer: bytes) -> tuple[int, str]:
    """Return the status and the code of a refused request."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["code"]


@pytest.mark.parametrize(
    ("start", "piece", "refused"),
    [
        (b"GET / HTTP/1.1\r\n", b"a: b\r\n" * 100, (431, "HEADERS_TOO_LARGE")),
        (b"GET / HTTP/1.1\r\nname: ", b"x" * 500, (431, "HEADERS_TOO_LARGE")),
        (b"GET / HTTP/1.1\r\n", b"x" * 500, (431, "HEADERS_TOO_LARGE")),
        (b"GET /", b"x" * 500, (414, "URI_TOO_LONG")),
    ],
)
def test_a_head_without_end_is_refused(host: Host, start: bytes, piece: bytes, refused: tuple[int, str]) -> None:
    assert refusal_of(host.ask(start, *[piece] * PIECES)) == refused
    host.until_closed()


@pytest.mark.parametrize("tail", [b"1\r\nx\r\n0\r\n" + b"a: b\r\n" * 100_000, b"1;" + b"x" * 100_000])
def test_trailers_and_extensions_without_end_are_refused(host: Host, tail: bytes) -> None:
    answer = host.ask(CHUNKED + tail)
    assert b"HEADERS_TOO_LARGE" in answer or b"URI_TOO_LONG" in answer
    host.until_closed()


def test_what_fits_is_served(host: Host) -> None:
    long = b"POST /?" + b"q" * 4_000 + b" HTTP/1.1\r\nHost: x\r\nname: " + b"v" * 8_000
    body = b"y" * 300_000
    request = long + b"\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    assert host.ask(*[request[at : at + 5_000] for at in range(0, len(request), 5_000)]).endswith(
        body + b"\r\n0\r\n\r\n"
    )
    chunks = b"".join(b"3\r\nabc\r\n" for _ in range(20_000)) + b"0\r\nlast: yes\r\n\r\n"
    head = CHUNKED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert host.ask(head + chunks).endswith(b"abc" * 20_000 + b"\r\n0\r\n\r\n")


def test_requests_that_do_not_wait_are_answered_in_order(host: Host) -> None:
    one = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n%04d"
    last = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlast"
    answer = host.ask(b"".join(one % place for place in range(2_000)) + last)
    assert answer.count(b"HTTP/1.1 200") == 2_001
    assert answer.index(b"0007") < answer.index(b"0008") < answer.index(b"1999") < answer.index(b"last")


def test_few_requests_are_held_that_wait_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    most = 0

    class Counting(parsers.HTTPToolsParser):
        def on_response_complete(self) -> None:
            nonlocal most
            most = max(most, len(self.pipeline))
            super().on_response_complete()

    limits = Limits(LIMIT, 9, 9)
    choices = {"http": lambda **arguments: HTTPConnection(Counting(**arguments), limits, ADMISSION)}
    with hosted(app, Settings(), lifespan="off", **choices) as server:
        server.ask(b"GET / HTTP/1.1\r\n\r\n" * 20_000 + b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert 1 < most <= connections.HTTP_READ // 18 + 1


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET"])
def test_a_head_that_does_not_come_ends_the_connection(host: Host, start: bytes) -> None:
    host.ask(start)
    host.until_closed()


def test_a_body_that_nobody_asked_for_is_not_read_for_ever(host: Host) -> None:
    answer = host.ask(b"POST /deaf HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n", *[b"x" * 65_536] * 1_000)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 200")
    host.until_closed()


def test_a_client_that_does_not_read_is_cut_off(host: Host) -> None:
    with closing(host.connect()) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        host.until_closed()


def test_more_connections_than_there_may_be_are_closed_at_once(host: Host) -> None:
    """They used up the file descriptors, and asyncio logged thousands of tracebacks a second."""
    clients = [host.connect() for _ in range(30)]
    try:
        answers = [read_all(client) for client in clients]  # others are closed because no request comes
    finally:
        for client in clients:
            client.close()
    refused = [answer for answer in answers if answer]
    assert len(refused) == 20
    assert {refusal_of(answer) for answer in refused} == {(503, "CAPACITY_REACHED")}
    host.until_closed()
    assert host.ask(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 200")


def test_a_client_that_leaves_before_its_answers_is_no_fault_of_the_server(how: dict[str, Any]) -> None:
    """The first of several requests went on, and wrote to a connection that was gone."""
    faults, running = [], 0

    async def noted(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal running
        running += scope["type"] == "http"
        try:
            await app(scope, receive, send)
        except Exception as error:
            faults.append(error)
        running -= scope["type"] == "http"

    with hosted(noted, Settings(), lifespan="off", **how) as host:
        with closing(host.connect()) as client:
            client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
            assert client.recv(100)
        host.until_closed()
        deadline = time.monotonic() + PATIENCE
        while running:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert faults == []


def test_a_client_that_reads_slowly_gets_everything(host: Host) -> None:
    with closing(host.connect()) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = 0
        began = time.monotonic()
        while piece := client.recv(1_000_000):
            received += len(piece)
            if time.monotonic() - began < 1.0:  # longer than the limit
                time.sleep(0.02)
    assert received > 1_024 * len(ANSWER)


@pytest.mark.parametrize("piece", [frame(0x9, b"x" * 125), frame(0x1, b"x" * 100)], ids=["pongs", "answers"])
def test_a_websocket_that_does_not_read_is_cut_off(host: Host, piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsers, "FRAMES_PER_SECOND", 10**9)
    with closing(host.connect()) as client:
        client.sendall(UPGRADE)
        assert b" 101 " in client.recv(4_096)
        try:
            for _ in range(200_000):
                client.sendall(piece * 100)
        except ConnectionError:  # first nothing more is read from it, then it is cut off
            pass
        else:
            raise AssertionError("the server keeps reading from a client that does not read")
        host.until_closed()


def test_a_handshake_that_the_library_refuses_is_answered(host: Host) -> None:
    assert refusal_of(host.ask(UPGRADE.replace(b"/ws", b"/ws?" + b"x" * 9_000))) == (431, "HEADERS_TOO_LARGE")
    with_body = UPGRADE.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\n{}")
    assert refusal_of(host.ask(with_body)) == (400, "MALFORMED_REQUEST")
    host.until_closed()


def test_reading_goes_on_when_nobody_holds_it() -> None:
    calls: list[str] = []

    class Transport:
        is_closing = None

        def pause_reading(self) -> None:
            calls.append("pause")

        def resume_reading(self) -> None:
            calls.append("resume")

    gate = connections.Gate(Transport())  # type: ignore[arg-type]
    gate.hold("turn")
    gate.pause_reading()
    gate.release("turn")
    gate.release("turn")
    assert calls == ["pause"]
    gate.resume_reading()
    gate.resume_reading()
    assert calls == ["pause", "resume"]


def test_the_settings_become_limits() -> None:
    settings = Settings(max_header_bytes=2_000, body_timeout=3, write_timeout=4)
    assert Limits.of(settings) == Limits(header_bytes=2_000, read_timeout=3, write_timeout=4)
