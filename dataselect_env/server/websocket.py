"""The OpenEnv protocol on ``/ws``: one connection, one session, one answer for each message.

Frames are ``{"type": ..., "data": ...}``. Whatever is wrong with one is answered by an ``error`` message, and the
connection goes on. It ends with oversize frames, with bytes that are no WebSocket frames at all, with a client that is
silent or has stayed for too long, and when the server stops.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import get_args

from fastapi import WebSocket, WebSocketDisconnect

from dataselect_env.core.errors import (
    CapacityReached,
    EnvError,
    InvalidInput,
    InvalidJSON,
    PayloadTooLarge,
    ServerStopping,
    SessionNotFound,
    UnknownType,
    as_client_error,
)
from dataselect_env.core.models import Envelope, MessageType, parse
from dataselect_env.server.json_input import parse_json
from dataselect_env.server.limits import SessionTimeout, client_name
from dataselect_env.server.mcp import protocol
from dataselect_env.server.mcp.sessions import McpSessions
from dataselect_env.server.mcp.tools import SessionBackend
from dataselect_env.server.service import Service
from dataselect_env.server.session import Session

logger = logging.getLogger(__name__)

TOO_BIG = 1009
"""Close code of RFC 6455 for a message that is too big."""

SERVICE_RESTART = 1012
"""Close code that IANA registers for a server that stops or starts anew."""

PRIVATE = 4000
"""What is added to the status of an error that ends a connection: the range 4000 to 4999 is for private use."""

FAREWELL_SECONDS = 2.0
"""A client that does not read gets no longer to hear why the connection ends."""

MESSAGE_TYPES = get_args(MessageType)


def error_message(error: EnvError) -> str:
    """Return the frame that tells a client about ``error``."""
    return json.dumps({"type": "error", "data": error.body()})


async def answer(backend: SessionBackend, frame: str) -> str | None:
    """Return the frame that answers ``frame``, or None when the client wants to close.

    Raises:
        EnvError: Whatever was wrong with it.
    """
    message = parse_json(frame)
    if not isinstance(message, dict):
        raise InvalidInput('A message should be a JSON object: {"type": ..., "data": ...}')
    if message.get("type") not in MESSAGE_TYPES:
        raise UnknownType(f"type: should be one of {', '.join(MESSAGE_TYPES)}", field="type")
    envelope = parse(Envelope, message)
    if envelope.type == "close":
        return None
    if envelope.type == "mcp":
        told = await protocol.answer(envelope.data, backend)
        return json.dumps({"type": "mcp", "data": told})  # null for a notification
    reply = await backend.play(envelope.type, envelope.data)
    kind = "state" if envelope.type == "state" else "observation"
    return f'{{"type":"{kind}","data":{reply.model_dump_json()}}}'


async def serve(websocket: WebSocket, service: Service, mcp_sessions: McpSessions) -> None:
    """Serve one connection until either side closes it.

    It has a session of its own, or plays the MCP session that ``?session_id=`` names, as OpenEnv's tool client asks.
    """
    await websocket.accept()
    timeout = SessionTimeout(service.settings.idle_timeout, service.settings.session_lifetime)
    try:
        with _session(service, mcp_sessions, websocket.query_params.get("session_id"), timeout) as session:
            async with timeout.conversation():
                await _converse(websocket, SessionBackend(session, service), service, timeout)
            if timeout.reason is not None:
                await _say_farewell(websocket, service, timeout.reason)
    except (CapacityReached, ServerStopping, SessionNotFound) as error:
        service.metrics.count(error)
        await websocket.send_text(error_message(error))
        await websocket.close(SERVICE_RESTART if isinstance(error, ServerStopping) else 1000)
    except WebSocketDisconnect:
        pass  # the client is gone; its finished steps are in the store


@contextmanager
def _session(
    service: Service, mcp_sessions: McpSessions, session_id: str | None, timeout: SessionTimeout
) -> Iterator[Session]:
    if session_id is not None:
        with mcp_sessions.attached(session_id) as session:
            service.attend(session, timeout)
            try:
                yield session
            finally:
                service.attend(session, None)
        return
    session = service.connect(timeout)
    try:
        yield session
    finally:
        service.disconnect(session)


async def _converse(websocket: WebSocket, backend: SessionBackend, service: Service, timeout: SessionTimeout) -> None:
    limit, limiter = service.settings.max_message_bytes, service.limiter
    client = client_name(websocket.client.host if websocket.client else None)
    while timeout.reason is None:
        event = await websocket.receive()
        timeout.begin()
        if event["type"] == "websocket.disconnect":
            return
        frame = event.get("text")
        if len(event.get("bytes") or b"" if frame is None else frame.encode()) > limit:
            error = PayloadTooLarge(f"The message is larger than the {limit} bytes that this server reads.")
            service.metrics.count(error)
            timeout.done()
            await websocket.send_text(error_message(error))
            await websocket.close(TOO_BIG)
            return
        try:
            if limiter is not None:
                limiter.count(client)
            if frame is None:
                raise InvalidJSON("Binary frames are not understood; send JSON as text.")
            reply = await answer(backend, frame)
        except Exception as error:
            if not isinstance(error, EnvError):
                logger.exception("a message failed")
            told = as_client_error(error)
            service.metrics.count(told)
            reply = error_message(told)
        timeout.done()
        if reply is None:
            await websocket.close()
            return
        await websocket.send_text(reply)


async def _say_farewell(websocket: WebSocket, service: Service, reason: EnvError) -> None:
    """Close a connection from this side; a client that was silent, or stayed too long, is told so first."""
    try:
        async with asyncio.timeout(FAREWELL_SECONDS):
            if isinstance(reason, ServerStopping):
                await websocket.close(SERVICE_RESTART, reason.message)
                return
            service.metrics.count(reason)
            await websocket.send_text(error_message(reason))
            await websocket.close(PRIVATE + reason.status, reason.message)
    except TimeoutError:
        logger.info("a client did not read its farewell")
