"""JSON-RPC 2.0, the frame of the Model Context Protocol: requests as they come in, answers as they go out."""

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
    """A request that cannot be answered with a result.

    Args:
        code: One of JSON-RPC's, or of the Model Context Protocol's.
        message: A sentence for the client.
        request_id: Id of the request, where it could be read.
        data: What programs may want to know.
    """

    def __init__(self, code: int, message: str, request_id: RequestId = None, data: dict[str, Any] | None = None):
        super().__init__(message)
        self.code, self.message, self.request_id, self.data = code, message, request_id, data

    def answer(self) -> dict[str, Any]:
        """Return the answer that tells the client."""
        error = {"code": self.code, "message": self.message, **({"data": self.data} if self.data else {})}
        return {"jsonrpc": "2.0", "id": self.request_id, "error": error}


@dataclass(frozen=True, slots=True)
class Request:
    """A request, or a notification, which has no id and gets no answer."""

    method: str
    params: dict[str, Any]
    id: RequestId
    is_notification: bool

    def result(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return the answer that carries ``result``."""
        return {"jsonrpc": "2.0", "id": self.id, "result": result}

    def error(self, code: int, message: str, data: dict[str, Any] | None = None) -> RpcError:
        """Return the error to raise when this request cannot be answered."""
        return RpcError(code, message, self.id, data)


def read(message: object) -> Request:
    """Return one message as a request.

    Raises:
        RpcError: It is none.
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
