"""C1 on several servers: end a server, the database and all servers in turn under load, and compare what is stored.

    python -m bench.scale.faults --save

HTTP and WebSocket clients play seeded episodes through nginx on three servers over one PostgreSQL. Meanwhile a server
is killed with SIGKILL, PostgreSQL is stopped for ten seconds, and all servers are restarted one after the other. At the
end every acknowledged reset and step must be in the store, with the values of the same actions in process, and apart
from these at most the one pending request of each client.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import perf_counter
from typing import Any

import click

from bench.reliability.ledger import Ledger
from bench.reliability.process import about_this_run
from bench.reliability.scripts import players_alone
from bench.results import save_option
from bench.scale import page
from bench.scale.clients import Crowd, until
from bench.scale.cluster import Cluster, is_ready, running_cluster
from dataselect_env.core.errors import EpisodeNotFound
from dataselect_env.server.store import open_store
from dataselect_env.server.store.base import StoredEpisode

REPLICAS = 3
SECONDS = 2.0
"""Seconds of load before each event, and after the last."""
OUTAGE = 10.0
"""Seconds without a database."""

Event = Callable[[Cluster, Crowd], Awaitable[dict[str, float]]]


async def kill_a_server(cluster: Cluster, crowd: Crowd) -> dict[str, float]:
    """Kill a server, and start it again at once, as an orchestrator does."""
    replica = cluster.replicas[0]
    replica.running.kill()
    await asyncio.to_thread(replica.running.wait)
    gap = await _next_answer(crowd)
    replica.start()
    await asyncio.to_thread(replica.until_ready)
    return {"first answer after the kill": gap}


async def stop_the_database(cluster: Cluster, crowd: Crowd) -> dict[str, float]:
    """Stop PostgreSQL for some seconds; meanwhile no server is ready."""
    await asyncio.to_thread(cluster.database.stop)
    stopped = time.monotonic()
    checks = (asyncio.to_thread(is_ready, replica.port) for replica in cluster.replicas)
    _, *ready = await asyncio.gather(asyncio.sleep(OUTAGE), *checks)
    if any(ready):
        crowd.problems.append(f"without a database, the servers answer that they are ready: {ready}")
    began = time.monotonic()
    await asyncio.to_thread(cluster.database.start)
    started = time.monotonic()
    answered = await _next_answer(crowd)
    for replica in cluster.replicas:
        await asyncio.to_thread(replica.until_ready)
    return {
        "without PostgreSQL": began - stopped,
        "start of PostgreSQL": started - began,
        "first answer after it": answered,
        "all servers ready after it": time.monotonic() - started,
    }


async def restart_all(cluster: Cluster, crowd: Crowd) -> dict[str, float]:
    """Restart each server when the one before is ready again."""
    seconds: list[float] = []
    for replica in cluster.replicas:
        began = time.monotonic()
        await asyncio.to_thread(replica.end)
        if replica.running.returncode:
            crowd.problems.append(f"a server that was asked to stop ended with {replica.running.returncode}")
        replica.start()
        await asyncio.to_thread(replica.until_ready)
        seconds.append(time.monotonic() - began)
    return {"restart of a server, at most": max(seconds)}


EVENTS: dict[str, Event] = {
    "a server is killed": kill_a_server,
    "PostgreSQL is stopped for ten seconds": stop_the_database,
    "all servers are restarted in turn": restart_all,
}


class Copy:
    """Episodes that were read from a store."""

    def __init__(self) -> None:
        self.episodes: dict[str, StoredEpisode] = {}

    async def load(self, name: str) -> StoredEpisode:
        """Return an episode. Raises EpisodeNotFound."""
        if name not in self.episodes:
            raise EpisodeNotFound(name)
        return self.episodes[name]


async def read_all(url: str, names: list[str]) -> Copy:
    """Return a copy of all episodes of these names that are in a store."""
    store, copy = open_store(url), Copy()
    for name in names:
        with suppress(EpisodeNotFound):
            copy.episodes[name] = await store.load(name)
    await store.close()
    return copy


async def _next_answer(crowd: Crowd) -> float:
    before = crowd.book.answers
    return await until(lambda: crowd.book.answers > before)


async def play(cluster: Cluster, crowd: Crowd, *, sockets: int, seats: int) -> dict[str, Any]:
    """Let clients play while the events happen; return what happened to whom."""
    coroutines = [crowd.play_http() for _ in range(seats)] + [crowd.play_websocket() for _ in range(sockets)]
    playing = [asyncio.create_task(one) for one in coroutines]
    stages: dict[str, Any] = {}
    await asyncio.sleep(SECONDS)
    for name, event in EVENTS.items():
        await asyncio.sleep(SECONDS)
        answers, told, crowd.longest_gap = crowd.book.answers, crowd.told.copy(), 0.0
        figures = await event(cluster, crowd)
        stages[name] = {
            "figures": {**figures, "longest time without any answer": crowd.longest_gap},
            "acknowledged meanwhile": crowd.book.answers - answers,
            "told": dict((crowd.told - told).most_common()),
        }
    await asyncio.sleep(SECONDS)
    crowd.stopping = True
    await asyncio.gather(*playing)
    return stages


def measure(*, seed: int, sockets: int, seats: int) -> dict[str, Any]:
    """Return the results."""
    book = Ledger(random.Random(seed), 0)  # noqa: S311  (no secret)
    with running_cluster(REPLICAS) as cluster, players_alone() as play_alone:
        crowd = Crowd(cluster, book)
        stages = asyncio.run(play(cluster, crowd, sockets=sockets, seats=seats))
        alone = dict(zip(book.touched, play_alone([entry.script for entry in book.touched.values()]), strict=True))
        problems = crowd.problems + book.check(asyncio.run(read_all(cluster.url, list(book.touched))), alone)
        problems += [line for line in cluster.logs.splitlines() if "Traceback" in line]
    counts = dict(book.counts) | {"in the store": len(book.kept)}
    about = {"replicas": REPLICAS, "clients": {"http": seats, "websocket": sockets}, "seed": seed}
    return {**about, "counts": counts, "stages": stages, "problems": problems}


@click.command()
@click.option("--sockets", type=click.IntRange(0), default=16, show_default=True, help="Number of WebSocket clients.")
@click.option("--seats", type=click.IntRange(0), default=16, show_default=True, help="Number of HTTP clients.")
@click.option("--seed", default=1, show_default=True, help="Seed of the episodes.")
@save_option
def main(*, sockets: int, seats: int, seed: int, save: bool) -> None:
    """End servers and the database under load, and check that nothing acknowledged is lost."""
    begun = perf_counter()
    results = measure(seed=seed, sockets=sockets, seats=seats)
    page.conclude("faults", {**about_this_run(perf_counter() - begun), **results}, save=save)


if __name__ == "__main__":
    main()
