"""C1: kill the server with SIGKILL under load, restart it, and compare the store with all acknowledged requests.

    python -m bench.reliability.crash --kills 100
    python -m bench.reliability.crash --kills 30 --store postgresql

Clients play seeded episodes over HTTP and WebSocket until the server dies at a random moment. They keep a ledger of
their requests and the answers. After each restart every acknowledged reset, step and grade must be in the store, and
apart from these at most the one pending request of each client. The stored values must be those of the same actions in
process. HTTP clients then continue their episodes, across any number of restarts. At the end everything is checked
again.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import click

from bench.reliability import clients, page
from bench.reliability.ledger import Ledger
from bench.reliability.process import about_this_run
from bench.reliability.scripts import PlayAlone, Reply, players_alone
from bench.results import save_option
from dataselect_env.cli.console import progress
from dataselect_env.server.store import open_store
from dataselect_env.server.store.base import EpisodeStore
from tests.helpers.postgres import running_postgres
from tests.helpers.serving import Server, running_server
from tests.helpers.store_labs import StoreLab

MOST_ANSWERS = 500
"""Largest number of acknowledged requests before the server dies; the number is drawn from 0 up."""
JITTER = 0.02
"""Largest delay after that, in seconds, so that the server does not always die right after an answer."""
FILE = "episodes.db"


End = Callable[[Server], int]
"""Ends a server and returns its exit status."""


async def load(server: Server, book: Ledger, rng: random.Random, sockets: int, end: End) -> list[BaseException]:
    """Let all clients play, and end the server at a moment drawn from ``rng``.

    Returns:
        The exception that ended each client.

    Raises:
        RuntimeError: A client ended before the server did.
    """
    coroutines = [clients.play_http(server, book, backend) for backend in range(len(book.seats))]
    coroutines += [clients.play_websocket(server, book) for _ in range(sockets)]
    playing = [asyncio.create_task(one) for one in coroutines]
    enough = book.answers + rng.randrange(MOST_ANSWERS)
    while book.answers < enough and not any(task.done() for task in playing):
        await asyncio.sleep(0.001)
    await asyncio.sleep(rng.uniform(0, JITTER))
    early = [task for task in playing if task.done()]
    await asyncio.to_thread(end, server)
    await asyncio.gather(*playing, return_exceptions=True)
    ends: list[BaseException] = []
    for task in playing:
        cut_off = task.exception()
        if task in early or not isinstance(cut_off, clients.CUT_OFF):
            raise RuntimeError(f"a client ended before the server did: {cut_off!r}") from cut_off
        ends.append(cut_off)
    return ends


def with_store(url: str, check: Callable[[EpisodeStore], list[str]]) -> list[str]:
    """Return the problems that a check finds in the store of a URL."""
    store = open_store(url)
    try:
        return check(store)
    finally:
        asyncio.run(store.close())


def check_file(path: Path) -> list[str]:
    """Return the errors that SQLite finds in the database."""
    with closing(sqlite3.connect(path)) as connection:
        try:
            found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
        except sqlite3.DatabaseError as error:
            found = [str(error)]
    return [f"integrity check: {line}" for line in found if line != "ok"]


def check_strangers(url: str, book: Ledger) -> list[str]:
    """Return a sentence for each episode in the store of a URL that no client started."""
    names = set(StoreLab(url, None).names())
    return [f"{name}: in the store, but no client started it" for name in sorted(names - set(book.kept))]


class Run:
    """A run of kills and restarts on one store.

    Args:
        folder: Folder of the store.
        seed: Seed of the episodes and the moments.
        sockets: Number of WebSocket clients.
        seats: Number of HTTP clients.
        end: Function that ends the server.
        environ: Additional settings of the server.
        url: URL of the store; by default that of a file in the folder.
    """

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        sockets: int,
        seats: int,
        end: End = Server.kill,
        environ: Mapping[str, str] | None = None,
        url: str | None = None,
    ) -> None:
        self._end = end
        self._rng = random.Random(seed)  # noqa: S311  (no secret)
        self._sockets = sockets
        self._file = folder / FILE if url is None else None
        self._url = url or f"sqlite:///{folder / FILE}"
        self._serving = partial(running_server, store=self._url, cwd=folder, env=environ)
        self.book = Ledger(random.Random(self._rng.random()), seats)  # noqa: S311
        self.problems: list[str] = []
        self.ends: list[BaseException] = []

    def kill_once(self, play_alone: PlayAlone) -> None:
        """Start the server, compare it with the ledger, load it, and end it."""
        alone = self._alone(play_alone)  # computed while the server starts
        with self._serving() as server:
            self._check(server, alone)
            self.ends += asyncio.run(load(server, self.book, self._rng, self._sockets, self._end))
        self.book.counts["kills"] += 1

    def finish(self, play_alone: PlayAlone) -> None:
        """Start the server a last time, let the HTTP clients finish their episodes, and check everything again."""
        alone = self._alone(play_alone)
        with self._serving() as server:
            self._check(server, alone)
            asyncio.run(clients.finish_all(server, self.book))
            self._check(server, self._alone(play_alone))
            self.problems += asyncio.run(clients.grade_again(server, self.book.grades))
            self.problems += with_store(self._url, self.book.check_again)
        self.problems += check_strangers(self._url, self.book)
        self.book.counts["finished and graded"] = len(self.book.grades)
        self.book.counts["in the store"] = len(self.book.kept)

    def _alone(self, play_alone: PlayAlone) -> Iterator[list[Reply]]:
        """Return an iterator over the expected replies since the last check; they are computed in the background."""
        return play_alone([entry.script for entry in self.book.touched.values()])

    def _check(self, server: Server, alone: Iterator[list[Reply]]) -> None:
        before = set(self.book.grades)
        replies = dict(zip(self.book.touched, alone, strict=True))
        self.problems += with_store(self._url, lambda store: self.book.check(store, replies))
        self.problems += check_file(self._file) if self._file else []
        fresh = {name: grade for name, grade in self.book.grades.items() if name not in before}
        self.problems += asyncio.run(clients.grade_again(server, fresh))
        going_on = [entry for entry in self.book.seats if entry.sent and not entry.ended]
        self.book.counts["HTTP episodes found unfinished, and played on"] += len(going_on)
        self.problems += asyncio.run(clients.where_they_stand(server, going_on))


def measure(kills: int, *, seed: int, sockets: int, seats: int, on_postgresql: bool = False) -> dict[str, Any]:
    """Kill and restart the server ``kills`` times; return the counts and the problems."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="crash-"))
        play_alone = stack.enter_context(players_alone())
        url = stack.enter_context(running_postgres()).new_url() if on_postgresql else None
        run = Run(Path(folder), seed=seed, sockets=sockets, seats=seats, url=url)
        with progress(kills, "kills") as advance:
            for _ in range(kills):
                run.kill_once(play_alone)
                if advance:
                    advance(1)
        run.finish(play_alone)
    counts = dict(run.book.counts)
    return {"seed": seed, "clients": {"websocket": sockets, "http": seats}, "counts": counts, "problems": run.problems}


@click.command()
@click.option("--kills", type=click.IntRange(1), default=10, show_default=True, help="Number of kills.")
@click.option("--sockets", type=click.IntRange(0), default=24, show_default=True, help="Number of WebSocket clients.")
@click.option("--seats", type=click.IntRange(0), default=12, show_default=True, help="Number of HTTP clients.")
@click.option("--seed", default=1, show_default=True, help="Seed of the episodes and the moments.")
@click.option("--store", type=click.Choice(["sqlite", "postgresql"]), default="sqlite", show_default=True)
@save_option
def main(*, kills: int, sockets: int, seats: int, seed: int, store: str, save: bool) -> None:
    """Kill the server under load, and check that nothing acknowledged is lost."""
    begun = perf_counter()
    results = measure(kills, seed=seed, sockets=sockets, seats=seats, on_postgresql=store == "postgresql")
    name = "crash" if store == "sqlite" else "crash_postgresql"
    page.conclude(name, {**about_this_run(perf_counter() - begun), **results}, save=save)


if __name__ == "__main__":
    main()
