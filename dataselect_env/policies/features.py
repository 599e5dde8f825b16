"""Replies as vectors and vectors as actions: what learned policies read and write, in training and afterwards.

Everything here is known to an agent: the task, the observations, and what the replies to its steps reveal. It works on
any number of episodes at once, called lanes; :func:`features`, :func:`decode` and :func:`encode` are for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dataselect_env.core.actions import action_model
from dataselect_env.core.arrays import Floats, Indices, Mask
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import OBSERVED, Action, ObservationFields, Reply, StepInfo
from dataselect_env.core.strategies.sampling import STRATEGIES
from dataselect_env.core.tasks import MIN_BATCH, Task

FEATURES_VERSION = 1
"""Rises whenever the same episode gives other features, or the same vector another action."""

LARGEST_DIVERSITY = 2.0
"""Twice what the standardised data sets come to; a higher diversity score counts as this one."""

FEATURES = (
    "budget_left",  # share of the budget
    "steps_left",  # share of the steps
    "pool_left",  # share of the pool
    "diversity_score",  # halved
    "noise_estimate",
    "performance",
    "performance_change",  # since the reset, 4 times
    "last_batch_size",  # share of the budget
    "last_noise",  # noise ratio, from [0, 1] to [-1, 1]
    "last_performance_change",  # 10 times
    "last_redundancy",  # from [0, 1] to [-1, 1]
    "last_gain",
    *(f"last_share_{name}" for name in STRATEGIES),  # share of the last batch that the strategy chose
    *(f"bought_{name}" for name in STRATEGIES),  # ln(1 + samples) / ln(1 + budget)
    *(f"noise_{name}" for name in STRATEGIES),  # noise ratio of what it bought, from [0, 1] to [-1, 1]
)
"""Names of the features, in order. Each lies in [-1, 1], clipped to it; one about nothing bought is 0."""

ACTIONS = ("stop", "batch_size", *STRATEGIES)
"""Names of the entries of an action vector, in order; each in [-1, 1]."""
STOP_ABOVE = 0.9
"""A stop entry above this stops: a policy that knows nothing yet, centred on 0, hardly ever does."""
SHARPNESS = 8.0
"""Strategy weights are softmax(SHARPNESS x entries): 0.5 between two entries is 98 % of the batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchases:
    """What k lanes bought in their last step; zeros where one bought nothing.

    Attributes:
        bought_by: Samples that each strategy chose, (k, s); those of further strategies, after the three, count in the
            size of the batch only.
        mislabelled: Samples with a wrong label, (k,); where the right ones are unknown, how many to expect.
        redundancy, gain: As :class:`~dataselect_env.core.models.StepInfo` tells them, (k,).
    """

    bought_by: Floats
    mislabelled: Floats
    redundancy: Floats
    gain: Floats


class Progress:
    """What is known of the episodes of n lanes so far, and its features."""

    def __init__(self, lanes: int) -> None:
        self.budget, self.max_steps, self.step = np.ones(lanes), np.ones(lanes), np.zeros(lanes)
        self.observed = np.zeros((lanes, len(OBSERVED)))
        self._first, self._before = np.zeros_like(self.observed), np.zeros_like(self.observed)
        self._last = np.zeros((lanes, 3))  # mislabelled, redundancy, gain
        self._batch = np.zeros(lanes)
        self._bought_by, self._bought, self._found = (np.zeros((lanes, len(STRATEGIES))) for _ in range(3))

    def start(self, lanes: Indices | slice, tasks: Sequence[Task], observed: Floats) -> None:
        """Begin k episodes.

        Args:
            lanes: Which, (k,).
            tasks: What each of them plays, k.
            observed: Their first observations, (k, 5), in the order of ``OBSERVED``.
        """
        self.budget[lanes] = [task.budget for task in tasks]
        self.max_steps[lanes] = [task.max_steps for task in tasks]
        for seen in (self.observed, self._first, self._before):
            seen[lanes] = observed
        self.step[lanes] = 0
        for sums in (self._last, self._batch, self._bought_by, self._bought, self._found):
            sums[lanes] = 0

    def add(self, lanes: Indices | slice, observed: Floats, purchases: Purchases) -> None:
        """Add a step of k lanes, (k,): what was observed after it, (k, 5), and what it bought."""
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
        self._found[lanes] += counts * ratio[:, None]  # a mixed batch's noise is shared out by the numbers bought

    def features(self, lanes: Indices | slice = slice(None)) -> Floats:
        """Return the features of k lanes, (k, len(FEATURES)), each in [-1, 1]."""
        budget = self.budget[lanes]
        left, diversity, noise, performance, available = self.observed[lanes].T
        first, before = self._first[lanes], self._before[lanes, OBSERVED.index("current_performance")]
        counts, bought = self._bought_by[lanes], self._bought[lanes]
        batch = self._batch[lanes]
        mislabelled, redundancy, gain = self._last[lanes].T
        some = np.maximum(batch, 1)
        last = (
            batch / budget,
            2 * (mislabelled / some) - 1,
            10 * (performance - before),
            2 * redundancy - 1,
            gain,
            *(counts / some[:, None]).T,
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
        wrong = np.where(bought > 0, 2 * self._found[lanes] / np.maximum(bought, 1) - 1, 0.0).T
        vectors = np.stack([*general, *(np.where(batch > 0, value, 0.0) for value in last), *spent, *wrong], axis=1)
        clipped: Floats = np.clip(vectors, -1.0, 1.0)
        return clipped


class EpisodeProgress(Progress):
    """The progress of one episode, told by its replies.

    Args:
        task: The task that is played.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(1)
        self.task = task

    def see(self, reply: Reply) -> None:
        """Take in the reply to the reset, then one a step."""
        observed = np.array([reply.observation.as_tuple()], dtype=np.float64)
        if reply.info is None:
            self.start(slice(None), [self.task], observed)
        else:
            self.add(slice(None), observed, purchases([(reply.observation, reply.info)]))


def purchases(steps: Sequence[tuple[ObservationFields, StepInfo]]) -> Purchases:
    """Return what k steps bought, from their observations and infos; their tasks offer the same strategies."""
    return Purchases(
        bought_by=np.array([list(info.bought_by.values()) for _, info in steps], dtype=np.float64),
        mislabelled=np.array([_mislabelled(info, seen.noise_estimate) for seen, info in steps]),
        redundancy=np.array([info.redundancy or 0.0 for _, info in steps]),
        gain=np.array([info.gain or 0.0 for _, info in steps]),
    )


def _mislabelled(info: StepInfo, estimate: float) -> float:
    """Return how many labels of a batch were wrong, or without ground truth how many are expected to be."""
    return info.batch_size * estimate if info.mislabelled is None else float(info.mislabelled)


def features(task: Task, replies: Sequence[Reply]) -> Floats:
    """Return the features of an episode so far, (len(FEATURES),), each in [-1, 1].

    Args:
        task: The task that is played.
        replies: The reply to the reset, then one a step.
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
        stop: Whether a lane stops; the others' values stand for nothing there, (k,).
        batch_sizes: Samples to buy, (k,), from ``MIN_BATCH`` to the budget.
        weights: Weights of the strategies, (k, 3 + f), not all zero.
        extra: Names of the f strategies after the three.
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
    """Return the batch sizes that entries in [-1, 1] stand for.

    The scale is logarithmic: from ``MIN_BATCH`` at -1 over an even share of the budget for every step at 0 to the whole
    budget at 1. The arguments are broadcast.
    """
    budget = np.asarray(budget, dtype=np.float64)
    even = budget / max_steps
    base = np.where(np.less(entries, 0), even / MIN_BATCH, budget / even)
    sizes: Indices = np.rint(even * base**entries).astype(np.intp)
    return sizes


def decode_lanes(budget: ArrayLike, max_steps: ArrayLike, vectors: Floats, extra: tuple[str, ...] = ()) -> Choices:
    """Return the actions that k vectors stand for.

    Args:
        budget: Of the tasks that are played, (k,) or a number.
        max_steps: Of the same tasks, (k,) or a number.
        vectors: ``ACTIONS``, (k, 5 + f); entries outside of [-1, 1] are clipped. The environment cuts batch sizes to
            what is left.
        extra: Names of the f strategies after the three.

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
    """Return the action that a vector stands for; see :func:`decode_lanes`.

    One of (5,) leaves the further strategies of a task alone, if it has any.
    """
    extra = () if len(vector) == len(ACTIONS) else task.extra_strategies
    return decode_lanes(task.budget, task.max_steps, vector[None], extra).action(0)


def encode(task: Task, action: Action) -> Floats:
    """Return a vector, (5,), that :func:`decode` reads as this action, as near as a vector can say it.

    A weight below exp(-2 SHARPNESS) of the largest becomes as small as that, which buys nothing.
    """
    if action.action_type == "stop":
        return np.array([1.0, 0.0, 0.0, 0.0, 0.0])
    even = task.budget / task.max_steps
    size = min(max(action.batch_size, MIN_BATCH), task.budget)
    base = even / MIN_BATCH if size < even else task.budget / even
    weights = np.array(action.strategy_weights.as_tuple())
    with np.errstate(divide="ignore"):  # the logarithm of zero is clipped
        entries = np.clip(1 + np.log(weights / weights.max()) / SHARPNESS, -1.0, 1.0)
    return np.array([-1.0, np.log(size / even) / np.log(base), *entries])
