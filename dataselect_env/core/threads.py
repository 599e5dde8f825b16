"""How many threads are of use: the number of cores, and small matrix products on the calling thread alone.

BLAS libraries divide products among as many threads as there are cores. For the products of a pool's statistics this
doubles the processor time, and on a machine with other work to do, the threads wait for each other.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_lock = threading.Lock()
_running = 0  # calls of functions on one thread
_limits: Any = None  # the limits while there are any


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def on_one_thread(function: Callable[P, T]) -> Callable[P, T]:
    """Return a function during whose calls BLAS libraries use one thread, in the whole process.

    Afterwards they use as many as before. Calls may overlap in time, on different threads, and be nested.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        _enter()
        try:
            return function(*args, **kwargs)
        finally:
            _leave()

    return call


def _enter() -> None:
    global _running, _limits  # noqa: PLW0603  (what it limits is global, too)
    with _lock:
        if not _running:
            _limits = _libraries().limit(limits=1)
        _running += 1


def _leave() -> None:
    global _running  # noqa: PLW0603
    with _lock:
        _running -= 1
        if not _running:
            _limits.restore_original_limits()


@cache
def _libraries() -> Any:
    """Return the BLAS libraries of the process; to find them takes some milliseconds."""
    from threadpoolctl import ThreadpoolController  # noqa: PLC0415  (unused by the built-in tasks)

    return ThreadpoolController().select(user_api="blas")
