"""``/mcp``: the Model Context Protocol over streamable HTTP, and OpenEnv's plain calls at the same address.

A client that starts with ``initialize`` gets a session, identified by ``Mcp-Session-Id``, whose latest episode is the
default of its calls; ``episode_id`` selects another one. Requests of revision 2026-07-28 have no session and always
name their episode. Any other call without a session acts on HTTP episodes, as ``POST /reset`` and ``POST /step`` do;
``episode_id`` selects one. Every response is a single JSON object; there are no streams, since the server sends nothing
on its own initiative.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from dataselect_env.core.errors import CapacityReached, InvalidInput, InvalidJSON, SessionNotFound
from dataselect_env.server.mcp import jsonrpc, protocol, stateless
from dataselect_env.server.mcp.backend import EpisodeBackend, SessionBackend
from dataselect_env.server.mcp.jsonrpc import RpcError
from dataselect_env.server.mcp.protocol import VERSIONS
from dataselect_env.server.routes import errors, read_json, service_of
from dataselect_env.server.sessions import Sessions

router = APIRouter()
AnswerT = TypeVar("AnswerT")

SESSION_HEADER = "mcp-session-id"
VERSION_HEADER = "mcp-protocol-version"
SERVER_ERROR = -32000
EXAMPLE_RPC = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


def _rpc_error(description: str, code: int) -> dict[str, Any]:
    """Return the OpenAPI description of an error that is a JSON-RPC response."""
    example = RpcError(code, f"{description}.", 1).response()
    return {"description": description, "content": {"application/json": {"schema": {}, "example": example}}}


@router.post(
    "/mcp",
    responses={
        **errors(408, 413),
        202: {"description": "A notification, which gets no response", "content": {}},
        400: _rpc_error("A revision of the protocol that is not supported", stateless.UNSUPPORTED_VERSION),
        404: _rpc_error("No such session", SERVER_ERROR),
    },
    openapi_extra={
        "requestBody": {
            "content": {
                "application/json": {"schema": {}, "example": EXAMPLE_RPC}
            },  # invalid messages get a JSON-RPC error
        }
    },
    tags=["Server"],
)
async def mcp(request: Request) -> Response:
    """Handle one message of the Model Context Protocol, with or without a session; notifications get 202, no body."""
    try:
        message = await read_json(request)
    except InvalidJSON as error:
        return JSONResponse(RpcError(jsonrpc.PARSE_ERROR, error.message).response())
    version = request.headers.get(VERSION_HEADER)
    if version == stateless.REVISION or stateless.is_stateless(message):
        return _response(await stateless.respond(message, service_of(request), request.headers), stateless.status_of)
    return await _with_handshake(request, message, version)


async def _with_handshake(request: Request, message: object, version: str | None) -> Response:
    """Handle a message of the revisions with a handshake, or of OpenEnv."""
    if version is not None and version not in VERSIONS:
        return JSONResponse(stateless.unsupported(version, _id_of(message)).response(), status_code=400)
    sessions = service_of(request).sessions
    method = _method_of(message)
    if method in _OPENINGS:
        return _open(sessions, message)
    if method == "openenv/session/close":
        return JSONResponse(_close(sessions, message))
    backend: EpisodeBackend = service_of(request).http
    session_id = request.headers.get(SESSION_HEADER)
    try:
        if session_id is None:
            session_id = _openenv_session(message)
        if session_id is not None:
            backend = SessionBackend(sessions.get(session_id), service_of(request))
    except SessionNotFound as error:  # 404 makes a standard client start a new session
        failure = RpcError(SERVER_ERROR, error.message, _id_of(message)).response()
        return JSONResponse(failure, status_code=404 if SESSION_HEADER in request.headers else 200)
    return _response(await protocol.respond(message, backend), lambda _: 200)


def _response(answer: AnswerT | None, status_of: Callable[[AnswerT], int]) -> Response:
    """Return the HTTP response with an answer; 202, without a body, for a notification."""
    return Response(status_code=202) if answer is None else JSONResponse(answer, status_code=status_of(answer))


@router.delete("/mcp", responses=errors(404, 422), status_code=204, tags=["Server"])
async def end_mcp(request: Request) -> Response:
    """Close the MCP session of the header ``Mcp-Session-Id``; its finished episodes keep their grades."""
    session_id = request.headers.get(SESSION_HEADER)
    if session_id is None:
        raise InvalidInput("Mcp-Session-Id: the header should name the session to close", field="Mcp-Session-Id")
    service_of(request).sessions.close(session_id)
    return Response(status_code=204)


def _open(sessions: Sessions, message: object) -> Response:
    """Handle ``initialize`` or OpenEnv's ``openenv/session/create``, and open a session if that succeeds."""
    try:
        request = jsonrpc.read(message)
        result = _OPENINGS[request.method](request)
        session_id = sessions.create()
    except RpcError as error:
        return JSONResponse(error.response())
    except CapacityReached as error:
        return JSONResponse(RpcError(SERVER_ERROR, error.message, _id_of(message)).response())
    if request.method == "initialize":
        return JSONResponse(request.result(result), headers={SESSION_HEADER: session_id})
    return JSONResponse(request.result({"session_id": session_id}))


def _close(sessions: Sessions, message: object) -> dict[str, Any]:
    try:
        request = jsonrpc.read(message)
        session_id = _openenv_session(message)
        if session_id is None:
            raise request.error(jsonrpc.INVALID_PARAMS, "session_id should be a string.")
        sessions.close(session_id)
    except RpcError as error:
        return error.response()
    except SessionNotFound as error:
        return RpcError(SERVER_ERROR, error.message, _id_of(message)).response()
    return request.result({"closed": True})


def _openenv_handshake(_: jsonrpc.Request) -> dict[str, Any]:
    return {}


_OPENINGS = {"initialize": protocol.handshake, "openenv/session/create": _openenv_handshake}


def _method_of(message: object) -> str | None:
    """Return the method of a request; None for a notification, a batch or an invalid message."""
    method = message.get("method") if isinstance(message, dict) and "id" in message else None
    return method if isinstance(method, str) else None


def _openenv_session(message: object) -> str | None:
    """Return the session id in the parameters, where OpenEnv's clients put it."""
    params = message.get("params") if isinstance(message, dict) else None
    session_id = params.get("session_id") if isinstance(params, dict) else None
    return session_id if isinstance(session_id, str) else None


def _id_of(message: object) -> jsonrpc.RequestId:
    try:
        return jsonrpc.read(message).id
    except RpcError as error:
        return error.request_id
