"""Group commit: what is ready to be written in one turn of the event loop is committed in one transaction.

A commit to a write-ahead log costs some tens of microseconds, less than a thread would cost, and so it is made on the
event loop. Everything that may take longer goes to a thread: waiting for another process that is writing, and bringing
the log into the database, which synchronises the disk. The loop waits for neither.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

logger = logging.getLogger(__name__)

Change = Callable[[sqlite3.Connection], None]
"""Executes statements, once or again from the start; raises to have undone what it did."""

Outcome = Exception | None
"""What a change raised; None where it is committed."""

CHECKPOINT_EVERY = 500
"""Transactions after which the log goes into the database: it stays at some megabytes."""


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    """A change, and who waits for it."""

    change: Change
    done: asyncio.Future[None]

    def settle(self, outcome: Outcome) -> None:
        """Tell the waiter; on its event loop."""
        if self.done.done():
            return  # it was cancelled
        if outcome is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(outcome)


class Committer:
    """Commits changes of one database; for any number of event loops.

    Args:
        connection: In autocommit mode, usable on any thread, and with no patience: where another connection is writing
            it fails at once.
        patient: Another connection to the same database that waits then. None for a database that no other connection
            writes to.
        lock: Held while ``connection`` is in use.
    """

    def __init__(
        self, connection: sqlite3.Connection, patient: sqlite3.Connection | None, lock: threading.RLock
    ) -> None:
        self._connection = connection
        self._patient = patient
        self._lock = lock
        self._transactions = 0
        self._gathered: dict[asyncio.AbstractEventLoop, list[_Request]] = {}
        self._waiting: deque[_Request] = deque()  # for the thread
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")

    async def make(self, change: Change) -> None:
        """Make a change; on return it is committed.

        A change that raises, or that the database refuses, is undone alone. Where the transaction as a whole fails, no
        change of it was made, and every waiter is told so.

        Raises:
            sqlite3.Error: The database did not take it, or is closed.
            Exception: Whatever ``change`` raised.
        """
        loop = asyncio.get_running_loop()
        request = _Request(change, loop.create_future())
        gathered = self._gathered.setdefault(loop, [])
        gathered.append(request)
        if len(gathered) == 1:
            loop.call_soon(self._commit_gathered, loop)  # after whatever else is ready in this turn
        await request.done

    def close(self) -> None:
        """Commit what the thread waits with, and end it."""
        self._thread.shutdown()

    def _commit_gathered(self, loop: asyncio.AbstractEventLoop) -> None:
        requests = self._gathered.pop(loop)
        try:
            with self._lock:
                outcomes = _commit(self._connection, requests)
        except Exception as error:
            if self._patient is not None and _is_busy(error):
                self._waiting += requests
                self._thread.submit(self._commit_patiently, self._patient)
                return
            outcomes = [error] * len(requests)
        for request, outcome in zip(requests, outcomes, strict=True):
            request.settle(outcome)
        self._transactions += 1
        if self._patient is not None and self._transactions % CHECKPOINT_EVERY == 0:
            self._thread.submit(_checkpoint, self._patient)

    def _commit_patiently(self, connection: sqlite3.Connection) -> None:
        """Commit all that has come to wait while the thread waited; on the thread."""
        requests = [self._waiting.popleft() for _ in range(len(self._waiting))]
        outcomes: Sequence[Outcome]
        try:
            outcomes = _commit(connection, requests) if requests else []
        except Exception as error:
            outcomes = [error] * len(requests)
        for request, outcome in zip(requests, outcomes, strict=True):
            with suppress(RuntimeError):  # its event loop has ended
                request.done.get_loop().call_soon_threadsafe(request.settle, outcome)


def _commit(connection: sqlite3.Connection, requests: Sequence[_Request]) -> list[Outcome]:
    """Make the changes in one transaction.

    Raises:
        sqlite3.Error: None of them was made.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        outcomes = [_make(connection, request.change) for request in requests]
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return outcomes


def _is_busy(error: Exception) -> bool:
    """Tell whether another connection was writing; SQLite's own codes are in the lowest byte."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _make(connection: sqlite3.Connection, change: Change) -> Outcome:
    """Make one change, or undo it alone."""
    connection.execute("SAVEPOINT change")
    try:
        change(connection)
    except Exception as error:
        if not connection.in_transaction:  # SQLite has given up the whole transaction
            raise
        connection.execute("ROLLBACK TO change")
        connection.execute("RELEASE change")
        return error
    connection.execute("RELEASE change")
    return None


def _checkpoint(connection: sqlite3.Connection) -> None:
    """Bring the log into the database and begin it anew; on the thread. Who writes meanwhile waits there too."""
    try:
        connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    except sqlite3.Error:
        logger.exception("the log of the episode store could not be brought into it; it is tried again later")
