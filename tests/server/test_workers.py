"""Several processes that serve as one."""

import json
import os
import signal
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.helpers.actions import SCRIPT
from tests.helpers.players import InProcess, without_id
from tests.helpers.serving import Server, running_server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for the workers in /proc"),
]


def workers_of(server: Server) -> list[int]:
    """Return the process ids of the workers."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


@contextmanager
def only(worker: int, workers: list[int]) -> Iterator[None]:
    """Hold up all workers but one, so that a request is answered by that one."""
    others = [other for other in workers if other != worker]
    for other in others:
        os.kill(other, signal.SIGSTOP)
    try:
        yield
    finally:
        for other in others:
            os.kill(other, signal.SIGCONT)


def post(server: Server, path: str, body: Any) -> Any:
    """Ask over a new connection."""
    request = urllib.request.Request(server.base_url + path, data=json.dumps(body).encode())
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def test_an_episode_goes_from_worker_to_worker_and_a_connection_stays_with_one(tmp_path: Path) -> None:
    solo = InProcess()
    solo.reset(task_id="medium", seed=8)
    expected = [without_id(solo.step(action)) for action in SCRIPT]

    store = f"sqlite:///{tmp_path}/episodes.db"
    with running_server(store=store, env={"DATASELECT_WORKERS": "2"}) as server:
        workers = workers_of(server)
        assert len(workers) == 2

        with only(workers[1], workers):
            post(server, "/reset", {"episode_id": "another"})
        with only(workers[0], workers):
            post(server, "/reset", {"task_id": "medium", "seed": 8})
        with connect(server.ws_url) as socket:
            socket.send(json.dumps({"type": "reset", "data": {"task_id": "medium", "seed": 8}}))
            socket.recv()
            for turn, (action, reply) in enumerate(zip(SCRIPT, expected, strict=True)):
                with only(workers[turn % 2], workers):
                    assert (
                        without_id(post(server, "/step", action)) == reply
                    )  # the most recently started, of any worker
                socket.send(json.dumps({"type": "step", "data": action}))
                assert without_id(json.loads(socket.recv())["data"]) == reply
        server.terminate()
        assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
        assert "Traceback" not in server.log
