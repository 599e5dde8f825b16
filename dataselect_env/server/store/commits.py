"""Group commit: changes that are ready in the same turn of the event loop share a transaction.

A commit to a write-ahead log takes some tens of microseconds, less than a switch to a thread, so it runs on the event
loop. A thread does what may take longer: waiting for another process that is writing, the removal of episodes,
checkpoints, and commits that wait for the disk. The loop waits for none of them.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

logger = logging.getLogger(__name__)

Change = Callable[[sqlite3.Connection], None]
"""Executes statements inside a transaction. May run twice, the first run rolled back; may raise to be rolled back."""

CHECKPOINT_EVERY = 500
"""Transactions between checkpoints; they keep the log at a few megabytes."""
CHECKPOINT_PATIENCE = 100
"""Milliseconds that a checkpoint keeps writers waiting for readers: a small part of the time that a writer waits."""


@dataclass(slots=True, eq=False)
class _Request:
    """A change and the future of its caller."""

    change: Change
    done: asyncio.Future[None]

    def settle(self, error: Exception | None) -> None:
        """Report the outcome to the caller; on the caller's event loop."""
        if self.done.done():
            return  # the caller was cancelled
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


class Committer:
    """Commits changes to one database, from any number of event loops.

    Args:
        connection: In autocommit mode, usable on any thread, with a busy timeout of 0.
        patient: Another connection to the same database, with a busy timeout; takes over while another process
            writes. None for a database that no other connection writes to.
        lock: Held while ``connection`` is in use.
        check: Called before each commit; rolls it back by raising an exception.
        on_thread: Whether all commits are made by ``patient`` on the thread.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        patient: sqlite3.Connection | None,
        lock: threading.RLock,
        check: Callable[[], None] = lambda: None,
        *,
        on_thread: bool = False,
    ) -> None:
        self._connection = connection
        self._patient = patient
        self._lock = lock
        self._check = check
        self._on_thread = on_thread
        self._transactions = 0
        self._gathered: dict[asyncio.AbstractEventLoop, list[_Request]] = {}
        self._queued: deque[_Request] = deque()  # for the thread
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")

    def make(self, change: Change, *, beside: bool = False) -> asyncio.Future[None]:
        """Make a change; it is committed when the future that is returned is done.

        A change that fails leaves no trace, and the changes that share its transaction are committed.

        Args:
            change: The change.
            beside: Whether the thread makes it, if there is a patient connection, because it takes long.

        Raises, when the future is awaited:
            sqlite3.Error: The database refused the change, cannot be written, or is closed.
            Exception: Whatever ``change`` raised.
        """
        loop = asyncio.get_running_loop()
        request = _Request(change, loop.create_future())
        if beside and self._patient is not None:
            self._queued.append(request)
            self._go_on(self._patient)
        else:
            gathered = self._gathered.setdefault(loop, [])
            gathered.append(request)
            if len(gathered) == 1:
                loop.call_soon(self._commit_gathered, loop)  # after whatever else is ready in this turn
        return request.done

    def checkpoint(self) -> Future[None] | None:
        """Start to copy the log into the database; return None for a database without a log."""
        return None if self._patient is None else self._thread.submit(_checkpoint, self._patient)

    def close(self) -> None:
        """Commit what the thread has queued, and end the thread."""
        self._thread.shutdown()

    def _commit_gathered(self, loop: asyncio.AbstractEventLoop) -> None:
        requests = self._gathered.pop(loop)
        if self._on_thread:
            self._queued.extend(requests)
        else:
            self._commit_now(requests)
        if self._patient is not None:
            self._go_on(self._patient)

    def _go_on(self, patient: sqlite3.Connection) -> None:
        """Let the thread commit what is queued, and make a checkpoint now and then."""
        try:
            if self._queued:
                self._thread.submit(self._commit_queued, patient)
        except RuntimeError:  # the thread has ended
            while self._queued:
                self._queued.popleft().settle(sqlite3.ProgrammingError("the database is closed"))
            return
        self._transactions += 1
        if self._transactions % CHECKPOINT_EVERY == 0:
            self.checkpoint()

    def _commit_now(self, requests: list[_Request]) -> None:
        """Commit on the event loop; queue the changes if another process is writing."""
        with self._lock:
            outcomes = self._commit(self._connection, requests)
        for request, error in zip(requests, outcomes, strict=True):
            if self._patient is not None and _is_busy(error):
                self._queued.append(request)
            else:
                request.settle(error)

    def _commit_queued(self, connection: sqlite3.Connection) -> None:
        """Commit all queued changes; on the thread."""
        requests = [self._queued.popleft() for _ in range(len(self._queued))]
        for request, error in zip(requests, self._commit(connection, requests), strict=True):
            with suppress(RuntimeError):  # its event loop has ended
                request.done.get_loop().call_soon_threadsafe(request.settle, error)

    def _commit(self, connection: sqlite3.Connection, requests: Sequence[_Request]) -> list[Exception | None]:
        """Make the changes in one transaction; where that fails, each in its own. Return the error of each, or None."""
        if not requests:
            return []
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                for request in requests:
                    request.change(connection)
                self._check()
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except Exception as error:
            if len(requests) == 1 or _is_busy(error):
                return [error] * len(requests)
            return [outcome for request in requests for outcome in self._commit(connection, [request])]
        return [None] * len(requests)


def _is_busy(error: Exception | None) -> bool:
    """Return whether another connection was writing; SQLite's primary codes are in the lowest byte."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _checkpoint(connection: sqlite3.Connection) -> None:
    """Copy the log into the database and start it anew; on the thread.

    Most is copied while others may write. They cannot while the log is started anew, which waits for readers.
    """
    (patience,) = connection.execute("PRAGMA busy_timeout").fetchone()
    try:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        connection.execute(f"PRAGMA busy_timeout = {CHECKPOINT_PATIENCE:d}")
        connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    except sqlite3.Error as error:
        logger.warning("the checkpoint of the episode store failed: %s; it is tried again later", error)
    finally:
        connection.execute(f"PRAGMA busy_timeout = {patience:d}")
