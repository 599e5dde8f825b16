"""How a batch is chosen: the query strategies that a task offers, mixed by quotas or by ranks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from dataselect_env.core import kernel
from dataselect_env.core.arrays import Floats, Indices
from dataselect_env.core.kernel import State
from dataselect_env.core.strategies import rankings, sampling
from dataselect_env.core.strategies.candidates import Candidates, Utilities
from dataselect_env.core.strategies.filters import filtered
from dataselect_env.core.strategies.registry import get_strategy, pick, ranks
from dataselect_env.core.tasks import Task
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
        state: The episode so far.
        memory: What strategies keep for the episode, by name.
    """

    task: Task
    start: WarmStart
    state: State
    memory: dict[str, Any]

    def select(self, counts: tuple[int, ...], weights: tuple[float, ...]) -> Indices:
        """Return a batch, as indices into the pool, in the order of choice.

        Args:
            counts: Samples that each strategy contributes under ``quotas``; their sum is the batch size.
            weights: Weights of the strategies, which ``ranks`` reads instead.

        Raises:
            InvalidInput: A strategy of another author failed; the stream is as it was.
        """
        stream = self.state.selection_rng.bit_generator
        before = stream.state if self.task.extra_strategies else None
        try:
            return self._by_quotas(counts) if self.task.mixing == "quotas" else self._by_ranks(sum(counts), weights)
        except BaseException:
            if before is not None:
                stream.state = before
            raise

    def _by_quotas(self, counts: tuple[int, ...]) -> Indices:
        """Return the batch of which each strategy chooses its share."""
        base, extra = counts[: len(sampling.STRATEGIES)], counts[len(sampling.STRATEGIES) :]
        chosen = kernel.choose(self.start, self.state, base) if any(base) else np.empty(0, dtype=np.intp)
        if not any(extra):
            return chosen
        left, candidates = self.state.available.copy(), self.candidates()
        left[chosen] = False
        picks = [self._pick(name, candidates) for name in self.task.extra_strategies[: len(extra)]]
        return np.concatenate([chosen, sampling.select(picks=picks, available=left, counts=extra)])

    def _pick(self, name: str, candidates: Candidates) -> sampling.Pick:
        """Return the pick of an extra strategy."""
        utilities = self._utilities(name)
        return lambda left, count: pick(utilities(candidates.among(left), count), left, count)

    def _by_ranks(self, count: int, weights: tuple[float, ...]) -> Indices:
        """Return the samples with the highest weighted sums of the strategies' ranks."""
        left = self.state.available
        sums = np.zeros(len(left))
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

    def _trapped_uncertainty(self, candidates: Candidates, _count: int) -> Floats:
        entropy = sampling.entropy_of(candidates.probabilities) + self.state.trap * self.state.pool.mislabelled
        return np.where(candidates.left, entropy, -np.inf)

    def _diversity(self, candidates: Candidates, _count: int) -> Floats:
        """Return what ``rankings.diversity`` does, from sums that are kept up to date."""
        centroid = self.state.acquired.centroid
        distances = sampling.squared_distance(candidates.X @ centroid, self.start.squares, float(centroid @ centroid))
        return np.where(candidates.left, distances, -np.inf)

    def candidates(self) -> Candidates:
        """Return what a strategy may see. Labels are copies: a view would lead to those of the validation split."""
        dataset, state = self.start.dataset, self.state
        rows, learner = state.acquired.rows, state.learner.copy()
        later: dict[str, Callable[[], object]] = {
            "probabilities": partial(learner.probabilities, dataset.X_pool),
            "X_acquired": partial(dataset.X.take, rows, axis=0),
        }
        return Candidates.deferred(
            {name: cache(compute) for name, compute in later.items()},
            X=dataset.X_pool,
            labels=state.pool.labels[dataset.pool_rows].copy(),
            left=state.available,
            y_acquired=state.pool.labels[rows],
            rng=state.selection_rng,
            seed_size=len(dataset.seed_rows),
            memory=self.memory,
            data_memory=self.start.memory,
        )
