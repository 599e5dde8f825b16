"""uvicorn's parsers of HTTP and WebSocket, with limits that only a parser can enforce.

A refused request is answered with an error body like any other, and the connection is closed. The methods that are
overridden here are those that the parser libraries call, and ``send_400_response``; tests/server/test_parsers.py fails
when a release of uvicorn changes them.
"""

from __future__ import annotations

import asyncio
import json
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import SecurityError
from websockets.frames import CloseCode, Frame

from dataselect_env.core.errors import EnvError, HeadersTooLarge, MalformedRequest

if TYPE_CHECKING:
    from dataselect_env.server.connections import Gate

logger = logging.getLogger(__name__)

MOST_HEADERS = 100
"""Header lines of a request, its trailers included; as many as other servers accept."""
FRAMES_PER_SECOND = 1_000
"""Pings, pongs and continuations that a connection may send in a second, and messages after the end."""
LINGER = 1.0
"""Seconds that a refused client has to read the answer before its connection is closed."""


def refuse(transport: Gate | asyncio.Transport, error: EnvError) -> None:
    """Answer a request that cannot be parsed, and close the connection.

    What the client still sends is not read, and a connection that is closed with unread bytes is reset, so the client
    first gets time to read the answer.
    """
    logger.info("refused a request: %s", error.code)
    transport.pause_reading()
    transport.write(refusal(error))
    asyncio.get_running_loop().call_later(LINGER, transport.close)


def refusal(error: EnvError) -> bytes:
    """Return the response that refuses a request."""
    body = json.dumps(error.body()).encode()
    head = (
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


class _Refusing:
    """Answers what cannot be parsed like any other refused request."""

    transport: asyncio.Transport
    cycle: Any
    refusal: EnvError = MalformedRequest("This is not an HTTP request.")

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  (uvicorn's text)
        """Refuse what cannot be parsed."""
        self.refuse(self.refusal)

    def refuse(self, error: EnvError) -> None:
        """End the connection with an error; without one, where an answer has begun or others come first."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            refuse(self.transport, error)
            return
        begun = cycle.response_started or getattr(self, "pipeline", None)
        cycle.disconnected = True  # for the application, which may wait for the rest of the request
        cycle.message_event.set()
        if begun:
            self.transport.close()
        else:
            refuse(self.transport, error)


class H11Parser(_Refusing, H11Protocol):
    """The parser in Python, which limits the size of heads and trailers itself."""


HTTPParser: type[asyncio.Protocol] = H11Parser
"""The parser for this installation."""

try:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
except ImportError:  # it is compiled, and not available everywhere
    pass
else:

    class HTTPToolsParser(_Refusing, HttpToolsProtocol):
        """The parser in C."""

        def on_header(self, name: bytes, value: bytes) -> None:
            """Add a header or a trailer."""
            if len(self.headers) >= MOST_HEADERS:
                self.refusal = HeadersTooLarge(f"A request should have at most {MOST_HEADERS} headers.")
                raise self.refusal  # stops the parser
            super().on_header(name, value)

        def on_response_complete(self) -> None:
            """Go on to the next request; read no others before all that have arrived are answered."""
            super().on_response_complete()
            if self.pipeline:
                self.flow.pause_reading()

    HTTPParser = HTTPToolsParser


class WebSocketParser(WebSocketsSansIOProtocol):
    """The WebSocket protocol, with a limit on frames that are no messages, and turns between messages."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._second, self._frames = 0, 0  # the current second, and the frames that arrived in it

    async def receive(self) -> Any:
        """Return the next event; others have their turn first.

        A message that had arrived before it was asked for has ``"queued": True``: its client did not wait for the last
        answer.
        """
        queued = not self.queue.empty()
        if queued:
            await asyncio.sleep(0)
        event = await super().receive()
        return {**event, "queued": True} if queued else event

    def handle_ping(self) -> None:
        """Answer a ping."""
        if self._is_allowed():
            super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        """Note a pong."""
        if self._is_allowed():
            super().handle_pong(event)

    def handle_cont(self, event: Frame) -> None:
        """Add a fragment to the current message."""
        if self._is_allowed():
            super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """Queue a message; one that comes after the close frame is discarded, and counts as well."""
        if not self.close_sent or self._is_allowed():
            super().send_receive_event_to_app()

    def _is_allowed(self) -> bool:
        """Count a frame that is no message of its own; close the connection when there are too many."""
        if self.transport.is_closing():
            return False
        second = int(self.loop.time())
        if second != self._second:
            self._second, self._frames = second, 0
        self._frames += 1
        if self._frames <= FRAMES_PER_SECOND:
            return True
        logger.info("a client sent too many control frames or fragments; its connection was closed")
        self.conn.fail(CloseCode.POLICY_VIOLATION, "too many control frames or fragments")
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()
        return False

    def handle_events(self) -> None:
        """Handle what has been parsed; refuse a handshake that the library does not accept."""
        super().handle_events()
        if not self.handshake_initiated and not self.close_sent:  # the whole handshake arrives at once
            self.close_sent = self.handshake_complete = True
            failure = self.conn.handshake_exc
            if isinstance(failure, SecurityError) or isinstance(getattr(failure, "__cause__", None), SecurityError):
                error: EnvError = HeadersTooLarge("The headers of a WebSocket handshake are too many or too long.")
            else:
                error = MalformedRequest("This is not a handshake of a WebSocket: it should be a GET without a body.")
            refuse(self.transport, error)
