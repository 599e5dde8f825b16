"""Features and action vectors: the input and output of learned policies, in training and in use.

Features contain only what an agent can see: the task, the observations and the infos of its steps. :class:`Progress`
and :func:`decode_lanes` handle several episodes at once, one in each lane; :func:`features`, :func:`decode` and
:func:`encode` handle one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dataselect_env.core.actions import action_model, weights_of
from dataselect_env.core.arrays import Floats, Indices, Mask
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import OBSERVED, Action, ObservationFields, Reply, StepInfo
from dataselect_env.core.results import BatchResult
from dataselect_env.core.strategies.sampling import STRATEGIES
from dataselect_env.core.tasks import MIN_BATCH, Task

FEATURES_VERSION = 1
"""Increased whenever the features of an episode or the action of a vector change."""

LARGEST_DIVERSITY = 2.0
"""Upper bound of the diversity score as a feature; twice the value of the standardised data sets."""

FEATURES = (
    "budget_left",  # share of the budget
    "steps_left",  # share of the steps
    "pool_left",  # share of the pool
    "diversity_score",  # halved
    "noise_estimate",
    "performance",
    "performance_change",  # since the reset, times 4
    "last_batch_size",  # share of the budget
    "last_noise",  # noise ratio, from [0, 1] to [-1, 1]
    "last_performance_change",  # times 10
    "last_redundancy",  # from [0, 1] to [-1, 1]
    "last_gain",
    *(f"last_share_{name}" for name in STRATEGIES),  # share of the last batch chosen by the strategy
    *(f"bought_{name}" for name in STRATEGIES),  # ln(1 + samples) / ln(1 + budget)
    *(f"noise_{name}" for name in STRATEGIES),  # noise ratio of its purchases, from [0, 1] to [-1, 1]
)
"""Names of the features, in order. Each is clipped to [-1, 1]; features of an empty purchase are 0."""

ACTIONS = ("stop", "batch_size", *STRATEGIES)
"""Names of the entries of an action vector, in order; each entry is in [-1, 1]."""
STOP_ABOVE = 0.9
"""A stop entry above this value means stop. An untrained policy, whose entries centre on 0, hardly ever stops."""
SHARPNESS = 8.0
"""Strategy weights are softmax(SHARPNESS x entries): with two strategies, an entry that is 0.5 higher gets 98 % of a
batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchases:
    """The purchases of k lanes in one step; zeros for a lane that bought nothing.

    Attributes:
        bought_by: Number of samples that each of s strategies chose, (k, s). Columns after the first three are extra
            strategies; they count only towards the batch size.
        mislabelled: Number of samples with a wrong label, (k,); without ground truth, the expected number.
        redundancy, gain: As in :class:`~dataselect_env.core.models.StepInfo`, (k,).
    """

    bought_by: Floats
    mislabelled: Floats
    redundancy: Floats
    gain: Floats


class Progress:
    """The history of n lanes' episodes as far as their features need it.

    Args:
        lanes: Number of lanes.

    Attributes:
        budget: Budgets of the tasks, (n,).
        max_steps: Step limits of the tasks, (n,).
        step: Actions so far, (n,).
        observed: Latest observations, (n, 5), with columns ``OBSERVED``.
    """

    def __init__(self, lanes: int) -> None:
        self.budget, self.max_steps, self.step = np.ones(lanes), np.ones(lanes), np.zeros(lanes)
        self.observed = np.zeros((lanes, len(OBSERVED)))
        self._first, self._before = np.zeros_like(self.observed), np.zeros_like(self.observed)
        self._last = np.zeros((lanes, 3))  # mislabelled, redundancy, gain
        self._batch = np.zeros(lanes)
        self._bought_by, self._bought, self._wrong = (np.zeros((lanes, len(STRATEGIES))) for _ in range(3))

    def start(self, lanes: Indices | slice, tasks: Sequence[Task], observed: Floats) -> None:
        """Start an episode in each of k lanes.

        Args:
            lanes: The lanes, (k,).
            tasks: Tasks of the lanes, k.
            observed: First observations, (k, 5), with columns ``OBSERVED``.
        """
        self.budget[lanes] = [task.budget for task in tasks]
        self.max_steps[lanes] = [task.max_steps for task in tasks]
        for observations in (self.observed, self._first, self._before):
            observations[lanes] = observed
        self.step[lanes] = 0
        for sums in (self._last, self._batch, self._bought_by, self._bought, self._wrong):
            sums[lanes] = 0

    def add(self, lanes: Indices | slice, observed: Floats, purchases: Purchases) -> None:
        """Add a step of k lanes, (k,): the observations after it, (k, 5), and its purchases."""
        counts = purchases.bought_by[:, : len(STRATEGIES)]
        bought = purchases.bought_by.sum(axis=1)
        ratio = purchases.mislabelled / np.maximum(bought, 1)
        self._before[lanes] = self.observed[lanes]
        self.observed[lanes] = observed
        self.step[lanes] += 1
        self._bought_by[lanes] = counts
        self._batch[lanes] = bought
        self._last[lanes] = np.column_stack([purchases.mislabelled, purchases.redundancy, purchases.gain])
        self._bought[lanes] += counts
        self._wrong[lanes] += counts * ratio[:, None]  # attributed in proportion to the numbers bought

    def features(self, lanes: Indices | slice = slice(None)) -> Floats:
        """Return the features of k lanes, (k, len(FEATURES)), each in [-1, 1]."""
        budget = self.budget[lanes]
        left, diversity, noise, performance, available = self.observed[lanes].T
        first, before = self._first[lanes], self._before[lanes, OBSERVED.index("current_performance")]
        counts, bought = self._bought_by[lanes], self._bought[lanes]
        batch = self._batch[lanes]
        mislabelled, redundancy, gain = self._last[lanes].T
        size = np.maximum(batch, 1)
        last = (
            batch / budget,
            2 * (mislabelled / size) - 1,
            10 * (performance - before),
            2 * redundancy - 1,
            gain,
            *(counts / size[:, None]).T,
        )
        general = (
            left / budget,
            1 - self.step[lanes] / self.max_steps[lanes],
            available / first[:, OBSERVED.index("samples_available")],
            diversity / LARGEST_DIVERSITY,
            noise,
            performance,
            4 * (performance - first[:, OBSERVED.index("current_performance")]),
        )
        spent = (np.log1p(bought) / np.log1p(budget)[:, None]).T
        wrong = np.where(bought > 0, 2 * self._wrong[lanes] / np.maximum(bought, 1) - 1, 0.0).T
        vectors = np.stack([*general, *(np.where(batch > 0, value, 0.0) for value in last), *spent, *wrong], axis=1)
        clipped: Floats = np.clip(vectors, -1.0, 1.0)
        return clipped


class EpisodeProgress(Progress):
    """The progress of one episode, updated from its replies.

    Args:
        task: Task of the episode.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(1)
        self.task = task

    def see(self, reply: Reply) -> None:
        """Add a reply: the reply to the reset first, then the reply to each step."""
        observed = np.array([reply.observation.as_tuple()], dtype=np.float64)
        if reply.info is None:
            self.start(slice(None), [self.task], observed)
        else:
            self.add(slice(None), observed, purchases([(reply.observation, reply.info)]))


def purchases(steps: Sequence[tuple[ObservationFields, StepInfo]]) -> Purchases:
    """Return the purchases of k steps from their observations and infos; their tasks must offer the same strategies."""
    return Purchases(
        bought_by=np.array([list(info.bought_by.values()) for _, info in steps], dtype=np.float64),
        mislabelled=np.array([_mislabelled(info, observation.noise_estimate) for observation, info in steps]),
        redundancy=np.array([info.redundancy or 0.0 for _, info in steps]),
        gain=np.array([info.gain or 0.0 for _, info in steps]),
    )


def purchases_of(result: BatchResult) -> Purchases:
    """Return the purchases of the lanes of a batch."""
    estimates = result.observed[:, OBSERVED.index("noise_estimate")]
    unknown = np.isnan(result.mislabelled)
    return Purchases(
        bought_by=result.bought_by.astype(np.float64),
        mislabelled=np.where(unknown, result.batch_size * estimates, result.mislabelled),
        redundancy=np.nan_to_num(result.redundancy),
        gain=np.nan_to_num(result.gain),
    )


def _mislabelled(info: StepInfo, estimate: float) -> float:
    """Return the number of wrong labels in a batch; without ground truth, the number expected from ``estimate``."""
    return info.batch_size * estimate if info.mislabelled is None else float(info.mislabelled)


def features(task: Task, replies: Sequence[Reply]) -> Floats:
    """Return the features of an episode so far, (len(FEATURES),), each in [-1, 1].

    Args:
        task: Task of the episode.
        replies: The reply to the reset, followed by one reply for each step.
    """
    progress = EpisodeProgress(task)
    for reply in replies:
        progress.see(reply)
    vector: Floats = progress.features()[0]
    return vector


# --- actions --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Choices:
    """The actions of k lanes.

    Attributes:
        stop: Whether a lane stops, (k,); its batch size and weights are then meaningless.
        batch_sizes: Samples to buy, (k,), from ``MIN_BATCH`` to the budget.
        weights: Weights of the strategies, (k, 3 + f), not all zero in a row.
        extra: Names of the f extra strategies.
    """

    stop: Mask
    batch_sizes: Indices
    weights: Floats
    extra: tuple[str, ...] = ()

    def action(self, lane: int) -> Action:
        """Return the action of one lane."""
        if self.stop[lane]:
            return Action.stop()
        weights = dict(zip((*STRATEGIES, *self.extra), self.weights[lane].tolist(), strict=True))
        return action_model(self.extra).select(int(self.batch_sizes[lane]), **weights)


def batch_sizes(budget: ArrayLike, max_steps: ArrayLike, entries: Any) -> Indices:
    """Return the batch sizes for entries in [-1, 1], which form a logarithmic scale.

    -1 is ``MIN_BATCH``, 0 an even share of the budget for each step, 1 the whole budget. The arguments are broadcast.
    """
    budget = np.asarray(budget, dtype=np.float64)
    even = budget / max_steps
    base = np.where(np.less(entries, 0), even / MIN_BATCH, budget / even)
    sizes: Indices = np.rint(even * base**entries).astype(np.intp)
    return sizes


def decode_lanes(budget: ArrayLike, max_steps: ArrayLike, vectors: Floats, extra: tuple[str, ...] = ()) -> Choices:
    """Decode k action vectors.

    Args:
        budget: Budgets of the tasks, (k,) or a number.
        max_steps: Step limits of the tasks, (k,) or a number.
        vectors: Action vectors with entries ``ACTIONS`` and one for each extra strategy, (k, 5 + f), clipped to
            [-1, 1]. Batch sizes are not limited to what is left; the environment does that.
        extra: Names of the f extra strategies.

    Raises:
        InvalidInput: The array has another shape, or an entry is not finite.
    """
    width = len(ACTIONS) + len(extra)
    if vectors.ndim != 2 or vectors.shape[1] != width:
        raise InvalidInput(f"action: an action vector should have {width} entries", field="action")
    if not np.isfinite(vectors).all():
        raise InvalidInput("action: every entry of an action vector should be finite", field="action")
    stop, sizes, *entries = np.clip(vectors, -1.0, 1.0).T
    weights = np.exp(SHARPNESS * np.stack(entries, axis=1))
    weights /= weights.sum(axis=1, keepdims=True)
    return Choices(stop > STOP_ABOVE, batch_sizes(budget, max_steps, sizes), weights, extra)


def decode(task: Task, vector: Floats) -> Action:
    """Decode an action vector, (5,) or (5 + f,) for a task with f extra strategies; see :func:`decode_lanes`.

    A vector of 5 entries gives extra strategies no weight.
    """
    extra = () if len(vector) == len(ACTIONS) else task.extra_strategies
    return decode_lanes(task.budget, task.max_steps, vector[None], extra).action(0)


def encode(task: Task, action: Action) -> Floats:
    """Return the action vector, (5 + f,), that :func:`decode` maps to the nearest possible action.

    A weight below exp(-2 SHARPNESS) of the largest weight is raised to that value, which is too small to buy a sample.
    """
    strategies = (*STRATEGIES, *task.extra_strategies)
    if action.action_type == "stop":
        return np.array([1.0, 0.0, *np.zeros(len(strategies))])
    even = task.budget / task.max_steps
    size = min(max(action.batch_size, MIN_BATCH), task.budget)
    base = even / MIN_BATCH if size < even else task.budget / even
    given = weights_of(action, strategies)
    weights = np.array([*given, *np.zeros(len(strategies) - len(given))])
    with np.errstate(divide="ignore"):  # the logarithm of zero is clipped
        entries = np.clip(1 + np.log(weights / weights.max()) / SHARPNESS, -1.0, 1.0)
    return np.array([-1.0, np.log(size / even) / np.log(base), *entries])
