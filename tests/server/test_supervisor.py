"""The supervisor of worker processes, with workers that do little."""

import subprocess
import sys
from pathlib import Path

from tests.helpers.serving import ROOT, clean_environ

SCRIPT = """
import asyncio, os, signal, sys, time
from dataselect_env.server.supervisor import Supervisor

def fail(on_start):
    sys.exit(7)

def start(on_start, serve):
    async def main():
        on_start()
        await serve()
    asyncio.run(main())

def die_soon(on_start):
    start(on_start, lambda: asyncio.sleep(0))

async def hang():
    time.sleep(60)

def hang_or_serve(marker, on_start):
    if not os.path.exists(marker):  # the first one
        open(marker, "w").close()
        start(on_start, hang)
    else:
        start(on_start, serve_on)

async def serve_on():
    await asyncio.sleep(3)  # longer than the timeout: it responds, and is not killed
    os.kill(os.getppid(), signal.SIGTERM)
    await asyncio.sleep(60)

def stay(on_start):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    start(on_start, lambda: asyncio.sleep(0))
    os.kill(os.getppid(), signal.SIGTERM)
    while True:
        time.sleep(60)

def stay_alone(on_start):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.kill(os.getppid(), signal.SIGKILL)
    while True:
        time.sleep(60)

class Hurried(Supervisor):
    pauses = []

    async def _sleep(self, seconds):
        self.pauses.append(seconds)
        if len(self.pauses) == 8:
            os.kill(os.getpid(), signal.SIGTERM)
            await super()._sleep(60)

if __name__ == "__main__":
    supervisor = (SUPERVISOR)
    status = supervisor.run()
    print(getattr(supervisor, "pauses", ""))
    sys.exit(status)
"""


def supervise(folder: Path, supervisor: str) -> subprocess.CompletedProcess[str]:
    path = folder / "script.py"
    path.write_text(SCRIPT.replace("SUPERVISOR", supervisor))
    return subprocess.run(
        [sys.executable, str(path)],
        env={**clean_environ(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_where_no_worker_can_start_the_status_says_so(tmp_path: Path) -> None:
    done = supervise(tmp_path, "Supervisor(fail, (), count=2, patience=60, timeout=60)")
    assert done.returncode == 3, done.stderr
    assert "no worker could start" in done.stderr
    assert "status 7" in done.stderr


def test_a_worker_that_served_and_dies_is_replaced_after_growing_pauses(tmp_path: Path) -> None:
    done = supervise(tmp_path, "Hurried(die_soon, (), count=1, patience=60, timeout=60)")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str([0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0])


def test_a_worker_that_hangs_is_replaced_and_one_that_responds_is_not(tmp_path: Path) -> None:
    marker = str(tmp_path / "hung")
    done = supervise(tmp_path, f"Supervisor(hang_or_serve, ({marker!r},), count=1, patience=60, timeout=2)")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("has not responded for 2 s and is killed") == 1
    assert done.stderr.count("ended with status") == 1


def test_a_worker_that_does_not_stop_is_killed_and_the_status_says_so(tmp_path: Path) -> None:
    done = supervise(tmp_path, "Supervisor(stay, (), count=1, patience=0.1, timeout=60)")
    assert done.returncode == 1, done.stderr
    assert "is killed" in done.stderr


def test_a_worker_that_does_not_stop_with_its_supervisor_is_killed(tmp_path: Path) -> None:
    done = supervise(
        tmp_path, "Supervisor(stay_alone, (), count=1, patience=0.1, timeout=60)"
    )  # waits for the worker's output
    assert done.returncode == -9, done.stderr
