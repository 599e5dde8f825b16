"""JSON-RPC 2.0 answers for ``/mcp``: the frame of the Model Context Protocol, so far without tools."""

from __future__ import annotations

from typing import Any

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601


def failure(code: int, message: str, request_id: object = None) -> dict[str, Any]:
    """Return a JSON-RPC error answer."""
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message}}


def answer(request: object) -> dict[str, Any] | None:
    """Answer one JSON-RPC request, whatever it is; a notification, which has no id, gets None."""
    if not isinstance(request, dict):
        return failure(INVALID_REQUEST, "A request should be a JSON object.")
    request_id = request.get("id")
    if isinstance(request_id, bool) or not isinstance(request_id, str | int | float | None):
        return failure(INVALID_REQUEST, "id should be a string, a number or null.")
    method = request.get("method")
    if request.get("jsonrpc") != "2.0" or not isinstance(method, str):
        return failure(INVALID_REQUEST, 'A request should have "jsonrpc": "2.0" and a method.', request_id)
    if "id" not in request:
        return None
    if method == "tools/list":
        return {"jsonrpc": "2.0", "id": request_id, "result": {"tools": []}}
    return failure(METHOD_NOT_FOUND, "There is no such method; this server answers tools/list.", request_id)
