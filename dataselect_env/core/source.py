"""Sources of data sets and pools: the interface between episodes and the built-in generator or custom data."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from dataselect_env.core import sealed
from dataselect_env.core.data import Pool, dataset_number, make_pool, world_of
from dataselect_env.core.tasks import Task
from dataselect_env.core.warm_start import WarmStart, warm_start


class Source(Protocol):
    """Gives an episode its data set and its pool. Both methods are pure functions of their arguments.

    :func:`dataselect_env.testing.check_source` checks this contract.
    """

    def start(self, seed: int) -> WarmStart:
        """Return the warm start of a seed. It is shared between episodes: read-only."""

    def pool(self, task: Task, seed: int, rng: np.random.Generator) -> Pool:
        """Return the pool of a seed with its given labels; ``rng`` is the stream of the label noise."""


class BuiltInSource:
    """Pinned data sets of a generator, with label noise in one of two worlds (:mod:`dataselect_env.core.data`)."""

    def start(self, seed: int) -> WarmStart:
        """Return the warm start of the seed's data set."""
        return warm_start(sealed.dataset_number(seed) if sealed.is_sealed(seed) else dataset_number(seed))

    def pool(self, task: Task, seed: int, rng: np.random.Generator) -> Pool:
        """Return the pool with an exact share of wrong labels, placed by the seed's world."""
        start = self.start(seed)
        return make_pool(task, start.dataset, start.placement(world_of(seed)), rng)


BUILT_IN_SOURCE = BuiltInSource()


def source_of(task: Task) -> Source:
    """Return the source of a task's data."""
    if task.drawn:
        from dataselect_env.core.open.problems import SOURCE  # noqa: PLC0415  (unused by the other tasks)

        return SOURCE
    return BUILT_IN_SOURCE if task.source is None else task.source


def task_at(task: Task, seed: int) -> Task:
    """Return the task with the numbers of a seed: the task itself, unless each seed draws a problem."""
    if not task.drawn:
        return task
    from dataselect_env.core.open.problems import problem  # noqa: PLC0415

    return problem(seed).task
