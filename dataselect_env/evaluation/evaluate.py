"""Evaluation: policies x tasks x seeds on all cores; the records do not depend on the number of processes.

Every policy plays every task on the same seeds, so that policies can be compared seed by seed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from dataselect_env.core.models import RewardMode
from dataselect_env.core.numbers import as_integer
from dataselect_env.core.tasks import get_task
from dataselect_env.evaluation.journal import EpisodeRecord, Journal, Key, record
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.evaluation.workers import run
from dataselect_env.policies import POLICIES, get_policy, plays
from dataselect_env.policies.policy import AnyPolicy, guarded

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
        tasks = {job.task_id for job in jobs}
        for done in stack.enter_context(closing(run(jobs, play_job, processes=processes, tasks=tasks))):
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
