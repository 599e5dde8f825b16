"""Clients of a real server that keep a ledger of what they sent and what was answered."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import httpx2
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from bench.reliability.ledger import Entry, Ledger
from bench.reliability.scripts import Reply
from tests.helpers.serving import Server

PATIENCE = 120
"""Seconds until an answer counts as missing; the first episode of a server loads its libraries meanwhile."""
CUT_OFF = (WebSocketException, httpx2.TransportError, OSError)
"""What a client sees when the server dies."""


class Refused(Exception):
    """The server answered with an error; the message is its body."""


def client_of(server: Server) -> httpx2.AsyncClient:
    """Return an HTTP client that goes through no proxy; certificates, which nobody here has, take long to load."""
    return httpx2.AsyncClient(base_url=server.base_url, trust_env=False, verify=False, timeout=PATIENCE)


async def ask(http: httpx2.AsyncClient, path: str, body: Any) -> Reply:
    """Return what ``POST path`` answers.

    Raises:
        Refused: It answers with an error.
    """
    answer = await http.post(path, json=body)
    if answer.status_code != httpx2.codes.OK:
        raise Refused(f"{path}: {answer.text}")
    reply: Reply = answer.json()
    return reply


async def finish(http: httpx2.AsyncClient, book: Ledger, entry: Entry) -> None:
    """Play an HTTP episode to its end from where it is, and have it graded."""
    while not entry.done:
        number = len(entry.replies)
        book.send(entry)
        if number == 0:
            reply = await ask(http, "/reset", entry.script.choices)
        else:
            action = entry.script.actions[number - 1]
            reply = await ask(http, "/step", {**action, "episode_id": entry.script.episode_id})
        book.answered(entry, reply)
    book.graded(entry, await ask(http, "/grader", {"episode_id": entry.script.episode_id}))


async def play_http(server: Server, book: Ledger, backend: int) -> None:
    """Play one episode after the other, the first from where a restart left it."""
    async with client_of(server) as http:
        while True:
            if book.seats[backend].ended:
                book.seats[backend] = book.open("http")
            await finish(http, book, book.seats[backend])


async def play_websocket(server: Server, book: Ledger) -> None:
    """Play one episode after the other over one connection."""
    async with (
        client_of(server) as http,
        connect(server.ws_url, proxy=None, ping_interval=None, open_timeout=PATIENCE) as socket,
    ):
        while True:
            entry = book.open("websocket")
            requests = [("reset", entry.script.choices), *(("step", action) for action in entry.script.actions)]
            for kind, data in requests:
                book.send(entry)
                await socket.send(json.dumps({"type": kind, "data": data}))
                answer = json.loads(await socket.recv())
                if answer["type"] != "observation":
                    raise Refused(f"{kind}: {answer}")
                book.answered(entry, answer["data"])
                if entry.done:
                    break
            book.graded(entry, await ask(http, "/grader", {"episode_id": entry.script.episode_id}))


async def finish_all(server: Server, book: Ledger) -> None:
    """Let every HTTP client play the episode that it is in to its end."""
    async with client_of(server) as http:
        for entry in book.seats:
            if not entry.ended:
                await finish(http, book, entry)


async def where_they_stand(server: Server, entries: Iterable[Entry]) -> list[str]:
    """Return for which HTTP episodes the server has other step counts than the store."""
    problems = []
    async with client_of(server) as http:
        for entry in entries:
            if entry.sent and not entry.ended:
                state = await http.get("/state", params={"episode_id": entry.script.episode_id})
                steps = entry.sent - 1
                if state.json().get("step_count") != steps:
                    problems.append(f"{entry.script.episode_id}: stands after {steps} steps, told {state.text}")
    return problems


async def grade_again(server: Server, grades: dict[str, Reply]) -> list[str]:
    """Return for which episodes /grader answers something else than ``grades`` have."""
    problems = []
    async with client_of(server) as http:
        for name, grade in grades.items():
            told = await http.post("/grader", json={"episode_id": name})
            if told.json() != grade:
                problems.append(f"{name}: grade {told.text}, should be {grade}")
    return problems
