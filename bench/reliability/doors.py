"""C4 and C5: limits hold, places are freed, and no route is open without authentication.

    python -m bench.reliability.doors --rounds 20

Runs real servers with small limits: a full one, one with a token, one with a rate limit. No answer may contain internal
details.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections import Counter
from contextlib import ExitStack, suppress
from time import perf_counter
from typing import Any

import click
import httpx2
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from bench.reliability import page
from bench.reliability.clients import PATIENCE
from bench.reliability.process import about_this_run
from bench.results import save_option
from bench.speed.load import UPGRADE
from dataselect_env.cli.console import progress
from dataselect_env.server.access import OPEN_PATHS, PAGE
from dataselect_env.server.catalogue import NAME
from dataselect_env.server.settings import ENV_PREFIX, Settings
from tests.helpers.serving import LOOPBACK, Server, running_server

PLACES = 6
IDLE, LIFETIME, PING = 1.5, 3.0, 0.5
"""Limits of the full server, in seconds."""
RATE, ASKED = 5, 60
TOKEN = "a-token-for-these-doors"  # noqa: S105
FOREIGN = "https://foreign.example"
INSIDE = re.compile(r'Traceback|File "|site-packages|\.py\b|sqlite3?\.|object at 0x|\bdataselect_env\.[a-z]')
"""Parts of tracebacks, paths and module names."""
IDLE_CODE = 4408
CAPACITY_CODE = 1000


class Found:
    """Counts and problems."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []

    def expect(self, fine: bool, problem: str) -> None:
        """Record a problem unless a condition holds."""
        if not fine:
            self.problems.append(problem)

    def search(self, text: str) -> None:
        """Search an answer for internal details."""
        self.counts["answers searched"] += 1
        if inside := INSIDE.search(text):
            self.problems.append(f"an answer contains {inside[0]!r}: {text[:300]}")


def settings(**values: object) -> dict[str, str]:
    """Return settings as environment variables."""
    return {f"{ENV_PREFIX}{name.upper()}": str(value) for name, value in values.items()}


def errors_until_close(client: ClientConnection, found: Found) -> tuple[list[str], int | None]:
    """Return the codes of all errors that a connection receives until it is closed, and the close code."""
    codes: list[str] = []
    while True:
        try:
            text = str(client.recv(timeout=PATIENCE))
        except ConnectionClosed as closed:
            return codes, closed.rcvd.code if closed.rcvd else None
        found.search(text)
        message = json.loads(text)
        codes += [message["data"]["code"]] if message["type"] == "error" else []


def wait_for_places(server: Server, found: Found, what: str) -> None:
    """Wait until all places are free."""
    deadline = time.monotonic() + PATIENCE
    while server.get("/health")["active_sessions"] and time.monotonic() < deadline:
        time.sleep(0.05)
    found.expect(server.get("/health")["active_sessions"] == 0, f"places are left of {what}")


def fill(server: Server, found: Found) -> None:
    """Take all places with silent clients, ask for one more, and check that all are freed."""
    with ExitStack() as stack:
        silent = [stack.enter_context(connect(server.ws_url, proxy=None)) for _ in range(PLACES)]
        with connect(server.ws_url, proxy=None) as late:
            codes = errors_until_close(late, found)
            found.expect(codes == (["CAPACITY_REACHED"], CAPACITY_CODE), f"one client too many got {codes}")
            found.counts["refused at capacity"] += 1
        for client in silent:
            codes = errors_until_close(client, found)
            found.expect(codes == (["SESSION_IDLE"], IDLE_CODE), f"a silent client got {codes}")
    wait_for_places(server, found, "silent clients")
    found.counts["places freed"] += PLACES


def outstay(server: Server, found: Found) -> None:
    """Send messages until the session exceeds its lifetime."""
    with connect(server.ws_url, proxy=None) as talker:
        with suppress(ConnectionClosed):
            talker.send(json.dumps({"type": "reset", "data": {"seed": 1}}))
            while json.loads(talker.recv(timeout=PATIENCE))["type"] != "error":
                time.sleep(0.1)
                talker.send(json.dumps({"type": "state"}))
        code = errors_until_close(talker, found)[1]
    found.expect(code == IDLE_CODE, f"who stayed too long was closed with {code}")
    wait_for_places(server, found, "one that stayed too long")
    found.counts["places freed"] += 1


def play_dead(server: Server, found: Found) -> None:
    """Open connections that answer no ping."""
    with ExitStack() as stack:
        for _ in range(PLACES):
            dead = stack.enter_context(socket.create_connection((LOOPBACK, server.port)))
            dead.sendall(UPGRADE)
            found.expect(b" 101 " in dead.recv(200), "a handshake was refused")
        wait_for_places(server, found, "clients that answer no ping")
        found.counts["places freed"] += PLACES


def try_routes(server: Server, found: Found) -> None:
    """Request every route without the token, with a wrong one, and from a foreign page."""
    right, wrong = ({"Authorization": f"Bearer {token}"} for token in (TOKEN, TOKEN[:-1]))
    visitors: tuple[tuple[int, dict[str, str]], ...] = ((401, {}), (401, wrong), (403, {**right, "Origin": FOREIGN}))
    with httpx2.Client(base_url=server.base_url, trust_env=False, timeout=PATIENCE) as http:
        routes = http.get("/openapi.json", headers=right).json()["paths"]
        for path, operations in routes.items():
            for method in operations:
                for status, headers in visitors:
                    answer = http.request(method, path.replace("{env_name}", NAME), headers=headers, json={})
                    found.search(answer.text)
                    is_open = path in OPEN_PATHS or (status == 401 and PAGE.fullmatch(path) is not None)
                    found.expect(is_open or answer.status_code == status, f"{method} {path}: {answer.status_code}")
                    found.counts["requests refused"] += answer.status_code == status
            if "post" in operations:
                body = b" " * (Settings().max_message_bytes + 1)
                answer = http.post(path.replace("{env_name}", NAME), headers=right, content=body)
                found.search(answer.text)
                found.expect(answer.status_code == 413, f"{path}: a body too large got {answer.status_code}")
                found.counts["bodies too large"] += 1
    for status, headers in visitors:
        try:
            with connect(server.ws_url, proxy=None, additional_headers=headers):
                found.problems.append(f"/ws is open to {headers}")
        except InvalidStatus as refused:
            found.search(refused.response.body.decode())
            found.expect(refused.response.status_code == status, f"/ws: {refused.response.status_code}")
            found.counts["requests refused"] += 1


def hurry(server: Server, found: Found) -> None:
    """Send more requests than the rate limit allows."""
    with httpx2.Client(base_url=server.base_url, trust_env=False, timeout=PATIENCE) as http:
        answers = [http.get("/tasks") for _ in range(ASKED)]
        for answer in answers:
            found.search(answer.text)
            found.expect(answer.status_code in (200, 429), f"/tasks in a hurry: {answer.status_code}")
        late = [answer for answer in answers if answer.status_code == 429]
        found.expect(len(late) >= ASKED // 2, f"only {len(late)} of {ASKED} requests were too many")
        found.expect(all("retry-after" in answer.headers for answer in late), "a refusal names no time")
        found.expect(http.get("/health").status_code == 200, "/health is not open")
        found.counts["requests too many"] += len(late)


def measure(rounds: int) -> dict[str, Any]:
    """Run all checks ``rounds`` times; return the counts and the problems."""
    found = Found()
    small = settings(max_sessions=PLACES, idle_timeout=IDLE, session_lifetime=LIFETIME)
    with running_server(env=small) as server, progress(rounds, "rounds") as advance:
        for _ in range(rounds):
            fill(server, found)
            outstay(server, found)
            if advance:
                advance(1)
    with running_server(env=settings(max_sessions=PLACES, ping_interval=PING, ping_timeout=PING)) as server:
        for _ in range(rounds):
            play_dead(server, found)
    with running_server(env=settings(token=TOKEN)) as server:
        try_routes(server, found)
    with running_server(env=settings(rate_limit=RATE)) as server:
        hurry(server, found)
    return {"rounds": rounds, "counts": dict(found.counts), "problems": found.problems}


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Number of rounds.")
@save_option
def main(*, rounds: int, save: bool) -> None:
    """Fill the server, try its limits and routes, and search its answers."""
    begun = perf_counter()
    results = measure(rounds)
    page.conclude("doors", {**about_this_run(perf_counter() - begun), **results}, save=save)


if __name__ == "__main__":
    main()
