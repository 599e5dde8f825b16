"""The report of an evaluation: a ladder of policies for each task, with intervals and differences to a reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

import numpy as np
from pydantic import Field

from dataselect_env.core.data import WORLDS
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import RewardMode
from dataselect_env.core.tasks import SEALED, TASKS, get_task, split_of
from dataselect_env.core.validation import WireModel
from dataselect_env.custom.task_file import task_recipes
from dataselect_env.evaluation.evaluate import Plan
from dataselect_env.evaluation.records import EpisodeRecord, Host, Versions
from dataselect_env.evaluation.statistics import (
    METHOD,
    SEALED_METHOD,
    Difference,
    Interval,
    corrected,
    difference,
    mean_interval,
    strata_of,
)
from dataselect_env.policies import get_policy

DIGITS = 6
"""Significant digits of a report's figures, so that differences in the last bits between machines do not show."""
CURVE_POINTS = 21
FEWEST_SEEDS = 2
"""An interval needs two values."""


Cell = tuple[str, str]
"""Task and policy."""


class Settings(WireModel):
    """The settings of an evaluation; together with the versions they determine the figures."""

    policies: tuple[str, ...] = Field(description="Names of the policies.")
    tasks: tuple[str, ...] = Field(description="Names of the tasks.")
    first_seed: int = Field(description="First seed; on a sealed split the first index.")
    last_seed: int = Field(description="Last seed; on a sealed split the last index.")
    seeds: int = Field(ge=FEWEST_SEEDS, description="Number of seeds; every policy played all of them on each task.")
    split: str | None = Field(description="Split of the seeds; null if they are in none or in several.")
    reward_mode: RewardMode = Field(description="Reward mode behind the returns.")
    reference: str | None = Field(description="Policy that the others are compared with; null for none.")
    best_constants: dict[str, str] = Field(
        {}, description="Policy behind best-constant on tasks that are not built in: the best on train seeds."
    )
    intervals: str = Field(description="Method of the intervals and p values.")
    own_tasks: dict[str, dict[str, Any]] = Field(
        {}, description="Definitions of tasks that are not built in, with a fingerprint of definition and data."
    )
    host: Host | None = Field(None, description="The server that was played on; null for none.")
    refused: int = Field(
        0, ge=0, description="Episodes that the server refused because the agent had its attempt; left out of all rows."
    )


class Row(WireModel):
    """A policy on a task, over all seeds."""

    task_id: str = Field(description="Name of the task.")
    policy: str = Field(description="Name of the policy.")
    description: str = Field(description="What the policy does.")
    score: Interval = Field(description="Score of the grade.")
    spread: float = Field(ge=0, description="Standard deviation of the score over the seeds.")
    score_by_world: dict[str, float] = Field(description="Mean score by hidden world; empty for tasks without worlds.")
    pass_rate: float = Field(ge=0, le=1, description="Share of the episodes that passed.")
    performance: float = Field(ge=0, le=1, description="Mean performance at the end, 1 / (1 + log loss).")
    noise_ratio: float | None = Field(ge=0, le=1, description="Mean share of wrong labels bought; null if none.")
    bought: float = Field(ge=0, description="Mean number of samples bought.")
    episode_return: float = Field(description="Mean sum of the rewards of an episode.")
    difference: Difference | None = Field(
        description="Score less the reference's, seed by seed; null without a reference and for the reference itself."
    )
    curve: tuple[tuple[float, float], ...] = Field(description="Mean performance by the number of samples bought.")


class Report(WireModel):
    """The results of an evaluation."""

    versions: Versions = Field(description="Versions that the episodes were played with.")
    settings: Settings = Field(description="Settings of the evaluation.")
    rows: tuple[Row, ...] = Field(description="One row per task and policy, in the order of the settings.")


def has_report(records: Sequence[EpisodeRecord]) -> bool:
    """Return whether there are enough records of each policy on each task for a report."""
    return min(Counter((one.task_id, one.policy) for one in records).values(), default=0) >= FEWEST_SEEDS


def build_report(plan: Plan, records: Sequence[EpisodeRecord], reference: str | None = None) -> Report:
    """Return the report on all records of a plan.

    Args:
        plan: The plan.
        records: Its records, from :func:`~dataselect_env.evaluation.evaluate.evaluate`.
        reference: The policy of the plan that the others are compared with.

    Raises:
        InvalidInput: A policy has fewer than two episodes on a task.
    """
    if not has_report(records):
        raise InvalidInput(f"seeds: a report needs at least {FEWEST_SEEDS} episodes of each policy", field="seeds")
    cells: dict[Cell, list[EpisodeRecord]] = {}
    for one in records:
        cells.setdefault((one.task_id, one.policy), []).append(one)
    numbers = [one.number for one in records] if plan.sealed else plan.seeds
    splits = {SEALED} if plan.sealed else {split_of(seed) for seed in plan.seeds}
    settings = Settings(
        policies=plan.policies,
        tasks=plan.tasks,
        first_seed=min(numbers),
        last_seed=max(numbers),
        seeds=len(plan.seeds),
        split=splits.pop() if len(splits) == 1 else None,
        reward_mode=plan.reward_mode,
        reference=reference,
        best_constants=dict(plan.best_constants),
        intervals=SEALED_METHOD if plan.sealed else METHOD,
        own_tasks={
            one.name: {"fingerprint": TASKS[one.name].digest, **one.definition.model_dump(exclude_unset=True)}
            for one in task_recipes()
            if one.name in plan.tasks
        },
        host=plan.host,
        refused=len(plan) - len(records),
    )
    differences = _differences(cells, reference)
    rows = tuple(_row(records, differences.get(cell)) for cell, records in cells.items())
    return Report(versions=Versions.current(), settings=settings, rows=rows)


def _differences(cells: Mapping[Cell, Sequence[EpisodeRecord]], reference: str | None) -> dict[Cell, Difference]:
    """Return the difference in score of each policy to the reference, where that plays the task too."""
    found = {}
    for (task_id, policy), records in cells.items():
        compared = cells.get((task_id, reference or ""), ())
        if compared and policy != reference:
            strata = strata_of(get_task(task_id), [one.seed for one in records])
            ours, theirs = ([one.score for one in side] for side in (records, compared))
            found[task_id, policy] = difference(ours, theirs, strata)
    return dict(zip(found, corrected(list(found.values())), strict=True))


def _row(records: Sequence[EpisodeRecord], gap: Difference | None) -> Row:
    """Return the row of a policy on a task."""
    task, policy = get_task(records[0].task_id), records[0].policy
    scores = [one.score for one in records]
    strata = strata_of(task, [one.seed for one in records])
    noise = [one.noise_ratio for one in records if one.noise_ratio is not None]
    row = Row(
        task_id=task.task_id,
        policy=policy,
        description=get_policy(policy).description,
        score=mean_interval(scores, strata),
        spread=stdev(scores),
        score_by_world=_by_world(scores, strata or []),
        pass_rate=fmean(one.passed for one in records),
        performance=fmean(one.performance for one in records),
        noise_ratio=fmean(noise) if noise else None,
        bought=fmean(one.bought for one in records),
        episode_return=fmean(one.episode_return for one in records),
        difference=gap,
        curve=mean_curve(records),
    )
    return Row.model_validate(rounded(row.model_dump()))


def _by_world(scores: Sequence[float], worlds: Sequence[str]) -> dict[str, float]:
    """Return the mean score in each world; ``worlds`` is empty where a task has none."""
    return {
        world: fmean(score for score, place in zip(scores, worlds, strict=True) if place == world)
        for world in WORLDS
        if world in worlds
    }


def mean_curve(cell: Sequence[EpisodeRecord]) -> tuple[tuple[float, float], ...]:
    """Return mean performance on an even grid from 0 to the mean number of samples bought.

    Performance is interpolated linearly between purchases and stays constant after the last one.
    """
    budget, end = get_task(cell[0].task_id).budget, fmean(one.bought for one in cell)
    grid = np.linspace(0, end, max(2, round((CURVE_POINTS - 1) * end / budget) + 1)) if end else np.zeros(1)
    lines = [np.interp(grid, [x for x, _ in one.curve], [y for _, y in one.curve]) for one in cell]
    return tuple(zip(grid.tolist(), np.mean(lines, axis=0).tolist(), strict=True))


def rounded(value: Any) -> Any:
    """Return plain data with every float rounded to ``DIGITS`` significant digits."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return tuple(rounded(part) for part in value)
    return value
