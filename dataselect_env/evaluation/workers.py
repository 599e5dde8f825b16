"""Workers: one function applied to many jobs, in processes on all cores or on a Ray cluster."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, TypeVar

from dataselect_env.core.tasks import TASKS, Task, register
from dataselect_env.evaluation.cluster import Cluster

THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables that keep a worker to one core: the arrays are small, and threads of several workers would compete."""

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")


def run(
    jobs: Sequence[JobT], function: Callable[[JobT], ResultT], *, processes: int | Cluster, tasks: Collection[str]
) -> Generator[ResultT, None, None]:
    """Yield the result of each job as it finishes, in any order; closing the generator ends the workers at once.

    Args:
        jobs: Picklable jobs.
        function: Function of a module, applied to each job.
        processes: Number of worker processes, or a cluster; 1 runs the jobs in this process, in order.
        tasks: Names of the tasks that the jobs need; custom ones among them are sent to the workers.
    """
    custom = [TASKS[name] for name in tasks if name in TASKS and not TASKS[name].built_in]
    if isinstance(processes, Cluster):
        yield from processes.run(jobs, function, custom)
        return
    if processes == 1:
        yield from map(function, jobs)
        return
    context = _Spawning()
    executor = ProcessPoolExecutor(processes, mp_context=context, initializer=_prepare, initargs=(custom,))
    try:
        with _single_threaded(), _interrupts_held():
            futures = [executor.submit(function, job) for job in jobs]  # which starts the workers
        for future in as_completed(futures):
            yield future.result()
    except BaseException:  # a failure or an interrupt: jobs that run may take minutes
        context.terminate()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


class _Spawning(SpawnContext):
    """Starts processes anew (a fork of a program that has threads may hang), and keeps them to terminate them.

    From Python 3.14 on ``ProcessPoolExecutor.terminate_workers`` does that.
    """

    def __init__(self) -> None:
        self.started: list[SpawnProcess] = []

    def Process(self, *args: Any, **options: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802
        """Return a new process."""
        self.started.append(SpawnProcess(*args, **options))
        return self.started[-1]

    def terminate(self) -> None:
        """End all processes."""
        for process in self.started:
            if process.pid is not None:
                process.terminate()


def _prepare(custom: Iterable[Task]) -> None:
    """Register the parent's custom tasks in a worker process, and leave interrupts to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where _interrupts_held cannot do it
    for task in custom:
        register(task)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back, in this thread until the end of the context, in processes that it starts for good."""
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Limit processes that start in this context to one core each."""
    before = {name: os.environ.get(name) for name in THREAD_LIMITS}
    os.environ.update(dict.fromkeys(THREAD_LIMITS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
