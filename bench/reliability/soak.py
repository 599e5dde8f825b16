"""C7: minutes of mixed load on one server; memory stays flat; files, threads and sessions are released.

    python -m bench.reliability.soak --minutes 30

WebSocket clients play episodes, send invalid messages, close or drop their connections and reconnect; HTTP clients play
episodes, abandon some of them, and ask for grades and lists. The resources of the server's process are sampled once a
second. Some hundreds of episodes fill the server's bounded caches first. The first quarter of the time counts as
warm-up; the medians of the second and the last quarter are compared.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import click
import httpx2
from websockets.asyncio.client import ClientConnection, connect

from bench.reliability import clients, frames, page
from bench.reliability.hostile import is_refusal
from bench.reliability.process import Usage, about_this_run, as_row, usage
from bench.reliability.scripts import draw
from bench.results import save_option
from dataselect_env.cli.console import progress
from tests.helpers.serving import Server, running_server

PAUSE = 0.05
"""Mean pause of a client after an answer, in seconds: the load is steady, not maximal."""
JUNK, VANISH, LEAVE, LOOK = 0.05, 0.1, 0.05, 0.1
"""Probabilities: invalid data before a message, a dropped connection, an abandoned episode, other requests."""
PATHS = ("/health", "/tasks", "/metadata", "/schema", "/DataSelectEnv/splits", "/openapi.json")
GROWTH = 0.05
"""Largest growth of memory from the second quarter to the last."""
SPARE_FILES, SPARE_THREADS = 3, 40
"""Allowed additional files and threads: files of the store, and threads for slow requests."""
WARM_UP = 400
"""Number of episodes started over HTTP beforehand."""
SETTLE = 5.0
"""Seconds between the last client and the final sample."""


class Load:
    """The clients, their counts, and the wrong answers.

    Args:
        server: Server to load.
        rng: Random stream of all choices.
        until: End of the load, on the clock ``monotonic``.
    """

    def __init__(self, server: Server, rng: random.Random, until: float) -> None:
        self._server = server
        self._rng = rng
        self._until = until
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []

    def _going_on(self) -> bool:
        return monotonic() < self._until

    async def _pause(self) -> None:
        await asyncio.sleep(self._rng.expovariate(1 / PAUSE))

    def _expect(self, fine: bool, answer: object) -> None:
        self.counts["answers"] += 1
        if not fine:
            self.problems.append(str(answer)[:300])

    async def play_sockets(self) -> None:
        """Play episodes, on one connection after the other."""
        while self._going_on():
            socket = await connect(self._server.ws_url, proxy=None, open_timeout=clients.PATIENCE)
            self.counts["connections"] += 1
            try:
                while self._going_on():
                    await self._play_socket(socket)
                    if self._rng.random() < VANISH:
                        socket.transport.abort()
                        break
            finally:
                await socket.close()

    async def _play_socket(self, socket: ClientConnection) -> None:
        script = draw(self._rng, f"{self._rng.getrandbits(96):x}")
        messages = [("reset", script.choices), *(("step", action) for action in script.actions)]
        for kind, data in messages:
            if self._rng.random() < JUNK:
                await socket.send(frames.hostile(self._rng))
                answer = json.loads(await socket.recv())
                self._expect(is_refusal(answer), answer)
            await socket.send(json.dumps({"type": kind, "data": data}))
            answer = json.loads(await socket.recv())
            self._expect(answer["type"] == "observation", answer)
            await self._pause()
            if self._rng.random() < LEAVE or not self._going_on() or answer["data"].get("done", True):
                self.counts["episodes"] += 1
                return

    async def play_http(self) -> None:
        """Play episodes over HTTP, and send other requests."""
        async with clients.client_of(self._server) as http:
            while self._going_on():
                await self._play_http(http)

    async def _play_http(self, http: httpx2.AsyncClient) -> None:
        script = draw(self._rng, f"{self._rng.getrandbits(96):x}")
        named = {"episode_id": script.episode_id}
        bodies = [("/reset", script.choices), *(("/step", {**action, **named}) for action in script.actions)]
        for path, body in bodies:
            if self._rng.random() < LOOK:
                looked = await http.get(self._rng.choice(PATHS))
                self._expect(looked.status_code == 200, looked.text)
            answer = await http.post(path, json=body)
            self._expect(answer.status_code == 200, answer.text)
            await self._pause()
            if answer.json().get("done", True):
                graded = await http.post("/grader", json=named)
                self._expect(graded.status_code == 200, graded.text)
                break
            if self._rng.random() < LEAVE or not self._going_on():
                break
        self.counts["episodes"] += 1


async def warm_up(server: Server, rng: random.Random) -> None:
    """Fill the server's bounded caches: episodes in memory, data sets, pages of the store."""
    async with clients.client_of(server) as http:
        for place in range(WARM_UP):
            script = draw(rng, f"warm-up-{place}")
            await clients.ask(http, "/reset", script.choices)
            await clients.ask(http, "/step", {**script.actions[0], "episode_id": script.episode_id})


async def watch(server: Server, until: float, advance: Callable[[int], None] | None) -> list[Usage]:
    """Sample the server's resources once a second."""
    found = []
    while monotonic() < until:
        found.append(usage(server.process.pid))
        await asyncio.sleep(1)
        if advance:
            advance(1)
    return found


async def soak(server: Server, load: Load, until: float, *, sockets: int, seats: int) -> list[Usage]:
    """Load the server and sample it until the end."""
    with progress(round(until - monotonic()), "seconds") as advance:
        watching = asyncio.create_task(watch(server, until, advance))
        playing = [load.play_sockets() for _ in range(sockets)] + [load.play_http() for _ in range(seats)]
        with suppress(asyncio.CancelledError):
            await asyncio.gather(watching, *playing)
    await asyncio.sleep(SETTLE)
    return watching.result()


def quarter(samples: list[Usage], number: int) -> dict[str, float]:
    """Return the medians over one quarter of the time, from 0 to 3."""
    part = samples[len(samples) * number // 4 : len(samples) * (number + 1) // 4]
    return {name: statistics.median(as_row(one)[name] for one in part) for name in ("resident", "files", "threads")}


def judge(before: Usage, samples: list[Usage], after: Usage, clients_at_once: int) -> list[str]:
    """Return a sentence for each resource that kept growing or was not released."""
    problems = []
    second, last = quarter(samples, 1), quarter(samples, 3)
    if last["resident"] > (1 + GROWTH) * second["resident"]:
        problems.append(f"memory grew from {second['resident']} to {last['resident']} MB")
    most = before.files + clients_at_once + SPARE_FILES
    if last["files"] > most:
        problems.append(f"{last['files']} files open, should be at most {most}")
    if after.files > before.files + SPARE_FILES:
        problems.append(f"{after.files} files open after the load, {before.files} before")
    if after.threads > before.threads + SPARE_THREADS:
        problems.append(f"{after.threads} threads after the load, {before.threads} before")
    return problems


def measure(seconds: float, *, seed: int, sockets: int, seats: int) -> dict[str, Any]:
    """Load a server with a store in a file."""
    rng = random.Random(seed)  # noqa: S311  (no secret)
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as folder,
        running_server(store="sqlite:///episodes.db", cwd=Path(folder)) as server,
    ):
        server.get("/openapi.json")  # built at the first request
        asyncio.run(warm_up(server, rng))
        before = usage(server.process.pid)
        until = monotonic() + seconds
        load = Load(server, rng, until)
        samples = asyncio.run(soak(server, load, until, sockets=sockets, seats=seats))
        left = server.get("/health")["active_sessions"]
        after = usage(server.process.pid)
        stored = (Path(folder) / "episodes.db").stat().st_size
    problems = load.problems + judge(before, samples, after, sockets + seats)
    if left:
        problems.append(f"{left} sessions left after all had gone")
    return {
        "seed": seed,
        "minutes": round(seconds / 60, 2),
        "clients": {"websocket": sockets, "http": seats},
        "counts": {**load.counts, "bytes in the store": stored},
        "before": as_row(before),
        "quarters": [quarter(samples, number) for number in range(4)],
        "after": as_row(after),
        "problems": problems,
    }


@click.command()
@click.option("--minutes", type=click.FloatRange(0.2), default=2.0, show_default=True, help="Duration in minutes.")
@click.option("--sockets", type=click.IntRange(1), default=16, show_default=True, help="Number of WebSocket clients.")
@click.option("--seats", type=click.IntRange(1), default=8, show_default=True, help="Number of HTTP clients.")
@click.option("--seed", default=1, show_default=True, help="Seed of the clients.")
@save_option
def main(*, minutes: float, sockets: int, seats: int, seed: int, save: bool) -> None:
    """Load a server for minutes, and record its resources."""
    begun = perf_counter()
    results = measure(60 * minutes, seed=seed, sockets=sockets, seats=seats)
    page.conclude("soak", {**about_this_run(perf_counter() - begun), **results}, save=save)


if __name__ == "__main__":
    main()
