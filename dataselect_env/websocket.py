"""The OpenEnv protocol on ``/ws``: one connection, one session, one answer for each message.

Frames are ``{"type": ..., "data": ...}``. Whatever is wrong with one is answered by an ``error`` message, and the
connection goes on; only oversize frames, and bytes that are no WebSocket frames at all, end it.
"""

from __future__ import annotations

import json
import logging
from typing import get_args

from fastapi import WebSocket, WebSocketDisconnect

from dataselect_env import jsonrpc
from dataselect_env.errors import CapacityReached, EnvError, InvalidInput, InvalidJSON, PayloadTooLarge, UnknownType
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


async def answer(session: Session, frame: str) -> str | None:
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
        return json.dumps({"type": "mcp", "data": jsonrpc.answer(envelope.data)})  # null for a notification
    reply = await session.handle(envelope.type, envelope.data)
    kind = "state" if envelope.type == "state" else "observation"
    return f'{{"type":"{kind}","data":{reply.model_dump_json()}}}'


async def serve(websocket: WebSocket, service: Service) -> None:
    """Serve one connection until either side closes it."""
    await websocket.accept()
    try:
        session = service.connect()
    except CapacityReached as error:
        await websocket.send_text(error_message(error))
        await websocket.close()
        return
    try:
        await _converse(websocket, session, service.settings.max_message_bytes)
    except WebSocketDisconnect:
        pass  # the client is gone; its finished steps are in the store
    finally:
        service.disconnect(session)


async def _converse(websocket: WebSocket, session: Session, limit: int) -> None:
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
            reply = await answer(session, frame)
        except EnvError as refusal:
            reply = error_message(refusal)
        except Exception as defect:
            logger.exception("a message failed")
            reply = error_message(as_client_error(defect))
        if reply is None:
            await websocket.close()
            return
        await websocket.send_text(reply)
