"""The real server as a subprocess, for tests that need one.

with running_server(store="sqlite:///episodes.db", cwd=tmp_path) as server:
    urllib.request.urlopen(server.base_url + "/health")
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SERVER_PY = (sys.executable, str(ROOT / "server.py"))
LOOPBACK = "127.0.0.1"
START_DEADLINE = 120.0  # seconds until a start counts as failed: only a broken server ever waits so long
STOP_DEADLINE = 60.0
ATTEMPTS = 3  # a port that was free may be taken before the server binds it
allowed = True
"""Whether servers may be started; conftest.py sets it to False for tests that are not marked slow."""

_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open  # loopback goes through no proxy


@dataclass(frozen=True)
class Server:
    """A running server; ``base_url`` has no slash at its end, ``ws_url`` is the address of the WebSocket itself."""

    process: subprocess.Popen[bytes]
    port: int
    log_path: Path

    @property
    def base_url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://{LOOPBACK}:{self.port}/ws"

    @property
    def log(self) -> str:
        """Everything that the server has written so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def get(self, path: str) -> Any:
        """Return the JSON that ``GET path`` answers with."""
        with _open(self.base_url + path, timeout=START_DEADLINE) as reply:
            return json.load(reply)

    def post(self, path: str, data: object) -> Any:
        """Return the JSON that ``POST path`` answers with; raises HTTPError for an error."""
        request = urllib.request.Request(self.base_url + path, json.dumps(data).encode(), method="POST")
        with _open(request, timeout=START_DEADLINE) as reply:
            return json.load(reply)

    def kill(self) -> int:
        """End the server with SIGKILL, as a crash would, and return its exit status."""
        self.process.kill()
        return self.process.wait()

    def terminate(self) -> int:
        """Ask the server to stop with SIGTERM, wait for it, and return its exit status."""
        self.process.terminate()
        return self.process.wait(STOP_DEADLINE)


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def clean_environ() -> dict[str, str]:
    """Return this process's environment without what would change a server or an interpreter started from it."""
    names = ("PORT", "SPACE_HOST", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return {
        name: value for name, value in os.environ.items() if name not in names and not name.startswith("DATASELECT_")
    }


def _until_healthy(server: Server) -> bool:
    """Wait for the first healthy answer; False when the server has ended instead."""
    deadline = time.monotonic() + START_DEADLINE
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            return False
        try:
            if server.get("/health")["status"] == "healthy" and server.process.poll() is None:
                return True
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.02)
    raise AssertionError(f"the server does not answer on {server.base_url}:\n{server.log}")


@contextmanager
def running_server(
    *,
    store: str = "memory:",
    cwd: Path | None = None,
    command: Sequence[str] | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Start the server on a free loopback port, wait until it is healthy, and stop it at the end.

    Args:
        store: Value of DATASELECT_STORE.
        cwd: Working directory; a new temporary one when left out.
        command: What to run; ``python server.py`` of this checkout when left out. DATASELECT_HOST and PORT tell it
            where to listen; for what does not read them, ``{port}`` stands for the port.
        env: Further variables, which win over those set here.

    Raises:
        AssertionError: The server ended or never became healthy; the message has its log. Or the test that asks for a
            server is not marked slow.
    """
    assert allowed, "a test that starts a server should be marked slow"
    with tempfile.TemporaryDirectory(prefix="server-", ignore_cleanup_errors=True) as scratch:
        home = Path(scratch)
        for attempt in range(ATTEMPTS):
            port = free_port()
            log_path = home / f"log-{attempt}"
            with log_path.open("wb") as log:
                process = subprocess.Popen(
                    [part.replace("{port}", str(port)) for part in command or SERVER_PY],
                    cwd=cwd or home,
                    env={
                        **clean_environ(),
                        "DATASELECT_HOST": LOOPBACK,
                        "PORT": str(port),
                        "DATASELECT_STORE": store,
                        **(env or {}),
                    },
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            server = Server(process, port, log_path)
            try:
                if _until_healthy(server):
                    yield server
                    return
                if "address already in use" not in server.log:
                    break
            finally:
                if process.poll() is None:
                    process.terminate()
                    try:
                        process.wait(STOP_DEADLINE)
                    except subprocess.TimeoutExpired:
                        process.kill()
                        process.wait()
        raise AssertionError(f"the server ended with status {process.returncode}:\n{server.log}")
