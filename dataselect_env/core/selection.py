"""How a batch is chosen: the strategies that a task offers, mixed by quotas or by ranks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from dataselect_env.core.arrays import Floats, Indices, Mask
from dataselect_env.core.data import Pool
from dataselect_env.core.learner import Learner
from dataselect_env.core.strategies import sampling
from dataselect_env.core.strategies.registry import Candidates, checked_utilities, get_strategy, pick, ranks
from dataselect_env.core.tasks import Task
from dataselect_env.core.training_set import TrainingSet
from dataselect_env.core.warm_start import WarmStart


def strategies_of(task: Task) -> tuple[str, ...]:
    """Return the names of the query strategies that a task offers, in the order in which they pick."""
    return (*sampling.STRATEGIES, *task.extra_strategies)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BatchSelector:
    """What strategies choose from, as of one step; nothing in it is changed.

    Attributes:
        task: What is offered, and how it is mixed.
        start: What the episode started from.
        learner: As it is now.
        acquired: The training set.
        pool: Labels, and which of them are wrong.
        available: Which samples can be bought, (n_pool,).
        rng: Stream of selection draws.
    """

    task: Task
    start: WarmStart
    learner: Learner
    acquired: TrainingSet
    pool: Pool
    available: Mask
    rng: np.random.Generator

    @property
    def _trap(self) -> float:
        """By how much the entropy of wrong labels is raised, in nats."""
        return sampling.trap_strength(self.task.flip_y) if self.task.noise_trap else 0.0

    def select(self, counts: tuple[int, ...], weights: tuple[float, ...]) -> Indices:
        """Return a batch, as indices into the pool, in the order of choice.

        Args:
            counts: Samples that each strategy contributes under ``quotas``; their sum is the batch size.
            weights: Weights of the strategies, which ``ranks`` reads instead.
        """
        if self.task.mixing == "quotas":
            return self._by_quotas(counts)
        return self._by_ranks(sum(counts), weights)

    def _by_quotas(self, counts: tuple[int, ...]) -> Indices:
        """Return the batch of which each strategy chooses its share, as indices into the pool."""
        start, centroid = self.start, self.acquired.centroid
        X = start.dataset.X_pool
        picks: list[sampling.Pick] = [
            self._most_uncertain,
            lambda left, count: sampling.farthest(X @ centroid, start.squares, float(centroid @ centroid), left, count),
            sampling.at_random(self.rng),
        ]
        probabilities = cache(lambda: self.learner.probabilities(X))
        picks += [self._extra(name, probabilities) for name in self.task.extra_strategies]
        return sampling.select(picks=picks[: len(counts)], available=self.available, counts=counts)

    def _extra(self, name: str, probabilities: Callable[[], Floats]) -> sampling.Pick:
        """Return the pick of a further strategy; ``probabilities`` gives those of the pool, (n_pool, n_classes)."""
        strategy = get_strategy(name)
        return lambda left, count: pick(strategy, self._candidates(left, probabilities()), count)

    def _most_uncertain(self, left: Mask, count: int) -> Indices:
        """Return the samples of highest entropy, that of wrong labels raised where the task has the noise trap."""
        X, trap, wrong = self.start.dataset.X_pool, self._trap, self.pool.mislabelled
        if self.learner.n_classes == 2:
            return sampling.most_uncertain(self.learner.log_odds(X), wrong, trap, left, count)
        entropy = sampling.entropy_of(self.learner.probabilities(X)) + trap * wrong
        return sampling.highest(np.where(left, entropy, -np.inf), count)

    def _by_ranks(self, count: int, weights: tuple[float, ...]) -> Indices:
        """Return the batch of the highest sums of the strategies' ranks, as indices into the pool."""
        total, left = np.zeros(len(self.available)), self.available
        candidates = self._candidates(left, self.learner.probabilities(self.start.dataset.X_pool))
        for name, weight in zip(strategies_of(self.task), weights, strict=False):
            if weight:
                total += weight / max(weights) * ranks(self._utilities(name, candidates, count), left)
        return sampling.highest(np.where(left, total, -np.inf), count)

    def _utilities(self, name: str, candidates: Candidates, count: int) -> Floats:
        """Return the utilities of a strategy for the pool, (n_pool,)."""
        if name == "uncertainty":
            return sampling.entropy_of(candidates.probabilities) + self._trap * self.pool.mislabelled
        if name == "diversity":
            start, centroid = self.start, self.acquired.centroid
            return sampling.squared_distance(candidates.X @ centroid, start.squares, float(centroid @ centroid))
        if name == "random":
            return self.rng.random(len(candidates.left))
        return checked_utilities(get_strategy(name), candidates, count)

    def _candidates(self, left: Mask, probabilities: Floats) -> Candidates:
        """Return what a further strategy may see."""
        dataset, rows = self.start.dataset, self.acquired.rows
        return Candidates(
            X=dataset.X_pool,
            probabilities=probabilities,
            left=left,
            X_acquired=dataset.X[rows],
            y_acquired=self.pool.labels[rows],
            rng=self.rng,
        )
