"""Authentication, origin check and rate limit, as ASGI middleware for HTTP and WebSocket.

A WebSocket is refused before it is accepted, with the status and body of an HTTP response.
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

from dataselect_env.core.errors import EnvError, ForbiddenHost, ForbiddenOrigin, Unauthorized
from dataselect_env.server.limits import RateLimiter, client_name
from dataselect_env.server.settings import Settings

OPEN_PATHS = frozenset({"/health", "/ready"})
"""Paths without any check: probes have no token."""
PAGE = re.compile(r"/(?:web(?:/[^/]*)?)?")
"""Paths of the page, which need no token: the page has the field to enter it."""
LOCAL_ORIGIN = re.compile(r"https?://(?:localhost|[\w.-]+\.localhost|127\.0\.0\.1|\[::1\])(?::\d+)?")
DEFAULT_PORTS = {"http": 80, "https": 443}
SUBPROTOCOL = "bearer"
"""WebSocket subprotocol of browsers, which cannot send the header; they offer the token as a second subprotocol."""

OnRefusal = Callable[[EnvError], None]


def route_of(scope: Scope) -> str:
    """Return the path that the router compares: without the prefix under which the application is mounted."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    rest = path.removeprefix(root)
    return rest if path.startswith(root) and rest[:1] in {"", "/"} else path


async def refuse(error: EnvError, scope: Scope, send: Send) -> None:
    """Send an error as the response to a request or a WebSocket handshake."""
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
    """Middleware that refuses requests from web pages of other sites, on any transport.

    Browsers send the origin of the page with every WebSocket handshake and every POST; programs send none. Pages of
    this server and of localhost are always allowed.

    An attacker can make a domain resolve to the client's own machine (DNS rebinding); a page under it may send a GET
    without an origin. On the loopback interface the header Host must therefore have a name that no stranger can own.

    Args:
        app: The application.
        allowed: Further origins; ``*`` allows all.
        on_refusal: Called with the error of each refused request.
        checks_host: Whether to check the header Host; a token protects from such pages as well.
    """

    def __init__(
        self, app: ASGIApp, allowed: frozenset[str], on_refusal: OnRefusal, *, checks_host: bool = True
    ) -> None:
        self._app = app
        self._allowed = allowed
        self._on_refusal = on_refusal
        self._checks_host = checks_host and "*" not in allowed
        self._hosts = {urlsplit(origin).hostname for origin in allowed}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        error = None if route_of(scope) in OPEN_PATHS else self._refusal(scope)
        if error is not None:
            self._on_refusal(error)
            await refuse(error, scope, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> EnvError | None:
        host, origin = _header(scope, b"host"), _header(scope, b"origin")
        if self._checks_host and host and is_on_loopback(scope) and not self._may_have(host):
            return ForbiddenHost(
                "This server is not known under this name; its operator can allow it with DATASELECT_ALLOWED_ORIGINS."
            )
        if origin is not None and not self.may_use(origin, scope):
            return ForbiddenOrigin(
                "Pages of this origin may not use this server; its operator can allow them with"
                " DATASELECT_ALLOWED_ORIGINS."
            )
        return None

    def _may_have(self, host: str) -> bool:
        """Return whether this server may be addressed by a header Host on the loopback interface."""
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        return name is not None and (is_local_name(name) or name in self._hosts)

    def may_use(self, origin: str, scope: Scope) -> bool:
        """Return whether a page of ``origin`` may send this request."""
        if "*" in self._allowed or origin in self._allowed or LOCAL_ORIGIN.fullmatch(origin):
            return True
        return is_same_site(origin, _header(scope, b"host") or "", on_loopback=is_on_loopback(scope))


def is_same_site(origin: str, host: str, *, on_loopback: bool) -> bool:
    """Return whether ``origin`` is the address under which the client reached this server.

    Args:
        origin: Value of the header Origin.
        host: Value of the header Host.
        on_loopback: Whether the connection came over the loopback interface, where the name must be a local one.
    """
    try:
        page, server = urlsplit(origin), urlsplit(f"//{host}")
        port = DEFAULT_PORTS.get(page.scheme)
        if not page.hostname or (page.hostname, page.port or port) != (server.hostname, server.port or port):
            return False
    except ValueError:
        return False
    return not on_loopback or is_local_name(page.hostname)


def is_on_loopback(scope: Scope) -> bool:
    """Return whether a connection came over the loopback interface.

    The server's own address says so; the client's is that of ``X-Forwarded-For`` where a trusted proxy sent it, which
    on this machine may be anything.
    """
    address, _ = scope.get("server") or ("", None)
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def is_local_name(name: str) -> bool:
    """Return whether nobody else can own a host name: an IP address, a name without dots, or one of localhost."""
    if "." not in name or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Guard:
    """Middleware that refuses requests without the token and requests above the rate limit.

    Args:
        app: The application.
        token: The token; None for a server without one.
        limiter: The rate limiter; None for a server without one.
        on_refusal: Called with the error of each refused request.
    """

    def __init__(self, app: ASGIApp, token: str | None, limiter: RateLimiter | None, on_refusal: OnRefusal) -> None:
        self._app = app
        self._token = token
        self._limiter = limiter
        self._on_refusal = on_refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if route_of(scope) not in OPEN_PATHS:
            try:
                if self._limiter is not None:
                    client = scope.get("client")
                    self._limiter.count(client_name(client[0] if client else None))
                if not _is_page(scope) and not shows_token(scope, self._token):
                    raise Unauthorized("This server requires a token: send the header Authorization: Bearer TOKEN.")
            except EnvError as error:
                self._on_refusal(error)
                await refuse(error, scope, send)
                return
        await self._app(scope, receive, send)


def shows_token(scope: Scope, token: str | None) -> bool:
    """Return whether a request has the token of the server; True for a server without one."""
    return token is None or secrets.compare_digest(token_of(scope), token.encode())


def token_of(scope: Scope) -> bytes:
    """Return the token in a request's header or WebSocket subprotocols; empty if there is none."""
    scheme, _, token = (_header(scope, b"authorization") or "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip().encode()
    protocols = scope.get("subprotocols", [])
    if len(protocols) == 2 and protocols[0] == SUBPROTOCOL:
        return str(protocols[1]).encode()
    return b""


def protect(app: ASGIApp, settings: Settings, limiter: RateLimiter | None, on_refusal: OnRefusal) -> ASGIApp:
    """Return ``app`` behind the middleware of this module.

    Args:
        app: The application.
        settings: Token and allowed origins.
        limiter: The rate limiter; None for a server without one.
        on_refusal: Called with the error of each refused request.
    """
    guard = Guard(app, settings.bearer, limiter, on_refusal)
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

    return OriginCheck(inner, settings.origins, on_refusal, checks_host=settings.bearer is None)


def _is_page(scope: Scope) -> bool:
    return scope.get("method") in {"GET", "HEAD"} and PAGE.fullmatch(route_of(scope)) is not None


def _header(scope: Mapping[str, object], name: bytes) -> str | None:
    headers = scope["headers"]
    assert isinstance(headers, list | tuple)  # noqa: S101
    return next((value.decode("latin-1") for key, value in headers if key == name), None)
