"""The OpenEnv protocol on ``/ws``: one connection, one session, one answer for each message.

Frames are ``{"type": ..., "data": ...}``. Whatever is wrong with one is answered by an ``error`` message, and the
connection goes on; only oversize frames, and bytes that are no WebSocket frames at all, end it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import get_args

from fastapi import WebSocket, WebSocketDisconnect

from dataselect_env import mcp_protocol
from dataselect_env.errors import (
    CapacityReached,
    EnvError,
    InvalidInput,
    InvalidJSON,
    PayloadTooLarge,
    SessionNotFound,
    UnknownType,
)
from dataselect_env.mcp_sessions import McpSessions
from dataselect_env.mcp_tools import SessionSeat
from dataselect_env.models import Envelope, MessageType, parse
from dataselect_env.service import Service
from dataselect_env.session import Session
from dataselect_env.wire import as_client_error, parse_json

logger = logging.getLogger(__name__)

TOO_BIG = 1009
"""Close code of RFC 6455 for a message that is too big."""

MESSAGE_TYPES = get_args(MessageType)


def error_message(error: EnvError) -> str:
    """Return the frame that tells a client about ``error``."""
    return json.dumps({"type": "error", "data": error.body()})


def answer(seat: SessionSeat, frame: str) -> str | None:
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
        return json.dumps({"type": "mcp", "data": mcp_protocol.answer(envelope.data, seat)})  # null for a notification
    reply = seat.session.handle(envelope.type, envelope.data)
    kind = "state" if envelope.type == "state" else "observation"
    return f'{{"type":"{kind}","data":{reply.model_dump_json()}}}'


async def serve(websocket: WebSocket, service: Service, mcp_sessions: McpSessions) -> None:
    """Serve one connection until either side closes it.

    It has a session of its own, or plays the MCP session that ``?session_id=`` names, as OpenEnv's tool client asks.
    """
    await websocket.accept()
    try:
        with _session(service, mcp_sessions, websocket.query_params.get("session_id")) as session:
            await _converse(websocket, SessionSeat(session, service), service.settings.max_message_bytes)
    except (CapacityReached, SessionNotFound) as error:
        await websocket.send_text(error_message(error))
        await websocket.close()
    except WebSocketDisconnect:
        pass  # the client is gone; its finished steps are in the store


@contextmanager
def _session(service: Service, mcp_sessions: McpSessions, session_id: str | None) -> Iterator[Session]:
    if session_id is not None:
        with mcp_sessions.attached(session_id) as session:
            yield session
        return
    session = service.connect()
    try:
        yield session
    finally:
        service.disconnect(session)


async def _converse(websocket: WebSocket, seat: SessionSeat, limit: int) -> None:
    while True:
        event = await websocket.receive()
        if event["type"] == "websocket.disconnect":
            return
        frame = event.get("text")
        if len(event.get("bytes") or b"" if frame is None else frame.encode()) > limit:
            error = PayloadTooLarge(f"The message is larger than the {limit} bytes that this server reads.")
            await websocket.send_text(error_message(error))
            await websocket.close(TOO_BIG)
            return
        try:
            if frame is None:
                raise InvalidJSON("Binary frames are not understood; send JSON as text.")
            reply = answer(seat, frame)
        except EnvError as refusal:
            reply = error_message(refusal)
        except Exception as defect:
            logger.exception("a message failed")
            reply = error_message(as_client_error(defect))
        if reply is None:
            await websocket.close()
            return
        await websocket.send_text(reply)
