"""The Model Context Protocol, as far as a server with nothing but tools needs it, for any way that messages come.

Spoken are the revisions with a handshake (https://modelcontextprotocol.io/specification/2025-11-25); clients of later
ones fall back to it. A plain ``tools/list`` or ``tools/call`` without any handshake is answered too, as OpenEnv has it.
"""

from __future__ import annotations

from typing import Any

from dataselect_env import __version__
from dataselect_env.rendering import prompts
from dataselect_env.server.catalogue import NAME
from dataselect_env.server.mcp import jsonrpc, tools
from dataselect_env.server.mcp.backend import EpisodeBackend
from dataselect_env.server.mcp.jsonrpc import INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, Request, RpcError

VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""Revisions that are spoken, the newest first; what this server does is the same in all of them."""
LONGEST_BATCH = 16
"""Messages in a JSON-RPC batch, which revision 2025-03-26 has."""

Answer = dict[str, Any] | list[dict[str, Any]]


async def answer(message: object, backend: EpisodeBackend) -> Answer | None:
    """Return the answer to a message, or to a batch of them; None where nothing is to be answered.

    Args:
        message: What came, as parsed from JSON.
        backend: Where the agent that sent it plays.
    """
    if not isinstance(message, list):
        return await _answer_one(message, backend)
    if not 1 <= len(message) <= LONGEST_BATCH:
        return RpcError(INVALID_REQUEST, f"A batch should have 1 to {LONGEST_BATCH} messages.").answer()
    return [told for one in message if (told := await _answer_one(one, backend)) is not None] or None


async def _answer_one(message: object, backend: EpisodeBackend) -> dict[str, Any] | None:
    try:
        request = jsonrpc.read(message)
        if request.is_notification:
            return None
        return request.result(await _result(request, backend))
    except RpcError as error:
        return error.answer()


async def _result(request: Request, backend: EpisodeBackend) -> dict[str, Any]:
    if request.method == "initialize":
        return handshake(request)
    if request.method == "ping":
        return {}
    if request.method == "tools/list":
        return {"tools": [tool.manifest() for tool in tools.TOOLS.values()]}
    if request.method == "tools/call":
        return await _call(request, backend)
    raise request.error(
        METHOD_NOT_FOUND, "There is no such method; this server answers initialize, ping, tools/list and tools/call."
    )


def handshake(request: Request) -> dict[str, Any]:
    """Return the result of ``initialize``: the client's revision where it is spoken, the newest that is otherwise.

    Raises:
        RpcError: The client names no revision.
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


async def _call(request: Request, backend: EpisodeBackend) -> dict[str, Any]:
    name, arguments = request.params.get("name"), request.params.get("arguments")
    if not isinstance(name, str) or name not in tools.TOOLS:
        raise request.error(INVALID_PARAMS, f"There is no such tool; there are {', '.join(tools.TOOLS)}.")
    if not isinstance(arguments, dict | None):
        raise request.error(INVALID_PARAMS, "arguments should be a JSON object.")
    return await tools.call(backend, name, arguments or {})
