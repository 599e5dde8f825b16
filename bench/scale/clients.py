"""Clients of several servers behind a balancer, which go on after errors and keep a ledger of what was acknowledged."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from bench.reliability.ledger import Entry, Ledger
from bench.scale.cluster import Cluster

PAUSE = 0.05
"""Seconds before a client tries again."""
PATIENCE = 30.0
FAILED = (httpx2.TransportError, WebSocketException, OSError)


class Refused(Exception):
    """An answer is an error; the message says which."""


@dataclass
class Crowd:
    """Clients at work.

    Attributes:
        book: What they were answered.
        cluster: Where they play.
        told: Errors that they were told, with their number.
        problems: What should not be.
        longest_gap: Longest time without an acknowledgement to any client, in seconds.
        stopping: Whether they end.
    """

    cluster: Cluster
    book: Ledger
    told: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    longest_gap: float = 0.0
    stopping: bool = False
    _acknowledged_at: float = field(default_factory=time.monotonic)

    def answered(self, entry: Entry, reply: dict[str, Any]) -> None:
        """Note an acknowledged request."""
        now = time.monotonic()
        self.longest_gap = max(self.longest_gap, now - self._acknowledged_at)
        self._acknowledged_at = now
        self.book.answered(entry, reply)

    def note(self, error: Exception) -> None:
        """Note an error that a client was told, or how its connection ended."""
        if isinstance(error, Refused):
            self.told[str(error)] += 1
        elif isinstance(error, ConnectionClosed) and error.rcvd is not None:
            self.told[f"WebSocket closed: {error.rcvd.code} {error.rcvd.reason}".strip()] += 1
        else:
            self.told[f"connection lost ({type(error).__name__})"] += 1

    async def play_http(self) -> None:
        """Play HTTP episodes, one after the other; each request may reach another server."""
        async with httpx2.AsyncClient(
            base_url=self.cluster.base_url, trust_env=False, verify=False, timeout=PATIENCE
        ) as http:
            while not self.stopping:
                entry = self.book.open("http")
                while not entry.done and not self.stopping:
                    try:
                        await self._next_over_http(http, entry)
                    except (Refused, *FAILED) as error:
                        self.note(error)
                        if await self._find_place(http, entry):
                            break

    async def _next_over_http(self, http: httpx2.AsyncClient, entry: Entry) -> None:
        path, data = _request(self.book, entry)
        data = {**data, "episode_id": entry.script.episode_id}
        answer = await http.post(f"/{path}", json=data)
        if answer.status_code != httpx2.codes.OK:
            raise Refused(_sentence(answer))
        self.answered(entry, answer.json())

    async def _find_place(self, http: httpx2.AsyncClient, entry: Entry) -> bool:
        """Learn after an error which requests of an episode were stored; return whether its client leaves it."""
        while True:
            await asyncio.sleep(PAUSE)
            try:
                answer = await http.get("/state", params={"episode_id": entry.script.episode_id})
            except FAILED as error:
                self.note(error)
                continue
            if answer.status_code == httpx2.codes.NOT_FOUND:
                stored = 0
            elif answer.status_code == httpx2.codes.OK:
                stored = answer.json()["step_count"] + 1
            else:
                self.told[_sentence(answer)] += 1
                continue
            return self._set_place(entry, stored)

    def _set_place(self, entry: Entry, stored: int) -> bool:
        known = len(entry.replies)
        if not known <= stored <= known + 1:
            self.problems.append(f"{entry.script.episode_id}: {known} requests acknowledged, {stored} stored")
            return True
        entry.replies += [None] * (stored - known)
        return stored > max(known, 1)  # its last step, perhaps: the client starts another episode

    async def play_websocket(self) -> None:
        """Play episodes over WebSockets, and connect again when a connection is lost."""
        while not self.stopping:
            try:
                async with connect(
                    self.cluster.ws_url, proxy=None, ping_interval=None, open_timeout=PATIENCE
                ) as socket:
                    while not self.stopping:
                        await self._play_session(socket, self.book.open("websocket"))
            except FAILED as error:
                self.note(error)
                await asyncio.sleep(PAUSE)

    async def _play_session(self, socket: ClientConnection, entry: Entry) -> None:
        while not entry.done and not self.stopping:
            kind, data = _request(self.book, entry)
            await socket.send(json.dumps({"type": kind, "data": data}))
            answer = json.loads(await asyncio.wait_for(socket.recv(), PATIENCE))
            if answer["type"] == "observation":
                self.answered(entry, answer["data"])
                continue
            self.note(Refused(f"{answer['data']['code']}: {answer['data']['message']}"))
            await asyncio.sleep(PAUSE)
            return  # and starts another episode


def _request(book: Ledger, entry: Entry) -> tuple[str, dict[str, Any]]:
    """Note that the next request of an episode is sent, and return it."""
    number = len(entry.replies)
    book.send(entry)
    return ("reset", entry.script.choices) if number == 0 else ("step", entry.script.actions[number - 1])


def _sentence(answer: httpx2.Response) -> str:
    """Return the error of an answer as text."""
    try:
        body = answer.json()
        return f"{body['code']}: {body['message']}"
    except ValueError:
        return f"nginx answered {answer.status_code}"


async def until(condition: Callable[[], bool], pause: float = 0.005) -> float:
    """Wait for a condition; return the seconds that it took."""
    began = time.monotonic()
    while not condition():
        await asyncio.sleep(pause)
    return time.monotonic() - began
