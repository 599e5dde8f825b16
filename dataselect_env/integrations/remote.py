"""The environment on a running server, over its WebSocket: the calls, replies and errors of :class:`DataSelectEnv`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.protocol import State
from websockets.sync.client import ClientConnection, connect

from dataselect_env.core import errors
from dataselect_env.core.errors import EnvError, InvalidInput
from dataselect_env.core.models import Action, Reply, RewardMode
from dataselect_env.core.validation import parse
from dataselect_env.integrations.numbers import to_json
from dataselect_env.server.settings import token_headers

TIMEOUT = 60.0
"""Default timeout, in seconds, for a connection and for an answer."""
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


class RemoteError(EnvError):
    """The server cannot be reached, or its answer is not a reply of this environment; the message names the server."""

    code, status = "REMOTE_ERROR", 502


def websocket_url(url: str) -> str:
    """Return the WebSocket address of a server: ``ws://host:7860/ws`` for ``http://host:7860``.

    Raises:
        InvalidInput: ``url`` is not the address of a server.
    """
    scheme, host, path, query, _ = urlsplit(url)
    if scheme not in _SCHEMES or not host:
        raise InvalidInput(f"url: should look like ws://host:7860 or https://host, not {url!r}", field="url")
    path = path.rstrip("/")
    return urlunsplit((_SCHEMES[scheme], host, path if path.endswith("/ws") else f"{path}/ws", query, ""))


class RemoteEnv:
    """A :class:`~dataselect_env.core.env.DataSelectEnv` on a server. Not thread-safe.

    The first reset connects. A call that is interrupted or fails before its answer has arrived ends the connection, and
    with it the episode; the next reset connects again. A pickled copy has no connection. If the server needs a token,
    set ``DATASELECT_TOKEN``.

    Args:
        url: Address of the server: ``ws://``, ``wss://``, ``http://`` or ``https://``, with or without ``/ws``.
        timeout: Seconds to wait for a connection and for an answer.
    """

    def __init__(self, url: str, *, timeout: float = TIMEOUT) -> None:
        self.url = websocket_url(url)
        self.timeout = timeout
        self._connection: ClientConnection | None = None
        self._open = ExitStack()

    def reset(
        self,
        *,
        task_id: str | None = None,
        seed: int | None = None,
        reward_mode: RewardMode | None = None,
        split: str | None = None,
        index: int | None = None,
        agent: str | None = None,
        agent_token: str | None = None,
    ) -> Reply:
        """Start an episode; arguments and errors are those of :meth:`DataSelectEnv.reset`, and more.

        In the split ``sealed`` of a server, ``index`` is by default the next one in the server's order. ``agent`` is
        the name under which the episode counts, and ``agent_token`` its token, if it is registered on the server.

        Raises:
            AttemptUsed: The agent had its attempt at this index of a sealed split.
            EnvError: The server refuses the request; the message is the server's.
            RemoteError: The server cannot be reached, or its answer is not a reply.
        """
        choices = {
            "task_id": task_id,
            "seed": seed,
            "reward_mode": reward_mode,
            "split": split,
            "index": index,
            "agent": agent,
            "agent_token": agent_token,
        }
        if self._connection is None or self._connection.protocol.state is not State.OPEN:
            self.close()
            try:
                opening = connect(self.url, open_timeout=self.timeout, additional_headers=token_headers())
                self._connection = self._open.enter_context(opening)
            except (OSError, WebSocketException) as error:
                raise RemoteError(f"url: no connection to {self.url} ({error})", field="url") from error
        return self._ask("reset", {name: value for name, value in choices.items() if value is not None})

    def step(self, action: Action | Mapping[str, object], /) -> Reply:
        """Play one action; errors are those of :meth:`reset`."""
        return self._ask("step", action.model_dump() if isinstance(action, Action) else dict(action))

    def close(self) -> None:
        """Close the connection, if there is one; the episode on the server ends with it."""
        self._connection = None
        self._open.close()

    def _ask(self, operation: str, data: dict[str, Any]) -> Reply:
        """Send a message and return the reply to it."""
        connection, message = self._connection, to_json({"type": operation, "data": data})
        if connection is None:
            raise errors.NoEpisode("There is no episode; reset starts one.")
        try:
            with suppress(ConnectionClosed):  # what a server said before it closed can still be read
                connection.send(message)
            answer = json.loads(connection.recv(timeout=self.timeout))
        except BaseException as error:  # a KeyboardInterrupt, too: a late answer would pass for that of the next call
            self._connection = None
            connection.close_socket()  # without the closing handshake, which could take seconds
            self._open.close()
            if isinstance(error, OSError | WebSocketException):
                reason = str(error) or type(error).__name__
                raise RemoteError(
                    f"The connection to {self.url} and its episode are lost; reset starts another one ({reason})"
                ) from error
            if isinstance(error, ValueError):
                raise RemoteError(
                    f"{self.url} answers with something that is not JSON; is it a server of this environment?"
                ) from error
            raise
        return _reply(answer, self.url)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_connection": None, "_open": ExitStack()}


def _reply(answer: Any, url: str) -> Reply:
    """Return the reply in a message, or raise the error in it."""
    kind, data = (answer.get("type"), answer.get("data")) if isinstance(answer, dict) else (None, None)
    if kind == "error" and isinstance(data, dict):
        code, message = str(data.get("code")), str(data.get("message"))
        raise _ERRORS.get(code, RemoteError)(message, field=data.get("field"))
    try:
        return parse(Reply, data)
    except InvalidInput as error:
        raise RemoteError(f"{url} answers with something that is not a reply: {error.message}") from error


def _subclasses(base: type[EnvError]) -> Iterator[type[EnvError]]:
    for subclass in base.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


_ERRORS = {error.code: error for error in _subclasses(EnvError)}
"""Error classes by the code that a server sends."""
