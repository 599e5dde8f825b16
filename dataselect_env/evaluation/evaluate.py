"""Evaluation: policies x tasks x seeds on all cores; the records do not depend on the number of processes.

Every policy plays every task on the same seeds, so that policies can be compared seed by seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from dataselect_env.core.models import RewardMode
from dataselect_env.core.numbers import as_integer
from dataselect_env.core.tasks import get_task
from dataselect_env.custom.task_file import task_digests
from dataselect_env.evaluation.cluster import Cluster
from dataselect_env.evaluation.journal import Journal
from dataselect_env.evaluation.records import FORMAT_VERSION, EpisodeRecord, Header, Host, Key, Versions, record
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
        seeds: Seeds of the episodes, each in [0, 2^32), each once; on a sealed split, their indices.
        reward_mode: ``shaped`` or ``grade``.
        best_constants: For tasks that are not pinned, the policy that plays under the name ``best-constant``.
        host: The server to play on; None plays in process.
        server_order: Whether the server of a sealed split chooses the indices; ``seeds`` then only says how many.
    """

    policies: tuple[str, ...]
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    reward_mode: RewardMode = "shaped"
    best_constants: Mapping[str, str] = field(default_factory=dict)
    host: Host | None = None
    server_order: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "seeds", tuple(map(as_integer, self.seeds)))  # numpy's integers cannot be recorded

    @property
    def sealed(self) -> bool:
        """Whether the episodes are those of a sealed split."""
        return self.host is not None and self.host.sealed

    @property
    def header(self) -> Header:
        """The header of its records."""
        return Header(
            format_version=FORMAT_VERSION,
            versions=Versions.current(),
            reward_mode=self.reward_mode,
            own_tasks=task_digests(),
            host=self.host,
        )

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
    """The episodes of one seed on one task: they share a data set. On a sealed split, the seed is an index.

    A seed of None lets the server choose the index.
    """

    policies: tuple[str, ...]
    task_id: str
    seed: int | None
    reward_mode: RewardMode
    best_constant: str | None = None

    def __str__(self) -> str:
        return f"{', '.join(self.policies)} on {self.task_id} with seed {self.seed}"


Player = Callable[[Job], "list[EpisodeRecord | None]"]
"""Plays the episodes of a job; None stands for one that the server refuses because the agent had its attempt."""


def evaluate(
    plan: Plan,
    *,
    processes: int | Cluster = 1,
    resume: Path | None = None,
    progress: Progress | None = None,
    player: Player | None = None,
) -> list[EpisodeRecord]:
    """Play all episodes of a plan.

    Args:
        plan: What to play.
        processes: Number of worker processes, or a cluster; 1 plays in this process. The records do not depend on it.
        resume: File that keeps finished episodes. Episodes of the plan that it already holds are not played again.
        progress: Called with the number of episodes finished since the last call; these add up to ``len(plan)``.
        player: Function of a module that plays a job. Default: :func:`play_job`.

    Returns:
        One record for each of ``plan.keys``, in that order; those that a server refuses are left out.

    Raises:
        EnvError: There is no such policy or task, or a policy returned something that is not an action.
        PolicyError: A user's own policy failed.
        ClusterError: The cluster cannot play it.
        JournalError: ``resume`` cannot be read or written, or is not the file of such an evaluation.
    """
    for name in plan.policies:
        get_policy(name)  # a misspelt name fails before anything is played
    with ExitStack() as stack:
        journal = stack.enter_context(Journal(resume, plan.header)) if resume is not None else None
        records = dict(journal.records) if journal is not None else {}
        jobs = jobs_of(plan, records)
        if progress is not None:
            progress(len(plan) - sum(len(job.policies) for job in jobs))
        tasks = {job.task_id for job in jobs}
        for played in stack.enter_context(closing(run(jobs, player or play_job, processes=processes, tasks=tasks))):
            done = [one for one in played if one is not None]
            records |= {one.key: one for one in done}
            if journal is not None:
                journal.add(done)
            if progress is not None:
                progress(len(played))
    return _chosen(plan, records)


def _chosen(plan: Plan, records: Mapping[Key, EpisodeRecord]) -> list[EpisodeRecord]:
    """Return the records of a plan, in its order."""
    if not plan.server_order:
        return [records[key] for key in plan.keys if key in records]
    found = []
    for cell in dict.fromkeys(key[:2] for key in plan.keys):
        keys = sorted(key for key in records if key[:2] == cell)
        found += [records[key] for key in keys[: len(plan.seeds)]]
    return found


def jobs_of(plan: Plan, done: Collection[Key]) -> list[Job]:
    """Return the jobs for all episodes of a plan that are not in ``done``."""
    if plan.server_order:
        return _unnumbered_jobs(plan, done)
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


def _unnumbered_jobs(plan: Plan, done: Collection[Key]) -> list[Job]:
    """Return as many jobs as there are episodes to play, of which the server chooses the indices."""
    counts = Counter(key[:2] for key in done)
    return [
        Job((policy,), task_id, None, plan.reward_mode, plan.best_constants.get(task_id))
        for policy, task_id in dict.fromkeys(key[:2] for key in plan.keys)
        for _ in plan.seeds[counts[policy, task_id] :]
    ]


def play_job(job: Job) -> list[EpisodeRecord | None]:
    """Play the episodes of a job in this process."""
    return [
        record(name, rollout(policy, job.task_id, job.seed, reward_mode=job.reward_mode))
        for name, policy in players_of(job)
    ]


def players_of(job: Job) -> list[tuple[str, AnyPolicy]]:
    """Return the policies of a job by their names in the plan."""
    return [(name, _policy(name if name != "best-constant" else job.best_constant or name)) for name in job.policies]


@cache
def _policy(name: str) -> AnyPolicy:
    policy = get_policy(name)
    return policy if name in POLICIES else guarded(policy)
