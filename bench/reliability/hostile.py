"""C2: generated HTTP requests, hostile frames on ``/ws`` and ``/mcp``, and a state machine over sessions.

    python -m bench.reliability.hostile --requests 10000 --frames 10000

All of this is sent to a real server. schemathesis (extra ``fuzz``) generates requests from the server's OpenAPI
document; no answer may be a 5xx or undocumented. Frames come from a seeded generator, over one connection that also
plays an honest
episode: the answer to each frame must be one refusal, and the episode must continue as in process. Only oversize frames
and text that is not UTF-8 may end a connection.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from time import perf_counter
from typing import Any

import click
import httpx2
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from bench.reliability import frames, generated, page
from bench.reliability.clients import PATIENCE
from bench.reliability.frames import Frame
from bench.reliability.process import about_this_run
from bench.reliability.scripts import Script, draw, play_alone
from bench.reliability.session_machine import SessionMachine
from bench.results import save_option
from dataselect_env.cli.console import progress
from dataselect_env.server.settings import Settings
from tests.helpers.serving import Server, running_server

Advance = Callable[[int], None] | None

HONEST = 0.1
"""Share of the messages that belong to the honest episode."""
RPC = 0.15
"""Share of the hostile messages that address the Model Context Protocol."""
FRAGMENTED = 0.1
"""Share of the texts that are sent in several fragments."""
ENDS: dict[str, tuple[Frame, bool, int]] = {
    "oversize text": ("x" * (Settings().max_message_bytes + 1), True, 1009),
    "oversize bytes": (b"x" * (Settings().max_message_bytes + 1), False, 1009),
    "text that is no UTF-8": (b'{"type": "state\xff"}', True, 1007),
    "half a surrogate as UTF-8": (b'{"type": "state\xed\xa0\x80"}', True, 1007),
}
"""Messages that may end a connection: the message, whether it is sent as text, and the close code."""


class Disturbed:
    """One connection that plays honest episodes among hostile frames.

    Args:
        socket: The connection.
        rng: Random stream of all choices.
    """

    def __init__(self, socket: ClientConnection, rng: random.Random) -> None:
        self._socket = socket
        self._rng = rng
        self._episodes = 0
        self._begin()
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []

    def _begin(self) -> None:
        """Draw the next honest episode."""
        self._episodes += 1
        self._script: Script = draw(self._rng, f"honest-{self._rng.getrandbits(64)}")
        self._alone = play_alone(self._script)
        self._played = 0

    def _ask(self, frame: Frame) -> Any:
        """Send a frame, whole or in fragments, and return the answer."""
        fragments: Frame | list[str] = frame
        if isinstance(frame, str) and self._rng.random() < FRAGMENTED:
            cut = self._rng.randrange(len(frame) + 1)
            fragments = [frame[:cut], frame[cut:]]
        self._socket.send(fragments)
        return json.loads(self._socket.recv())

    def honest(self) -> None:
        """Play the next step of the honest episode, or get its state; the answer must be that of the solo run."""
        self.counts["honest messages"] += 1
        if self._played and self._rng.random() < 0.3:
            state = self._ask('{"type": "state"}')
            if state["type"] != "state" or state["data"]["step_count"] != self._played - 1:
                self.problems.append(f"state after {self._played - 1} steps: {state}")
            return
        kind, data = "reset", self._script.choices
        if self._played:
            kind, data = "step", self._script.actions[self._played - 1]
        answer = self._ask(json.dumps({"type": kind, "data": data}))
        if answer != {"type": "observation", "data": self._alone[self._played]}:
            self.problems.append(f"{kind} {self._played} of an honest episode: {answer}")
        self._played += 1
        if self._played == len(self._alone):
            self._begin()

    def hostile(self) -> None:
        """Send a hostile frame; the answer must be a refusal."""
        self.counts["hostile frames"] += 1
        if self._rng.random() < RPC:
            request = frames.rpc(self._rng)
            frame = f'{{"type": "mcp", "data": {request}}}' if isinstance(request, str) else request
            answer = self._ask(frame)
            fine = is_refusal(answer) or (answer["type"] == "mcp" and is_rpc_answer(answer["data"]))
        else:
            frame = frames.hostile(self._rng)
            answer = self._ask(frame)
            fine = is_refusal(answer)
        self.counts[answer["data"]["code"] if is_refusal(answer) else "answered by JSON-RPC"] += 1
        if not fine:
            self.problems.append(f"{frame[:200]!r}: {answer}")


def is_refusal(answer: dict[str, Any]) -> bool:
    """Return whether an answer is an error body that is not an internal error."""
    data = answer.get("data")
    shaped = answer["type"] == "error" and isinstance(data, dict) and set(data) == {"code", "message", "field"}
    return bool(shaped and data and data["code"] != "INTERNAL_ERROR" and data["message"])


def is_rpc_answer(answer: Any) -> bool:
    """Return whether this is one or several JSON-RPC 2.0 answers, or nothing, which is right for a notification."""
    if answer is None:
        return True
    if isinstance(answer, list):
        return bool(answer) and all(map(is_rpc_answer, answer))
    names = set(answer) - {"jsonrpc", "id"}
    return answer["jsonrpc"] == "2.0" and "id" in answer and names in ({"result"}, {"error"})


def disturb_sockets(server: Server, count: int, seed: int, advance: Advance) -> dict[str, Any]:
    """Send hostile frames over one connection."""
    rng = random.Random(seed)  # noqa: S311  (no secret)
    with connect(server.ws_url, proxy=None, max_size=None, open_timeout=PATIENCE) as socket:
        disturbed = Disturbed(socket, rng)
        try:
            while disturbed.counts["hostile frames"] < count:
                if rng.random() < HONEST:
                    disturbed.honest()
                else:
                    disturbed.hostile()
                    if advance:
                        advance(1)
        except ConnectionClosed as closed:
            disturbed.problems.append(f"the connection was lost: {closed}")
    return {"counts": dict(disturbed.counts), "problems": disturbed.problems}


def disturb_mcp(server: Server, count: int, seed: int, advance: Advance) -> dict[str, Any]:
    """Send hostile bodies to ``POST /mcp``."""
    rng = random.Random(seed)  # noqa: S311
    statuses: Counter[str] = Counter()
    problems = []
    with httpx2.Client(base_url=server.base_url, trust_env=False, timeout=PATIENCE) as http:
        for _ in range(count):
            body = frames.rpc(rng)
            answer = http.post("/mcp", content=body if isinstance(body, bytes) else body.encode(errors="surrogatepass"))
            statuses[str(answer.status_code)] += 1
            fine = is_rpc_answer(answer.json()) if answer.status_code == 200 else answer.text == ""
            if answer.status_code not in (200, 202) or not fine:
                problems.append(f"{body[:200]!r}: {answer.status_code} {answer.text}")
            if advance:
                advance(1)
    return {"statuses": dict(statuses), "problems": problems}


def end_connections(server: Server) -> dict[str, Any]:
    """Send messages that may end a connection, and check the close codes and that no session remains."""
    codes, problems = {}, []
    for name, (message, as_text, code) in ENDS.items():
        with connect(server.ws_url, proxy=None, compression=None, open_timeout=PATIENCE) as socket:
            try:
                socket.send(message, text=as_text)
                while True:
                    socket.recv()
            except ConnectionClosed as closed:
                codes[name] = closed.rcvd.code if closed.rcvd else None
        if codes[name] != code:
            problems.append(f"{name}: closed with {codes[name]}, should be {code}")
    left = server.get("/health")["active_sessions"]
    if left:
        problems.append(f"{left} sessions are left of connections that ended")
    return {"close codes": codes, "problems": problems}


def walk_sessions(walks: int) -> dict[str, Any]:
    """Run the state machine over sessions; hypothesis raises a failure, shrunk."""
    chosen = settings(
        max_examples=walks,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    run_state_machine_as_test(SessionMachine, settings=chosen)
    return {"walks": walks, "problems": []}


def measure(requests: int, count: int, walks: int, *, seed: int, examples: int) -> dict[str, Any]:
    """Run everything against one server; return the results."""
    with running_server() as server:
        server.get("/baseline")  # the first request takes seconds
        with progress(requests, "requests") as advance:
            tally = generated.fuzz(server, requests, seed, examples, advance)
        with progress(count, "frames on /ws") as advance:
            sockets = disturb_sockets(server, count, seed, advance)
        with progress(count // 2, "bodies to /mcp") as advance:
            mcp = disturb_mcp(server, count // 2, seed, advance)
        traces = server.log.count("Traceback")  # uvicorn logs one for each text that is not UTF-8, which follows
        ends = end_connections(server)
    sessions = walk_sessions(walks)
    parts = {"/ws": sockets, "/mcp": mcp, "ends": ends, "sessions": sessions}
    problems = tally.problems + [f"{name}: {line}" for name, part in parts.items() for line in part.pop("problems")]
    if traces:
        problems.append(f"{traces} stack traces in the server's log")
    http = {"phases": dict(tally.phases), "statuses": dict(sorted(tally.statuses.items())), "graded": tally.graded}
    return {"seed": seed, "http": http, **parts, "problems": problems}


@click.command()
@click.option(
    "--requests", type=click.IntRange(0), default=1_000, show_default=True, help="Smallest number of HTTP requests."
)
@click.option(
    "--frames", "count", type=click.IntRange(0), default=1_000, show_default=True, help="Number of hostile frames."
)
@click.option(
    "--walks", type=click.IntRange(1), default=100, show_default=True, help="Number of walks of the state machine."
)
@click.option(
    "--examples", type=click.IntRange(1), default=60, show_default=True, help="Requests per operation and run."
)
@click.option("--seed", default=1, show_default=True, help="Seed of everything that is sent.")
@save_option
def main(*, requests: int, count: int, walks: int, examples: int, seed: int, save: bool) -> None:
    """Send hostile requests and frames, and check the answers."""
    begun = perf_counter()
    results = measure(requests, count, walks, seed=seed, examples=examples)
    page.conclude("hostile", {**about_this_run(perf_counter() - begun), **results}, save=save)


if __name__ == "__main__":
    main()
