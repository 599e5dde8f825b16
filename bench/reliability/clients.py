"""Clients of a real server, which keep a ledger of their requests and the answers."""

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
"""Seconds until an answer counts as missing; a server loads its libraries during the first episode."""
CUT_OFF = (WebSocketException, httpx2.TransportError, OSError)
"""Exceptions of a client whose server has died."""


class Refused(Exception):
    """The server answered with an error; the message is its body."""


def client_of(server: Server) -> httpx2.AsyncClient:
    """Return an HTTP client that uses neither a proxy nor certificates, which would take long to load."""
    return httpx2.AsyncClient(base_url=server.base_url, trust_env=False, verify=False, timeout=PATIENCE)


async def ask(http: httpx2.AsyncClient, path: str, body: Any) -> Reply:
    """Return the answer to ``POST path``.

    Raises:
        Refused: The answer is an error.
    """
    answer = await http.post(path, json=body)
    if answer.status_code != httpx2.codes.OK:
        raise Refused(f"{path}: {answer.text}")
    reply: Reply = answer.json()
    return reply


async def finish(http: httpx2.AsyncClient, book: Ledger, entry: Entry) -> None:
    """Play an HTTP episode from its current step to its end, and ask for its grade."""
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
    """Play one episode after the other; a restart may have interrupted the first one."""
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
    """Let every HTTP client play its current episode to the end."""
    async with client_of(server) as http:
        for entry in book.seats:
            if not entry.ended:
                await finish(http, book, entry)


async def where_they_stand(server: Server, entries: Iterable[Entry]) -> list[str]:
    """Return a sentence for each HTTP episode whose step count differs between server and store."""
    problems = []
    async with client_of(server) as http:
        for entry in entries:
            if entry.sent and not entry.ended:
                state = await http.get("/state", params={"episode_id": entry.script.episode_id})
                steps = entry.sent - 1
                if state.json().get("step_count") != steps:
                    problems.append(f"{entry.script.episode_id}: {steps} steps in the store, answered {state.text}")
    return problems


async def grade_again(server: Server, grades: dict[str, Reply]) -> list[str]:
    """Return a sentence for each episode whose grade by /grader differs from ``grades``."""
    problems = []
    async with client_of(server) as http:
        for name, grade in grades.items():
            answer = await http.post("/grader", json={"episode_id": name})
            if answer.json() != grade:
                problems.append(f"{name}: grade {answer.text}, should be {grade}")
    return problems
