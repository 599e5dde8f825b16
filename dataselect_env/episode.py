"""The dynamics of one episode: a pool, a learner, a budget, and what was bought so far (SPEC section 6).

Plain numbers in, plain numbers out: no requests, replies or ids. :mod:`dataselect_env.env` wraps it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dataselect_env import sampling
from dataselect_env.arrays import Floats, Indices
from dataselect_env.data import dataset_number, make_dataset, make_pool, world_of
from dataselect_env.grading import TracePoint, average_noise, grade
from dataselect_env.learner import WARM_UP_PASSES, Learner, passes_for
from dataselect_env.models import EndReason, Grade
from dataselect_env.reward import distance_and_redundancy
from dataselect_env.tasks import MIN_BATCH, Task

NOISE_PRIOR_STRENGTH = 10
"""The declared noise rate weighs as much in ``noise_estimate`` as this many bought samples."""


@dataclass(frozen=True, slots=True)
class Purchase:
    """What one batch was and did.

    Attributes:
        counts: Samples chosen by uncertainty, diversity and random.
        bought: Their sum, at least 1.
        mislabelled: How many of them carry a wrong label.
        distance: Mean Euclidean distance of the batch from the training centroid before it.
        redundancy: (1 + mean cosine similarity to that centroid) / 2, in [0, 1].
        performance_change: Performance after training on it, less the performance before.
    """

    counts: tuple[int, ...]
    bought: int
    mislabelled: int
    distance: float
    redundancy: float
    performance_change: float

    @property
    def noise_ratio(self) -> float:
        """Share of mislabelled samples, in [0, 1]."""
        return self.mislabelled / self.bought


class Episode:
    """One episode of ``task``; a pure function of the task, the seed and the calls made.

    Attributes:
        task: The task that is played.
        seed: What data set, noise and draws come from.
        learner: The classifier, trained on everything acquired.
        trace: One point for the start and one for each step; what the grade is made from.
        end_reason: Why the episode is over, or None while it goes on.
    """

    def __init__(self, task: Task, seed: int) -> None:
        self.task = task
        self.seed = seed
        noise, selection, training = np.random.SeedSequence(seed).spawn(3)
        self._selection_rng = np.random.default_rng(selection)
        self._training_rng = np.random.default_rng(training)

        dataset = make_dataset(dataset_number(seed))
        self._dataset = dataset
        self._available = np.arange(len(dataset.y_pool))
        self._X_train = dataset.X_seed
        self._y_train = dataset.y_seed
        self.learner = Learner()
        # The warm start belongs to the data set: the order of its rows is drawn from the data set's number and not
        # from the seed, so every episode starts from exactly the performance that the data set was accepted for.
        self.learner.train(dataset.X_seed, dataset.y_seed, WARM_UP_PASSES, np.random.default_rng(dataset.number))
        margins = np.abs(self.learner.log_odds(dataset.X_pool))
        self._pool = make_pool(task, dataset, world_of(seed), margins, np.random.default_rng(noise))
        self.trace = [TracePoint(bought=0, mislabelled=0, performance=self._measure())]
        self.end_reason: EndReason | None = None

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
        return len(self._available)

    @property
    def budget_used(self) -> int:
        """Samples bought so far."""
        return sum(point.bought for point in self.trace)

    @property
    def remaining_budget(self) -> int:
        """Samples that may still be bought."""
        return self.task.budget - self.budget_used

    @property
    def diversity_score(self) -> float:
        """Standard deviation over all entries of the training set's feature matrix."""
        return float(self._X_train.std())

    @property
    def noise_estimate(self) -> float:
        """Posterior mean of the noise rate, in [0, 1]: the declared rate as prior, the batches bought as evidence.

        The hidden mask of what was not bought has no part in it (SPEC section 7).
        """
        used = self.budget_used
        found = (average_noise(self.trace) or 0.0) * used
        return (NOISE_PRIOR_STRENGTH * self.task.flip_y + found) / (NOISE_PRIOR_STRENGTH + used)

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
            batch_size: Samples asked for: raised to ``MIN_BATCH``, then cut to what budget and pool still hold.
            weights: Mix of the strategies in the order of ``sampling.STRATEGIES``: finite, non-negative, not all zero.
        """
        bought = min(max(batch_size, MIN_BATCH), self.remaining_budget, self.samples_available)
        counts = sampling.quotas(bought, weights)
        centroid = self._X_train.mean(axis=0)
        batch = self._take(counts, centroid)
        X, mislabelled = self._pool.X[batch], int(self._pool.mislabelled[batch].sum())
        distance, redundancy = distance_and_redundancy(X, centroid)

        used, before = self.budget_used, self.performance
        self._X_train = np.concatenate([self._X_train, X])
        self._y_train = np.concatenate([self._y_train, self._pool.y[batch]])
        self.learner.train(self._X_train, self._y_train, passes_for(used, used + bought), self._training_rng)
        self.trace.append(TracePoint(bought, mislabelled, self._measure()))
        self.end_reason = self._exhausted()
        return Purchase(counts, bought, mislabelled, distance, redundancy, self.performance - before)

    def _take(self, counts: tuple[int, ...], centroid: Floats) -> Indices:
        """Choose a batch by the strategies and remove it from the pool; return its indices into the pool."""
        X = self._pool.X[self._available]
        chosen = sampling.select(
            X,
            self.learner.log_odds(X),
            centroid=centroid,
            mislabelled=self._pool.mislabelled[self._available],
            trap=sampling.trap_strength(self.task.flip_y),
            counts=counts,
            rng=self._selection_rng,
        )
        batch = self._available[chosen]
        self._available = np.delete(self._available, chosen)
        return batch

    def _measure(self) -> float:
        return self.learner.performance(self._dataset.X_validation, self._dataset.y_validation)

    def _exhausted(self) -> EndReason | None:
        if self.remaining_budget == 0:
            return "budget"
        if self.samples_available == 0:
            return "pool"
        return "max_steps" if self.steps == self.task.max_steps else None
