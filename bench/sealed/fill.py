"""A leaderboard filled by four processes at once, compared with one recomputed from all grades.

    python -m bench.sealed.fill --save

Made-up agents play made-up scores through the store's own methods, into one SQLite file. Some agents are played by all
processes, which race for each index; some episodes are never finished, and lapse. Meanwhile a server over the same file
is asked for ``/leaderboard`` and ``/health``. Then a million attempts are put into a second store directly, and the
same is asked of it. Takes three minutes.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from http.client import HTTPConnection
from multiprocessing import get_context
from pathlib import Path
from statistics import median, quantiles
from time import monotonic, perf_counter, sleep
from typing import Any

import click
import numpy as np

from bench.reliability.process import about_this_run
from bench.sealed import page
from dataselect_env.core.errors import AttemptUsed
from dataselect_env.core.grading import TracePoint, grade
from dataselect_env.core.models import Action
from dataselect_env.core.tasks import DYNAMICS_VERSION, SEALED, TASKS
from dataselect_env.server.keyring import Keyring
from dataselect_env.server.store.base import EpisodeHeader, StoredStep
from dataselect_env.server.store.boards import POINTS, Board
from dataselect_env.server.store.retention import Retention
from dataselect_env.server.store.sqlite import SQLiteStore
from tests.helpers.serving import LOOPBACK, Server, running_server

PROCESSES, TOGETHER = 4, 16
"""Processes that write, and episodes that each plays at the same time."""
SIZE = 100
"""Indices of the split."""
RACED = 0.05
"""Share of the agents that all processes play."""
UNFINISHED = 0.05
"""Share of the episodes that are never finished."""
GRADE = grade(TASKS["medium"], [TracePoint(0, 0, 0.5), TracePoint(10, 3, 0.7)])
STEP = StoredStep(Action.select(10, diversity=0.1, random=0.2), 10, 3, 0.6, -0.1)
AGENTS, PLACES = 1_000, 1_000
"""Of the million attempts."""
SECONDS = 8.0
"""Duration of each measurement on a store at rest."""

Counted = dict[str, dict[int, tuple[int, bool]]]
"""Points and whether the episode passed, by agent and index."""


@dataclass(frozen=True)
class Job:
    """What one process plays."""

    path: Path
    board: Board
    agents: int
    process: int


def score_of(agent: int, place: int, process: int) -> float:
    """Return a made-up score; agents differ in skill, and in a race the processes differ in their scores."""
    rng = np.random.default_rng((agent, place, process))
    return float(np.clip(rng.normal(0.3 + 0.4 * (agent % 97) / 97, 0.15), 0, 1))


def plays(agent: int, place: int, process: int) -> bool:
    """Return whether a process plays an agent at an index: its own agents, raced ones; one agent in ten stops early."""
    is_raced = agent % round(1 / RACED) == 0
    until = SIZE // 2 if agent % 10 == 9 else SIZE
    return place < until and (is_raced or agent % PROCESSES == process)


async def play(store: SQLiteStore, job: Job, agent: int, place: int) -> tuple[str, int, bool] | None:
    """Play one episode; return its agent, points and whether it passed, None if another process came first."""
    score = score_of(agent, place, job.process)
    final = GRADE.model_copy(update={"score": score, "passed": score > 0.5})
    before = GRADE.model_copy(update={"score": score / 2, "passed": False})
    name, board = f"agent-{agent:05}", job.board
    episode_id = f"{name}-{place}-{job.process}"
    header = EpisodeHeader(
        episode_id, "http", board.task_id, place, "grade", board.dynamics_version, None, name, board.key_id
    )
    try:
        await store.create(header, before)
    except AttemptUsed:
        return None
    if np.random.default_rng((agent, place)).random() < UNFINISHED:
        return name, round(before.score * POINTS), before.passed
    await store.append(episode_id, 1, STEP, final, final)
    return name, round(final.score * POINTS), final.passed


async def write(job: Job) -> dict[str, Any]:
    """Play all episodes of a process; return what counted, and the number of attempts that were refused."""
    store = SQLiteStore(job.path)
    places = iter([(a, p) for a in range(job.agents) for p in range(SIZE) if plays(a, p, job.process)])
    found: list[tuple[int, tuple[str, int, bool] | None]] = []

    async def work() -> None:
        for agent, place in places:
            found.append((place, await play(store, job, agent, place)))

    await asyncio.gather(*(work() for _ in range(TOGETHER)))
    await store.close()
    counted = [(one[0], place, one[1], one[2]) for place, one in found if one is not None]
    return {"counted": counted, "refused": len(found) - len(counted)}


def write_in_process(job: Job) -> dict[str, Any]:
    return asyncio.run(write(job))


# --- the check ------------------------------------------------------------------------------------------------------


def merged(ledgers: list[dict[str, Any]], problems: list[str]) -> Counted:
    """Return what all processes counted; an attempt that two of them counted is a problem."""
    counted: Counted = {}
    for ledger in ledgers:
        for name, place, points, passed in ledger["counted"]:
            if place in counted.setdefault(name, {}):
                problems.append(f"{name} at index {place} was acknowledged twice")
            counted[name][place] = points, passed
    return counted


def recomputed(counted: Counted) -> list[tuple[int | None, str, int, float, float]]:
    """Return rank, agent, episodes, mean and passed share of each agent, in the order of the board."""
    means = {name: Fraction(sum(p for p, _ in some.values()), len(some)) for name, some in counted.items()}
    complete = [name for name in counted if len(counted[name]) == SIZE]
    ranks = {name: 1 + sum(means[other] > means[name] for other in complete) for name in complete}
    rest = sorted(set(counted) - set(complete), key=lambda name: (-len(counted[name]), -means[name], name))
    order = [*sorted(complete, key=lambda name: (ranks[name], name)), *rest]
    return [
        (
            ranks.get(name),
            name,
            len(counted[name]),
            float(means[name] / POINTS),
            sum(passed for _, passed in counted[name].values()) / len(counted[name]),
        )
        for name in order
    ]


def compare(server: Server, counted: Counted, problems: list[str]) -> None:
    """Note where the leaderboard of a server differs from the one recomputed from all grades."""
    rows = [json.loads(line) for line in ask(server.port, "/leaderboard?task=medium&format=jsonl").splitlines()]
    expected = recomputed(counted)
    if len(rows) != len(expected):
        problems.append(f"the leaderboard has {len(rows)} agents, not {len(expected)}")
    for row, (rank, name, episodes, mean, passed) in zip(rows, expected, strict=False):
        numbers = abs(row["mean"] - mean) < 1e-12 and abs(row["passed"] - passed) < 1e-12
        if (row["rank"], row["agent"], row["episodes"]) != (rank, name, episodes) or not numbers:
            problems.append(f"{row['agent']} stands at {row['rank']}, expected {name} at {rank}")


async def check_store(path: Path, board: Board, counted: Counted, problems: list[str]) -> None:
    """Let unfinished episodes lapse, and compare attempts and sums with what was acknowledged."""
    store = SQLiteStore(path)
    sleep(0.01)
    while await store.prune(Retention(episodes=10_000_000, days=365, lifetime=0)):
        pass
    total = sum(map(len, counted.values()))
    if await store.counted(board) != total:
        problems.append(f"{await store.counted(board)} attempts count, not {total}")
    for name, some in counted.items():
        kept = {one.place: (one.points, one.passed) for one in await store.attempts(board, [name])}
        if kept != some:
            problems.append(f"the attempts of {name} differ")
    await store.close()


# --- requests -------------------------------------------------------------------------------------------------------


def ask(port: int, path: str) -> bytes:
    connection = HTTPConnection(LOOPBACK, port, timeout=120)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {body[:200]!r}")
    return body


@contextmanager
def asking(port: int, paths: dict[str, tuple[str, float]], times: dict[str, list[float]]) -> Iterator[None]:
    """Ask for paths over and over in threads, by name with the pause between two requests, and note the times."""
    is_over = threading.Event()

    def ask_on(name: str, path: str, pause: float) -> None:
        while not is_over.wait(pause):
            began = perf_counter()
            ask(port, path)
            times.setdefault(name, []).append(perf_counter() - began)

    threads = [threading.Thread(target=ask_on, args=(name, *what)) for name, what in paths.items()]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def summary(times: list[float]) -> dict[str, float]:
    """Return number, median, 99th percentile and maximum of times, in ms."""
    milliseconds = [1e3 * one for one in times]
    p99 = quantiles(milliseconds, n=100)[-1] if len(times) > 1 else milliseconds[0]
    one = {"median": median(milliseconds), "p99": min(p99, max(milliseconds)), "most": max(milliseconds)}
    return {"answers": len(times)} | {name: round(value, 2) for name, value in one.items()}


def timed(function: Callable[[], object]) -> list[float]:
    began = perf_counter()
    function()
    return [perf_counter() - began]


def at_rest(port: int, what: str) -> dict[str, list[float]]:
    """Return times of a board that does not change: first answer, later ones, export, and /health beside all."""
    times: dict[str, list[float]] = {}
    board, health = "/leaderboard?task=medium", f"/health beside {what}"
    with asking(port, {health: ("/health", 0.02)}, times):
        times[f"first page, {what}"] = timed(lambda: ask(port, board))
        with asking(port, {f"page again, {what}": (board, 0.02)}, times):
            sleep(SECONDS)
        times[f"all rows as CSV, {what}"] = timed(lambda: ask(port, f"{board}&format=csv"))
    return times


# --- a million ------------------------------------------------------------------------------------------------------


def put_million(path: Path, board: Board) -> None:
    """Put a million attempts and their sums into a new store by SQL."""
    store = SQLiteStore(path)
    rng = np.random.default_rng(0)
    skill = rng.uniform(0.2, 0.8, AGENTS)[:, None]
    points = (np.clip(rng.normal(skill, 0.15, (AGENTS, PLACES)), 0, 1) * POINTS).astype(int).tolist()
    at = "2026-11-28T00:00:00.000+00:00"
    rows = (
        (board.name, f"agent-{agent:05}", place, f"e-{agent}-{place}", at, one, one > POINTS // 2, "finished")
        for agent, some in enumerate(points)
        for place, one in enumerate(some)
    )
    with store._connection as connection:
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        connection.execute(
            "INSERT INTO standings SELECT board, agent, count(*), sum(points), sum(points * points), sum(passed),"
            " min(started_at), max(started_at) FROM attempts GROUP BY board, agent"
        )
        connection.execute("COMMIT")
    asyncio.run(store.close())


# --- the run --------------------------------------------------------------------------------------------------------


def run(folder: Path, agents: int, *, million: bool) -> dict[str, Any]:
    """Return the results of a run; ``problems`` says what was wrong."""
    secret = secrets.token_urlsafe(32)
    board = Board("medium", SEALED, Keyring([secret]).current, DYNAMICS_VERSION, None)
    path, problems = folder / "board.db", list[str]()
    env = {"DATASELECT_SECRET": secret, "DATASELECT_SEALED_SIZE": str(SIZE)}
    times: dict[str, list[float]] = {}
    with running_server(store=f"sqlite:///{path}", env=env) as server:
        asked = {
            "page while it is filled": ("/leaderboard?task=medium", 0.2),
            "/health while it is filled": ("/health", 0.02),
        }
        began = monotonic()
        with asking(server.port, asked, times), get_context("spawn").Pool(PROCESSES) as pool:
            jobs = [Job(path, board, agents, process) for process in range(PROCESSES)]
            ledgers = pool.map(write_in_process, jobs, chunksize=1)
        seconds = monotonic() - began
        counted = merged(ledgers, problems)
        asyncio.run(check_store(path, board, counted, problems))
        times |= at_rest(server.port, f"{agents:,} agents")
        compare(server, counted, problems)
    if million:
        put_million(folder / "million.db", board)
        env["DATASELECT_SEALED_SIZE"] = str(PLACES)
        with running_server(store=f"sqlite:///{folder / 'million.db'}", env=env) as server:
            times |= at_rest(server.port, "a million attempts")
    total, refused = sum(map(len, counted.values())), sum(one["refused"] for one in ledgers)
    writes = sum(len(one["counted"]) for one in ledgers) * 2
    counts = {
        "agents": len(counted),
        "attempts that count": total,
        "attempts refused, because another process came first": refused,
        "writes a second, of four processes beside the server": round((writes + refused) / seconds),
    }
    latencies = {name: summary(some) for name, some in times.items()}
    return {"counts": counts, "latencies": latencies, "problems": len(problems), "first_problems": problems[:20]}


@click.command(help=__doc__)
@click.option("--agents", default=1_053, show_default=True, help="Made-up agents; of the default, 100,000 episodes.")
@click.option("--million/--no-million", default=True, help="Whether to read from a store of a million attempts too.")
@click.option("--save", is_flag=True, help="Write fill.json, and the page.")
def main(agents: int, *, million: bool, save: bool) -> None:
    began = monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder), agents, million=million)
    results = about_this_run(monotonic() - began) | found
    click.echo(json.dumps(results, indent=1))
    if save:
        page.save("fill", results)
    sys.exit(1 if found["problems"] else 0)


if __name__ == "__main__":
    main()
