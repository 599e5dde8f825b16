"""Play on a running server over its WebSocket: the same calls and replies, and the same errors, as in process."""

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
from dataselect_env.core.models import Action, Reply, RewardMode, parse
from dataselect_env.server.settings import token_headers

TIMEOUT = 60.0
"""Seconds to wait for a connection and for an answer, unless told otherwise."""
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


class RemoteError(EnvError):
    """The server cannot be reached, or answers with what is no reply; the message says which server."""

    code, status = "REMOTE_ERROR", 502


def websocket_url(url: str) -> str:
    """Return the address of the WebSocket of a server: ``ws://host:7860/ws`` for ``http://host:7860``.

    Raises:
        InvalidInput: It is no such address.
    """
    scheme, host, path, query, _ = urlsplit(url)
    if scheme not in _SCHEMES or not host:
        raise InvalidInput(f"url: should look like ws://host:7860 or https://host, not {url!r}", field="url")
    path = path.rstrip("/")
    return urlunsplit((_SCHEMES[scheme], host, path if path.endswith("/ws") else f"{path}/ws", query, ""))


class RemoteEnv:
    """What :class:`~dataselect_env.core.env.DataSelectEnv` is, on a server. Not for several threads at once.

    It connects with the first reset, and anew with the next reset after the connection was lost. A copy made by
    pickling has no connection yet. A server that asks for a token is shown that of ``DATASELECT_TOKEN``.

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
    ) -> Reply:
        """Start an episode; arguments and errors are those of :meth:`DataSelectEnv.reset`.

        Raises:
            EnvError: What the server refuses, with its message.
            RemoteError: The server cannot be reached or understood.
        """
        choices = {"task_id": task_id, "seed": seed, "reward_mode": reward_mode, "split": split, "index": index}
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
        if self._connection is None:
            raise errors.NoEpisode("There is no episode yet; reset starts one.")
        return self._ask("step", action.model_dump() if isinstance(action, Action) else dict(action))

    def close(self) -> None:
        """Close the connection, if there is one; the episode on the server ends with it."""
        self._connection = None
        self._open.close()

    def _ask(self, operation: str, data: dict[str, Any]) -> Reply:
        """Send a message and return the reply to it."""
        assert self._connection is not None  # noqa: S101  (both callers see to it)
        try:
            with suppress(ConnectionClosed):  # what a server said before it closed is still there to be read
                self._connection.send(json.dumps({"type": operation, "data": data}))
            answer = json.loads(self._connection.recv(timeout=self.timeout))
        except (OSError, WebSocketException) as error:
            self.close()
            reason = str(error) or type(error).__name__
            raise RemoteError(
                f"The connection to {self.url} is lost, and the episode with it; reset starts another one ({reason})"
            ) from error
        except ValueError as error:
            raise RemoteError(f"{self.url} answers with what is no JSON; is it this environment's server?") from error
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
    except InvalidInput as problem:
        raise RemoteError(f"{url} answers with what is no reply: {problem.message}") from problem


def _subclasses(base: type[EnvError]) -> Iterator[type[EnvError]]:
    for subclass in base.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


_ERRORS = {error.code: error for error in _subclasses(EnvError)}
"""What a caller can do wrong, by the code that the server tells."""
