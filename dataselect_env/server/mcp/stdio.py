"""The Model Context Protocol over stdin and stdout: one message a line, for clients that start their servers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from dataselect_env.core.errors import InvalidJSON
from dataselect_env.server.json_input import parse_json
from dataselect_env.server.mcp import jsonrpc, protocol
from dataselect_env.server.mcp.backend import SessionBackend
from dataselect_env.server.mcp.jsonrpc import RpcError
from dataselect_env.server.mcp.protocol import Answer
from dataselect_env.server.service import Service
from dataselect_env.server.session import Session
from dataselect_env.server.settings import Settings, token_headers
from dataselect_env.server.store import open_store

Ask = Callable[[object], Answer | None]
"""Returns the answer to a message, None where there is none."""


class ServerUnreachable(Exception):
    """The server cannot be reached, or no longer."""


def converse(ask: Ask, lines: TextIO, out: TextIO) -> None:
    """Answer every line until there are no more; an empty line is passed over."""
    for line in lines:
        if not line.strip():
            continue
        try:
            told = ask(parse_json(line))
        except InvalidJSON as error:
            told = RpcError(jsonrpc.PARSE_ERROR, error.message).answer()
        if told is not None:
            out.write(json.dumps(told) + "\n")
            out.flush()


@contextmanager
def in_process(settings: Settings) -> Iterator[Ask]:
    """Give a session in this process; its episodes go to the store of the settings.

    Raises:
        SettingsError: The store cannot be used.
    """
    store = open_store(settings.store)
    service = Service(settings, store)
    try:
        backend = SessionBackend(Session(store, "mcp"), service)
        with asyncio.Runner() as runner:
            yield lambda message: runner.run(protocol.answer(message, backend))
    finally:
        service.close()


@contextmanager
def at_server(url: str) -> Iterator[Ask]:
    """Give a session of a running server, over a WebSocket connection of its own.

    A server that asks for a token is shown that of ``DATASELECT_TOKEN``.

    Args:
        url: Address of the server, as http, https, ws or wss.

    Raises:
        ServerUnreachable: It does not answer, or went away.
    """
    address = url.rstrip("/").replace("http", "ws", 1) if url.startswith("http") else url.rstrip("/")
    try:
        with connect(f"{address}/ws", additional_headers=token_headers()) as socket:
            yield lambda message: _ask(socket, message)
    except (OSError, WebSocketException, ValueError) as error:
        raise ServerUnreachable(str(error)) from error


def _ask(socket: ClientConnection, message: object) -> Answer | None:
    socket.send(json.dumps({"type": "mcp", "data": message}))
    told = json.loads(socket.recv())
    if told["type"] == "error":  # the server is full, or the message was no object
        return RpcError(jsonrpc.INTERNAL_ERROR, told["data"]["message"]).answer()
    answer: Answer | None = told["data"]
    return answer
