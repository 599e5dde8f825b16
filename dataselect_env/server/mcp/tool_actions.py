"""OpenEnv's tool actions: steps over the WebSocket that list or call the MCP tools, as ``MCPToolClient.step`` sends."""

from __future__ import annotations

from typing import Any, TypeGuard

from dataselect_env.core.errors import InvalidInput
from dataselect_env.server.mcp import tools
from dataselect_env.server.mcp.backend import EpisodeBackend

LIST, CALL = "list_tools", "call_tool"


def is_tool_action(data: object) -> TypeGuard[dict[str, Any]]:
    """Return whether the data of a step is a tool action."""
    return isinstance(data, dict) and data.get("type") in (LIST, CALL)


async def play(data: dict[str, Any], backend: EpisodeBackend) -> dict[str, Any]:
    """Return the data of the observation frame that answers a tool action.

    Reward and ``done`` are those of the reply to the tool; what a tool refuses is in its result.

    Raises:
        InvalidInput: There is no such tool, or its arguments are not an object.
    """
    if data["type"] == LIST:
        return {"observation": {"tools": tools.manifests()}, "reward": None, "done": False}
    name, arguments = data.get("tool_name"), data.get("arguments") or {}
    if not isinstance(name, str) or name not in tools.TOOLS:
        raise InvalidInput(f"tool_name: should be one of {', '.join(tools.TOOLS)}", field="tool_name")
    if not isinstance(arguments, dict):
        raise InvalidInput("arguments: should be a JSON object", field="arguments")
    result = await tools.call(backend, name, arguments)
    reply = {} if result["isError"] else result["structuredContent"]
    return {
        "observation": {"tool_name": name, "result": result},
        "reward": reply.get("reward"),
        "done": reply.get("done", False),
    }
