"""C1: the store's disk fills up, or becomes read-only, under a running server, and has free space again.

    python -m bench.reliability.disk

Three ways, each with a real server: files may not grow (RLIMIT_FSIZE, lowered and raised again from outside), a full
tmpfs, and a read-only tmpfs. The last two need user namespaces (``unshare``), and are skipped where those are not
allowed. While nothing can be written, clients get an error, episodes do not change, and reading works; afterwards
everything continues as in process.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import shlex
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import httpx2
from websockets.sync.client import ClientConnection, connect

from bench.reliability import clients, crash, page
from bench.reliability.process import about_this_run
from bench.reliability.scripts import Reply, Script, draw_action, play_alone
from bench.results import save_option
from dataselect_env.cli.console import progress
from tests.helpers.serving import SERVER_PY, Server, running_server

FILE = "episodes.db"
CODE = "STORE_UNAVAILABLE"
ATTEMPTS = 3
"""Number of attempts at each operation while nothing can be written."""
ROOM = "1m"
"""Size of the tmpfs."""
MOST_RESETS = 20_000
"""Number of resets after which the disk should be full."""


@dataclass
class Visit:
    """A server with one running episode per transport and a finished one, and the problems found."""

    server: Server
    http: httpx2.Client
    socket: ClientConnection
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def ask(self, transport: str, kind: str, data: dict[str, Any]) -> Any:
        """Return the data of an answer over either transport; it may be a refusal."""
        if transport == "websocket":
            self.socket.send(json.dumps({"type": kind, "data": data}))
            return json.loads(self.socket.recv())["data"]
        if kind == "state":
            return self.http.get("/state", params=data).json()
        return self.http.post(f"/{kind}", json=data).json()

    def step(self, script: Script, number: int) -> Any:
        """Play step ``number`` of the episode on a transport."""
        transport = script.episode_id
        named = {"episode_id": transport} if transport == "http" else {}
        return self.ask(transport, "step", {**script.actions[number - 1], **named})

    def state(self, script: Script) -> Any:
        """Return the state of an episode."""
        transport = script.episode_id
        return self.ask(transport, "state", {"episode_id": transport} if transport == "http" else {})

    def expect(self, what: str, found: object, right: object) -> None:
        """Record a problem if a value is not the expected one."""
        self.counts["answers checked"] += 1
        if found != right:
            self.problems.append(f"{what}: {found}, should be {right}")


@contextmanager
def visit(server: Server) -> Iterator[Visit]:
    """Connect to a server over both transports."""
    with (
        httpx2.Client(base_url=server.base_url, trust_env=False, timeout=clients.PATIENCE) as http,
        connect(server.ws_url, proxy=None, open_timeout=clients.PATIENCE) as socket,
    ):
        yield Visit(server, http, socket)


def make_script(name: str) -> Script:
    """Return an episode of several steps."""
    rng = random.Random(name)  # noqa: S311  (no secret)
    actions = [{**draw_action(rng), "batch_size": 10} for _ in range(15)]
    return Script({"task_id": "medium", "seed": 7, "reward_mode": "shaped", "episode_id": name}, tuple(actions))


def endure(here: Visit, fill: Callable[[], None], empty: Callable[[], None]) -> dict[str, Reply]:
    """Play, fill the disk, check the answers, free the disk, and continue; return the grades."""
    played = {name: make_script(name) for name in ("http", "websocket")}
    alone = {name: play_alone(script) for name, script in played.items()}
    for name, script in played.items():
        here.expect(f"{name} reset", here.ask(name, "reset", script.choices), alone[name][0])
        here.expect(f"{name} step 1", here.step(script, 1), alone[name][1])
    here.ask("http", "reset", {"episode_id": "over"})
    last = here.ask("http", "step", {**make_script("over").actions[0], "action_type": "stop", "episode_id": "over"})
    grades = {"over": {**last["info"]["grade"], "episode_id": "over", "task_id": last["task_id"]}}
    states = {name: here.state(script) for name, script in played.items()}

    fill()
    for _ in range(ATTEMPTS):
        for name, script in played.items():
            here.expect(f"{name} step on a full disk", here.step(script, 2).get("code"), CODE)
            here.expect(f"{name} state on a full disk", here.state(script), states[name])
        here.expect("reset on a full disk", here.ask("http", "reset", {"seed": 1}).get("code"), CODE)
        here.expect("grade on a full disk", here.ask("http", "grader", {"episode_id": "over"}), grades["over"])
        here.expect("health on a full disk", here.http.get("/health").status_code, 200)
        here.expect("readiness on a full disk", here.http.get("/ready").status_code, 503)
    status = here.http.post("/reset", json={}).status_code
    here.expect("status of a reset on a full disk", status, 503)

    empty()
    here.expect("readiness with room again", here.http.get("/ready").status_code, 200)
    for name, script in played.items():
        for number in range(2, len(alone[name])):
            here.expect(f"{name} step {number} with room again", here.step(script, number), alone[name][number])
        here.counts["steps played on"] += len(alone[name]) - 2
        last = alone[name][-1]
        grades[name] = {**last["info"]["grade"], "episode_id": name, "task_id": last["task_id"]}
        here.expect(f"grade of {name}", here.ask("http", "grader", {"episode_id": name}), grades[name])
    return grades


def by_limit(folder: Path) -> tuple[Counter[str], list[str]]:
    """Stop the growth of the server's files, allow it again, and restart the server."""
    serving = partial(running_server, store=f"sqlite:///{FILE}", cwd=folder)
    with serving() as server, visit(server) as here:
        pid, kind = server.process.pid, resource.RLIMIT_FSIZE
        before = resource.prlimit(pid, kind)
        grades = endure(
            here,
            fill=lambda: resource.prlimit(pid, kind, (0, before[1])) and None,
            empty=lambda: resource.prlimit(pid, kind, before) and None,
        )
        server.kill()
    with serving() as server:
        again = asyncio.run(clients.grade_again(server, grades))
    return here.counts, here.problems + again + crash.check_file(folder / FILE)


def by_tmpfs(folder: Path) -> tuple[Counter[str], list[str]]:
    """Run the server on a small disk, fill it from outside, and free it again."""
    command = in_namespace(f"mount -t tmpfs -o size={ROOM} tmpfs {shlex.quote(str(folder))}")
    with running_server(store=f"sqlite:///{folder}/{FILE}", command=command) as server, visit(server) as here:
        ballast = Path(f"/proc/{server.process.pid}/root{folder}/ballast")
        grades = endure(here, fill=lambda: fill_up(here, ballast), empty=ballast.unlink)
        again = asyncio.run(clients.grade_again(server, grades))
    return here.counts, here.problems + again


def fill_up(here: Visit, ballast: Path) -> None:
    """Write a file until the disk is full, then start episodes until the store has no free space left.

    Raises:
        RuntimeError: The disk does not fill up.
    """
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            here.counts["disks filled"] += 1
    for _ in range(MOST_RESETS):
        if here.ask("http", "reset", {"seed": 1}).get("code") == CODE:
            return
    raise RuntimeError("the disk does not fill up")


def by_mount(folder: Path) -> tuple[Counter[str], list[str]]:
    """Start the server on a read-only store: it should end with a message."""
    place = shlex.quote(str(folder))
    command = in_namespace(f"mount -t tmpfs -o ro tmpfs {place}")
    counts, problems = Counter({"answers checked": 1}), []
    try:
        with running_server(store=f"sqlite:///{folder}/{FILE}", command=command):
            problems.append("a server on a read-only store started")
    except AssertionError as ended:
        if "DATASELECT_STORE: " not in str(ended) or "Traceback" in str(ended):
            problems.append(f"a server on a read-only store ended with: {ended}")
    return counts, problems


def in_namespace(mount: str) -> tuple[str, ...]:
    """Return the command that mounts something for the server alone, and serves."""
    served = f"{mount} && exec {shlex.join(SERVER_PY)}"
    return ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", served)


def namespaces_allowed() -> bool:
    """Return whether this user may mount file systems in a new namespace."""
    if shutil.which("unshare") is None:
        return False
    probe = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /mnt")
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


WAYS = {"files that may not grow": by_limit, "a full tmpfs": by_tmpfs, "a read-only tmpfs": by_mount}


def measure() -> dict[str, Any]:
    """Try all three ways; return the counts and the problems."""
    allowed = namespaces_allowed()
    counts: dict[str, Counter[str]] = {}
    problems = []
    with progress(len(WAYS), "disks") as advance:
        for name, way in WAYS.items():
            if allowed or way is by_limit:
                with tempfile.TemporaryDirectory(prefix="disk-") as folder:
                    counts[name], found = way(Path(folder))
                problems += [f"{name}: {line}" for line in found]
            if advance:
                advance(1)
    return {"counts": {name: dict(found) for name, found in counts.items()}, "problems": problems}


@click.command()
@save_option
def main(*, save: bool) -> None:
    """Fill the store's disk under a running server."""
    begun = perf_counter()
    results = measure()
    page.conclude("disk", {**about_this_run(perf_counter() - begun), **results}, save=save)


if __name__ == "__main__":
    main()
