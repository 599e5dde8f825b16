"""Evaluation: policies x tasks x seeds on all cores; the records do not depend on the number of processes.

Every policy plays every task on the same seeds, so that policies can be compared seed by seed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import Any

from dataselect_env.core.models import RewardMode
from dataselect_env.core.numbers import as_integer
from dataselect_env.core.tasks import get_task
from dataselect_env.custom.task_file import TaskRecipe, restore, task_recipes
from dataselect_env.evaluation.journal import EpisodeRecord, Journal, Key, record
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.policies import POLICIES, get_policy, plays
from dataselect_env.policies.policy import AnyPolicy, guarded

THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables that keep a worker to one core: the arrays are small, and threads of several workers would compete."""

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to play.

    Attributes:
        policies: Names as ``policies.get_policy`` takes them, each once.
        tasks: Names of tasks, each once.
        seeds: Seeds of the episodes, each in [0, 2^32), each once.
        reward_mode: ``shaped`` or ``grade``.
        best_constants: For tasks that are not pinned, the policy that plays under the name ``best-constant``.
    """

    policies: tuple[str, ...]
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    reward_mode: RewardMode = "shaped"
    best_constants: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "seeds", tuple(map(as_integer, self.seeds)))  # numpy's integers cannot be recorded

    @property
    def keys(self) -> list[Key]:
        """All episodes, ordered by task, policy and seed; a policy that cannot play a task is left out there."""
        return [
            (policy, task, seed)
            for task in self.tasks
            for policy in self.policies
            if plays(policy, get_task(task))
            for seed in self.seeds
        ]

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True, slots=True)
class Job:
    """The episodes of one seed on one task: they share a data set."""

    policies: tuple[str, ...]
    task_id: str
    seed: int
    reward_mode: RewardMode
    best_constant: str | None = None


def evaluate(
    plan: Plan, *, processes: int = 1, resume: Path | None = None, progress: Progress | None = None
) -> list[EpisodeRecord]:
    """Play all episodes of a plan.

    Args:
        plan: What to play.
        processes: Number of worker processes; 1 plays in this process. The records do not depend on it.
        resume: File that keeps finished episodes. Episodes of the plan that it already holds are not played again.
        progress: Called with the number of episodes finished since the last call; these add up to ``len(plan)``.

    Returns:
        One record for each of ``plan.keys``, in that order.

    Raises:
        EnvError: There is no such policy or task, or a policy returned something that is not an action.
        PolicyError: A user's own policy failed.
        JournalError: ``resume`` cannot be read or written, or is not the file of such an evaluation.
    """
    for name in plan.policies:
        get_policy(name)  # a misspelt name fails before anything is played
    with ExitStack() as stack:
        journal = stack.enter_context(Journal(resume, plan.reward_mode)) if resume is not None else None
        records = dict(journal.records) if journal is not None else {}
        jobs = jobs_of(plan, records)
        if progress is not None:
            progress(len(plan) - sum(len(job.policies) for job in jobs))
        for done in stack.enter_context(closing(_play_all(jobs, processes))):
            records |= {one.key: one for one in done}
            if journal is not None:
                journal.add(done)
            if progress is not None:
                progress(len(done))
    return [records[key] for key in plan.keys]


def jobs_of(plan: Plan, done: Collection[Key]) -> list[Job]:
    """Return the jobs for all episodes of a plan that are not in ``done``."""
    jobs = []
    for seed in plan.seeds:
        for task_id in plan.tasks:
            policies = tuple(
                name for name in plan.policies if plays(name, get_task(task_id)) and (name, task_id, seed) not in done
            )
            if policies:
                best = plan.best_constants.get(task_id)
                jobs.append(Job(policies, task_id, seed, plan.reward_mode, best))
    return jobs


def play_job(job: Job) -> list[EpisodeRecord]:
    """Play the episodes of a job."""
    players = {name: job.best_constant if name == "best-constant" else None for name in job.policies}
    return [
        record(name, rollout(_policy(player or name), job.task_id, job.seed, reward_mode=job.reward_mode))
        for name, player in players.items()
    ]


@cache
def _policy(name: str) -> AnyPolicy:
    policy = get_policy(name)
    return policy if name in POLICIES else guarded(policy)


def _play_all(jobs: list[Job], processes: int) -> Generator[list[EpisodeRecord], None, None]:
    """Yield the records of each job as it finishes, in any order; closing it ends the workers at once."""
    if processes == 1:
        yield from map(play_job, jobs)
        return
    tasks = {job.task_id for job in jobs}
    needed = tuple(recipe for recipe in task_recipes() if recipe.name in tasks)
    context = _Spawning()
    executor = ProcessPoolExecutor(processes, mp_context=context, initializer=_prepare, initargs=(needed,))
    try:
        with _single_threaded(), _interrupts_held():
            futures = [executor.submit(play_job, job) for job in jobs]  # which starts the workers
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


def _prepare(custom_tasks: tuple[TaskRecipe, ...]) -> None:
    """Register the parent's own tasks in a worker process, and leave interrupts to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where _interrupts_held cannot do it
    restore(custom_tasks)


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
