"""C3: a thousand WebSocket sessions in one server process, each playing a whole episode.

    python -m bench.reliability.scale --sessions 1000

All sessions connect, reset, and then play step by step together. The server's memory is recorded between the stages.
Every reply must equal that of the solo run, bit for bit.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from time import perf_counter
from typing import Any

import click
from websockets.asyncio.client import ClientConnection, connect

from bench.reliability import page
from bench.reliability.clients import PATIENCE
from bench.reliability.process import about_this_run, as_row, usage
from bench.reliability.scripts import Reply, Script, differences, draw, players_alone
from bench.results import save_option
from dataselect_env.cli.console import progress
from dataselect_env.core.tasks import PINNED
from dataselect_env.server.settings import ENV_PREFIX
from tests.helpers.serving import Server, running_server

FIRST_SEED = 2_000_000
"""First seed, outside of all splits."""
CONNECTING_AT_ONCE = 50
"""Number of connections opened at a time; the queue of a listening socket is short."""


class EpisodeBackend:
    """One client: its connection, its script, and the answers."""

    def __init__(self, script: Script, socket: ClientConnection) -> None:
        self.script = script
        self.replies: list[Reply] = []
        self.problem: str | None = None
        self._socket = socket

    @property
    def waits(self) -> bool:
        """Whether the script is finished."""
        return self.problem is not None or bool(self.replies and self.replies[-1]["done"])

    async def play(self) -> None:
        """Send the next message of the script; the first one is the reset."""
        number = len(self.replies)
        data = self.script.actions[number - 1] if number else self.script.choices
        await self._socket.send(json.dumps({"type": "step" if number else "reset", "data": data}))
        answer = json.loads(await self._socket.recv())
        if answer["type"] == "observation":
            self.replies.append(answer["data"])
        else:
            self.problem = f"{self.script.episode_id}: {answer}"


def scripts(sessions: int, seed: int) -> list[Script]:
    """Return the scripts: the tasks in turn, each session with its own seed."""
    rng, tasks = random.Random(seed), PINNED  # noqa: S311  (no secret)
    return [
        draw(rng, f"scale-{place}", seed=FIRST_SEED + place, task_id=tasks[place % len(tasks)])
        for place in range(sessions)
    ]


async def connect_all(server: Server, chosen: list[Script], stack: AsyncExitStack) -> list[EpisodeBackend]:
    """Open a connection for every script."""
    gate = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def one(script: Script) -> EpisodeBackend:
        async with gate:
            opening = connect(server.ws_url, proxy=None, ping_interval=None, compression=None, open_timeout=PATIENCE)
            return EpisodeBackend(script, await stack.enter_async_context(opening))

    return list(await asyncio.gather(*(one(script) for script in chosen)))


async def play_all(server: Server, chosen: list[Script], advance: Callable[[int], None] | None) -> dict[str, Any]:
    """Play all scripts together; return the seats and the server's memory after each stage."""
    stages: dict[str, dict[str, float]] = {}

    async def stage(name: str, work: Awaitable[Any]) -> Any:
        done = await work
        stages[name] = as_row(usage(server.process.pid))
        return done

    async def play(seats: Iterable[EpisodeBackend]) -> None:
        await asyncio.gather(*(backend.play() for backend in seats))

    async with AsyncExitStack() as stack:
        await stage("before", asyncio.sleep(0))
        seats: list[EpisodeBackend] = await stage("connected", connect_all(server, chosen, stack))
        while going_on := [backend for backend in seats if not backend.waits]:
            number = max(len(backend.replies) for backend in going_on)
            await stage(f"step {number}" if number else "reset", play(going_on))
            if advance:
                advance(sum(backend.waits for backend in going_on))
        at_once = server.get("/health")["active_sessions"]
    await stage("disconnected", asyncio.sleep(1))
    return {"seats": seats, "stages": stages, "at once": at_once}


def measure(sessions: int, seed: int) -> dict[str, Any]:
    """Play, and compare every reply with the solo run."""
    chosen = scripts(sessions, seed)
    environ = {f"{ENV_PREFIX}MAX_SESSIONS": str(sessions)}
    with (
        players_alone() as play_alone,
        running_server(env=environ) as server,
        progress(sessions, "episodes") as advance,
    ):
        begun = perf_counter()
        played = asyncio.run(play_all(server, chosen, advance))
        seconds = perf_counter() - begun
        left = server.get("/health")["active_sessions"]
        problems = [backend.problem for backend in played["seats"] if backend.problem]
        for backend, alone in zip(played["seats"], play_alone(chosen), strict=True):
            problems += differences(backend.script, backend.replies, alone)
    if played["at once"] != sessions:
        problems.append(f"{played['at once']} sessions at once, should be {sessions}")
    if left:
        problems.append(f"{left} sessions left after all had gone")
    return {
        "seed": seed,
        "sessions": sessions,
        "replies": sum(len(backend.replies) for backend in played["seats"]),
        "playing_seconds": round(seconds, 1),
        "stages": played["stages"],
        "problems": problems,
    }


@click.command()
@click.option(
    "--sessions",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Number of simultaneous WebSocket sessions.",
)
@click.option("--seed", default=1, show_default=True, help="Seed of the actions.")
@save_option
def main(*, sessions: int, seed: int, save: bool) -> None:
    """Play many simultaneous sessions in one server process."""
    begun = perf_counter()
    results = measure(sessions, seed)
    page.conclude("scale", {**about_this_run(perf_counter() - begun), **results}, save=save)


if __name__ == "__main__":
    main()
