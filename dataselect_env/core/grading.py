"""Grades: one function for all tasks, from the task's numbers and an episode's trace (SPEC section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dataselect_env.core.models import Grade, GradeBreakdown
from dataselect_env.core.tasks import Task

NOISE_CEILING = 0.5
"""Average noise ratio that scores 0: labels as wrong as coin flips."""
COVERAGE = 0.4
"""Share of the budget that must be spent before the noise score counts in full, so that buying little is no merit."""
EFFICIENCY_PRICE = 0.5
"""What spending the whole budget takes off the efficiency: half, or nobody would ever buy to the end."""


@dataclass(frozen=True, slots=True)
class TracePoint:
    """What one point of an episode adds to its grade; the first point is the reset, where nothing is bought.

    Attributes:
        bought: Samples bought in this step.
        mislabelled: How many of them carry a wrong label.
        performance: Performance after the step, in (0, 1].
    """

    bought: int
    mislabelled: int
    performance: float


def average_noise(trace: Sequence[TracePoint]) -> float | None:
    """Return the share of mislabelled samples among all bought, or None when nothing was bought."""
    bought = sum(point.bought for point in trace)
    return sum(point.mislabelled for point in trace) / bought if bought else None


def grade(task: Task, trace: Sequence[TracePoint]) -> Grade:
    """Grade an episode as if it ended after the last point of ``trace``.

    - performance score: the last performance over the task's ``performance_range``, clipped to [0, 1];
    - noise score: (1 - average noise / NOISE_CEILING), clipped to [0, 1], times min(1, used / (COVERAGE x budget));
      0 when nothing was bought, and where the right labels are unknown;
    - efficiency: performance score x (1 - EFFICIENCY_PRICE x used / budget): what was saved counts as far as something
      was reached.

    Args:
        task: The task that was played.
        trace: At least the point of the reset.

    Returns:
        The score in [0, 1], whether the task's success criteria hold, and the parts. An average over no purchase is no
        success where the task bounds the noise.
    """
    low, high = task.performance_range
    performance = trace[-1].performance
    used = sum(point.bought for point in trace)
    noise = average_noise(trace) if task.has_ground_truth else None

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
