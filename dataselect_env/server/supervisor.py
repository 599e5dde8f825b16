"""Worker processes: started together, replaced when they die or hang, stopped with the server."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

logger = logging.getLogger(__name__)

STARTUP_FAILURE = 3
"""Exit status of a server that could not start; uvicorn's workers use the same."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before a dead worker is replaced; they double with each death in a row."""
STEADY_SECONDS = 60.0
"""A worker that lived longer is replaced at once, and the pauses start again at the shortest."""

CHECKS = 4
"""Checks of a worker in the time after which a silent one is killed."""

CONTEXT = multiprocessing.get_context("spawn")  # a fork of a program that has threads may hang

Target = Callable[..., None]
"""Serves until SIGTERM; its last argument is a function to call once it is serving, in its event loop."""


class Worker:
    """One worker process.

    Args:
        target: What it runs; a function of a module.
        args: Arguments of ``target``; they are pickled.
        patience: Seconds that it has to stop when the process that started it has been killed.
        timeout: Seconds of silence after which it counts as hung.
    """

    def __init__(self, target: Target, args: tuple[Any, ...], patience: float, timeout: float) -> None:
        self._started = False
        self._interval = timeout / CHECKS
        self._receiver, sender = CONTEXT.Pipe(duplex=False)
        self.process = CONTEXT.Process(target=_run_worker, args=(target, args, sender, patience, self._interval))
        self.process.start()
        sender.close()

    def has_started(self) -> bool:
        """Return whether the worker was serving at any time."""
        self._hear()
        return self._started

    async def wait(self) -> bool:
        """Return True when the process has ended, and False when its event loop seems to hang.

        Checks are counted and not timed: after a pause of the whole machine the worker has time to report again.
        """
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self.process.sentinel, ended.set)
        silent = 0
        try:
            while silent < CHECKS:
                try:
                    await asyncio.wait_for(ended.wait(), self._interval)
                except TimeoutError:
                    silent = 0 if self._hear() or not self._started else silent + 1
                else:
                    self.process.join()
                    return True
        finally:
            loop.remove_reader(self.process.sentinel)
        return False

    def _hear(self) -> bool:
        """Return whether the worker has reported since the last call."""
        heard = False
        with suppress(EOFError):  # it has died
            while self._receiver.poll():
                self._receiver.recv_bytes()
                self._started = heard = True
        return heard


class Supervisor:
    """Keeps a number of worker processes running until SIGTERM or SIGINT.

    A dead worker is noticed at once and replaced, after a pause if it did not live long; the others keep serving. One
    whose event loop hangs is killed first. If the supervisor is killed, its workers stop.

    Args:
        target: What each worker runs.
        args: Arguments of ``target``.
        count: Number of workers.
        patience: Seconds that the workers have to stop; what still runs then is killed.
        timeout: Seconds after which a worker that served and does not respond is killed.
        on_exit: Called with the process id of each worker that has ended.
    """

    def __init__(
        self,
        target: Target,
        args: tuple[Any, ...],
        *,
        count: int,
        patience: float,
        timeout: float,
        on_exit: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._target, self._args = target, args
        self._count = count
        self._patience = patience
        self._timeout = timeout
        self._on_exit = on_exit
        self._running: dict[int, Worker] = {}  # by slot
        self._failed: set[int] = set()  # slots whose workers died before they served
        self._has_served = False
        self._stopping = asyncio.Event()
        self._status = 0

    def run(self) -> int:
        """Run the workers; return 0 after a clean stop, 1 when workers were killed, 3 when none could start."""
        return asyncio.run(self._run())

    async def _run(self) -> int:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        loop.add_signal_handler(signal.SIGINT, lambda: self._kill() if self._stopping.is_set() else self._stop())
        await asyncio.gather(*(self._keep(slot) for slot in range(self._count)))
        return self._status

    async def _keep(self, slot: int) -> None:
        """Keep a worker running in one slot until the server stops."""
        pause = 0.0
        while not self._stopping.is_set():
            began = time.monotonic()
            await self._run_one(slot)
            if time.monotonic() - began > STEADY_SECONDS:
                pause = 0.0
            else:
                pause = min(max(FIRST_PAUSE, pause * 2), LONGEST_PAUSE)
            await self._sleep(pause)

    async def _run_one(self, slot: int) -> None:
        """Start a worker, and return when it has ended."""
        try:
            worker = Worker(self._target, self._args, self._patience, self._timeout)
        except OSError:  # out of memory or processes, say
            logger.exception("a worker could not be started")
            return
        self._running[slot] = worker
        while not await worker.wait():
            if not self._stopping.is_set():
                logger.error("worker %s has not responded for %g s and is killed", worker.process.pid, self._timeout)
                worker.process.kill()
        del self._running[slot]
        self._on_exit(worker.process.pid or 0)
        if not self._stopping.is_set():
            self._note_death(slot, worker)

    def _note_death(self, slot: int, worker: Worker) -> None:
        """Log the death of a worker, and stop when no worker can start at all."""
        logger.error("worker %s ended with status %s", worker.process.pid, worker.process.exitcode)
        if not worker.has_started():
            self._failed.add(slot)
        self._has_served |= worker.has_started() or any(one.has_started() for one in self._running.values())
        if not self._has_served and len(self._failed) == self._count:
            logger.error("no worker could start")
            self._status = STARTUP_FAILURE
            self._stop()

    def _stop(self) -> None:
        """Stop all workers, and kill those that take too long."""
        self._stopping.set()
        for worker in self._running.values():
            worker.process.terminate()
        asyncio.get_running_loop().call_later(self._patience, self._kill)

    def _kill(self) -> None:
        for worker in self._running.values():
            logger.error("worker %s has not stopped and is killed", worker.process.pid)
            worker.process.kill()
            self._status = self._status or 1

    async def _sleep(self, seconds: float) -> None:
        """Sleep, unless the server is stopping."""
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return


def _run_worker(target: Target, args: tuple[Any, ...], sender: Connection, patience: float, interval: float) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the supervisor stops us
    threading.Thread(target=_stop_with_parent, args=(patience,), daemon=True).start()
    os.set_blocking(sender.fileno(), False)
    target(*args, partial(_report, sender, interval))


def _report(sender: Connection, interval: float) -> None:
    """Report to the supervisor that the event loop runs, now and in regular intervals."""
    with suppress(OSError):  # the supervisor has ended, or does not read
        sender.send_bytes(b"running")
    asyncio.get_running_loop().call_later(interval, _report, sender, interval)


def _stop_with_parent(patience: float) -> None:
    """Stop this process once the one that started it has ended; after ``patience`` seconds kill it."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101  (this is a worker)
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(patience)
    os.kill(os.getpid(), signal.SIGKILL)


def parent_is_alive() -> bool:
    """Return whether the supervisor of this worker is alive."""
    parent = multiprocessing.parent_process()
    return parent is not None and parent.is_alive()
