"""What every request passes first: its id, HEAD, safe headers, the line in the log, and access.

Pure ASGI around the whole application, so that an answer has its headers also when the application fails.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dataselect_env.server.access import OPEN_PATHS, SUBPROTOCOL, protect
from dataselect_env.server.logs import Trail, trail
from dataselect_env.server.service import Service

logger = logging.getLogger(__name__)

SAFE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    # Hugging Face shows a Space inside a page of its own; nobody else may.
    (
        b"content-security-policy",
        b"frame-ancestors 'self' https://huggingface.co https://*.huggingface.co https://*.hf.space",
    ),
)
LONGEST_PATH = 200
"""Characters of a path that the log repeats."""


class Front:
    """The outermost layer.

    Args:
        app: The application.
        get_service: Gives its service; asked at the first request, because settings may not be known before.
    """

    def __init__(self, app: ASGIApp, get_service: Callable[[], Service]) -> None:
        self._app = app
        self._get_service = get_service
        self._protected: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or serve a connection."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        service = self._get_service()
        if self._protected is None:
            self._protected = protect(self._app, service.settings, service.limiter, service.metrics.count_error)
        answer = ResponseRecorder(scope, send, service)
        trail.set(answer.trail)  # for good: each request has a context of its own, and the server logs what fails in it
        try:
            await self._protected(answer.scope, receive, answer.send)
        finally:
            answer.log()


class ResponseRecorder:
    """The answer to one request, on its way out.

    Args:
        scope: The request's scope.
        send: Where the answer goes.
        service: Counts answers.
    """

    def __init__(self, scope: Scope, send: Send, service: Service) -> None:
        self._send = send
        self._metrics = service.metrics
        self._began = time.perf_counter()
        self._status: int | None = None
        self._is_head = scope.get("method") == "HEAD"
        self._scope = scope
        self.scope = {**scope, "method": "GET"} if self._is_head else scope
        asked = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        self.trail = Trail(asked.decode("latin-1"))

    async def send(self, message: Message) -> None:
        """Send a message of the answer, with what every answer has."""
        kind = message["type"]
        if kind == "websocket.send":  # by far the most
            await self._send(message)
            return
        if kind in {"http.response.start", "websocket.http.response.start"}:
            self._status = message["status"]
            if kind[0] == "h":
                self._metrics.count_response(message["status"])
            message = {**message, "headers": [*message.get("headers", ()), *SAFE_HEADERS, self._id_header()]}
        elif kind == "websocket.accept":
            self._status = 101
            message = {**message, "headers": [*message.get("headers", ()), self._id_header()]}
            if SUBPROTOCOL in self._scope.get("subprotocols", ()):
                message["subprotocol"] = SUBPROTOCOL
        elif kind == "http.response.body" and self._is_head:
            message = {**message, "body": b""}
        await self._send(message)

    def log(self) -> None:
        """Write the line of this request."""
        level = logging.DEBUG if self._scope["path"] in OPEN_PATHS else logging.INFO  # probes ask all day long
        if not logger.isEnabledFor(level):
            return
        path = quote(self._scope["path"])[:LONGEST_PATH]  # quoted: a line break in it must not begin a line of its own
        client = self._scope.get("client")
        facts: dict[str, Any] = {
            "client": client[0] if client else None,
            "status": self._status,
            "ms": round((time.perf_counter() - self._began) * 1e3, 1),
        }
        method = self._scope.get("method", "WS")
        logger.log(level, "%s %s", method, path, extra={"facts": facts})

    def _id_header(self) -> tuple[bytes, bytes]:
        return b"x-request-id", self.trail.request_id.encode()
