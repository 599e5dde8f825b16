"""Time of a step by number of stored episodes (goal B6).

    python -m bench.speed.stored_episodes

Plays episodes through the server's service, like HTTP requests, with a store in a file that holds more and more
finished episodes. All of them have random ids, like those of clients that choose none. Takes some minutes and about a
gigabyte in the temporary folder. Prints a table and writes stored_episodes.json.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from bench.speed.in_process import BATCH_SIZE, SEEDS, WEIGHTS, quartiles, steps_of, versions
from dataselect_env.core.models import Action, Reply
from dataselect_env.core.tasks import DYNAMICS_VERSION
from dataselect_env.server.service import Service
from dataselect_env.server.settings import Settings
from dataselect_env.server.store import open_store
from dataselect_env.server.store.base import STORED_ACTION_FIELDS

RESULTS = Path(__file__).with_suffix(".json")
STORED = (0, 10_000, 100_000, 1_000_000)
STEPS_EACH = 5
FILLED_AT_ONCE = 10_000
EPISODES = 60
"""Number of episodes played at each size."""
TASK = "medium"
MICROSECONDS = 1e6


def fill(path: Path, episodes: int) -> None:
    """Add finished episodes."""
    ids = random.Random(episodes)  # noqa: S311
    action = Action.select(BATCH_SIZE, **WEIGHTS).model_dump_json(include=STORED_ACTION_FIELDS)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        (last,) = connection.execute("SELECT coalesce(max(number), 0) FROM episodes").fetchone()
        for start in range(last + 1, last + 1 + episodes, FILLED_AT_ONCE):
            numbers = range(start, min(start + FILLED_AT_ONCE, last + 1 + episodes))
            connection.executemany(
                "INSERT INTO episodes (number, episode_id, transport, task_id, seed, reward_mode, dynamics_version,"
                " started_at, grade) VALUES (?, ?, 'http', ?, 7, 'shaped', ?, '2026-01-01T00:00:00.000+00:00', '{}')",
                [(number, f"{ids.getrandbits(128):032x}", TASK, DYNAMICS_VERSION) for number in numbers],
            )
            connection.executemany(
                "INSERT INTO steps VALUES (?, ?, ?, 10, 2, 0.5, -0.25)",
                [(number, step, action) for number in numbers for step in range(1, STEPS_EACH + 1)],
            )
            connection.commit()


async def play(service: Service) -> dict[str, list[float]]:
    """Return the times of every reset, step and request of the most recent episode's state, in seconds."""
    seconds: dict[str, list[float]] = {"reset": [], "step": [], "state of the most recent episode": []}
    action = {"action_type": "select_batch", "batch_size": BATCH_SIZE, "strategy_weights": WEIGHTS}

    async def timed(name: str, operation: Awaitable[Any]) -> Any:
        started = time.perf_counter()
        result = await operation
        seconds[name].append(time.perf_counter() - started)
        return result

    for number in range(EPISODES):
        reply = await timed(
            "reset", service.http.handle("reset", {"task_id": TASK, "seed": SEEDS[number % len(SEEDS)]})
        )
        assert isinstance(reply, Reply)  # noqa: S101
        for _ in range(steps_of(TASK)):
            await timed("step", service.http.handle("step", {**action, "episode_id": reply.episode_id}))
        await timed("state of the most recent episode", service.http.handle("state", None))
    return seconds


def measure(path: Path) -> dict[str, dict[str, float]]:
    """Return median and quartiles, in microseconds."""
    service = Service(Settings(workers=2), open_store(f"sqlite:///{path}"))  # of several, so that the store is read
    try:
        asyncio.run(play(service))  # fills caches
        return {name: quartiles(values, MICROSECONDS) for name, values in asyncio.run(play(service)).items()}
    finally:
        asyncio.run(service.close())


def main() -> None:
    """Print and write the measurements."""
    sizes: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="bench-stored-") as folder:
        path, filled = Path(folder) / "episodes.db", 0
        asyncio.run(open_store(f"sqlite:///{path}").close())
        with click.progressbar(STORED, label="Measuring", file=sys.stderr) as bar:
            for stored in bar:
                fill(path, stored - filled)
                filled = stored
                sizes[str(stored)] = {"megabytes": path.stat().st_size / 1e6, "microseconds": measure(path)}
    results = {"versions": versions(), "steps of each stored episode": STEPS_EACH, "stored episodes": sizes}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    for size, result in sizes.items():
        click.echo(f"\n{int(size):,} stored episodes, {result['megabytes']:.0f} MB: median (quartiles)")
        for name, spread in result["microseconds"].items():
            click.echo(f"  {name:<34} {spread['median']:7.0f} us ({spread['q1']:.0f} to {spread['q3']:.0f})")


if __name__ == "__main__":
    main()
