"""The Model Context Protocol over stdin and stdout, one message per line, in UTF-8 whatever the locale is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from dataselect_env.core.errors import InvalidJSON
from dataselect_env.server.json_input import parse_json
from dataselect_env.server.mcp import jsonrpc, stateless
from dataselect_env.server.mcp.backend import SessionBackend
from dataselect_env.server.mcp.jsonrpc import RpcError
from dataselect_env.server.mcp.protocol import Response
from dataselect_env.server.service import Service
from dataselect_env.server.session import Session
from dataselect_env.server.settings import Settings, token_headers
from dataselect_env.server.store import open_store

Respond = Callable[[object], Response | None]
"""Returns the response to a message; None for a notification."""


class ServerUnreachable(Exception):
    """The server cannot be reached, or the connection was lost."""


def converse(respond: Respond, lines: BinaryIO, out: BinaryIO) -> None:
    """Respond to every line until the input ends; empty lines are skipped."""
    for line in lines:
        if not line.strip():
            continue
        try:
            response = respond(parse_json(line))
        except InvalidJSON as error:
            response = RpcError(jsonrpc.PARSE_ERROR, error.message).response()
        if response is not None:
            out.write(json.dumps(response).encode() + b"\n")
            out.flush()


@contextmanager
def in_process(settings: Settings) -> Iterator[Respond]:
    """Yield the responses of a session in this process; its episodes go to the store of the settings.

    Each message also removes a few expired episodes.

    Raises:
        SettingsError: The store cannot be used.
    """
    store = open_store(settings.store, settings.synchronous)
    service = Service(settings, store)
    with asyncio.Runner() as runner:
        backend = SessionBackend(Session(store, "mcp", service.entries), service)

        async def respond(message: object) -> Response | None:
            await service.prune_some()
            return await stateless.respond_either(message, backend, service)

        try:
            yield lambda message: runner.run(respond(message))
        finally:
            runner.run(service.close())


@contextmanager
def at_server(url: str) -> Iterator[Respond]:
    """Yield the responses of a session on a running server, over a WebSocket connection.

    The connection sends the token of ``DATASELECT_TOKEN``, if it is set.

    Args:
        url: Address of the server's WebSocket, from :func:`~dataselect_env.integrations.remote.websocket_url`.

    Raises:
        ServerUnreachable: The server cannot be reached, or the connection was lost.
    """
    try:
        with connect(url, additional_headers=token_headers()) as socket:
            yield lambda message: _ask(socket, message)
    except (OSError, WebSocketException, ValueError) as error:
        raise ServerUnreachable(str(error)) from error


def _ask(socket: ClientConnection, message: object) -> Response | None:
    socket.send(json.dumps({"type": "mcp", "data": message}))
    frame = json.loads(socket.recv())
    if frame["type"] == "error":  # the server is full, or the message is not an object
        return RpcError(jsonrpc.INTERNAL_ERROR, frame["data"]["message"]).response()
    response: Response | None = frame["data"]
    return response
