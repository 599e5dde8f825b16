"""The baseline: reference policies on the pinned tasks at fixed seeds, with the same figures on every machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

from pydantic import Field

from dataselect_env.core.models import RewardMode
from dataselect_env.core.tasks import DYNAMICS_VERSION, PINNED, SPLITS, get_task
from dataselect_env.core.validation import WireModel
from dataselect_env.evaluation.rollout import Rollout, rollout
from dataselect_env.evaluation.statistics import standard_error, strata_of
from dataselect_env.policies import get_policy
from dataselect_env.policies.policy import AnyPolicy

BASELINE_POLICIES = ("balanced", "random", "uncertainty", "diversity", "stop")
BASELINE_SEEDS = tuple(range(SPLITS["test"].first_seed, SPLITS["test"].first_seed + 20))
"""Twenty held-out seeds; all policies on the pinned tasks take a few seconds on one core."""
DECIMALS = 4
"""Figures are rounded, so that differences in the last bits between machines do not show."""
REWARD_MODE: RewardMode = "shaped"


class BaselineRow(WireModel):
    """A policy on a task, over all seeds of the report."""

    task_id: str = Field(description="Name of the task.", examples=["hard"])
    policy: str = Field(description="Name of the policy.", examples=["balanced"])
    description: str = Field(description="What the policy does.")
    seeds: int = Field(ge=2, description="Number of episodes, one per seed.")
    mean_score: float = Field(ge=0, le=1, description="Mean score of the grades.")
    score_standard_error: float = Field(
        ge=0, description="Standard error of mean_score, within the hidden worlds of the seeds."
    )
    pass_rate: float = Field(ge=0, le=1, description="Share of the episodes that passed.")
    mean_return: float = Field(description="Mean sum of the rewards of an episode, in the report's reward_mode.")
    mean_performance: float = Field(ge=0, le=1, description="Mean performance at the end, 1 / (1 + log loss).")
    mean_noise_ratio: float | None = Field(
        ge=0, le=1, description="Mean share of mislabelled samples among those bought; null if none was bought."
    )
    mean_budget_used: float = Field(ge=0, description="Mean number of samples bought in an episode.")


class BaselineReport(WireModel):
    """Results of the reference policies; they follow from the dynamics version and the seeds."""

    dynamics_version: int = Field(ge=1, description="Version of the dynamics that the episodes were played with.")
    reward_mode: RewardMode = Field(description="Reward mode behind mean_return.")
    seeds: tuple[int, ...] = Field(description="Seeds that every policy played on every task, from the test split.")
    rows: tuple[BaselineRow, ...] = Field(description="One row per task and policy.")


def episode_count() -> int:
    """Return the number of episodes that :func:`baseline_report` plays."""
    return len(BASELINE_POLICIES) * len(PINNED) * len(BASELINE_SEEDS)


def baseline_report(progress: Callable[[int], None] | None = None) -> BaselineReport:
    """Play all policies on all pinned tasks and seeds; takes a few seconds and always returns the same report.

    Args:
        progress: Called with the number of episodes finished since the last call; these add up to ``episode_count()``.
    """
    rows = []
    for task_id in PINNED:
        for policy in map(get_policy, BASELINE_POLICIES):
            rollouts = []
            for seed in BASELINE_SEEDS:
                rollouts.append(rollout(policy, task_id, seed, reward_mode=REWARD_MODE))
                if progress is not None:
                    progress(1)
            rows.append(summarise(policy, task_id, rollouts))
    return BaselineReport(
        dynamics_version=DYNAMICS_VERSION, reward_mode=REWARD_MODE, seeds=BASELINE_SEEDS, rows=tuple(rows)
    )


def summarise(policy: AnyPolicy, task_id: str, rollouts: Sequence[Rollout]) -> BaselineRow:
    """Return the row of two or more rollouts of a policy on a task."""
    grades = [episode.grade for episode in rollouts]
    parts = [grade.breakdown for grade in grades]
    scores = [grade.score for grade in grades]
    noise = [part.avg_noise_ratio for part in parts if part.avg_noise_ratio is not None]
    strata = strata_of(get_task(task_id), [episode.seed for episode in rollouts])
    return BaselineRow(
        task_id=task_id,
        policy=policy.name,
        description=policy.description,
        seeds=len(rollouts),
        mean_score=_rounded(fmean(scores)),
        score_standard_error=_rounded(standard_error(scores, strata)),
        pass_rate=_rounded(fmean(grade.passed for grade in grades)),
        mean_return=_rounded(fmean(episode.episode_return for episode in rollouts)),
        mean_performance=_rounded(fmean(part.performance for part in parts)),
        mean_noise_ratio=_rounded(fmean(noise)) if noise else None,
        mean_budget_used=_rounded(fmean(part.budget_used for part in parts)),
    )


def _rounded(figure: float) -> float:
    return round(figure, DECIMALS) + 0.0  # no negative zero
