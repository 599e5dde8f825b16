"""Where a task's pools come from: the seam between the built-in generator and data of a user's own."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from dataselect_env.core.data import Pool, dataset_number, make_pool, world_of
from dataselect_env.core.tasks import Task
from dataselect_env.core.warm_start import WarmStart, warm_start


class Source(Protocol):
    """What an episode asks of the place where its data come from. All of it is a function of the arguments.

    :func:`dataselect_env.testing.check_source` checks it.
    """

    def start(self, seed: int) -> WarmStart:
        """Return what the episode of a seed starts from; shared, so nothing in it may be changed."""

    def pool(self, task: Task, seed: int, rng: np.random.Generator) -> Pool:
        """Return the pool of a seed with its labels; ``rng`` is the stream of the noise."""


class BuiltInSource:
    """Pinned data sets of a generator, their noise in one of two hidden worlds (:mod:`dataselect_env.core.data`)."""

    def start(self, seed: int) -> WarmStart:
        """Return the warm start of the data set that the seed uses."""
        return warm_start(dataset_number(seed))

    def pool(self, task: Task, seed: int, rng: np.random.Generator) -> Pool:
        """Return the pool with an exact share of wrong labels, where the seed's world has them."""
        start = self.start(seed)
        return make_pool(task, start.dataset, start.placements[world_of(seed)], rng)


BUILT_IN_SOURCE = BuiltInSource()


def source_of(task: Task) -> Source:
    """Return where the data of a task come from."""
    return BUILT_IN_SOURCE if task.source is None else task.source
