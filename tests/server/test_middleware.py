"""What every answer has: id, safe headers, HEAD; and what is logged of it."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from dataselect_env.server.logs import facts
from dataselect_env.server.middleware import PIECE, RequestMiddleware
from tests.helpers.turns import growth_by_turn

GET_ROUTES = [
    "/health",
    "/ready",
    "/metrics",
    "/tasks",
    "/metadata",
    "/schema",
    "/openapi.json",
    "/docs",
    "/list_environments",
]


@pytest.mark.parametrize("path", [*GET_ROUTES, "/nothing", "/state", "/reset"])
def test_head_answers_like_get_without_a_body(client: TestClient, path: str) -> None:
    got, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    own = {"x-request-id", "content-length"} if path == "/metrics" else {"x-request-id"}
    assert {n: v for n, v in head.headers.items() if n not in own} == {
        n: v for n, v in got.headers.items() if n not in own
    }


@pytest.mark.parametrize("prefix", ["", "/env"])
def test_a_route_works_with_a_slash_at_its_end(prefix: str, make_app: Callable[..., FastAPI]) -> None:
    """A redirect would lead to ``http`` where a proxy that is not trusted speaks TLS for the server."""
    app: Any = make_app(token="secret")  # noqa: S106
    if prefix:
        inner, app = app, FastAPI()
        app.mount(prefix, inner)
    client, bearer = TestClient(app, follow_redirects=False), {"Authorization": "Bearer secret"}
    for method, path in (("POST", "/mcp/"), ("POST", "/reset/"), ("GET", "/tasks/"), ("GET", "/tasks//")):
        assert client.request(method, prefix + path, headers=bearer).status_code == 200, path
        assert client.request(method, prefix + path).status_code == 401, path
    assert client.get(f"{prefix}/health/").status_code == 200
    assert client.get(f"{prefix}/web/").headers["Location"] == "../web"
    with client.websocket_connect(f"{prefix}/ws/", headers=bearer) as socket:
        socket.send_text('{"type": "state"}')
        assert socket.receive_json()["data"]["code"] == "NO_EPISODE"


@pytest.mark.parametrize("path", ["/health", "/nothing", "/docs"])
def test_every_answer_has_safe_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "https://huggingface.co" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"]
    assert "server" not in headers


def test_a_request_keeps_its_id_or_gets_one(client: TestClient) -> None:
    assert client.get("/health", headers={"X-Request-ID": "abc-1.2"}).headers["X-Request-ID"] == "abc-1.2"
    given = {client.get("/health").headers["X-Request-ID"] for _ in range(3)}
    assert len(given) == 3
    for bad in ("", "x" * 129, "a b", 'a"b', "\xe4"):
        answered = client.get("/health", headers={b"X-Request-ID": bad.encode("latin-1")}).headers["X-Request-ID"]
        assert len(answered) == 32
        assert answered != bad


def test_a_defect_s_answer_has_its_id_and_its_headers_too(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataselect_env.server.catalogue.metadata", lambda: 1 / 0)
    response = TestClient(client.app, raise_server_exceptions=False).get("/metadata", headers={"X-Request-ID": "d"})
    assert (response.status_code, response.headers["X-Request-ID"]) == (500, "d")
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_what_fails_is_logged_by_the_server_under_the_request_s_id(client: TestClient) -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError("of course")

    async def serve() -> str | None:
        middleware = RequestMiddleware(fail, client.app.state.get_service)  # type: ignore[attr-defined]
        scope = {"type": "http", "method": "GET", "path": "/x", "headers": [(b"x-request-id", b"r-1")]}
        with pytest.raises(ZeroDivisionError):
            await middleware(scope, None, None)  # type: ignore[arg-type]
        return facts(logging.makeLogRecord({})).get("request_id")

    assert asyncio.run(serve()) == "r-1"


def test_a_connection_has_an_id_too(client: TestClient) -> None:
    with client.websocket_connect("/ws", headers={"X-Request-ID": "conn-1"}) as socket:
        assert (b"x-request-id", b"conn-1") in (socket.extra_headers or [])


def test_a_request_is_one_line_of_the_log_without_its_query(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="dataselect_env.server.middleware"):
        client.get("/tasks%0AWARNING%20forged", params={"token": "SECRET"})
        with client.websocket_connect("/ws?token=SECRET"):
            pass
    first, second = (record for record in caplog.records if record.name == "dataselect_env.server.middleware")
    assert first.getMessage() == "GET /tasks%0AWARNING%20forged"
    assert first.facts["status"] == 404  # type: ignore[attr-defined]
    assert second.getMessage() == "WS /ws"
    assert "SECRET" not in str([vars(record) for record in (first, second)])


def test_a_large_body_is_sent_in_pieces_that_the_server_can_wait_between(client: TestClient) -> None:
    whole = bytes(range(256)) * 1_000
    sent: list[Message] = []

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": whole, "more_body": True})
        await send({"type": "http.response.body", "body": b"end"})

    async def serve() -> None:
        middleware = RequestMiddleware(answer, client.app.state.get_service)  # type: ignore[attr-defined]
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost")]}

        async def send(message: Message) -> None:
            sent.append(message)

        await middleware(scope, None, send)  # type: ignore[arg-type]

    asyncio.run(serve())
    bodies = sent[1:]
    assert b"".join(message["body"] for message in bodies) == whole + b"end"
    assert max(len(message["body"]) for message in bodies) <= PIECE
    assert [message.get("more_body", False) for message in bodies] == [True] * (len(bodies) - 1) + [False]


def test_others_have_their_turn_between_the_pieces_of_large_bodies(client: TestClient) -> None:
    """Twenty answers that the kernel takes without a pause were sent in one turn of the event loop."""
    sent = 0

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(5):
            await send({"type": "http.response.body", "body": b"x" * (2 * PIECE), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Message) -> None:
        nonlocal sent
        sent += bool(message.get("body"))

    middleware = RequestMiddleware(answer, client.app.state.get_service)  # type: ignore[attr-defined]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost")]}
    requests = [middleware(dict(scope), None, send) for _ in range(20)]  # type: ignore[arg-type]
    by_turn = asyncio.run(growth_by_turn(lambda: sent, *requests))
    assert sent == 20 * 5 * 2
    assert max(by_turn) == 1
