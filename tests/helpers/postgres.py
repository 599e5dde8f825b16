"""A PostgreSQL server of one's own, in a temporary folder, for tests and benchmarks.

with running_postgres() as server:
    open_store(server.new_url())
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from tests.helpers.serving import LOOPBACK, free_port

DEBIAN = "/usr/lib/postgresql"
"""Folder of Debian's packages, which leave these programs off the path; it has a folder for each version."""
USERS = ("postgres", "nobody")
"""Accounts that may run PostgreSQL, which refuses to run as root."""
DATABASE = "dataselect"
PASSWORD = "p@ss/w:rd"  # noqa: S105  (characters that an address must encode)
START_DEADLINE = 60.0
INITDB = ("-U", "tester", "--no-sync", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256")
numbers = itertools.count(1)


class NoPostgres(Exception):
    """No PostgreSQL server can be started here; the message says why."""


def programs() -> Path:
    """Return the folder of ``initdb`` and ``postgres``.

    Raises:
        NoPostgres: There is none.
    """
    newest = sorted(Path(DEBIAN).glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    for folder in ([Path(on_path).resolve().parent] if on_path else []) + newest:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise NoPostgres("PostgreSQL's initdb is neither on the path nor where Debian's package puts it")


def account() -> str | None:
    """Return the account that runs the server; None for that of this process.

    Raises:
        NoPostgres: This process is root's, and no other account is there.
    """
    if os.getuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in USERS:
        if name in known:
            return name
    raise NoPostgres("PostgreSQL does not run as root, and there is no account postgres or nobody")


@dataclass
class Postgres:
    """A server on a free port of the loopback interface.

    Attributes:
        folder: Folder with the data, which is removed at the end.
        port: Port.
        process: The process of the server while it runs.
    """

    folder: Path
    port: int
    settings: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def address(self) -> str:
        """User, password, host, port and database, as they stand in a URL."""
        return f"tester:{quote(PASSWORD, safe='')}@{LOOPBACK}:{self.port}/{DATABASE}"

    @property
    def url(self) -> str:
        """URL of the database."""
        return f"postgresql://{self.address}"

    @property
    def log(self) -> str:
        """Everything that the server has written so far."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def new_url(self) -> str:
        """Return the URL of an empty store: a new schema of the database."""
        import psycopg

        name = f"store_{os.getpid()}_{next(numbers)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"{self.url}?options=-csearch_path%3D{name}"

    def start(self) -> None:
        """Start the server, and return when it accepts connections."""
        import psycopg

        command = [str(programs() / "postgres"), "-D", f"{self.folder}/data", "-k", str(self.folder), "-h", LOOPBACK]
        command += ["-p", str(self.port), *(f"-c{setting}" for setting in self.settings)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, user=account(), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_DEADLINE
        while True:
            assert self.process.poll() is None, f"PostgreSQL ended with {self.process.returncode}:\n{self.log}"
            try:
                psycopg.connect(f"{self.url.rpartition('/')[0]}/postgres", connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, f"PostgreSQL does not answer:\n{self.log}"
                time.sleep(0.02)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Hold up all processes of the server: connections stay, and nothing answers. Linux only."""
        assert self.process is not None
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        processes = [pid, *map(int, children)]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in reversed(processes):
                os.kill(process, signal.SIGCONT)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server; by default it closes all connections and exits ("fast shutdown")."""
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(START_DEADLINE)


@contextmanager
def running_postgres(*settings: str) -> Iterator[Postgres]:
    """Start a server with an empty database, and stop it and remove its files at the end.

    Args:
        settings: Settings of the server, as ``name=value``; by default those that suit short tests.

    Raises:
        NoPostgres: No server can be started here.
    """
    if sys.platform == "win32":
        raise NoPostgres("this way of starting PostgreSQL needs Linux or macOS")
    try:
        import psycopg
    except ImportError:
        raise NoPostgres("psycopg is not installed; the extra postgres brings it") from None

    user = account()
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    server = Postgres(folder, free_port(), settings)
    try:
        if user is not None:
            shutil.chown(folder, user)
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        subprocess.run(
            [str(programs() / "initdb"), f"--pgdata={folder}/data", f"--pwfile={folder}/password", *INITDB],
            user=user,
            cwd=folder,
            check=True,
            capture_output=True,
        )
        server.start()
        with psycopg.connect(f"{server.url.rpartition('/')[0]}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
