"""Outermost ASGI middleware: request ids, HEAD, security headers, the request log and access control.

It surrounds the whole application, so that responses have their headers also when the application fails.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dataselect_env.server.access import OPEN_PATHS, SUBPROTOCOL, protect, route_of
from dataselect_env.server.logs import RequestContext, request_context
from dataselect_env.server.service import Service
from dataselect_env.server.threads import Turns

logger = logging.getLogger(__name__)

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    # Hugging Face shows a Space in a frame.
    (
        b"content-security-policy",
        b"frame-ancestors 'self' https://huggingface.co https://*.huggingface.co https://*.hf.space",
    ),
)
PIECE = 65_536
"""Bytes of a body that are sent at once, which takes a fraction of a millisecond. The server waits between pieces for a
client that has not read the last ones, so that it holds little for clients that read slowly."""
LOGGED_PATH_LENGTH = 200
"""Characters after which a path is cut in the log."""


def without_slash(scope: Scope) -> Scope:
    """Return a scope whose path has no slash at its end, so that every route works with one.

    ``/web/`` keeps it: that route leads to the page, whose links are relative.
    """
    route = route_of(scope)
    if not route.endswith("/") or not route.strip("/") or route == "/web/":
        return scope
    return {**scope, "path": scope["path"].rstrip("/")}


class RequestMiddleware:
    """The outermost middleware.

    Args:
        app: The application.
        get_service: Returns the service; called at the first request, because settings may not be known before.
    """

    def __init__(self, app: ASGIApp, get_service: Callable[[], Service]) -> None:
        self._app = app
        self._get_service = get_service
        self._protected: ASGIApp | None = None
        self._turns = Turns()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or a WebSocket connection."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        scope = without_slash(scope)
        service = self._get_service()
        if self._protected is None:
            self._protected = protect(self._app, service.settings, service.limiter, service.metrics.count_error)
        response = ResponseRecorder(scope, send, service, self._turns)
        request_context.set(response.context)  # never reset: the server below logs failures in the same context
        try:
            await self._protected(response.scope, receive, response.send)
        finally:
            response.log()


class ResponseRecorder:
    """Adds headers to the response of one request, counts it and logs it.

    Args:
        scope: Scope of the request.
        send: Sends messages to the client.
        service: Counts responses.
        turns: Spreads the pieces of large bodies.
    """

    def __init__(self, scope: Scope, send: Send, service: Service, turns: Turns) -> None:
        self._send = send
        self._turns = turns
        self._metrics = service.metrics
        self._began = time.perf_counter()
        self._status: int | None = None
        self._is_head = scope.get("method") == "HEAD"
        self._scope = scope
        self.scope = {**scope, "method": "GET"} if self._is_head else scope
        request_id = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        self.context = RequestContext(request_id.decode("latin-1"))

    async def send(self, message: Message) -> None:
        """Send a message of the response; add the headers that every response has."""
        kind = message["type"]
        if kind == "websocket.send":  # by far the most
            await self._send(message)
            return
        if kind in {"http.response.start", "websocket.http.response.start"}:
            self._status = message["status"]
            if kind[0] == "h":
                self._metrics.count_response(message["status"])
            message = {**message, "headers": [*message.get("headers", ()), *SECURITY_HEADERS, self._id_header()]}
        elif kind == "websocket.accept":
            self._status = 101
            message = {**message, "headers": [*message.get("headers", ()), self._id_header()]}
            if SUBPROTOCOL in self._scope.get("subprotocols", ()):
                message["subprotocol"] = SUBPROTOCOL
        elif kind == "http.response.body":
            await self._send_body(message)
            return
        await self._send(message)

    async def _send_body(self, message: Message) -> None:
        """Send a part of the body in pieces; the response to HEAD has none."""
        body = memoryview(b"" if self._is_head else message.get("body", b""))
        for begin in range(0, max(len(body), 1), PIECE):
            more = message.get("more_body", False) or begin + PIECE < len(body)
            if more:
                await self._turns.next()
            await self._send({**message, "body": bytes(body[begin : begin + PIECE]), "more_body": more})

    def log(self) -> None:
        """Log the request."""
        level = logging.DEBUG if route_of(self._scope) in OPEN_PATHS else logging.INFO  # probes come all day long
        if not logger.isEnabledFor(level):
            return
        path = quote(self._scope["path"])[:LOGGED_PATH_LENGTH]  # quoted: a line break in it could forge a line
        client = self._scope.get("client")
        facts: dict[str, Any] = {
            "client": client[0] if client else None,
            "status": self._status,
            "ms": round((time.perf_counter() - self._began) * 1e3, 1),
        }
        method = self._scope.get("method", "WS")
        logger.log(level, "%s %s", method, path, extra={"facts": facts})

    def _id_header(self) -> tuple[bytes, bytes]:
        return b"x-request-id", self.context.request_id.encode()
