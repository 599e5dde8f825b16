"""C8: ``/health`` and a well-behaved client beside each kind of load, compared with an idle server.

    python -m bench.reliability.bystanders --seconds 10 --save

A process loads the server (loads.py). Meanwhile this one asks for ``/health`` over new connections and plays an honest
episode over a WebSocket, each 20 times a second, and notes how long every answer takes. Loads and measurement share the
machine with the server, so an answer also waits for them.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from statistics import median, quantiles
from time import monotonic, perf_counter
from typing import Any

import click
import yaml

from bench.reliability import loads, page
from bench.reliability.process import about_this_run, usage
from bench.results import save_option
from dataselect_env.cli.console import progress
from tests.helpers.serving import LOOPBACK, Server, running_server

INTERVAL = 0.05
"""Seconds between the questions of each bystander."""
WARM_UP = 1.5
"""Seconds of a load before the measurement."""
TASK = {
    "generator": {"n_features": 20, "n_informative": 8},
    "split": {"seed": 100, "validation": 200, "pool": 6_000},
    "budget": 4_000,
    "max_steps": 10,
    "noise": {"uniform": 0.2},
    "strategies": ["cluster_medoid", "confident_uncertainty"],
    "score": {"performance_range": [0.5, 0.9]},
}
"""The custom task of the loads."""
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def attack(name: str, port: int) -> None:
    """Load the server until this process is terminated."""
    asyncio.run(loads.LOADS[name].run(port))


async def ask_health(port: int, times: list[float]) -> None:
    """Ask for ``/health`` over and over."""
    while True:
        began = perf_counter()
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        writer.write(HEALTH)
        answer = await reader.read()
        writer.close()
        if b"200 OK" not in answer:
            raise AssertionError(answer)
        times.append(perf_counter() - began)
        await asyncio.sleep(INTERVAL)


async def play(port: int, times: list[float]) -> None:
    """Play honest episodes over and over."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(loads.UPGRADE)
    await reader.readuntil(b"\r\n\r\n")
    while True:
        for kind, data in (("reset", {"seed": 1}), *[("step", loads.STEP)] * 10):
            began = perf_counter()
            writer.write(loads.message(kind, data))
            answer = json.loads(await loads.read_frame(reader))
            if answer["type"] != "observation":
                raise AssertionError(answer)
            times.append(perf_counter() - began)
            await asyncio.sleep(INTERVAL)


async def measure(port: int, seconds: float) -> dict[str, list[float]]:
    """Return the times of the answers to both bystanders; an answer that did not come counts as it is."""
    times: dict[str, list[float]] = {"health": [], "step": []}
    tasks = [asyncio.create_task(ask_health(port, times["health"])), asyncio.create_task(play(port, times["step"]))]
    done, running = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in running:
        task.cancel()
    for task in done:
        task.result()  # raises what went wrong
    return times


def summary(times: list[float]) -> dict[str, float]:
    """Return number, median, 99th percentile and maximum of times, in ms."""
    if len(times) < 2:
        return {"answers": len(times)}
    return {
        "answers": len(times),
        "median": round(median(times) * 1e3, 2),
        "p99": round(quantiles(times, n=100)[-1] * 1e3, 2),
        "most": round(max(times) * 1e3, 2),
    }


@contextmanager
def prepared_server() -> Iterator[Server]:
    """Yield a server with the custom task and two HTTP episodes on it, of which it keeps one in memory."""
    with tempfile.TemporaryDirectory() as folder:
        tasks = Path(folder) / "tasks.yaml"
        tasks.write_text(yaml.safe_dump({"tasks": {loads.CUSTOM: TASK}}), encoding="utf-8")
        with running_server(env={"DATASELECT_TASKS": str(tasks), "DATASELECT_MAX_LIVE_EPISODES": "1"}) as server:
            asyncio.run(play_episodes(server.port))
            asyncio.run(measure(server.port, WARM_UP))
            yield server


async def play_episodes(port: int) -> None:
    """Play some steps of the HTTP episodes."""
    for name in loads.EPISODES:
        bodies = [("/reset", {"task_id": loads.CUSTOM, "seed": 1, "episode_id": name})]
        bodies += [("/step", {**loads.FILTERED, "episode_id": name})] * 8
        for path, body in bodies:
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.write(loads.http("POST", path, json.dumps(body).encode(), close=True))
            answer = await reader.read()
            writer.close()
            if b"200 OK" not in answer:
                raise AssertionError(answer)


def beside(name: str | None, seconds: float) -> dict[str, Any]:
    """Return what the bystanders see beside a load; None for an idle server."""
    with prepared_server() as server:
        attacker = None
        if name is not None:
            attacker = get_context("spawn").Process(target=attack, args=(name, server.port), daemon=True)
            attacker.start()
            asyncio.run(asyncio.sleep(WARM_UP))
        try:
            before = usage(server.process.pid)
            times = asyncio.run(measure(server.port, seconds))
            after = usage(server.process.pid)
        finally:
            if attacker is not None:
                attacker.terminate()
                attacker.join()
        tracebacks = server.log.count("Traceback")
    return {
        **{bystander: summary(measured) for bystander, measured in times.items()},
        "resident": round(max(before.resident, after.resident)),
        "tracebacks": tracebacks,
    }


def problems_of(found: dict[str, dict[str, Any]]) -> list[str]:
    """Return what is wrong, whatever the machine: bystanders without answers, and tracebacks in the log."""
    unanswered = [
        f"{name}: the {bystander} bystander got {beside[bystander]['answers']} answers"
        for name, beside in found.items()
        for bystander in ("health", "step")
        if beside[bystander]["answers"] < 2
    ]
    return unanswered + [f"{name}: tracebacks in the log" for name, beside in found.items() if beside["tracebacks"]]


@click.command(help=__doc__)
@click.option("--seconds", default=3.0, show_default=True, help="Duration of each measurement.")
@click.option("--only", multiple=True, help="Loads to measure: parts of their names.")
@save_option
def main(seconds: float, only: tuple[str, ...], *, save: bool) -> None:
    began = monotonic()
    names = [name for name in loads.LOADS if not only or any(part in name for part in only)]
    found = {"idle": beside(None, seconds)}
    with progress(len(names), "loads") as advance:
        for name in names:
            found[name] = beside(name, seconds)
            if advance:
                advance(1)
    results = {"seconds each": seconds, "beside": found, "problems": problems_of(found)}
    page.conclude("bystanders", about_this_run(monotonic() - began) | results, save=save)


if __name__ == "__main__":
    main()
