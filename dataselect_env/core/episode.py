"""The dynamics of one episode: its pool, classifier, budget and purchases.

Requests, replies and ids are added by :mod:`dataselect_env.core.env`. Each step makes one :class:`StepResult`, from
which everything reported about the step is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import Any

import numpy as np

from dataselect_env.core import kernel
from dataselect_env.core import reward as rewards
from dataselect_env.core.actions import weights_of
from dataselect_env.core.arrays import Indices, Mask, total
from dataselect_env.core.grading import TracePoint, grade
from dataselect_env.core.kernel import Outcome, State
from dataselect_env.core.learner import Learner, passes_for
from dataselect_env.core.models import (
    DEFAULT_REWARD_MODE,
    Action,
    EndReason,
    Grade,
    ObservationFields,
    RewardMode,
    StepInfo,
)
from dataselect_env.core.noise_estimate import estimate_noise, suspected
from dataselect_env.core.order import Phase, check_order
from dataselect_env.core.problem import Problem, describe
from dataselect_env.core.results import StepResult
from dataselect_env.core.selection import BatchSelector, strategies_of
from dataselect_env.core.source import source_of, task_at
from dataselect_env.core.strategies import sampling
from dataselect_env.core.tasks import Task
from dataselect_env.core.training_set import TrainingSet
from dataselect_env.core.warm_start import WarmStart


class Episode:
    """One episode of ``task``: a pure function of task, seed, reward mode and actions.

    Args:
        task: Task to play.
        seed: Determines data set, label noise and selection draws; in [0, 2^32).
        reward_mode: ``shaped``, or ``grade``: the rewards add up to the grade.
        hold_data: Whether the episode keeps its data set in memory. By default it looks the data set up at each step,
            so that many waiting episodes hold no data beyond the shared cache.

    Attributes:
        task: As given; where each seed draws a problem, with the numbers of the problem.
        seed, reward_mode: As given.
        trace: One point for the reset and one for each step; the grade is computed from it.
        budget_used: Samples bought so far.
        judged: Without ground truth: number of bought samples that the model could judge (:mod:`.noise_estimate`).
        end_reason: Why the episode is over, or None while it runs.
    """

    def __init__(
        self, task: Task, seed: int, reward_mode: RewardMode = DEFAULT_REWARD_MODE, *, hold_data: bool = False
    ) -> None:
        self.task = task_at(task, seed)
        self.seed = seed
        self.reward_mode = reward_mode
        noise_rng, selection_rng, training_rng = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(3))
        self._source = source_of(self.task)
        self._held = self._source.start(seed) if hold_data else None
        pool = self._source.pool(self.task, seed, noise_rng)
        start = self._start
        dataset, available = start.dataset, start.dataset.available
        self._pool_size = int(np.count_nonzero(available))
        room = min(self.task.budget, self._pool_size)
        self._state = State(
            pool=pool,
            available=available,
            acquired=TrainingSet(dataset.seed_rows, dataset.X_seed, room),
            learner=start.learner.copy(),
            selection_rng=selection_rng,
            training_rng=training_rng,
            trap=sampling.trap_strength(self.task.flip_y) if self.task.noise_trap else 0.0,
        )
        self.judged = self._suspected = 0
        self.trace = [TracePoint(bought=0, mislabelled=0, performance=start.performance)]
        self.budget_used = self._mislabelled = 0
        self.end_reason: EndReason | None = None
        self._spread = self._state.acquired.spread
        self._return = 0.0  # sum of the rewards so far
        self._memory: dict[str, Any] = {}  # what strategies keep

    def __deepcopy__(self, memo: dict[int, object]) -> Episode:
        """Return an independent copy. What depends on the pool alone is shared."""
        twin = copy(self)
        twin._state, twin.trace, twin._memory = self._state.copy(), list(self.trace), dict(self._memory)
        return twin

    # --- properties -------------------------------------------------------------------------------------------------

    @property
    def _start(self) -> WarmStart:
        return self._held or self._source.start(self.seed)

    @property
    def learner(self) -> Learner:
        """The classifier, trained on everything acquired so far."""
        return self._state.learner

    @property
    def phase(self) -> Phase:
        """Whether the episode is running or over."""
        return "running" if self.end_reason is None else "over"

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
        """1 / (1 + log loss) on the validation split, after the last step."""
        return self.trace[-1].performance

    @property
    def samples_acquired(self) -> int:
        """Samples in the training set: the seed set and what was bought."""
        return self._state.acquired.size

    @property
    def samples_available(self) -> int:
        """Samples left in the pool."""
        return self._pool_size - self.budget_used

    @property
    def remaining_budget(self) -> int:
        """Samples that may still be bought."""
        return self.task.budget - self.budget_used

    @property
    def noise_estimate(self) -> float:
        """Estimated share of wrong labels in the pool, in [0, 1]; see :mod:`.noise_estimate`."""
        if not self.task.audited:
            return estimate_noise(self.task.flip_y, self.judged, self._suspected)
        return estimate_noise(self.task.flip_y, self.budget_used, self._mislabelled)

    @property
    def observation(self) -> ObservationFields:
        """What the agent sees now."""
        return ObservationFields(
            remaining_budget=self.remaining_budget,
            diversity_score=self._spread,
            noise_estimate=self.noise_estimate,
            current_performance=self.performance,
            samples_available=self.samples_available,
        )

    @property
    def clean_samples(self) -> Indices:
        """Indices into the pool of the available samples with a right label, ascending.

        They are hidden, for oracles and audits in process. On a task without ground truth, all count as clean.
        """
        return np.flatnonzero(self._state.available & ~self._state.pool.mislabelled)

    @property
    def mislabelled(self) -> Mask:
        """A copy of the hidden noise mask of the pool, (n_pool,); as confidential as :attr:`clean_samples`."""
        return self._state.pool.mislabelled.copy()

    def grade(self) -> Grade:
        """Return the grade as if the episode ended now."""
        return grade(self.task, self.trace)

    def describe(self) -> Problem:
        """Return what an agent may know of the problem before it buys.

        Raises:
            ValueError: A step has been played; the statistics describe the pool as it was at the start.
        """
        if self.steps:
            raise ValueError("a problem is described before the first step")
        return describe(self.task, self._start, self._selector(self._start).candidates())

    @property
    def handles(self) -> tuple[Any, Any] | None:
        """Data set and state for :func:`.kernel.play`; None where some steps need more than that.

        Arrays behind them are those of the episode: once the kernel has played a step, only the kernel may go on.
        """
        task, start = self.task, self._start
        plain = task.audited and task.mixing == "quotas" and not task.extra_strategies and start.dataset.weights is None
        if not plain or not kernel.is_compiled(start):
            return None
        return kernel.data_handle(start), self._state.handle

    # --- steps ------------------------------------------------------------------------------------------------------

    def step(self, action: Action) -> StepResult:
        """Play one action.

        Raises:
            InvalidInput: The action gives weight to a strategy that the task does not offer.
            EpisodeOver: The episode is over. In both cases the episode is unchanged.
        """
        check_order("step", self.phase)
        if action.action_type == "stop":
            return self.stop()
        return self.select_batch(action.batch_size, weights_of(action, self.strategies))

    def stop(self) -> StepResult:
        """End the episode without a purchase; it counts as a step."""
        check_order("step", self.phase)
        self.trace.append(TracePoint(bought=0, mislabelled=0, performance=self.performance))
        self.end_reason = "stop"
        return self._result(rewards.stop_terms(), np.empty(0, dtype=np.intp))

    def select_batch(self, batch_size: int, weights: tuple[float, ...]) -> StepResult:
        """Buy a batch, remove it from the pool, and train on everything acquired.

        Args:
            batch_size: Number of samples requested; see :meth:`batch_size`.
            weights: Weights of the strategies, in the order of :attr:`strategies`: finite, non-negative, not all zero.
                Weights at the end may be left out; they count as zero.
        """
        check_order("step", self.phase)
        counts = sampling.quotas(self.batch_size(batch_size), weights)
        start = self._start
        return self._acquire(start, self._selector(start).select(counts, weights), counts)

    def _selector(self, start: WarmStart) -> BatchSelector:
        return BatchSelector(task=self.task, start=start, state=self._state, memory=self._memory)

    def batch_size(self, wanted: int) -> int:
        """Return how many samples are bought when ``wanted`` are requested.

        At least the task's ``min_batch``, at most its ``max_batch``, and never more than budget and pool allow.
        """
        most = self.remaining_budget if self.task.max_batch is None else self.task.max_batch
        return min(max(wanted, self.task.min_batch), most, self.remaining_budget, self.samples_available)

    def buy(self, samples: Indices) -> StepResult:
        """Buy the given samples. This is for oracles in process; no action can name samples.

        Args:
            samples: Indices into the pool, (n,), distinct and available; 1 <= n <= ``remaining_budget``.

        Raises:
            ValueError: The samples violate one of these conditions; nothing was bought.
        """
        check_order("step", self.phase)
        if not 1 <= len(samples) <= self.remaining_budget:
            raise ValueError(f"between 1 and {self.remaining_budget} samples can be bought, not {len(samples)}")
        if len(np.unique(samples)) < len(samples) or samples.min() < 0 or not self._state.available[samples].all():
            raise ValueError("samples must be distinct and still available")
        return self._acquire(self._start, samples, ())

    def _acquire(self, start: WarmStart, batch: Indices, counts: tuple[int, ...]) -> StepResult:
        """Remove ``batch`` from the pool and train on everything acquired."""
        state = self._state
        if not self.task.audited:
            rows = batch + start.dataset.pool_rows.start
            judged, wrong = suspected(state.learner, start.dataset.X, state.pool.labels, state.acquired.rows, rows)
            self.judged, self._suspected = self.judged + judged, self._suspected + wrong
        passes = passes_for(self.budget_used, self.budget_used + len(batch))
        return self._bought(batch, counts, kernel.learn(start, state, batch, passes))

    def _bought(self, batch: Indices, counts: tuple[int, ...], outcome: Outcome) -> StepResult:
        """Record a purchase that was trained on; return the result of the step."""
        change = outcome.performance - self.performance
        self.budget_used += len(batch)
        self._mislabelled += outcome.mislabelled
        self._spread = outcome.spread
        self.trace.append(TracePoint(len(batch), outcome.mislabelled, outcome.performance))
        self.end_reason = self._reason_to_end()
        terms = rewards.selection_terms(
            performance_change=change,
            distance=outcome.distance,
            redundancy=outcome.redundancy,
            # a reward must not reveal it either
            noise_ratio=outcome.mislabelled / len(batch) if self.task.audited else 0.0,
            batch_size=len(batch),
            flip_y=self.task.flip_y,
        )
        gain = rewards.gain(change, outcome.distance)
        return self._result(terms, batch, counts, redundancy=outcome.redundancy, gain=gain)

    def _reason_to_end(self) -> EndReason | None:
        if self.remaining_budget == 0:
            return "budget"
        if self.samples_available == 0:
            return "pool"
        return "max_steps" if self.steps == self.task.max_steps else None

    def _result(
        self,
        terms: dict[str, float],
        samples: Indices,
        counts: tuple[int, ...] = (),
        *,
        redundancy: float | None = None,
        gain: float | None = None,
    ) -> StepResult:
        """Return the result of the step that was added to the trace last.

        Args:
            terms: Terms of the ``shaped`` reward; the terminal term is filled in here.
            samples: Indices into the pool of the samples bought, (n,).
            counts: Samples chosen by each strategy, in the order of :attr:`strategies`.
            redundancy: As in :class:`StepInfo`; None if nothing was bought.
            gain: As in :class:`StepInfo`; None if nothing was bought.
        """
        final = self.grade() if self.end_reason is not None else None
        if self.reward_mode == "grade":
            terms = {rewards.GRADE_TERM: (final or self.grade()).score - self._return}
        elif final is not None:
            terms["terminal"] = rewards.terminal(final.score)
        reward = total(terms.values())
        self._return += reward
        mislabelled = self.trace[-1].mislabelled if self.task.audited else None
        info = StepInfo(
            reward_terms=terms,
            batch_size=len(samples),
            bought_by=dict.fromkeys(self.strategies, 0) | dict(zip(self.strategies, counts, strict=False)),
            mislabelled=mislabelled,
            noise_ratio=None if mislabelled is None or not len(samples) else mislabelled / len(samples),
            redundancy=redundancy,
            gain=gain,
            end_reason=self.end_reason,
            grade=final,
        )
        return StepResult(self.observation, reward, info, samples)


def replay(
    task: Task, seed: int, actions: Iterable[Action], reward_mode: RewardMode = DEFAULT_REWARD_MODE
) -> tuple[Episode, list[StepResult]]:
    """Play actions on a new episode; return the episode after the last action and the result of each step.

    Raises:
        EnvError: An action cannot be played; see :meth:`Episode.step`.
    """
    episode = Episode(task, seed, reward_mode)
    return episode, [episode.step(action) for action in actions]
