"""What a million finished episodes cost, and how they are removed.

    python -m bench.reliability.retention

Fills a store on disk, compares the operations of a step with those on a store of a thousand episodes, then removes the
surplus as a server does. Figures are CPU time; a step may have to wait for the longest removal. Prints a table and
writes retention.json. Takes minutes and 3 GB of disk.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from dataselect_env.core.grading import TracePoint, grade
from dataselect_env.core.models import Action
from dataselect_env.core.tasks import DYNAMICS_VERSION, TASKS
from dataselect_env.server.settings import Settings
from dataselect_env.server.store.base import STORED_ACTION_FIELDS, EpisodeHeader, StoredStep
from dataselect_env.server.store.retention import Retention
from dataselect_env.server.store.sqlite import SQLiteStore

RESULTS = Path(__file__).with_suffix(".json")
STEPS = 10
STEP = StoredStep(Action.select(10, uncertainty=0.2, diversity=0.5, random=0.3), 10, 3, 0.6123456789012345, -0.1234567)
GRADE = grade(TASKS["easy"], [TracePoint(0, 0, 0.5), TracePoint(100, 30, 0.7)])
FEW = 1_000
BLOCK = 20_000
TRIALS = 300
MICROSECONDS = 1e6


def fill(store: SQLiteStore, first: int, count: int) -> None:
    """Add finished episodes in large transactions, which a server never does."""
    connection = store._connection
    action, verdict = STEP.action.model_dump_json(include=STORED_ACTION_FIELDS), GRADE.model_dump_json()
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    for begin in range(first, first + count, BLOCK):
        numbers = range(begin, min(begin + BLOCK, first + count))
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "INSERT INTO episodes VALUES (?, ?, 'websocket', 'easy', ?, 'shaped', ?, ?, ?, NULL, NULL, NULL)",
            ((n + 1, f"filled-{n:032}", n, DYNAMICS_VERSION, started_at, verdict) for n in numbers),
        )
        connection.executemany(
            "INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (n + 1, step, action, STEP.bought, STEP.mislabelled, STEP.performance, STEP.reward)
                for n in numbers
                for step in range(1, STEPS + 1)
            ),
        )
        connection.execute("COMMIT")


def operations(store: SQLiteStore, episodes: int, tag: str) -> Iterator[tuple[str, Callable[[int], Awaitable[object]]]]:
    """Yield the operations of a server on its store, by name; each takes the number of the trial."""

    def name(trial: int) -> str:
        return f"{tag}-{trial}"

    yield (
        "create",
        lambda trial: store.create(EpisodeHeader(name(trial), "http", "easy", 1, "shaped", DYNAMICS_VERSION)),
    )
    yield "append", lambda trial: store.append(name(trial), 1, STEP, None)
    yield "append the last step", lambda trial: store.append(name(trial), 2, STEP, GRADE)
    yield "count steps", lambda trial: store.step_count(name(trial))
    yield "load any", lambda trial: store.load(f"filled-{trial * 7919 % episodes:032}")
    yield "latest", lambda _: store.latest("http")


async def microseconds(operation: Callable[[int], Awaitable[object]]) -> float:
    """Return the median CPU time of an operation."""
    times = []
    for trial in range(TRIALS):
        began = time.process_time_ns()
        await operation(trial)
        times.append(time.process_time_ns() - began)
    return statistics.median(times) / 1e9 * MICROSECONDS


async def remove(store: SQLiteStore, keep: Retention) -> dict[str, float]:
    """Remove the surplus, and return the measurements."""
    times: list[float] = []
    cpu: list[float] = []
    more = True
    while more:
        began, began_cpu = time.perf_counter(), time.process_time()
        more = await store.prune(keep)
        times.append(time.perf_counter() - began)
        cpu.append(time.process_time() - began_cpu)
    return {
        "calls": len(times),
        "median_cpu_ms": statistics.median(cpu) * 1e3,
        "median_ms": statistics.median(times) * 1e3,
        "p99_ms": sorted(times)[int(0.99 * len(times))] * 1e3,
        "longest_ms": max(times) * 1e3,
        "seconds": sum(times),
    }


@click.command()
@click.option("--episodes", default=1_000_000, show_default=True, help="Number of finished episodes in the full store.")
def main(episodes: int) -> None:
    """Print and write the measurements."""
    settings = Settings()
    keep = Retention(settings.keep_episodes, settings.keep_days, settings.episode_lifetime)
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        few, full = SQLiteStore(Path(folder) / "few.db"), SQLiteStore(Path(folder) / "full.db")
        fill(few, 0, FEW)
        fill(full, 0, episodes)
        rows: dict[str, dict[str, float]] = {}
        pairs = zip(operations(few, FEW, "new"), operations(full, episodes, "new"), strict=True)
        for (name, with_few), (_, with_many) in pairs:
            rows[name] = {"few_us": runner.run(microseconds(with_few)), "full_us": runner.run(microseconds(with_many))}
        bytes_full = runner.run(full.size())
        removal = runner.run(remove(full, keep))
        (left,) = full._connection.execute("SELECT count(*) FROM episodes").fetchone()
        fill(full, episodes + TRIALS, settings.keep_episodes)
        runner.run(remove(full, keep))
        results: dict[str, Any] = {
            "episodes": episodes,
            "steps_each": STEPS,
            "operations": rows,
            "bytes_full": bytes_full,
            "bytes_after_more": runner.run(full.size()),
            "removed": episodes + TRIALS - left,
            "left": left,
            "removal": removal,
        }
        runner.run(few.close())
        runner.run(full.close())
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    for name, row in rows.items():
        click.echo(f"{name:22} {row['few_us']:8.1f} us with {FEW:,} {row['full_us']:8.1f} us with {episodes:,}")
    click.echo(f"{bytes_full / 1e6:,.0f} MB; {bytes_full / episodes:,.0f} bytes an episode")
    click.echo(f"removed {results['removed']:,} in {removal['calls']:,} calls; {left:,} left; a call takes")
    click.echo(f"  {removal['median_cpu_ms']:.2f} ms of CPU; by the clock {removal['median_ms']:.2f} ms,")
    click.echo(f"  99 % within {removal['p99_ms']:.2f} ms, the longest {removal['longest_ms']:.1f} ms")
    click.echo(f"{results['bytes_after_more'] / 1e6:,.0f} MB after {settings.keep_episodes:,} more")


if __name__ == "__main__":
    sys.exit(main())
