"""The dynamics of many episodes at once: what :mod:`dataselect_env.episode` does for one, on stacked arrays.

What each does with its own data set, choosing and training, is done one after the other, by the functions of a solo
episode and so with the same bits. What is left, measuring and rewards, is computed for all together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dataselect_env import sampling
from dataselect_env.arrays import Floats, Indices, Labels
from dataselect_env.data import N_SAMPLES, POOL_ROWS, VALIDATION_ROWS, dataset_number, make_pool, world_of
from dataselect_env.episode import choose, streams
from dataselect_env.learner import Learner, passes_for, performance_of
from dataselect_env.reward import distance_and_redundancy
from dataselect_env.tasks import Task
from dataselect_env.trainingset import TrainingSet
from dataselect_env.warmstart import SEED_SET, WarmStart, warm_start

POOL_SIZE = POOL_ROWS.stop - POOL_ROWS.start


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """What an episode has for itself."""

    start: WarmStart
    learner: Learner
    acquired: TrainingSet
    trap: float
    selection_rng: np.random.Generator
    training_rng: np.random.Generator


@dataclass(frozen=True, slots=True, eq=False)
class Purchases:
    """What one batch of each of k episodes was and did: :class:`dataselect_env.episode.Purchase` with (k,) arrays."""

    bought: Labels
    mislabelled: Labels
    distance: Floats
    redundancy: Floats
    performance_change: Floats


class Lockstep:
    """Stacked episodes, one in each of ``count`` lanes.

    Attributes:
        own: What each has for itself; None before its first start.
        used: Samples bought so far, (count,).
        mislabelled: How many of them carry a wrong label, (count,).
        performance: On the validation split, (count,).
    """

    def __init__(self, count: int) -> None:
        self.own: list[Own | None] = [None] * count
        self.used = np.zeros(count, dtype=np.int64)
        self.mislabelled = np.zeros(count, dtype=np.int64)
        self.performance = np.zeros(count)
        self._available = np.zeros((count, POOL_SIZE), dtype=np.bool_)
        self._noise = np.zeros((count, POOL_SIZE), dtype=np.bool_)
        self._labels = np.zeros((count, N_SAMPLES), dtype=np.int64)

    def start(self, lane: int, task: Task, seed: int) -> None:
        """Start an episode in a lane; one that is there is dropped."""
        noise_rng, selection_rng, training_rng = streams(seed)
        start = warm_start(dataset_number(seed))
        pool = make_pool(task, start.dataset, start.placements[world_of(seed)], noise_rng)
        acquired = TrainingSet(SEED_SET, start.dataset.X_seed)
        self.own[lane] = Own(
            start, start.learner.copy(), acquired, sampling.trap_strength(task.flip_y), selection_rng, training_rng
        )
        self.used[lane] = self.mislabelled[lane] = 0
        self.performance[lane] = start.performance
        self._available[lane] = True
        self._noise[lane] = pool.mislabelled
        self._labels[lane] = pool.labels

    def spread(self, lanes: Indices) -> Floats:
        """Return the standard deviation over all entries of each training set, (k,)."""
        return np.array([own.acquired.spread for own in self._owns(lanes)])

    def buy(self, lanes: Indices, counts: Labels) -> Purchases:
        """Buy a batch in each of k lanes and train on everything acquired there.

        Args:
            lanes: Which, (k,), distinct.
            counts: Samples to choose by each strategy, (k, 3); at least one in each row.
        """
        owns, bought = self._owns(lanes), counts.sum(axis=1)
        places = zip(lanes.tolist(), owns, counts.tolist(), bought.tolist(), strict=True)
        results = np.array([self._buy(lane, own, tuple(row), size) for lane, own, row, size in places])
        mislabelled = results[:, 0].astype(np.int64)
        self.used[lanes] += bought
        self.mislabelled[lanes] += mislabelled
        before, self.performance[lanes] = self.performance[lanes], self._measure(lanes, owns)
        return Purchases(bought, mislabelled, results[:, 1], results[:, 2], self.performance[lanes] - before)

    def _owns(self, lanes: Indices) -> list[Own]:
        return [own for lane in lanes.tolist() if (own := self.own[lane]) is not None]

    def _buy(self, lane: int, own: Own, counts: tuple[int, ...], bought: int) -> tuple[int, float, float]:
        """Choose and train in one lane; return how many are mislabelled, their distance and their redundancy.

        All that touches a lane's pool is done in one go, while the processor's caches hold it.
        """
        batch = choose(
            own.start,
            own.learner,
            own.acquired.centroid,
            mislabelled=self._noise[lane],
            trap=own.trap,
            available=self._available[lane],
            counts=counts,
            rng=own.selection_rng,
        )
        dataset, used = own.start.dataset, int(self.used[lane])
        X = dataset.X_pool[batch]
        distance, redundancy = distance_and_redundancy(X, own.acquired.centroid)
        self._available[lane, batch] = False
        own.acquired.extend(batch + POOL_ROWS.start, X)
        passes = passes_for(used, used + bought)
        own.learner.train(dataset.X, self._labels[lane], own.acquired.rows, passes, own.training_rng)
        return int(np.count_nonzero(self._noise[lane, batch])), distance, redundancy

    def _measure(self, lanes: Indices, owns: Sequence[Own]) -> Floats:
        """Return each model's performance on its validation split, (k,)."""
        log_odds = np.array([own.learner.log_odds(own.start.dataset.X_validation) for own in owns])
        return performance_of(log_odds, self._labels[lanes, VALIDATION_ROWS])
