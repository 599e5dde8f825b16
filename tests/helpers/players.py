"""One way to play for every transport, so that a test can be written once and run on all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from fastapi.testclient import TestClient
from starlette.testclient import WebSocketTestSession

from dataselect_env import Action, DataSelectEnv
from dataselect_env.core.errors import EnvError
from dataselect_env.core.validation import parse

TRANSPORTS = ("in process", "http", "websocket")


class RefusedError(Exception):
    """An operation was answered by an error; ``body`` is what a client sees of it."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__(body["message"])
        self.body = body


class Player(Protocol):
    def reset(self, **choices: Any) -> dict[str, Any]: ...
    def step(self, action: Any) -> dict[str, Any]: ...
    def state(self) -> dict[str, Any]: ...


class InProcess:
    def __init__(self) -> None:
        self.env = DataSelectEnv()

    def reset(self, **choices: Any) -> dict[str, Any]:
        return self._plain(lambda: self.env.reset(**choices))

    def step(self, action: Any) -> dict[str, Any]:
        return self._plain(lambda: self.env.step(parse(Action, action)))

    def state(self) -> dict[str, Any]:
        return self._plain(lambda: self.env.state)

    @staticmethod
    def _plain(operation: Any) -> dict[str, Any]:
        try:
            plain: dict[str, Any] = json.loads(operation().model_dump_json())
        except EnvError as error:
            raise RefusedError(error.body()) from error
        return plain


class OverHTTP:
    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.episode_id: str | None = None

    def reset(self, **choices: Any) -> dict[str, Any]:
        reply = self._told(self.client.post("/reset", json=choices))
        self.episode_id = reply["episode_id"]
        return reply

    def step(self, action: Any) -> dict[str, Any]:
        if isinstance(action, dict):
            action = {**action, "episode_id": self.episode_id}
        return self._told(self.client.post("/step", json=action))

    def state(self) -> dict[str, Any]:
        chosen = {"episode_id": self.episode_id} if self.episode_id else {}
        return self._told(self.client.get("/state", params=chosen))

    @staticmethod
    def _told(response: Any) -> dict[str, Any]:
        body: dict[str, Any] = response.json()
        if response.status_code != 200:
            raise RefusedError(body)
        return body


class OverWebSocket:
    def __init__(self, socket: WebSocketTestSession) -> None:
        self.socket = socket

    def reset(self, **choices: Any) -> dict[str, Any]:
        return self.ask({"type": "reset", "data": choices}, "observation")

    def step(self, action: Any) -> dict[str, Any]:
        return self.ask({"type": "step", "data": action}, "observation")

    def state(self) -> dict[str, Any]:
        return self.ask({"type": "state"}, "state")

    def ask(self, message: Any, kind: str) -> dict[str, Any]:
        self.socket.send_text(json.dumps(message))
        answer = self.socket.receive_json()
        data: dict[str, Any] = answer["data"]
        if answer["type"] == "error":
            raise RefusedError(data)
        assert answer["type"] == kind
        return data


@contextmanager
def player(transport: str, client: TestClient) -> Iterator[Player]:
    """Give a player over ``transport``; those of a server are served by ``client``'s application."""
    if transport == "in process":
        yield InProcess()
    elif transport == "http":
        yield OverHTTP(client)
    else:
        with client.websocket_connect("/ws") as socket:
            yield OverWebSocket(socket)


def without_id(reply: dict[str, Any]) -> dict[str, Any]:
    """Return a reply without the id that every episode has of its own."""
    metadata = {name: value for name, value in reply.get("metadata", {}).items() if name != "episode_id"}
    return {**{name: value for name, value in reply.items() if name != "episode_id"}, "metadata": metadata}
