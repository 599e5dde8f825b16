"""Time to the server's first answer, and its memory then and later (goal B5).

    python -m bench.speed.startup

Starts ``python server.py`` repeatedly with a store in memory. Figures are wall-clock times: from the command to the
first healthy answer, and from the first reset, which loads the libraries, to its answer. Prints a table and writes
startup.json. Linux only.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bench.reliability.process import usage
from bench.speed.in_process import quartiles, versions
from bench.speed.load import LOOPBACK

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).with_suffix(".json")
STARTS = 10
PAUSE, DEADLINE = 0.005, 60.0

_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open  # no proxy for loopback


def seconds_of(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def wait_until_healthy(url: str, process: subprocess.Popen[bytes]) -> None:
    """Request ``/health`` until the server answers.

    Raises:
        click.ClickException: The server ended, or is not healthy in time.
    """
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            _open(f"{url}/health").close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise click.ClickException("the server did not start") from None
            time.sleep(PAUSE)
        else:
            return


def start() -> dict[str, float]:
    """Start a server, play one reset, and end it; return the measurements."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port = int(probe.getsockname()[1])
    url = f"http://{LOOPBACK}:{port}"
    environ = {**os.environ, "DATASELECT_STORE": "memory:", "DATASELECT_HOST": LOOPBACK, "PORT": str(port)}
    process = subprocess.Popen(
        [sys.executable, "server.py"], cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        healthy = seconds_of(lambda: wait_until_healthy(url, process))
        resident = usage(process.pid).resident
        reset = seconds_of(lambda: _open(f"{url}/reset", data=b'{"seed": 7}').close())
        return {
            "to the first healthy answer, s": healthy,
            "resident memory then, MB": resident,
            "first reset, s": reset,
            "resident memory after it, MB": usage(process.pid).resident,
        }
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    """Print and write the measurements."""
    with click.progressbar(range(STARTS), label="Measuring", file=sys.stderr) as bar:
        starts = [start() for _ in bar]
    figures: dict[str, Any] = {name: quartiles([one[name] for one in starts]) for name in starts[0]}
    RESULTS.write_text(json.dumps({"versions": versions(), "starts": STARTS, "figures": figures}, indent=1) + "\n")
    for name, spread in figures.items():
        click.echo(f"{name:<34} {spread['median']:7.2f}  ({spread['q1']:.2f} to {spread['q3']:.2f})")


if __name__ == "__main__":
    main()
