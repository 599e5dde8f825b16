"""How a batch is chosen: the query strategies that a task offers, mixed by quotas or by ranks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dataselect_env.core.arrays import Floats, Indices, Mask
from dataselect_env.core.data import Pool
from dataselect_env.core.learner import Learner
from dataselect_env.core.strategies import rankings, sampling
from dataselect_env.core.strategies.candidates import Candidates, Utilities
from dataselect_env.core.strategies.filters import filtered
from dataselect_env.core.strategies.registry import get_strategy, pick, ranks
from dataselect_env.core.tasks import Task
from dataselect_env.core.training_set import TrainingSet
from dataselect_env.core.warm_start import WarmStart


def strategies_of(task: Task) -> tuple[str, ...]:
    """Return the names of the query strategies that a task offers, in the order in which they pick."""
    return (*sampling.STRATEGIES, *task.extra_strategies)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BatchSelector:
    """Chooses the batch of one step; changes nothing but the random stream and the memory.

    Attributes:
        task: What is offered, and how it is mixed.
        start: What the episode started from.
        learner: The current model.
        acquired: The training set.
        pool: Given labels, and the noise mask.
        available: Which samples can be bought, (n_pool,).
        rng: Stream of selection draws.
        memory: What strategies computed from the pool alone, by name; kept for the episode.
    """

    task: Task
    start: WarmStart
    learner: Learner
    acquired: TrainingSet
    pool: Pool
    available: Mask
    rng: np.random.Generator
    memory: dict[str, Floats]

    def select(self, counts: tuple[int, ...], weights: tuple[float, ...]) -> Indices:
        """Return a batch, as indices into the pool, in the order of choice.

        Args:
            counts: Samples that each strategy contributes under ``quotas``; their sum is the batch size.
            weights: Weights of the strategies, which ``ranks`` reads instead.

        Raises:
            InvalidInput: A strategy of another author failed; the stream is as it was.
        """
        state = self.rng.bit_generator.state if self.task.extra_strategies else None
        try:
            return self._by_quotas(counts) if self.task.mixing == "quotas" else self._by_ranks(sum(counts), weights)
        except BaseException:
            if state is not None:
                self.rng.bit_generator.state = state
            raise

    def _by_quotas(self, counts: tuple[int, ...]) -> Indices:
        """Return the batch of which each strategy chooses its share."""
        start, centroid = self.start, self.acquired.centroid
        X = start.dataset.X_pool
        picks: list[sampling.Pick] = [
            self._most_uncertain,
            lambda left, count: sampling.farthest(X @ centroid, start.squares, float(centroid @ centroid), left, count),
            sampling.at_random(self.rng),
        ]
        if any(counts[len(picks) :]):
            candidates = self.candidates()
            picks += [self._pick(name, candidates) for name in self.task.extra_strategies]
        return sampling.select(picks=picks[: len(counts)], available=self.available, counts=counts[: len(picks)])

    def _pick(self, name: str, candidates: Candidates) -> sampling.Pick:
        """Return the pick of an extra strategy."""
        utilities = self._utilities(name)
        return lambda left, count: pick(utilities(replace(candidates, left=left), count), left, count)

    def _by_ranks(self, count: int, weights: tuple[float, ...]) -> Indices:
        """Return the samples with the highest weighted sums of the strategies' ranks."""
        sums, left = np.zeros(len(self.available)), self.available
        candidates = self.candidates()
        for name, weight in zip(strategies_of(self.task), weights, strict=False):
            if weight:
                sums += weight / max(weights) * ranks(self._utilities(name)(candidates, count), left)
        return sampling.highest(np.where(left, sums, -np.inf), count)

    def _utilities(self, name: str) -> Utilities:
        """Return a strategy as utilities; the noise trap is applied here, where no strategy sees the noise mask."""
        if name == "uncertainty":
            return self._trapped_uncertainty
        if name == "diversity":
            return self._diversity
        if name in rankings.BASE:
            return rankings.BASE[name]
        strategy = get_strategy(name)
        if strategy.label_filter is not None:
            return filtered(strategy.label_filter, self._utilities(strategy.ranking))
        return strategy.utilities

    @property
    def _trap(self) -> float:
        """By how much the entropy of mislabelled samples is raised, in nats."""
        return sampling.trap_strength(self.task.flip_y) if self.task.noise_trap else 0.0

    def _trapped_uncertainty(self, candidates: Candidates, _count: int) -> Floats:
        entropy = sampling.entropy_of(candidates.probabilities) + self._trap * self.pool.mislabelled
        return np.where(candidates.left, entropy, -np.inf)

    def _diversity(self, candidates: Candidates, _count: int) -> Floats:
        """Return what ``rankings.diversity`` does, from sums that are kept up to date."""
        centroid = self.acquired.centroid
        distances = sampling.squared_distance(candidates.X @ centroid, self.start.squares, float(centroid @ centroid))
        return np.where(candidates.left, distances, -np.inf)

    def _most_uncertain(self, left: Mask, count: int) -> Indices:
        """Return the samples of highest entropy, raised by the noise trap if the task has it."""
        X, trap, wrong = self.start.dataset.X_pool, self._trap, self.pool.mislabelled
        if self.learner.n_classes == 2:
            return sampling.most_uncertain(self.learner.log_odds(X), wrong, trap, left, count)
        entropy = sampling.entropy_of(self.learner.probabilities(X)) + trap * wrong
        return sampling.highest(np.where(left, entropy, -np.inf), count)

    def candidates(self) -> Candidates:
        """Return what a strategy may see. Labels are copies: a view would lead to those of the validation split."""
        dataset, rows = self.start.dataset, self.acquired.rows
        return Candidates(
            X=dataset.X_pool,
            labels=self.pool.labels[dataset.pool_rows].copy(),
            probabilities=self.learner.probabilities(dataset.X_pool),
            left=self.available,
            X_acquired=dataset.X[rows],
            y_acquired=self.pool.labels[rows],
            rng=self.rng,
            seed_size=len(dataset.seed_rows),
            memory=self.memory,
        )
