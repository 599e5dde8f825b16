"""Search for the best constant action of a task, on seeds of the train split.

The best constants of the built-in tasks are known (``bench/validity/tuning.json``). A user's own task needs the search
before its ladder means anything: the worth of an agent is what it adds to the best action that ignores all replies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import fmean

from dataselect_env.core.strategies.sampling import STRATEGIES
from dataselect_env.core.tasks import SPLITS, Task, get_task
from dataselect_env.evaluation.cluster import Cluster
from dataselect_env.evaluation.evaluate import Plan, evaluate
from dataselect_env.policies import constant_name

SEEDS = tuple(range(SPLITS["train"].first_seed, SPLITS["train"].first_seed + 10))
"""Seeds that every candidate plays."""
SIZES = (1.0, 1.5, 3.0)
"""Batch sizes to try, as multiples of the budget per step."""
MIXES = ({"uncertainty": 1.0, "diversity": 1.0}, {"uncertainty": 1.0, "random": 1.0}, {"diversity": 1.0, "random": 1.0})
"""Mixes to try besides each strategy alone."""


def mixes(task: Task) -> tuple[Mapping[str, float], ...]:
    """Return the weights to try: each strategy of the task alone, and ``MIXES``."""
    return (*({name: 1.0} for name in (*STRATEGIES, *task.extra_strategies)), *MIXES)


def batch_size(task: Task, multiple: float) -> int:
    """Return the batch size that is a multiple of the budget per step."""
    return max(task.min_batch, round(multiple * task.budget / task.max_steps))


def candidates(task: Task) -> tuple[str, ...]:
    """Return the names of the constant policies to try: each strategy and each mix in each batch size.

    Where each seed draws its own budget, sizes are relative to it.
    """
    sizes: dict[int | str, None] = dict.fromkeys(
        f"{multiple:g}x" if task.varies else batch_size(task, multiple) for multiple in SIZES
    )
    return tuple(constant_name(size, mix) for mix in mixes(task) for size in sizes)


def episode_count(task_id: str) -> int:
    """Return the number of episodes that :func:`find_best_constant` plays."""
    return len(candidates(get_task(task_id))) * len(SEEDS)


def find_best_constant(
    task_id: str, *, processes: int | Cluster = 1, progress: Callable[[int], None] | None = None
) -> str:
    """Return the candidate with the highest mean score on ``SEEDS``, the first of equal ones.

    Args:
        task_id: Name of the task.
        processes: Number of worker processes, or a cluster.
        progress: Called with the number of episodes finished since the last call.
    """
    policies = candidates(get_task(task_id))
    records = evaluate(Plan(policies=policies, tasks=(task_id,), seeds=SEEDS), processes=processes, progress=progress)
    scores: dict[str, list[float]] = {}
    for one in records:
        scores.setdefault(one.policy, []).append(one.score)
    return max(policies, key=lambda name: fmean(scores[name]))
