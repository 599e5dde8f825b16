"""The description of a problem in the reply to a reset: what an agent may know before it buys."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from dataselect_env.core.strategies.pool_statistics import pool_statistics
from dataselect_env.core.strategies.sampling import STRATEGIES
from dataselect_env.core.tasks import Task
from dataselect_env.core.validation import WireModel

if TYPE_CHECKING:
    from dataselect_env.core.strategies.candidates import Candidates
    from dataselect_env.core.warm_start import WarmStart


class Problem(WireModel):
    """What an agent may know of an episode's problem before it buys, with statistics of the pool."""

    n_classes: int = Field(ge=2, description="Number of classes.")
    n_features: int = Field(ge=1, description="Number of features.")
    seed_size: int = Field(ge=1, description="Samples of the seed set, which the model has been trained on.")
    pool_size: int = Field(ge=1, description="Samples in the pool.")
    budget: int = Field(ge=1, description="Samples that may be bought in the episode.")
    max_steps: int = Field(ge=1, description="Actions after which the episode ends.")
    min_batch: int = Field(ge=1, description="Smallest batch, as long as budget and pool hold as many samples.")
    max_batch: int | None = Field(ge=1, description="Largest batch; null for no limit.")
    declared_noise_rate: float = Field(ge=0, lt=0.5, description="Share of wrong labels that the pool is said to have.")
    audited: bool = Field(description="Whether replies report how many labels of a batch were wrong.")
    strategies: list[str] = Field(description="Query strategies offered.")
    performance_range: list[float] = Field(min_length=2, max_length=2, description="Performances that score 0 and 1.")
    pass_performance: float = Field(description="An episode passes only with a performance above this threshold.")
    statistics: dict[str, float] = Field(description="Statistics of the pool by name; none of them uses hidden labels.")


def describe(task: Task, start: WarmStart, candidates: Candidates) -> Problem:
    """Return what an agent may know of an episode's problem before it buys.

    Args:
        task: Task of the episode, with the numbers of its seed.
        start: Its warm start, of which features, sizes, the seed set and the model are used.
        candidates: The candidates for the first batch.
    """
    rows = start.dataset.seed_rows
    X, y = start.dataset.X_seed, start.dataset.y[rows]
    seed_label = float(start.learner.probabilities(X)[np.arange(len(y)), y].mean())
    return Problem(
        n_classes=task.n_classes,
        n_features=X.shape[1],
        seed_size=len(rows),
        pool_size=int(np.count_nonzero(candidates.left)),
        budget=task.budget,
        max_steps=task.max_steps,
        min_batch=task.min_batch,
        max_batch=task.max_batch,
        declared_noise_rate=task.flip_y,
        audited=task.audited,
        strategies=[*STRATEGIES, *task.extra_strategies],
        performance_range=list(task.performance_range),
        pass_performance=task.pass_performance,
        statistics=pool_statistics(candidates, seed_label),
    )


def as_described(task: Task, problem: Problem | None) -> Task:
    """Return the task with the numbers of a problem, as far as an agent may know them; the task itself without one.

    Policies are started with it. A task that is not audited counts as one without ground truth: agents cannot tell one
    from the other.
    """
    if problem is None:
        return task
    return replace(
        task,
        flip_y=problem.declared_noise_rate,
        budget=problem.budget,
        max_steps=problem.max_steps,
        performance_range=(problem.performance_range[0], problem.performance_range[1]),
        pass_performance=problem.pass_performance,
        min_batch=problem.min_batch,
        max_batch=problem.max_batch,
        pool_size=problem.pool_size,
        n_classes=problem.n_classes,
        has_ground_truth=problem.audited,
        pass_noise=task.pass_noise if problem.audited else None,
        audited=problem.audited,
    )
