"""Threads beside the event loop, for work that may take more than some milliseconds; few, so that they share the cores.

Work waits in the order in which it comes. There is never more of it than connections, each of which waits for its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, Generic, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from dataselect_env.core.tasks import Task

P = ParamSpec("P")
T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


class Lane:
    """A number of threads for one kind of work; they start when they are needed.

    Args:
        name: Start of the threads' names.
        threads: How many there are.
    """

    def __init__(self, name: str, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the result of a function that runs on a thread; it is not stopped when the caller is cancelled.

        Raises:
            Exception: Whatever the function raised.
        """
        work = partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._pool, copy_context().run, work)


PLAY = Lane("play", 2)
"""Steps, resets and replays that take long."""
SHOW = Lane("show", 1)
"""Views, lists and documents."""
REPORT = Lane("report", 1)
"""Reports that take seconds or minutes."""


def is_quick(task: Task) -> bool:
    """Return whether the event loop itself plays a task: a step takes less than a millisecond, a reset some."""
    return task.pinned and not task.extra_strategies


SPACING = 5
"""Turns of the event loop between pieces of work; a request over a new connection takes about as many."""


class Turns:
    """Turns of short work on the event loop: between the pieces of it, the loop serves others."""

    def __init__(self) -> None:
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    async def next(self) -> None:
        """Return when the next piece may be done, in the order of the calls."""
        async with self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            for _ in range(SPACING):
                await asyncio.sleep(0)


class Once(Generic[K, T]):
    """Work that is done once for all who ask for it at the same time."""

    def __init__(self) -> None:
        self._running: dict[K, asyncio.Future[T]] = {}

    async def run(self, key: K, work: Callable[[], Awaitable[T]]) -> T:
        """Return the result of ``work``, or of that which is running under the same key.

        Work goes on when a caller is cancelled; others may wait for it.

        Raises:
            Exception: Whatever the work raised.
        """
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = asyncio.ensure_future(work())
            running.add_done_callback(lambda done: self._end(key, done))
        return await asyncio.shield(running)

    def _end(self, key: K, done: asyncio.Future[Any]) -> None:
        del self._running[key]
        if not done.cancelled():
            done.exception()  # marks it as seen: all callers may have been cancelled
