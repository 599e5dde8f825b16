"""Grades: one function for all tasks, computed from the numbers of the task and the trace of the episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple

import numpy as np

from dataselect_env.core.arrays import Number
from dataselect_env.core.models import Grade, GradeBreakdown
from dataselect_env.core.tasks import Task

NOISE_CEILING = 0.5
"""Average noise ratio that scores 0: labels no better than coin flips."""
COVERAGE = 0.4
"""Share of the budget from which on the noise score counts in full: buying little earns no credit for low noise."""
EFFICIENCY_PRICE = 0.5
"""Share of the performance score that the efficiency loses if the whole budget is spent; at 1, spending it would earn
no efficiency at all."""


@dataclass(frozen=True, slots=True)
class TracePoint:
    """One point of an episode's trace: the reset, where nothing is bought, or a step.

    Attributes:
        bought: Number of samples bought in this step.
        mislabelled: Number of them with a wrong label.
        performance: Performance after the step, in (0, 1].
    """

    bought: int
    mislabelled: int
    performance: float


class Scoring(NamedTuple, Generic[Number]):
    """The numbers of a task that its score depends on, or arrays, (n,), of those of n tasks.

    Attributes:
        low, high: Performances that score 0 and 1.
        performance_weight, noise_weight, efficiency_weight: Weights of the parts.
        budget: Samples that may be bought.
    """

    low: Number
    high: Number
    performance_weight: Number
    noise_weight: Number
    efficiency_weight: Number
    budget: Number


class Parts(NamedTuple, Generic[Number]):
    """A score and its parts, each in [0, 1]; see :func:`score`."""

    performance: Number
    noise: Number
    efficiency: Number
    score: Number


def scoring_of(task: Task) -> Scoring[float]:
    """Return the numbers of a task that its score depends on."""
    return Scoring(
        *task.performance_range, task.performance_weight, task.noise_weight, task.efficiency_weight, task.budget
    )


def score(scoring: Scoring[Number], used: Number, mislabelled: Number, performance: Number) -> Parts[Number]:
    """Return the score of an episode, or the scores of n episodes.

    - performance score: the last performance, rescaled from ``low`` and ``high`` and clipped to [0, 1];
    - noise score: (1 - average noise / NOISE_CEILING), clipped to [0, 1], times min(1, used / (COVERAGE x budget));
    - efficiency: performance score x (1 - EFFICIENCY_PRICE x used / budget), so savings count in proportion to the
      performance score.

    Args:
        scoring: Numbers of the task.
        used: Number of samples bought.
        mislabelled: Number of them with a wrong label.
        performance: Performance at the end, in (0, 1].
    """
    performance_score = _clipped((performance - scoring.low) / (scoring.high - scoring.low))
    average_noise = mislabelled / (used + (used == 0))  # if nothing was bought, the coverage is 0
    coverage = _clipped(used / (COVERAGE * scoring.budget))
    noise_score = _clipped(1 - average_noise / NOISE_CEILING) * coverage
    efficiency = performance_score * (1 - EFFICIENCY_PRICE * used / scoring.budget)
    whole = (
        scoring.performance_weight * performance_score
        + scoring.noise_weight * noise_score
        + scoring.efficiency_weight * efficiency
    )
    return Parts(performance_score, noise_score, efficiency, _clipped(whole))


def _clipped(value: Number) -> Number:
    return np.clip(value, 0.0, 1.0) if isinstance(value, np.ndarray) else min(1.0, max(0.0, value))


def grade(task: Task, trace: Sequence[TracePoint]) -> Grade:
    """Return the grade of an episode as if it ended after the last point of ``trace``.

    It is the :func:`score`, its parts, and whether the task's success criteria hold. The noise score is 0 if nobody
    audits the batches. An episode without purchases fails a task that bounds the noise.

    Args:
        task: Task of the episode.
        trace: The point of the reset, followed by one point for each step.
    """
    performance = trace[-1].performance
    used, mislabelled = (sum(getattr(point, name) for point in trace) for name in ("bought", "mislabelled"))
    noise = mislabelled / used if task.audited and used else None
    parts = score(scoring_of(task), used, mislabelled, performance)
    passed = performance > task.pass_performance
    if task.pass_noise is not None:
        passed = passed and noise is not None and noise < task.pass_noise
    return Grade(
        score=parts.score,
        passed=passed,
        breakdown=GradeBreakdown(
            performance=performance,
            performance_score=parts.performance,
            avg_noise_ratio=noise,
            noise_score=parts.noise if task.audited else 0.0,
            efficiency=parts.efficiency,
            budget_used=used,
            budget=task.budget,
            success_criteria=task.success_criteria,
            score_formula=task.score_formula,
        ),
    )
