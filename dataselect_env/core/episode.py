"""The dynamics of one episode: a pool, a learner, a budget, and what was bought so far (SPEC section 6).

Plain numbers in, plain numbers out: no requests, replies or ids. :mod:`dataselect_env.core.env` wraps it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dataselect_env.core.arrays import Indices, Mask, Number
from dataselect_env.core.data import Pool
from dataselect_env.core.grading import TracePoint, grade
from dataselect_env.core.learner import passes_for
from dataselect_env.core.models import EndReason, Grade
from dataselect_env.core.noise_estimate import suspected
from dataselect_env.core.reward import distance_and_redundancy
from dataselect_env.core.selection import BatchSelector, strategies_of
from dataselect_env.core.source import source_of
from dataselect_env.core.strategies import sampling
from dataselect_env.core.tasks import Task
from dataselect_env.core.training_set import TrainingSet
from dataselect_env.core.warm_start import WarmStart, performance_on

NOISE_PRIOR_STRENGTH = 10
"""The declared noise rate weighs as much in ``noise_estimate`` as this many bought samples."""


def streams(seed: int) -> tuple[np.random.Generator, np.random.Generator, np.random.Generator]:
    """Return an episode's random streams: for the noise, for selection draws, for the orders of training."""
    noise, selection, training = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(3))
    return noise, selection, training


def estimate_noise(flip_y: Number, bought: Number, mislabelled: Number) -> Number:
    """Return the posterior mean of the noise rate, in [0, 1]: the declared rate as prior, what was bought as evidence.

    The hidden mask of what was not bought has no part in it (SPEC section 7).
    """
    return (NOISE_PRIOR_STRENGTH * flip_y + mislabelled) / (NOISE_PRIOR_STRENGTH + bought)


def end_reason(task: Task, *, bought: int, available: int, steps: int) -> EndReason | None:
    """Return why an episode of ``task`` is over after ``steps`` actions without a stop, or None when it goes on."""
    if bought == task.budget:
        return "budget"
    if available == 0:
        return "pool"
    return "max_steps" if steps == task.max_steps else None


@dataclass(frozen=True, slots=True)
class Purchase:
    """What one batch was and did.

    Attributes:
        counts: Samples chosen by each strategy, in the order of ``Episode.strategies``; where strategies are mixed by
            ranks, the shares of the batch that their weights make.
        bought: Their sum, at least 1.
        mislabelled: How many of them carry a wrong label; 0 where the truth is unknown.
        distance: Mean Euclidean distance of the batch from the training centroid before it.
        redundancy: (1 + mean cosine similarity to that centroid) / 2, in [0, 1].
        performance_change: Performance after training on it, less the performance before.
        samples: Indices into the pool, (bought,), in the order of choice; which they are no reply tells.
    """

    counts: tuple[int, ...]
    bought: int
    mislabelled: int
    distance: float
    redundancy: float
    performance_change: float
    samples: Indices = field(repr=False, compare=False)

    @property
    def noise_ratio(self) -> float:
        """Share of mislabelled samples, in [0, 1]."""
        return self.mislabelled / self.bought


class Episode:
    """One episode of ``task``; a pure function of the task, the seed and the calls made.

    Args:
        task: The task that is played.
        seed: What data set, noise and draws come from.
        hold_data: Whether to keep the data set in memory for as long as the episode: for those whose turn always comes.

    Attributes:
        task: The task that is played.
        seed: What data set, noise and draws come from.
        learner: The classifier, trained on everything acquired.
        trace: One point for the start and one for each step; what the grade is made from.
        budget_used: Samples bought so far.
        judged: Where the truth is unknown, how many of them the model was sure about.
        end_reason: Why the episode is over, or None while it goes on.
    """

    def __init__(self, task: Task, seed: int, *, hold_data: bool = False) -> None:
        self.task = task
        self.seed = seed
        noise_rng, self._selection_rng, self._training_rng = streams(seed)
        self._source = source_of(task)
        self._held = self._source.start(seed) if hold_data else None
        self._pool: Pool = self._source.pool(task, seed, noise_rng)
        start = self._start
        self._available = start.dataset.available
        self._pool_size = int(np.count_nonzero(self._available))
        self._acquired = TrainingSet(start.dataset.seed_rows, start.dataset.X_seed)
        self.judged = self._suspected = 0  # where the truth is unknown
        self.learner = start.learner.copy()
        self.trace = [TracePoint(bought=0, mislabelled=0, performance=start.performance)]
        self.budget_used = 0
        self.end_reason: EndReason | None = None

    @property
    def _start(self) -> WarmStart:
        """The warm start of the data set. By default it is not held: of many waiting episodes only caches keep data."""
        return self._held or self._source.start(self.seed)

    @property
    def strategies(self) -> tuple[str, ...]:
        """Names of the query strategies that the task offers, in the order in which they pick."""
        return strategies_of(self.task)

    @property
    def steps(self) -> int:
        """Actions so far."""
        return len(self.trace) - 1

    @property
    def performance(self) -> float:
        """1 / (1 + log loss) on the validation split, as of the last step."""
        return self.trace[-1].performance

    @property
    def samples_available(self) -> int:
        """Samples left in the pool."""
        return self._pool_size - self.budget_used

    @property
    def remaining_budget(self) -> int:
        """Samples that may still be bought."""
        return self.task.budget - self.budget_used

    @property
    def diversity_score(self) -> float:
        """Standard deviation over all entries of the training set's feature matrix."""
        return self._acquired.spread

    @property
    def noise_estimate(self) -> float:
        """Estimated share of wrong labels in the pool, in [0, 1]; see :func:`estimate_noise`.

        Where the truth is unknown, :func:`~dataselect_env.core.noise_estimate.suspected` finds the evidence in each
        batch.
        """
        if not self.task.has_ground_truth:
            return estimate_noise(self.task.flip_y, self.judged, self._suspected)
        return estimate_noise(self.task.flip_y, self.budget_used, sum(point.mislabelled for point in self.trace))

    @property
    def clean_samples(self) -> Indices:
        """Indices into the pool of the samples left whose labels are right, ascending.

        This is the hidden truth. It is there for oracles and audits in process; no reply may depend on it. Where the
        truth is unknown it is all that is left.
        """
        return np.flatnonzero(self._available & ~self._pool.mislabelled)

    @property
    def mislabelled(self) -> Mask:
        """The hidden noise mask of the pool, (n_pool,), as a copy; to be handled as :attr:`clean_samples` is."""
        return self._pool.mislabelled.copy()

    def grade(self) -> Grade:
        """Return the grade as if the episode ended now."""
        return grade(self.task, self.trace)

    def stop(self) -> None:
        """End the episode without a purchase; it counts as a step."""
        self.trace.append(TracePoint(bought=0, mislabelled=0, performance=self.performance))
        self.end_reason = "stop"

    def select_batch(self, batch_size: int, weights: tuple[float, ...]) -> Purchase:
        """Buy a batch, take it out of the pool, and train on everything acquired.

        Args:
            batch_size: Samples asked for: raised to the task's ``min_batch``, then cut to its ``max_batch`` and to what
                budget and pool still hold.
            weights: Mix of the strategies in the order of :attr:`strategies`, the last of which may be left out:
                finite, non-negative, not all zero.
        """
        counts = sampling.quotas(self.batch_size(batch_size), weights)
        start = self._start
        return self._acquire(start, self._choose(start, counts, weights), counts)

    def batch_size(self, wanted: int) -> int:
        """Return how many samples an action buys that asks for ``wanted``."""
        most = self.remaining_budget if self.task.max_batch is None else self.task.max_batch
        return min(max(wanted, self.task.min_batch), most, self.remaining_budget, self.samples_available)

    def buy(self, samples: Indices) -> Purchase:
        """Buy these very samples, as no action can: the counterpart of :attr:`clean_samples` for oracles in process.

        Args:
            samples: Indices into the pool, (n,), distinct and still available; 1 <= n <= ``remaining_budget``.

        Raises:
            ValueError: The samples are not of this kind; nothing was bought.
        """
        if not 1 <= len(samples) <= self.remaining_budget:
            raise ValueError(f"between 1 and {self.remaining_budget} samples can be bought, not {len(samples)}")
        if len(np.unique(samples)) < len(samples) or samples.min() < 0 or not self._available[samples].all():
            raise ValueError("samples must be distinct and still available")
        return self._acquire(self._start, samples, (0,) * len(self.strategies))

    def _choose(self, start: WarmStart, counts: tuple[int, ...], weights: tuple[float, ...]) -> Indices:
        """Return the batch that the strategies choose, as indices into the pool."""
        chooser = BatchSelector(
            task=self.task,
            start=start,
            learner=self.learner,
            acquired=self._acquired,
            pool=self._pool,
            available=self._available,
            rng=self._selection_rng,
        )
        return chooser.by_quotas(counts) if self.task.mixing == "quotas" else chooser.by_ranks(sum(counts), weights)

    def _acquire(self, start: WarmStart, batch: Indices, counts: tuple[int, ...]) -> Purchase:
        """Take ``batch`` out of the pool and train on everything acquired."""
        mislabelled = int(np.count_nonzero(self._pool.mislabelled[batch]))
        dataset = start.dataset
        X = dataset.X_pool[batch]
        distance, redundancy = distance_and_redundancy(X, self._acquired.centroid)
        rows = batch + dataset.pool_rows.start
        if not self.task.has_ground_truth:
            judged, wrong = suspected(self.learner, dataset.X, self._pool.labels, self._acquired.rows, rows)
            self.judged, self._suspected = self.judged + judged, self._suspected + wrong
        self._available[batch] = False
        self._acquired.extend(rows, X)
        before, used = self.performance, self.budget_used
        self.budget_used += len(batch)
        passes = passes_for(used, self.budget_used)
        self.learner.train(dataset.X, self._pool.labels, self._acquired.rows, passes, self._training_rng)
        performance = performance_on(dataset, self.learner, self._pool.labels, self._acquired.rows)
        self.trace.append(TracePoint(len(batch), mislabelled, performance))
        self.end_reason = end_reason(
            self.task, bought=self.budget_used, available=self.samples_available, steps=self.steps
        )
        return Purchase(counts, len(batch), mislabelled, distance, redundancy, performance - before, batch)
