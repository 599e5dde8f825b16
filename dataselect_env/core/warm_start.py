"""Warm starts: the common starting point of all episodes on a data set.

A warm start depends on the seed of an episode only through the data set, so it is made once and shared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from dataselect_env.core.arrays import Floats, Indices, Labels
from dataselect_env.core.data import Dataset, make_dataset, placement
from dataselect_env.core.learner import ALPHA, WARM_UP_PASSES, Learner

CACHE_SIZE = 64
"""Warm starts kept in memory, 1 MB each. A step on any other data set makes its warm start again: 1 to 2 ms."""


@dataclass(frozen=True, eq=False)
class WarmStart:
    """A data set and a learner trained on its seed set. Episodes share it, so nothing in it may be changed.

    Attributes:
        dataset: The data set.
        learner: The learner after warm-up; an episode trains a copy of it.
        performance: Performance of the learner on the validation split, in (0, 1].
        squares: Squared Euclidean norms of the pool samples, (n_pool,).
        handle: The arrays as the compiled kernel takes them; made by :mod:`dataselect_env.core.kernel` on first use.
        memory: What strategies computed from the features of pool and seed set alone, by name.
    """

    dataset: Dataset
    learner: Learner
    performance: float
    squares: Floats
    handle: object = field(default=None, init=False, repr=False)
    memory: dict[str, Any] = field(default_factory=dict, init=False, repr=False)
    _placements: dict[str, Floats] = field(default_factory=dict, init=False, repr=False)

    def placement(self, world: str) -> Floats:
        """Return the ranks of the pool samples in a world of the built-in tasks, (n_pool,).

        They are computed at the first call, see :func:`~dataselect_env.core.data.placement`. Threads may compute them
        at the same time, and get the same ranks.
        """
        found = self._placements.get(world)
        if found is None:
            margins = np.abs(self.learner.log_odds(self.dataset.X_pool))
            found = self._placements[world] = placement(self.dataset, world, margins, self.squares)
        return found


@cache
def load_libraries() -> None:
    """Import what the first episode would import otherwise; without the compiled kernel, that is scikit-learn."""
    make_warm_start(0)


_in_use: WeakValueDictionary[int, WarmStart] = WeakValueDictionary()


@lru_cache(maxsize=CACHE_SIZE)
def warm_start(number: int) -> WarmStart:
    """Return the warm start of data set ``number``; the same object as long as an episode or the cache refers to it."""
    start = _in_use.get(number)
    if start is None:
        start = _in_use[number] = make_warm_start(number)
    return start


def make_warm_start(number: int) -> WarmStart:
    """Make data set ``number`` and train a learner on its seed set.

    The training order is drawn from the number of the data set and not from the seed of an episode, so that every
    episode starts from exactly the performance for which the data set was accepted.
    """
    return warm_up(make_dataset(number), np.random.default_rng(number))


def performance_on(dataset: Dataset, learner: Learner, labels: Labels, rows: Indices) -> float:
    """Return the performance of a learner on the validation split of a data set.

    Args:
        dataset: The data set; if it has ``weights``, the performance is balanced over the classes.
        learner: A learner trained on the data set.
        labels: Given labels of the data set, (n,).
        rows: Rows that the learner was trained on, (m,).
    """
    X, y = dataset.X_validation, dataset.y_validation
    if dataset.weights is None:
        return learner.performance(X, y)
    counts = np.bincount(labels[rows], minlength=dataset.n_classes)
    return learner.balanced_performance(X, y, dataset.weights, counts)


def warm_up(
    dataset: Dataset,
    rng: np.random.Generator,
    *,
    alpha: float = ALPHA,
    passes: int = WARM_UP_PASSES,
    squares: Floats | None = None,
) -> WarmStart:
    """Train a new learner on the seed set of a data set.

    Args:
        dataset: The data set.
        rng: Random stream of the training order.
        alpha: L2 penalty of the learner.
        passes: Number of passes, at least 1.
        squares: Squared Euclidean norms of the pool samples, (n_pool,); None computes them.
    """
    learner = Learner(dataset.n_classes, dataset.X.shape[1], alpha)
    learner.train(dataset.X, dataset.y, dataset.seed_rows, passes, rng)
    return WarmStart(
        dataset=dataset,
        learner=learner,
        performance=performance_on(dataset, learner, dataset.y, dataset.seed_rows),
        squares=np.einsum("ij,ij->i", dataset.X_pool, dataset.X_pool) if squares is None else squares,
    )
