"""C6: stop the server with SIGTERM under load; running steps are answered and stored, and clients are notified.

    python -m bench.reliability.stop --stops 20

Clients and comparison are those of ``crash``. In addition, a stop must end with status 0, close every WebSocket with
code 1012, and store nothing that was not answered. Every second stop is that of a server with two worker processes.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from time import perf_counter
from typing import Any

import click
from websockets.exceptions import ConnectionClosed

from bench.reliability import crash, page
from bench.reliability.process import about_this_run
from bench.reliability.scripts import players_alone
from bench.results import save_option
from dataselect_env.cli.console import progress
from dataselect_env.server.settings import ENV_PREFIX
from tests.helpers.serving import Server

RESTART = 1012
"""Close code of a stopping server."""
WORKERS = ("1", "2")
UNANSWERED = "done, and killed before the answer"


def measure(stops: int, *, seed: int, sockets: int, seats: int) -> dict[str, Any]:
    """Stop and restart the server ``stops`` times, with one and two processes in turn; return counts and problems."""
    problems: list[str] = []
    codes: Counter[str] = Counter()

    def terminate(server: Server) -> int:
        status = server.terminate()
        if status:
            problems.append(f"a stop ended with status {status}")
        if "Traceback" in server.log:
            problems.append(f"a stop failed: {server.log[-500:]}")
        return status

    environ = {f"{ENV_PREFIX}WORKERS": WORKERS[0]}
    with tempfile.TemporaryDirectory(prefix="stop-") as folder, players_alone() as play_alone:
        run = crash.Run(Path(folder), seed=seed, sockets=sockets, seats=seats, end=terminate, environ=environ)
        with progress(stops, "stops") as advance:
            for number in range(stops):
                environ[f"{ENV_PREFIX}WORKERS"] = WORKERS[number % len(WORKERS)]
                run.kill_once(play_alone)
                if advance:
                    advance(1)
        run.finish(play_alone)
    for cut_off in run.ends:
        if isinstance(cut_off, ConnectionClosed):
            code = cut_off.rcvd.code if cut_off.rcvd else None
            codes[f"closed with {code}"] += 1
            if code != RESTART:
                problems.append(f"a WebSocket was closed with {code}, should be {RESTART}")
        else:
            codes["cut off while asking over HTTP"] += 1
    counts: dict[str, int] = {**run.book.counts, **codes}
    unanswered = counts.pop(UNANSWERED, 0)
    counts = {"stops": counts.pop("kills"), **counts, "stored, and not answered": unanswered}
    if unanswered:
        problems.append(f"{unanswered} requests were stored and not answered")
    return {
        "seed": seed,
        "clients": {"websocket": sockets, "http": seats},
        "counts": counts,
        "problems": [*problems, *run.problems],
    }


@click.command()
@click.option("--stops", type=click.IntRange(1), default=6, show_default=True, help="Number of stops.")
@click.option("--sockets", type=click.IntRange(0), default=24, show_default=True, help="Number of WebSocket clients.")
@click.option("--seats", type=click.IntRange(0), default=12, show_default=True, help="Number of HTTP clients.")
@click.option("--seed", default=1, show_default=True, help="Seed of the episodes and the moments.")
@save_option
def main(*, stops: int, sockets: int, seats: int, seed: int, save: bool) -> None:
    """Stop the server under load, and check that running steps are answered and clients notified."""
    begun = perf_counter()
    results = measure(stops, seed=seed, sockets=sockets, seats=seats)
    page.conclude("stop", {**about_this_run(perf_counter() - begun), **results}, save=save)


if __name__ == "__main__":
    main()
