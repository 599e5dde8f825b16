"""The dynamics of many episodes at once: what :mod:`dataselect_env.episode` does for one, on stacked arrays.

What can be computed for all episodes together is: utilities, choice, measurement. What each has for itself is done one
after the other: random draws, the updates of its model, inner products with its own data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dataselect_env import sampling
from dataselect_env.arrays import Floats, Indices, Labels
from dataselect_env.data import N_SAMPLES, POOL_ROWS, VALIDATION_ROWS, dataset_number, make_pool, world_of
from dataselect_env.episode import streams
from dataselect_env.learner import Learner, passes_for, performance_of
from dataselect_env.reward import distances_and_cosines, redundancy_of
from dataselect_env.shortlist import Utilities, distance_error, entropy_error
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
        self._squares = np.zeros((count, POOL_SIZE))
        self._trap = np.zeros(count)

    def start(self, lane: int, task: Task, seed: int) -> None:
        """Start an episode in a lane; one that is there is dropped."""
        noise_rng, selection_rng, training_rng = streams(seed)
        start = warm_start(dataset_number(seed))
        pool = make_pool(task, start.dataset, start.placements[world_of(seed)], noise_rng)
        acquired = TrainingSet(SEED_SET, start.dataset.X_seed)
        self.own[lane] = Own(start, start.learner.copy(), acquired, selection_rng, training_rng)
        self.used[lane] = self.mislabelled[lane] = 0
        self.performance[lane] = start.performance
        self._available[lane] = True
        self._noise[lane] = pool.mislabelled
        self._labels[lane] = pool.labels
        self._squares[lane] = start.squares
        self._trap[lane] = sampling.trap_strength(task.flip_y)

    def spread(self, lanes: Indices) -> Floats:
        """Return the standard deviation over all entries of each training set, (k,)."""
        return np.array([own.acquired.spread for own in self._owns(lanes)])

    def buy(self, lanes: Indices, counts: Labels) -> Purchases:
        """Buy a batch in each of k lanes and train on everything acquired there.

        Args:
            lanes: Which, (k,), distinct.
            counts: Samples to choose by each strategy, (k, 3); at least one in each row.
        """
        owns = self._owns(lanes)
        place, sample = self._choose(lanes, owns, counts)
        bought = counts.sum(axis=1)
        first = np.cumsum(bought) - bought
        mislabelled = np.add.reduceat(self._noise[lanes[place], sample].astype(np.int64), first)
        centroids = np.array([own.acquired.centroid for own in owns])
        distances, cosines = distances_and_cosines(features(owns, place, sample), centroids[place])
        self._available[lanes[place], sample] = False
        for own, batch in zip(owns, split(place, sample, len(owns)), strict=True):
            own.acquired.extend(batch + POOL_ROWS.start, own.start.dataset.X_pool[batch])
        self._train(lanes, owns, bought)
        self.used[lanes] += bought
        self.mislabelled[lanes] += mislabelled
        before, self.performance[lanes] = self.performance[lanes], self._measure(lanes, owns)
        return Purchases(
            bought=bought,
            mislabelled=mislabelled,
            distance=np.add.reduceat(distances, first) / bought,
            redundancy=redundancy_of(np.add.reduceat(cosines, first) / bought),
            performance_change=self.performance[lanes] - before,
        )

    def _owns(self, lanes: Indices) -> list[Own]:
        return [own for lane in lanes.tolist() if (own := self.own[lane]) is not None]

    def _choose(self, lanes: Indices, owns: Sequence[Own], counts: Labels) -> tuple[Indices, Indices]:
        """Return place among the lanes and pool index of each chosen sample, lane by lane in the order of choice."""
        left = self._available[lanes]
        *by_utility, by_random = counts.T
        chosen = []
        for count, strategy in zip(by_utility, (self._uncertainty, self._diversity), strict=True):
            among = np.flatnonzero(count)
            if len(among):
                utilities = strategy(lanes[among], [owns[place] for place in among.tolist()])
                pool, sample = utilities.best(left[among], count[among])
                chosen.append((among[pool], sample))
                left[chosen[-1]] = False
        for place in np.flatnonzero(by_random).tolist():
            drawn = owns[place].selection_rng.choice(np.flatnonzero(left[place]), by_random[place], replace=False)
            chosen.append((np.full(len(drawn), place), drawn))
        places, samples = (np.concatenate(parts) for parts in zip(*chosen, strict=True))
        order = np.argsort(places, kind="stable")
        return places[order], samples[order]

    def _uncertainty(self, lanes: Indices, owns: Sequence[Own]) -> Utilities:
        weights, traps = np.array([own.learner.weights for own in owns]), self._trap[lanes, None] * self._noise[lanes]
        intercepts = np.array([own.learner.intercept for own in owns])
        log_odds = np.array([own.learner.log_odds(own.start.X_pool32) for own in owns])

        def exact(pool: Indices, sample: Indices) -> Floats:
            products = np.einsum("ij,ij->i", features(owns, pool, sample), weights[pool])
            utilities: Floats = sampling.entropy(products + intercepts[pool]) + traps[pool, sample]
            return utilities

        errors = [entropy_error(own.start.longest, own.learner.weights) for own in owns]
        return Utilities(sampling.entropy(log_odds) + traps, np.array(errors), exact)

    def _diversity(self, lanes: Indices, owns: Sequence[Own]) -> Utilities:
        centroids, squares = np.array([own.acquired.centroid for own in owns]), self._squares[lanes]
        centroid_squares = np.einsum("ij,ij->i", centroids, centroids)
        pairs = zip(owns, centroids.astype(np.float32), strict=True)
        products = np.array([own.start.X_pool32 @ centroid for own, centroid in pairs])

        def exact(pool: Indices, sample: Indices) -> Floats:
            products = np.einsum("ij,ij->i", features(owns, pool, sample), centroids[pool])
            return sampling.squared_distance(products, squares[pool, sample], centroid_squares[pool])

        errors = [distance_error(own.start.longest, centroid) for own, centroid in zip(owns, centroids, strict=True)]
        distances = sampling.squared_distance(products, squares, centroid_squares[:, None])
        return Utilities(distances, np.array(errors), exact)

    def _train(self, lanes: Indices, owns: Sequence[Own], bought: Labels) -> None:
        """Train each model with the passes that its batch pays for."""
        for lane, own, used, count in zip(
            lanes.tolist(), owns, self.used[lanes].tolist(), bought.tolist(), strict=True
        ):
            passes = passes_for(used, used + count)
            own.learner.train(own.start.dataset.X, self._labels[lane], own.acquired.rows, passes, own.training_rng)

    def _measure(self, lanes: Indices, owns: Sequence[Own]) -> Floats:
        """Return each model's performance on its validation split, (k,)."""
        log_odds = np.array([own.learner.log_odds(own.start.dataset.X_validation) for own in owns])
        return performance_of(log_odds, self._labels[lanes, VALIDATION_ROWS])


def split(pool: Indices, sample: Indices, count: int) -> list[Indices]:
    """Return the samples of each of ``count`` pools; ``pool`` rises."""
    return np.split(sample, np.searchsorted(pool, np.arange(1, count)))


def features(owns: Sequence[Own], pool: Indices, sample: Indices) -> Floats:
    """Return the features, (m, n_features), of samples, (m,), of rising pools, (m,)."""
    batches = split(pool, sample, len(owns))
    return np.concatenate([own.start.dataset.X_pool[batch] for own, batch in zip(owns, batches, strict=True)])
