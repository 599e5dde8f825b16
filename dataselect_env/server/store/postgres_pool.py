"""Connections to PostgreSQL that outlast its restarts.

What fails because a connection was lost runs again on another one, after pauses that grow, for a few seconds. So a
restart or a failover of the database delays requests, and fails only those that would have to wait for longer.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import psycopg
from psycopg.errors import ReadOnlySqlTransaction
from psycopg_pool import AsyncConnectionPool, PoolClosed

T = TypeVar("T")
Connection = psycopg.AsyncConnection[tuple[Any, ...]]

CONNECTIONS = 4
"""Most connections of a process; 100 processes have 400."""
PATIENCE = 5.0
"""Seconds for which an operation is tried."""
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 1.0
"""Seconds before an operation is tried again; they double each time."""
RECONNECT_TIMEOUT = 2.0
"""Seconds after which the pool gives up a connection attempt; the next operation begins another."""
LOST = ("08", "57P")
"""Starts of the SQLSTATE codes of lost connections and of shutdowns."""
TRANSIENT = (*LOST, "40")
"""Starts of the SQLSTATE codes of errors that pass, conflicts of transactions among them."""

logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # a line for each attempt; the store has its own lines


class OutcomeUnknown(psycopg.OperationalError):
    """The connection was lost after a statement was sent, and the database did not come back in time."""


class Connections:
    """A pool of connections in autocommit mode, for one event loop at a time: on another loop it connects anew.

    Args:
        info: Connection string of libpq.
        patience: Seconds for which an operation is tried.
    """

    def __init__(self, info: str, patience: float = PATIENCE) -> None:
        self._info = info
        self._patience = patience
        self._pool: AsyncConnectionPool[Connection] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._is_closed = False

    async def run(
        self,
        operation: Callable[[Connection], Awaitable[T]],
        *,
        writes: bool = False,
        patience: float | None = None,
    ) -> T:
        """Return the result of an operation, which runs again if a connection is lost.

        Args:
            operation: Executes one statement, or a transaction, that may be executed twice.
            writes: Whether it matters if the database has executed a statement whose answer is lost.
            patience: Seconds for which it is tried; by default those of all operations.

        Raises:
            OutcomeUnknown: It is not known whether the database has executed a write.
            psycopg.Error: The database refused the operation, cannot be reached, or the pool is closed; it had no
                effect.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self._patience if patience is None else patience)
        pause, was_sent = FIRST_PAUSE, False
        while True:
            attempt = _Attempt(operation, deadline)
            try:
                return await attempt.run(await self._open_pool())
            except PoolClosed:
                raise
            except psycopg.Error as error:
                was_sent |= attempt.was_lost(error)
                wait = pause * random.uniform(0.5, 1)  # noqa: S311  (servers should not come back all at once)
                if not _may_pass(error) or loop.time() + wait >= deadline:
                    if writes and was_sent:
                        raise OutcomeUnknown(*error.args) from error
                    raise
            await asyncio.sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def close(self) -> None:
        """Close all connections; operations raise PoolClosed from now on."""
        self._is_closed = True
        if self._closing is not None and self._closing.get_loop() is asyncio.get_running_loop():
            self._closing.cancel()
            await asyncio.wait([self._closing])

    async def _open_pool(self) -> AsyncConnectionPool[Connection]:
        if self._is_closed:
            raise PoolClosed("the store is closed")
        loop = asyncio.get_running_loop()
        if self._pool is None or self._closing is None or self._closing.get_loop() is not loop:
            pool = self._pool = AsyncConnectionPool(
                self._info,
                min_size=1,
                max_size=CONNECTIONS,
                kwargs={"autocommit": True},
                reconnect_timeout=RECONNECT_TIMEOUT,
                open=False,
            )
            self._closing = loop.create_task(_close_when_cancelled(pool))
            await pool.open()
        return self._pool


async def _close_when_cancelled(pool: AsyncConnectionPool[Connection]) -> None:
    """Wait to be cancelled, as all tasks are when their event loop ends, and close a pool.

    The pool's own tasks may survive when they are cancelled, and would keep the loop from ending.
    """
    try:
        await asyncio.Event().wait()
    finally:
        await pool.close()


async def rows_of(connection: Connection, query: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
    """Return the rows that a query gives."""
    return await (await connection.execute(query.encode(), parameters)).fetchall()


class _Attempt(Generic[T]):
    """One execution of an operation.

    Args:
        operation: The operation.
        deadline: Time of the event loop at which it must have ended.
    """

    def __init__(self, operation: Callable[[Connection], Awaitable[T]], deadline: float) -> None:
        self._operation = operation
        self._deadline = deadline
        self._was_sent = False

    async def run(self, pool: AsyncConnectionPool[Connection]) -> T:
        """Run the operation on a connection of the pool, which replaces the connection if it cannot be used again."""
        loop = asyncio.get_running_loop()
        connection = await pool.getconn(min(LONGEST_PAUSE, self._deadline - loop.time()))
        timer = loop.call_at(self._deadline, _cut, connection)
        try:
            self._was_sent = True
            return await self._operation(connection)
        except psycopg.OperationalError as error:
            if error.sqlstate is None and loop.time() >= self._deadline:
                raise psycopg.OperationalError("the database did not answer in time") from error
            raise
        except ReadOnlySqlTransaction:  # of a server that is no longer the primary
            connection.pgconn.finish()
            raise
        finally:
            timer.cancel()
            await pool.putconn(connection)

    def was_lost(self, error: psycopg.Error) -> bool:
        """Return whether the statement was sent and the error does not say what became of it."""
        return self._was_sent and (not error.sqlstate or error.sqlstate.startswith(LOST))


def _cut(connection: Connection) -> None:
    """Cut a connection to a server that does not answer; what waits for the answer gets an error at once.

    A cancelled operation would first ask the server to cancel it, and wait for that answer too.
    """
    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        same.shutdown(socket.SHUT_RDWR)


def _may_pass(error: psycopg.Error) -> bool:
    """Return whether the operation may succeed on another connection, or a little later."""
    if isinstance(error, ReadOnlySqlTransaction):
        return True
    return isinstance(error, psycopg.OperationalError) and (not error.sqlstate or error.sqlstate.startswith(TRANSIENT))
