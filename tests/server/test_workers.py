"""Several processes that serve as one."""

import json
import os
import signal
import socket
import sqlite3
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.helpers.actions import SCRIPT
from tests.helpers.players import InProcess, without_id
from tests.helpers.serving import LOOPBACK, Server, running_server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for the workers in /proc"),
]


PATIENCE = 120.0  # seconds that only a broken server takes


def workers_of(server: Server) -> list[int]:
    """Return the process ids of the workers."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in command_of(int(child))]


def command_of(process: int) -> bytes:
    """Return the command line of a process, nothing when it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def serves(server: Server, worker: int) -> bool:
    """Return whether a worker answers."""
    with only(worker, workers_of(server)):
        try:
            with urllib.request.urlopen(server.base_url + "/health", timeout=2):
                return True
        except OSError:
            return False


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


@contextmanager
def two_workers(folder: Path, **env: str) -> Iterator[tuple[Server, list[int]]]:
    """Start a server with two workers, and wait until both serve."""
    env = {"DATASELECT_WORKERS": "2", **env}
    with running_server(store="sqlite:///episodes.db", cwd=folder, env=env) as server:
        workers = workers_of(server)
        assert len(workers) == 2
        wait_until(lambda: all(serves(server, worker) for worker in workers))
        yield server, workers


def test_a_killed_worker_is_replaced_and_the_other_serves_on(tmp_path: Path) -> None:
    with two_workers(tmp_path) as (server, (first, second)):
        os.kill(first, signal.SIGKILL)
        assert post(server, "/reset", {"episode_id": "meanwhile"})["step"] == 0
        wait_until(lambda: len(set(workers_of(server)) - {first}) == 2)
        (third,) = set(workers_of(server)) - {first, second}
        wait_until(lambda: serves(server, third))
        assert f"worker {first} ended with status -9" in server.log
        assert server.terminate() == 0
        assert "Traceback" not in server.log


def test_a_worker_that_hangs_is_replaced_and_a_busy_one_is_not(tmp_path: Path) -> None:
    with two_workers(tmp_path, DATASELECT_WORKER_TIMEOUT="5") as (server, (first, second)):
        os.kill(first, signal.SIGSTOP)
        with connect(server.ws_url) as socket:  # of the other worker
            while f"worker {first} has not responded for 5 s and is killed" not in server.log:
                socket.send('{"type": "reset"}')
                assert json.loads(socket.recv())["type"] == "observation"
        wait_until(lambda: len(set(workers_of(server)) - {first}) == 2)
        assert second in workers_of(server)
        assert server.terminate() == 0
        assert "Traceback" not in server.log


def test_a_replacement_that_cannot_start_is_tried_again_while_the_other_serves_on(tmp_path: Path) -> None:
    with two_workers(tmp_path) as (server, (first, second)):
        with closing(sqlite3.connect(tmp_path / "episodes.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            os.kill(first, signal.SIGKILL)
            wait_until(lambda: server.log.count("ended with status 3") > 0)
            assert server.get("/health")["status"] == "healthy"
            assert second in workers_of(server)
            other.execute("ROLLBACK")
        wait_until(lambda: any(serves(server, worker) for worker in set(workers_of(server)) - {second}))
        assert server.terminate() == 0


def metrics_of(server: Server) -> dict[str, float]:
    with urllib.request.urlopen(server.base_url + "/metrics") as response:
        lines = [line.rpartition(" ") for line in response.read().decode().splitlines() if line[0] != "#"]
    return {name: float(value) for name, _, value in lines}


def test_metrics_are_those_of_all_workers(tmp_path: Path) -> None:
    with two_workers(tmp_path, TMPDIR=str(tmp_path)) as (server, workers):
        for worker in workers:
            with only(worker, workers):
                post(server, "/reset", {"episode_id": f"of-{worker}"})
                post(server, "/step", {**SCRIPT[0], "episode_id": f"of-{worker}"})
        with connect(server.ws_url) as socket:
            socket.send('{"type": "reset"}')
            socket.recv()
            for worker in workers:
                with only(worker, workers):
                    found = metrics_of(server)
                    assert found['dataselect_steps_total{task="easy"}'] == 2
                    assert (found["dataselect_sessions"], found["dataselect_sessions_max"]) == (1, 512)
                    assert (found["dataselect_live_episodes"], found["dataselect_store_up"]) == (2, 1)
            os.kill(workers[0], signal.SIGKILL)
            wait_until(lambda: f"worker {workers[0]} ended" in server.log)
            with only(workers[1], workers[1:]):
                found = metrics_of(server)
            assert found['dataselect_steps_total{task="easy"}'] == 2
            assert found["dataselect_live_episodes"] == 1
        assert server.terminate() == 0
        assert not list(tmp_path.glob("dataselect-metrics-*"))


def test_the_interrupt_of_a_terminal_stops_all_with_status_0(tmp_path: Path) -> None:
    with two_workers(tmp_path) as (server, workers):
        for process in (*workers, server.process.pid):  # a terminal sends it to all of them
            os.kill(process, signal.SIGINT)
        assert server.process.wait(PATIENCE) == 0
        assert not any(command_of(worker) for worker in workers)
        assert "Traceback" not in server.log


def test_workers_end_with_the_process_that_started_them_and_free_the_port(tmp_path: Path) -> None:
    with two_workers(tmp_path, TMPDIR=str(tmp_path)) as (server, workers):
        assert list(tmp_path.glob("dataselect-metrics-*"))
        server.kill()
        wait_until(lambda: not any(command_of(worker) for worker in workers))
        socket.create_server((LOOPBACK, server.port)).close()
        assert not list(tmp_path.glob("dataselect-metrics-*"))


def test_a_port_in_use_is_an_error_in_the_exit_status(tmp_path: Path) -> None:
    with (
        socket.create_server((LOOPBACK, 0)) as taken,
        pytest.raises(AssertionError, match="ended with status 3"),
        running_server(
            store="sqlite:///episodes.db",
            cwd=tmp_path,
            env={"DATASELECT_WORKERS": "2", "PORT": str(taken.getsockname()[1])},
        ),
    ):
        pass
