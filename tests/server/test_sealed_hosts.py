"""Three servers over one PostgreSQL are one benchmark: attempts are unique, the board is exact, also after a kill."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.error
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from dataselect_env.core.receipts import Receipt
from dataselect_env.server.store import open_store
from dataselect_env.server.store.retention import Retention
from tests.helpers.postgres import Postgres
from tests.helpers.serving import Server, running_server

pytest.importorskip("cryptography")
pytestmark = pytest.mark.slow
SERVERS, SIZE = 3, 40
AGENTS = ("a", "b", "c")
PLAYERS_EACH = 3
"""Clients that play under one name at the same time, and so race for the next index."""
ENV = {"DATASELECT_SECRET": "s" * 32, "DATASELECT_SEALED_SIZE": str(SIZE)}
BATCH = {"action_type": "select_batch", "batch_size": 30, "strategy_weights": {"diversity": 1}}
LOST = (urllib.error.URLError, ConnectionError)
"""What a client sees of a server that was killed; a refusal is an HTTPError, which is handled before."""


@dataclass
class Ledger:
    """What the clients were told."""

    started: Counter[tuple[str, int]] = field(default_factory=Counter)
    graded: dict[tuple[str, int], float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


def ask(servers: list[Server], turn: int, path: str, data: dict[str, Any]) -> Any:
    """Send a request to one server, and to the next if that one is gone; None if the index is taken."""
    for number in range(SERVERS):
        try:
            return servers[(turn + number) % SERVERS].post(path, data)
        except urllib.error.HTTPError as error:
            code = json.loads(error.read())["code"]
            if code in {"ATTEMPT_USED", "EPISODE_OVER"}:
                return None
            raise
        except LOST:
            continue
    raise AssertionError("all servers are gone")


def play(servers: list[Server], agent: str, player: int, book: Ledger, halfway: threading.Event) -> None:
    """Play sealed episodes until the agent has started all, each request at another server; leave some unfinished."""
    turn = player
    while True:
        reset = {"task_id": "medium", "split": "sealed", "agent": agent}
        first = ask(servers, turn, "/reset", reset)
        if first is None:
            return
        place, named = (agent, int(first["index"])), {"episode_id": first["episode_id"]}
        with book.lock:
            book.started[place] += 1
            if sum(book.started.values()) == len(AGENTS) * SIZE // 2:
                halfway.set()
        ask(servers, turn + 1, "/step", {**named, **BATCH})
        if first["index"] % 10:
            ask(servers, turn + 2, "/step", {**named, "action_type": "stop"})
            receipt = Receipt.model_validate(ask(servers, turn, "/grader", named)["receipt"])
            assert place == (receipt.agent, receipt.index)
            with book.lock:
                book.graded[place] = receipt.score
        turn += 1


def test_racing_clients_of_three_servers_of_which_one_is_killed(postgres: Postgres) -> None:
    url, book, halfway = postgres.new_url(), Ledger(), threading.Event()
    with ExitStack() as stack:
        servers = [stack.enter_context(running_server(store=url, env=ENV)) for _ in range(SERVERS)]
        with ThreadPoolExecutor(len(AGENTS) * PLAYERS_EACH) as threads:
            playing = [
                threads.submit(play, servers, agent, number, book, halfway)
                for number, agent in enumerate(AGENTS * PLAYERS_EACH)
            ]
            assert halfway.wait(120)
            servers[0].kill()
            for one in playing:
                one.result(120)
        asyncio.run(remove_unfinished(url))
        boards = [server.get("/leaderboard?task=medium&split=sealed")["rows"] for server in servers[1:]]
    assert boards[0] == boards[1]
    assert max(book.started.values()) == 1
    for row in boards[0]:
        scores = [score for (agent, _), score in book.graded.items() if agent == row["agent"]]
        assert row["episodes"] == SIZE  # the unfinished ones have lapsed
        assert len(scores) <= SIZE - SIZE // 10
        assert sum(scores) <= row["mean"] * SIZE + 1e-4
    told = {agent: sum(1 for place in book.started if place[0] == agent) for agent in AGENTS}
    assert min(told.values()) >= SIZE - 2 * PLAYERS_EACH  # a reply of the killed server may be lost, not its attempt


async def remove_unfinished(url: str) -> None:
    """Remove unfinished episodes as at the end of their lifetime; their attempts count from then on."""
    store = open_store(url)
    while await store.prune(Retention(episodes=1_000_000, days=365, lifetime=0)):
        pass
    await store.close()
