"""The OpenEnv protocol on ``/ws``: one connection, one session, one answer for each message.

Frames are ``{"type": ..., "data": ...}``. A frame that is refused is answered by an ``error`` message, and the
connection goes on. It ends with an oversize frame, with bytes that are not WebSocket frames, with many refused messages
whose answers the client did not wait for, when the client is idle or the session has reached its lifetime, and when the
server stops.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import get_args

from fastapi import WebSocket, WebSocketDisconnect
from starlette.types import Message

from dataselect_env.core.errors import (
    CapacityReached,
    EnvError,
    InvalidInput,
    InvalidJSON,
    PayloadTooLarge,
    ServerStopping,
    SessionNotFound,
    TooManyRequests,
    UnknownType,
    as_client_error,
)
from dataselect_env.core.models import Envelope, MessageType
from dataselect_env.core.validation import parse
from dataselect_env.server.json_input import parse_json
from dataselect_env.server.limits import SessionTimeout, client_name
from dataselect_env.server.mcp import stateless, tool_actions
from dataselect_env.server.mcp.backend import SessionBackend
from dataselect_env.server.service import Service
from dataselect_env.server.session import Session

logger = logging.getLogger(__name__)

NORMAL, POLICY_VIOLATION, TOO_BIG = 1000, 1008, 1009
"""Close codes of RFC 6455."""

MOST_UNAWAITED = 100
"""Refused messages after which a connection is closed; those count that the client sent before it had the last answer.
"""

RATE_PAUSE = 0.05
"""Seconds before a message above the rate limit is refused, so that refusals do not cost as much as answers."""

SERVICE_RESTART = 1012
"""Close code that IANA registers for a server that stops or restarts."""

PRIVATE = 4000
"""Added to the HTTP status of the error that ends a connection: codes 4000 to 4999 are for private use."""

FAREWELL_TIMEOUT = 2.0
"""Seconds that a client has to read the reason why its connection ends."""

MAX_BYTES_PER_CHARACTER = 4
"""In UTF-8."""

MESSAGE_TYPES = get_args(MessageType)


def error_message(error: EnvError) -> str:
    """Return the frame that reports ``error``."""
    return json.dumps({"type": "error", "data": error.body()})


async def answer(session: Session, service: Service, frame: str) -> str | None:
    """Return the frame that answers ``frame``, None for a request to close the connection.

    Raises:
        EnvError: The frame was refused, or its operation failed.
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
        result = await stateless.respond_either(envelope.data, SessionBackend(session, service), service)
        return json.dumps({"type": "mcp", "data": result})  # null for a notification
    if envelope.type == "step" and tool_actions.is_tool_action(envelope.data):
        told = await tool_actions.play(envelope.data, SessionBackend(session, service))
        return json.dumps({"type": "observation", "data": told})
    reply = await service.run(session, envelope.type, envelope.data)
    kind = "state" if envelope.type == "state" else "observation"
    return f'{{"type":"{kind}","data":{reply.model_dump_json()}}}'


async def serve(websocket: WebSocket, service: Service) -> None:
    """Serve one connection until either side closes it.

    It has its own session, or shares the MCP session of ``?session_id=``, which OpenEnv's tool client uses.
    """
    await websocket.accept()
    timeout = SessionTimeout(service.settings.idle_timeout, service.settings.session_lifetime)
    try:
        with service.sessions.connected(timeout, websocket.query_params.get("session_id")) as session:
            async with timeout.conversation():
                await _converse(websocket, session, service, timeout)
            if timeout.reason is not None:
                await _say_farewell(websocket, service, timeout.reason)
    except (CapacityReached, ServerStopping, SessionNotFound) as error:
        service.metrics.count_error(error)
        await websocket.send_text(error_message(error))
        await websocket.close(SERVICE_RESTART if isinstance(error, ServerStopping) else NORMAL)
    except WebSocketDisconnect:
        pass  # the client is gone; its finished steps are in the store


async def _converse(websocket: WebSocket, session: Session, service: Service, timeout: SessionTimeout) -> None:
    limit, limiter = service.settings.max_message_bytes, service.limiter
    client = client_name(websocket.client.host if websocket.client else None)
    unawaited = 0
    while timeout.reason is None:
        event = await websocket.receive()
        timeout.begin()
        if event["type"] == "websocket.disconnect":
            return
        close_code = None
        try:
            check_size(event, limit)
            if limiter is not None:
                limiter.count(client)
            reply = await answer(session, service, _text_of(event))
        except Exception as error:
            if not isinstance(error, EnvError):
                logger.exception("a message failed")
            refusal = as_client_error(error)
            service.metrics.count_error(refusal)
            reply = error_message(refusal)
            unawaited += event.get("queued", False)  # set by our own connections
            if isinstance(error, PayloadTooLarge):
                close_code = TOO_BIG
            elif unawaited > MOST_UNAWAITED:
                close_code = POLICY_VIOLATION
            elif isinstance(error, TooManyRequests):
                await asyncio.sleep(RATE_PAUSE)
        timeout.done()
        if reply is not None:
            await websocket.send_text(reply)
        if reply is None or close_code is not None:
            await websocket.close(close_code or NORMAL)
            return


def check_size(event: Message, limit: int) -> None:
    """Refuse a frame of more than ``limit`` bytes.

    uvicorn enforces a limit as well, but it may be higher. Text is encoded only if its length could exceed the limit.

    Raises:
        PayloadTooLarge: The frame is larger.
    """
    text = event.get("text")
    if text is None:
        too_large = len(event.get("bytes") or b"") > limit
    else:
        too_large = len(text) * MAX_BYTES_PER_CHARACTER > limit and len(text.encode()) > limit
    if too_large:
        raise PayloadTooLarge(f"The message exceeds the limit of {limit} bytes.")


def _text_of(event: Message) -> str:
    text: str | None = event.get("text")
    if text is None:
        raise InvalidJSON("Binary frames are not supported; send JSON as text.")
    return text


async def _say_farewell(websocket: WebSocket, service: Service, reason: EnvError) -> None:
    """Close a connection from this side; an idle or expired session gets an error message first."""
    try:
        async with asyncio.timeout(FAREWELL_TIMEOUT):
            if isinstance(reason, ServerStopping):
                await websocket.close(SERVICE_RESTART, reason.message)
                return
            service.metrics.count_error(reason)
            await websocket.send_text(error_message(reason))
            await websocket.close(PRIVATE + reason.status, reason.message)
    except TimeoutError:
        logger.info("a client did not read why its connection ends")
