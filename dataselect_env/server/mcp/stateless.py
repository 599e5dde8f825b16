"""Revision 2026-07-28 of the protocol, which has neither handshake nor sessions.

Every request carries its revision and its client's capabilities in ``_meta``
(https://modelcontextprotocol.io/specification/2026-07-28). Every request about an episode names it by the id that
``start_episode`` returned, so that it can be continued over any connection and by any process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dataselect_env import __version__
from dataselect_env.rendering import prompts
from dataselect_env.server.catalogue import NAME
from dataselect_env.server.mcp import jsonrpc, protocol, tools
from dataselect_env.server.mcp.backend import EpisodeBackend, StatelessBackend
from dataselect_env.server.mcp.jsonrpc import INVALID_PARAMS, METHOD_NOT_FOUND, Request, RpcError
from dataselect_env.server.mcp.protocol import VERSIONS, Response, call_tool
from dataselect_env.server.service import Service

REVISION = "2026-07-28"
SUPPORTED = (REVISION, *VERSIONS)
"""All revisions that this server supports, the newest first."""

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
SERVER_KEY = "io.modelcontextprotocol/serverInfo"
"""Keys in ``_meta``."""

HEADER_MISMATCH = -32020
UNSUPPORTED_VERSION = -32022
STATUS = {METHOD_NOT_FOUND: 404, jsonrpc.INTERNAL_ERROR: 200}
"""HTTP statuses of errors; those that are not listed have 400."""

CACHE = {"ttlMs": 0, "cacheScope": "private"}
"""Tools are listed anew each time: custom tasks may have been registered."""


def is_stateless(message: object) -> bool:
    """Return whether a message has the ``_meta`` of this revision, whichever revision it asks for."""
    return VERSION_KEY in _meta(message)


async def respond(message: object, service: Service, headers: Mapping[str, str] | None = None) -> dict[str, Any] | None:
    """Return the response to a message; None for a notification.

    Args:
        message: The message, as parsed from JSON.
        service: Plays the episodes.
        headers: Headers of the HTTP request, which repeat parts of the message; None on other transports.
    """
    try:
        request = jsonrpc.read(message)
        if request.is_notification:
            return None
        _check(request, _meta(message), headers)
        return request.result({"resultType": "complete", **await _result(request, service)})
    except RpcError as error:
        return error.response()


async def respond_either(message: object, backend: EpisodeBackend, service: Service) -> Response | None:
    """Return the response to a message of either kind of revision, over a connection that has a session.

    Args:
        message: The message or batch, as parsed from JSON.
        backend: That of the session, for revisions with a handshake.
        service: The service that the session belongs to.
    """
    if is_stateless(message):
        return await respond(message, service)
    return await protocol.respond(message, backend)


def status_of(response: Mapping[str, Any]) -> int:
    """Return the HTTP status of a response."""
    return STATUS.get(response["error"]["code"], 400) if "error" in response else 200


def unsupported(requested: str, request_id: jsonrpc.RequestId) -> RpcError:
    """Return the error about a revision that this server does not support."""
    text = f"The revision should be one of {', '.join(SUPPORTED)}."
    return RpcError(UNSUPPORTED_VERSION, text, request_id, {"supported": list(SUPPORTED), "requested": requested})


def _meta(message: object) -> Mapping[str, Any]:
    params = message.get("params") if isinstance(message, dict) else None
    meta = params.get("_meta") if isinstance(params, dict) else None
    return meta if isinstance(meta, dict) else {}


def _check(request: Request, meta: Mapping[str, Any], headers: Mapping[str, str] | None) -> None:
    missing = [key for key in (VERSION_KEY, CAPABILITIES_KEY) if key not in meta]
    if missing:
        raise request.error(INVALID_PARAMS, f"params._meta: {missing[0]} is missing.")
    version = meta[VERSION_KEY]
    if not isinstance(version, str):
        raise request.error(INVALID_PARAMS, f"params._meta: {VERSION_KEY} should be a string.")
    if headers is not None:
        name = request.params.get("name") if request.method == "tools/call" else None
        repeated = {"MCP-Protocol-Version": version, "Mcp-Method": request.method, "Mcp-Name": name}
        for header, value in repeated.items():
            if value is not None and headers.get(header) != value:
                raise request.error(HEADER_MISMATCH, f"{header}: the header should repeat what the message says.")
    if version != REVISION:
        raise unsupported(version, request.id)


async def _result(request: Request, service: Service) -> dict[str, Any]:
    if request.method == "server/discover":
        return {
            "supportedVersions": list(SUPPORTED),
            "capabilities": {"tools": {}},
            "instructions": prompts.rules(),
            "_meta": {SERVER_KEY: {"name": NAME, "version": __version__}},
            **CACHE,
        }
    if request.method == "tools/list":
        return {"tools": tools.stateless_manifests(), **CACHE}
    if request.method == "tools/call":
        return await call_tool(request, StatelessBackend(service))
    raise request.error(
        METHOD_NOT_FOUND, "There is no such method; this server supports server/discover, tools/list and tools/call."
    )
