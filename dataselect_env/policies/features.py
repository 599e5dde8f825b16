"""Replies as vectors and vectors as actions: what learned policies read and write, in training and afterwards.

Everything here is known to an agent: the task, the observations, and what the replies to its steps reveal.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log1p

import numpy as np

from dataselect_env.arrays import Floats
from dataselect_env.errors import InvalidInput
from dataselect_env.models import Action, Reply, StepInfo
from dataselect_env.sampling import STRATEGIES
from dataselect_env.tasks import MIN_BATCH, Task

FEATURES_VERSION = 1
"""Rises whenever the same episode gives other features, or the same vector another action."""

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


def features(task: Task, replies: Sequence[Reply]) -> Floats:
    """Return the features of an episode so far, (len(FEATURES),), each in [-1, 1].

    Args:
        task: The task that is played.
        replies: The reply to the reset, then one a step.
    """
    first, last = replies[0].observation, replies[-1].observation
    performance = [reply.observation.current_performance for reply in replies]
    general = (
        last.remaining_budget / task.budget,
        1 - replies[-1].step / task.max_steps,
        last.samples_available / first.samples_available,
        last.diversity_score / 2,
        last.noise_estimate,
        performance[-1],
        4 * (performance[-1] - performance[0]),
    )
    steps = [reply.info for reply in replies if reply.info is not None]
    step = _step(task, steps[-1], performance[-1] - performance[-2]) if steps else (0.0,) * (5 + len(STRATEGIES))
    return np.clip((*general, *step, *_strategies(task, steps)), -1.0, 1.0)


def _step(task: Task, step: StepInfo, performance_change: float) -> tuple[float, ...]:
    """Return the features ``last_*``."""
    if step.noise_ratio is None or step.redundancy is None or step.gain is None:
        return (0.0,) * (5 + len(STRATEGIES))
    return (
        step.batch_size / task.budget,
        2 * step.noise_ratio - 1,
        10 * performance_change,
        2 * step.redundancy - 1,
        step.gain,
        *(step.bought_by[name] / step.batch_size for name in STRATEGIES),
    )


def _strategies(task: Task, steps: Sequence[StepInfo]) -> tuple[float, ...]:
    """Return the features ``bought_*`` and ``noise_*``; a mixed batch's noise is shared out by the numbers bought."""
    bought, noise = [], []
    for name in STRATEGIES:
        number = sum(step.bought_by[name] for step in steps)
        found = sum(step.bought_by[name] * (step.noise_ratio or 0.0) for step in steps)
        bought.append(log1p(number) / log1p(task.budget))
        noise.append(2 * found / number - 1 if number else 0.0)
    return *bought, *noise


def decode(task: Task, vector: Floats) -> Action:
    """Return the action that a vector stands for.

    Args:
        task: The task that is played.
        vector: ``ACTIONS``, (5,); entries outside of [-1, 1] are clipped. The batch size runs on a log scale from
            ``MIN_BATCH`` at -1 over an even share of the budget for every step at 0 to the whole budget at 1; the
            environment cuts it to what is left.

    Raises:
        InvalidInput: An entry is not finite.
    """
    if not np.isfinite(vector).all():
        raise InvalidInput("action: every entry of an action vector should be finite", field="action")
    stop, size, *entries = (float(entry) for entry in np.clip(vector, -1.0, 1.0))
    if stop > STOP_ABOVE:
        return Action.stop()
    even = task.budget / task.max_steps
    batch_size = round(even * (even / MIN_BATCH if size < 0 else task.budget / even) ** size)
    weights = np.exp(SHARPNESS * np.array(entries))
    weights /= weights.sum()
    return Action.select(batch_size, **dict(zip(STRATEGIES, weights.tolist(), strict=True)))
