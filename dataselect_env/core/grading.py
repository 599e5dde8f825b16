"""Grades: one function for all tasks, computed from the numbers of the task and the trace of the episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


def average_noise(trace: Sequence[TracePoint]) -> float | None:
    """Return the share of mislabelled samples among all bought, in [0, 1], or None if nothing was bought."""
    bought = sum(point.bought for point in trace)
    return sum(point.mislabelled for point in trace) / bought if bought else None


def grade(task: Task, trace: Sequence[TracePoint]) -> Grade:
    """Return the grade of an episode as if it ended after the last point of ``trace``.

    - performance score: the last performance, rescaled from the task's ``performance_range`` and clipped to [0, 1];
    - noise score: (1 - average noise / NOISE_CEILING), clipped to [0, 1], times min(1, used / (COVERAGE x budget));
      0 if nothing was bought or nobody audits the batches;
    - efficiency: performance score x (1 - EFFICIENCY_PRICE x used / budget), so savings count in proportion to the
      performance score.

    Args:
        task: Task of the episode.
        trace: The point of the reset, followed by one point for each step.

    Returns:
        The score in [0, 1], whether the task's success criteria hold, and the parts. An episode without purchases
        fails a task that bounds the noise.
    """
    low, high = task.performance_range
    performance = trace[-1].performance
    used = sum(point.bought for point in trace)
    noise = average_noise(trace) if task.audited else None

    performance_score = min(1.0, max(0.0, (performance - low) / (high - low)))
    coverage = min(1.0, used / (COVERAGE * task.budget))
    noise_score = 0.0 if noise is None else max(0.0, 1 - noise / NOISE_CEILING) * coverage
    efficiency = performance_score * (1 - EFFICIENCY_PRICE * used / task.budget)
    score = (
        task.performance_weight * performance_score
        + task.noise_weight * noise_score
        + task.efficiency_weight * efficiency
    )
    passed = performance > task.pass_performance
    if task.pass_noise is not None:
        passed = passed and noise is not None and noise < task.pass_noise
    return Grade(
        score=min(1.0, score),
        passed=passed,
        breakdown=GradeBreakdown(
            performance=performance,
            performance_score=performance_score,
            avg_noise_ratio=noise,
            noise_score=noise_score,
            efficiency=efficiency,
            budget_used=used,
            budget=task.budget,
            success_criteria=task.success_criteria,
            score_formula=task.score_formula,
        ),
    )
