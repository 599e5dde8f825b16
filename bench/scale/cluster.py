"""Servers on one machine that share a PostgreSQL store, behind nginx."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click

from tests.helpers.postgres import Postgres, running_postgres
from tests.helpers.serving import LOOPBACK, SERVER_PY, clean_environ, free_port

CONFIGURATION = Path(__file__).with_name("nginx.conf")
START_DEADLINE = 60.0
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open  # loopback goes through no proxy


@dataclass
class Replica:
    """A server process that can be ended and started again on the same port.

    Attributes:
        store: URL of its store.
        log_path: File of its log.
        port: Where it listens.
    """

    store: str
    log_path: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process."""
        names = {"DATASELECT_HOST": LOOPBACK, "PORT": str(self.port), "DATASELECT_STORE": self.store}
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                SERVER_PY,
                env={**clean_environ(), **ONE_THREAD, **names, "DATASELECT_LOG_LEVEL": "warning"},
                cwd=self.log_path.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def until_ready(self) -> None:
        """Wait until the server is ready.

        Raises:
            click.ClickException: It has ended, or takes too long.
        """
        deadline = time.monotonic() + START_DEADLINE
        while not is_ready(self.port):
            if self.running.poll() is not None or time.monotonic() > deadline:
                raise click.ClickException(f"a server did not start:\n{self.log_path.read_text()}")
            time.sleep(0.02)

    @property
    def running(self) -> subprocess.Popen[bytes]:
        """The process."""
        assert self.process is not None  # noqa: S101
        return self.process

    def end(self) -> None:
        """Ask the process to stop, and wait for it."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(START_DEADLINE)


@dataclass
class Cluster:
    """Servers, their database and their balancer.

    Attributes:
        port: Where nginx listens.
        url: URL of the store.
    """

    replicas: list[Replica]
    database: Postgres
    nginx: subprocess.Popen[bytes]
    port: int
    url: str

    @property
    def base_url(self) -> str:
        """Address of nginx."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def ws_url(self) -> str:
        """Address of the WebSocket behind nginx."""
        return f"ws://{LOOPBACK}:{self.port}/ws"

    @property
    def logs(self) -> str:
        """What the servers have written: warnings and errors."""
        return "".join(replica.log_path.read_text() for replica in self.replicas)


def is_ready(port: int) -> bool:
    """Return whether the server at a port answers that it is ready."""
    try:
        with _open(f"http://{LOOPBACK}:{port}/ready", timeout=5) as reply:
            return bool(json.load(reply))
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


@contextmanager
def running_cluster(count: int) -> Iterator[Cluster]:
    """Start PostgreSQL, servers and nginx; stop all of them at the end.

    Raises:
        NoPostgres: PostgreSQL cannot be started here.
        click.ClickException: nginx is not installed, or a server did not start.
    """
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        raise click.ClickException("nginx is not installed; Debian's package is called nginx")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scale-", ignore_cleanup_errors=True)))
        folder.chmod(0o755)  # nginx's workers have another account
        database = stack.enter_context(running_postgres())
        url = database.new_url()
        replicas = [Replica(url, folder / f"server-{number}.log") for number in range(count)]
        for replica in replicas:
            stack.callback(replica.end)
            replica.start()
        for replica in replicas:
            replica.until_ready()
        port = free_port()
        nginx = subprocess.Popen([program, "-p", str(folder), "-c", str(_configure(folder, port, replicas))])
        stack.callback(nginx.wait)
        stack.callback(nginx.terminate)
        while not is_ready(port):
            time.sleep(0.02)
        yield Cluster(replicas, database, nginx, port, url)


def _configure(folder: Path, port: int, replicas: list[Replica]) -> Path:
    """Write the configuration of nginx, and return its path."""
    servers = "\n".join(f"        server {LOOPBACK}:{one.port} max_fails=1 fail_timeout=1s;" for one in replicas)
    text = CONFIGURATION.read_text(encoding="utf-8")
    for name, value in (("FOLDER", str(folder)), ("SERVERS", servers), ("PORT", str(port))):
        text = text.replace(name, value)
    path = folder / "nginx.conf"
    path.write_text(text, encoding="utf-8")
    return path
