"""JSON-RPC 2.0 requests and responses, the message format of the Model Context Protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

RequestId = str | int | float | None


class RpcError(Exception):
    """A JSON-RPC error.

    Args:
        code: Error code of JSON-RPC or of the Model Context Protocol.
        message: A sentence for the client.
        request_id: Id of the request, if it could be read.
        data: Details for programs.
    """

    def __init__(self, code: int, message: str, request_id: RequestId = None, data: dict[str, Any] | None = None):
        super().__init__(message)
        self.code, self.message, self.request_id, self.data = code, message, request_id, data

    def response(self) -> dict[str, Any]:
        """Return the response with this error."""
        error = {"code": self.code, "message": self.message, **({"data": self.data} if self.data else {})}
        return {"jsonrpc": "2.0", "id": self.request_id, "error": error}


@dataclass(frozen=True, slots=True)
class Request:
    """A request, or a notification, which has no id and gets no response."""

    method: str
    params: dict[str, Any]
    id: RequestId
    is_notification: bool

    def result(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return the response with ``result``."""
        return {"jsonrpc": "2.0", "id": self.id, "result": result}

    def error(self, code: int, message: str, data: dict[str, Any] | None = None) -> RpcError:
        """Return an error about this request, to raise."""
        return RpcError(code, message, self.id, data)


def read(message: object) -> Request:
    """Return a parsed message as a request.

    Raises:
        RpcError: The message is not a request.
    """
    if not isinstance(message, dict):
        raise RpcError(INVALID_REQUEST, "A request should be a JSON object.")
    request_id = message.get("id")
    if isinstance(request_id, bool) or not isinstance(request_id, RequestId):
        raise RpcError(INVALID_REQUEST, "id should be a string, a number or null.")
    method, params = message.get("method"), message.get("params")
    if message.get("jsonrpc") != "2.0" or not isinstance(method, str):
        raise RpcError(INVALID_REQUEST, 'A request should have "jsonrpc": "2.0" and a method.', request_id)
    if not isinstance(params, dict | None):
        raise RpcError(INVALID_PARAMS, "params should be a JSON object.", request_id)
    return Request(method, params or {}, request_id, is_notification="id" not in message)
