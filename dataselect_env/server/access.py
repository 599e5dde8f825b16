"""Who may use the server: the token, the pages of browsers, and how often. Pure ASGI, for HTTP and WebSocket alike.

A WebSocket that may not be opened is refused before it is accepted, with the status and body that HTTP would get.
"""

from __future__ import annotations

import ipaddress
import json
import re
import secrets
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from dataselect_env.core.errors import EnvError, ForbiddenOrigin, Unauthorized
from dataselect_env.server.limits import RateLimiter, client_name
from dataselect_env.server.settings import Settings

OPEN_PATHS = frozenset({"/health", "/ready"})
"""What everybody may ask: probes have no token."""
PAGE = re.compile(r"/(?:web(?:/[^/]*)?)?")
"""The page, which a browser must have before it can ask its user for the token; its files are the same for all."""
LOCAL_ORIGIN = re.compile(r"https?://(?:localhost|[\w.-]+\.localhost|127\.0\.0\.1|\[::1\])(?::\d+)?")
DEFAULT_PORTS = {"http": 80, "https": 443}
SUBPROTOCOL = "bearer"
"""A browser's WebSocket can send no header; it offers this protocol and the token as a second one."""

Count = Callable[[EnvError], None]


async def refuse(error: EnvError, scope: Scope, send: Send) -> None:
    """Answer a request, or a WebSocket handshake, with an error."""
    body = json.dumps(error.body()).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *((name.lower().encode(), value.encode()) for name, value in error.headers.items()),
    ]
    kind = "http.response"
    if scope["type"] == "websocket":
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008, "reason": error.code})
            return
        kind = "websocket.http.response"
    await send({"type": f"{kind}.start", "status": error.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})


class OriginCheck:
    """Refuses what a page of a foreign site makes a browser send, on any transport.

    A browser names the page's origin with every WebSocket handshake and every POST; programs send none. Pages of this
    very server and of localhost may always use it.

    Args:
        app: What is protected.
        allowed: Further origins; ``*`` allows all.
        count: Told of every refusal.
    """

    def __init__(self, app: ASGIApp, allowed: frozenset[str], count: Count) -> None:
        self._app = app
        self._allowed = allowed
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        origin = _header(scope, b"origin")
        if origin is not None and scope["path"] not in OPEN_PATHS and not self.may_use(origin, scope):
            error = ForbiddenOrigin(
                "Pages of this origin may not use this server; its operator names those that may in"
                " DATASELECT_ALLOWED_ORIGINS."
            )
            self._count(error)
            await refuse(error, scope, send)
            return
        await self._app(scope, receive, send)

    def may_use(self, origin: str, scope: Scope) -> bool:
        """Return whether a page of ``origin`` may send this request."""
        if "*" in self._allowed or origin in self._allowed or LOCAL_ORIGIN.fullmatch(origin):
            return True
        client = scope.get("client")
        return is_same_site(origin, _header(scope, b"host") or "", client[0] if client else None)


def is_same_site(origin: str, host: str, client: str | None) -> bool:
    """Return whether ``origin`` is the address that the client reached this server under.

    A name that somebody else owns can be made to lead to the client's own machine (DNS rebinding). So from there, only
    addresses count, and names of localhost, which the caller knows.

    Args:
        origin: Value of the header Origin.
        host: Value of the header Host.
        client: Address that the request came from.
    """
    try:
        page, server = urlsplit(origin), urlsplit(f"//{host}")
        port = DEFAULT_PORTS.get(page.scheme)
        if not page.hostname or (page.hostname, page.port or port) != (server.hostname, server.port or port):
            return False
    except ValueError:
        return False
    return not _is_loopback(client) or _is_address(page.hostname)


def _is_loopback(client: str | None) -> bool:
    try:
        return client is not None and ipaddress.ip_address(client).is_loopback
    except ValueError:
        return False


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class Guard:
    """Refuses requests without the token, and those that are too many.

    Args:
        app: What is protected.
        token: The token, None when none is asked for.
        limiter: Counts requests, None when they may be any number.
        count: Told of every refusal.
    """

    def __init__(self, app: ASGIApp, token: str | None, limiter: RateLimiter | None, count: Count) -> None:
        self._app = app
        self._token = None if token is None else token.encode()
        self._limiter = limiter
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["path"] not in OPEN_PATHS:
            try:
                if self._limiter is not None:
                    client = scope.get("client")
                    self._limiter.count(client_name(client[0] if client else None))
                if self._token is not None and not _asks_for_page(scope):
                    self._check_token(scope)
            except EnvError as error:
                self._count(error)
                await refuse(error, scope, send)
                return
        await self._app(scope, receive, send)

    def _check_token(self, scope: Scope) -> None:
        assert self._token is not None  # noqa: S101
        if not secrets.compare_digest(shown_token(scope), self._token):
            raise Unauthorized("This server asks for a token: send the header Authorization: Bearer TOKEN.")


def shown_token(scope: Scope) -> bytes:
    """Return the token that a request shows, in its header or among a WebSocket's protocols; empty when it has none."""
    scheme, _, token = (_header(scope, b"authorization") or "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip().encode()
    protocols = scope.get("subprotocols", [])
    if len(protocols) == 2 and protocols[0] == SUBPROTOCOL:
        return str(protocols[1]).encode()
    return b""


def protect(app: ASGIApp, settings: Settings, limiter: RateLimiter | None, count: Count) -> ASGIApp:
    """Return ``app`` behind everything in this module, as the settings say.

    Args:
        app: The application.
        settings: Token and origins.
        limiter: Counts requests by client, or None.
        count: Told of every refusal.
    """
    guard = Guard(app, settings.token.get_secret_value() if settings.token else None, limiter, count)
    cors = CORSMiddleware(
        guard,
        allow_origins=sorted(settings.origins),
        allow_origin_regex=LOCAL_ORIGIN.pattern,
        allow_methods=("GET", "HEAD", "POST"),
        allow_headers=("Authorization", "X-Request-ID"),
        expose_headers=("X-Request-ID", "Retry-After"),
    )

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        from_browser = scope["type"] == "http" and _header(scope, b"origin") is not None
        await (cors if from_browser else guard)(scope, receive, send)

    return OriginCheck(inner, settings.origins, count)


def _asks_for_page(scope: Scope) -> bool:
    return scope.get("method") in {"GET", "HEAD"} and PAGE.fullmatch(scope["path"]) is not None


def _header(scope: Mapping[str, object], name: bytes) -> str | None:
    headers = scope["headers"]
    assert isinstance(headers, list | tuple)  # noqa: S101
    return next((value.decode("latin-1") for key, value in headers if key == name), None)
