"""The Model Context Protocol for a server that has only tools, independent of the transport.

These are the revisions with a handshake (https://modelcontextprotocol.io/specification/2025-11-25);
:mod:`~dataselect_env.server.mcp.stateless` has the one without. ``tools/list`` and ``tools/call`` also work without a
handshake, which OpenEnv relies on.
"""

from __future__ import annotations

import asyncio
from typing import Any

from dataselect_env import __version__
from dataselect_env.rendering import prompts
from dataselect_env.server.catalogue import NAME
from dataselect_env.server.mcp import jsonrpc, tools
from dataselect_env.server.mcp.backend import EpisodeBackend
from dataselect_env.server.mcp.jsonrpc import INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, Request, RpcError

VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""Supported revisions, the newest first; this server behaves the same in all of them."""
MAX_BATCH = 16
"""Most messages in a JSON-RPC batch; batches belong to revision 2025-03-26."""

Response = dict[str, Any] | list[dict[str, Any]]


async def respond(message: object, backend: EpisodeBackend) -> Response | None:
    """Return the response to a message or a batch; None if there are only notifications.

    Args:
        message: The message or batch, as parsed from JSON.
        backend: Runs the operations of the client's tool calls.
    """
    if not isinstance(message, list):
        return await _respond_to_one(message, backend)
    if not 1 <= len(message) <= MAX_BATCH:
        return RpcError(INVALID_REQUEST, f"A batch should have 1 to {MAX_BATCH} messages.").response()
    responses = []
    for one in message:
        responses.append(await _respond_to_one(one, backend))
        await asyncio.sleep(0)  # others have their turn
    return [response for response in responses if response is not None] or None


async def _respond_to_one(message: object, backend: EpisodeBackend) -> dict[str, Any] | None:
    try:
        request = jsonrpc.read(message)
        if request.is_notification:
            return None
        return request.result(await _result(request, backend))
    except RpcError as error:
        return error.response()


async def _result(request: Request, backend: EpisodeBackend) -> dict[str, Any]:
    if request.method == "initialize":
        return handshake(request)
    if request.method == "ping":
        return {}
    if request.method == "tools/list":
        return {"tools": tools.manifests()}
    if request.method == "tools/call":
        return await call_tool(request, backend)
    raise request.error(
        METHOD_NOT_FOUND, "There is no such method; this server supports initialize, ping, tools/list and tools/call."
    )


def handshake(request: Request) -> dict[str, Any]:
    """Return the result of ``initialize``, with the client's revision if it is supported, else the newest.

    Raises:
        RpcError: The request has no revision.
    """
    wanted = request.params.get("protocolVersion")
    if not isinstance(wanted, str):
        raise request.error(INVALID_PARAMS, "protocolVersion should be a string.")
    return {
        "protocolVersion": wanted if wanted in VERSIONS else VERSIONS[0],
        "capabilities": {"tools": {"listChanged": False}},
        "serverInfo": {"name": NAME, "version": __version__},
        "instructions": prompts.rules(),
    }


async def call_tool(request: Request, backend: EpisodeBackend) -> dict[str, Any]:
    """Return the result of ``tools/call``.

    Raises:
        RpcError: There is no such tool, or its arguments are not an object.
    """
    name, arguments = request.params.get("name"), request.params.get("arguments")
    if not isinstance(name, str) or name not in tools.TOOLS:
        raise request.error(INVALID_PARAMS, f"There is no such tool; the tools are {', '.join(tools.TOOLS)}.")
    if not isinstance(arguments, dict | None):
        raise request.error(INVALID_PARAMS, "arguments should be a JSON object.")
    return await tools.call(backend, name, arguments or {})
