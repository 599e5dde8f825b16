"""Speed of the server, against a server of the textbook and an echo on OpenEnv's server, in one run.

    python -m bench.speed.server

Each contender is one process under uvicorn, and the client is another process (:mod:`bench.speed.load`), all on this
machine, which should have two idle cores for three minutes. The contenders are measured in turn, for some rounds, and
each ratio is taken within a round. Every connection plays whole episodes with their resets; only steps are counted.
Prints a table, writes server.json and draws server.png.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from bench.speed import load
from bench.speed.in_process import BATCH_SIZE, SEEDS, WEIGHTS, quartiles, steps_of, versions

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).with_suffix(".json")
TRANSPORTS: tuple[load.Transport, ...] = ("websocket", "http")
CONNECTIONS = (1, 16, 64)
ROUNDS = 5
WARM_UP, SECONDS = 0.3, 1.5
START_DEADLINE = 60.0
TASK = "medium"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
LIBRARIES = ("uvicorn", "uvloop", "httptools", "websockets", "fastapi", "starlette", "pydantic", "openenv")

_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open  # no proxy for loopback


@dataclass(frozen=True, eq=False)
class Contender:
    """A server to measure: its application and its actions.

    Attributes:
        wrapped: Whether it is an OpenEnv server, whose HTTP routes expect a wrapped action and have no episodes.
    """

    name: str
    command: tuple[str, ...]
    action: dict[str, Any]
    wrapped: bool = False

    def script(self, transport: load.Transport, connection: int) -> Iterator[load.Message]:
        """Yield the endless messages of one connection, episode after episode.

        The first episode is shortened by a different number of steps for each connection, so that resets are spread.
        """
        make = load.websocket_message if transport == "websocket" else load.http_message
        run, steps = uuid.uuid4().hex[:8], steps_of(TASK)
        for number in itertools.count():
            chosen: dict[str, Any] = {"task_id": TASK, "seed": SEEDS[(connection + number) % len(SEEDS)]}
            action = self.action
            if transport == "http" and self.wrapped:
                action = {"action": action}
            elif transport == "http":
                episode = {"episode_id": f"{run}-{connection}-{number}"}
                chosen, action = chosen | episode, action | episode
            yield make("reset", chosen)
            yield from [make("step", action)] * (steps - connection % steps if number == 0 else steps)


UVICORN = (sys.executable, "-m", "uvicorn", "--factory", "--log-level", "warning", "--host", load.LOOPBACK)
SELECT = {"action_type": "select_batch", "batch_size": BATCH_SIZE, "strategy_weights": WEIGHTS}
OURS = Contender("dataselect", (sys.executable, "server.py", "--host", load.LOOPBACK), SELECT)
TEXTBOOK = Contender("textbook", (*UVICORN, "bench.speed.contenders:textbook"), SELECT)
ECHO = Contender("echo", (*UVICORN, "bench.speed.contenders:echo"), {"message": "x" * 100}, wrapped=True)
CONTENDERS = (OURS, TEXTBOOK, ECHO)


@contextmanager
def served(contender: Contender, folder: Path) -> Iterator[tuple[int, int]]:
    """Serve a contender, with its store in a file in ``folder``; yield its port and its process id.

    Raises:
        click.ClickException: The server did not start; the message contains its log.
    """
    with socket.socket() as probe:
        probe.bind((load.LOOPBACK, 0))
        port = int(probe.getsockname()[1])
    log = folder / f"{contender.name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*contender.command, "--port", str(port)],
            cwd=ROOT,
            env={**os.environ, **ONE_THREAD, "DATASELECT_STORE": f"sqlite:///{folder}/{contender.name}.db"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + START_DEADLINE
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise click.ClickException(f"{contender.name} did not start:\n{log.read_text()}")
            time.sleep(0.1)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    try:
        with _open(f"http://{load.LOOPBACK}:{port}/openapi.json"):
            return True
    except (urllib.error.URLError, ConnectionError):
        return False


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(contender: Contender, port: int, pid: int, transport: load.Transport, connections: int) -> dict[str, float]:
    """Return the figures of one contender in one round."""
    cpu: list[float] = []
    plan = load.Plan(port, transport, WARM_UP, SECONDS, mark=lambda: cpu.append(cpu_seconds(pid)))
    got = load.run(plan, [contender.script(transport, number) for number in range(connections)])
    steps = len(got.latencies)
    if steps < 2:
        raise click.ClickException(f"{contender.name} made {steps} steps in {SECONDS} s: too few for a measurement")
    cuts = statistics.quantiles(got.latencies, n=100)
    return {
        "steps a second": steps / got.seconds,
        "server CPU, us a step": (cpu[1] - cpu[0]) / steps * 1e6,
        "p50, ms": cuts[49] * 1e3,
        "p95, ms": cuts[94] * 1e3,
        "p99, ms": cuts[98] * 1e3,
        "server CPU, share": (cpu[1] - cpu[0]) / got.seconds,
        "client CPU, share": got.client_cpu / got.seconds,
    }


Rounds = dict[str, list[dict[str, float]]]
"""Figures of each round, by contender."""


def summary(rounds: Rounds) -> dict[str, Any]:
    """Return medians and quartiles of figures and ratios."""

    def ratio(figure: str, above: Contender, below: Contender) -> dict[str, float]:
        pairs = zip(rounds[above.name], rounds[below.name], strict=True)
        return quartiles([a[figure] / b[figure] for a, b in pairs])

    return {
        "figures": {
            name: {figure: quartiles([one[figure] for one in figures]) for figure in figures[0]}
            for name, figures in rounds.items()
        },
        "ratios": {
            "steps a second / textbook's": ratio("steps a second", OURS, TEXTBOOK),
            "steps a second / echo's": ratio("steps a second", OURS, ECHO),
            "CPU of an echo's step / of ours": ratio("server CPU, us a step", ECHO, OURS),
        },
    }


def table(cases: dict[str, dict[str, Any]]) -> str:
    """Return the results as text."""
    lines = []
    for case, result in cases.items():
        figures = next(iter(result["figures"].values()))
        lines += ["", f"{case}: median of {ROUNDS} rounds", f"  {'':<12}" + "".join(f"{name:>23}" for name in figures)]
        for name, spread in result["figures"].items():
            lines.append(f"  {name:<12}" + "".join(f"{one['median']:23.2f}" for one in spread.values()))
        for name, one in result["ratios"].items():
            lines.append(f"  {name:<34} {one['median']:7.2f}  ({one['q1']:.2f} to {one['q3']:.2f})")
    return "\n".join(lines)


def draw(cases: dict[str, dict[str, Any]]) -> None:
    """Draw steps per second by number of connections."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (only where there is something to draw)

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    for axes, transport in zip(figure.subplots(1, 2, sharey=True), TRANSPORTS, strict=True):
        for contender in CONTENDERS:
            rates = [
                cases[f"{transport}, {count} connections"]["figures"][contender.name]["steps a second"]
                for count in CONNECTIONS
            ]
            medians = [rate["median"] for rate in rates]
            errors = [[rate["median"] - rate["q1"] for rate in rates], [rate["q3"] - rate["median"] for rate in rates]]
            axes.errorbar(CONNECTIONS, medians, errors, marker="o", capsize=3, label=contender.name)
        axes.set(xscale="log", yscale="log", title=transport, xlabel="connections", xticks=CONNECTIONS)
        axes.set_xticklabels([str(count) for count in CONNECTIONS])
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("steps a second, one process")
    figure.axes[1].legend()
    figure.savefig(RESULTS.with_suffix(".png"), dpi=150)


def main() -> None:
    """Print, write and draw the measurements."""
    rounds: dict[str, Rounds] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-server-")))
        running = {contender: stack.enter_context(served(contender, folder)) for contender in CONTENDERS}
        order = list(itertools.product(range(ROUNDS), TRANSPORTS, CONNECTIONS, CONTENDERS))
        with click.progressbar(order, label="Measuring", file=sys.stderr) as bar:
            for _, transport, count, contender in bar:
                figures = measure(contender, *running[contender], transport, count)
                rounds.setdefault(f"{transport}, {count} connections", {}).setdefault(contender.name, []).append(
                    figures
                )
    cases = {case: summary(figures) for case, figures in rounds.items()}
    machine = {**versions(), "cores": os.cpu_count(), **{library: version(library) for library in LIBRARIES}}
    results = {"versions": machine, "task": TASK, "rounds": ROUNDS, "seconds": SECONDS, "cases": cases}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    click.echo(table(cases))
    draw(cases)


if __name__ == "__main__":
    main()
