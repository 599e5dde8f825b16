"""The report of an evaluation: for each task a ladder of policies, with intervals and differences to a reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

import numpy as np
from pydantic import Field

from dataselect_env.core.data import WORLDS, world_of
from dataselect_env.core.models import RewardMode, WireModel
from dataselect_env.core.tasks import TASKS, get_task, split_of
from dataselect_env.custom.task_file import task_recipes
from dataselect_env.evaluation.evaluate import Plan
from dataselect_env.evaluation.journal import EpisodeRecord, Versions
from dataselect_env.evaluation.statistics import METHOD, Difference, Interval, difference, mean_interval
from dataselect_env.policies import get_policy

DIGITS = 6
"""Significant digits of a report's figures: the last bits of a machine's arithmetic do not show."""
CURVE_POINTS = 21
FEWEST_SEEDS = 2
"""An interval needs as many."""


class Settings(WireModel):
    """What was asked for; with the versions all that the figures depend on."""

    policies: tuple[str, ...] = Field(description="Names of the policies.")
    tasks: tuple[str, ...] = Field(description="Names of the tasks.")
    first_seed: int = Field(description="First seed.")
    last_seed: int = Field(description="Last seed.")
    seeds: int = Field(ge=FEWEST_SEEDS, description="Number of seeds; every policy played each of them on each task.")
    split: str | None = Field(description="Split that the seeds belong to; null if they belong to none or to several.")
    reward_mode: RewardMode = Field(description="What the rewards behind the returns are.")
    reference: str | None = Field(description="Policy that the differences are taken to; null for none.")
    best_constants: dict[str, str] = Field(
        {},
        description="For tasks that are not built in, what best-constant played: the best on seeds of the train split.",
    )
    intervals: str = Field(description="How the intervals are made.")
    own_tasks: dict[str, dict[str, Any]] = Field(
        {}, description="Tasks that are not built in: what defines them, and the fingerprint of that and their data."
    )


class Row(WireModel):
    """One policy on one task, over all seeds."""

    task_id: str = Field(description="Task that was played.")
    policy: str = Field(description="Name of the policy.")
    description: str = Field(description="What the policy does.")
    score: Interval = Field(description="Score of the grade.")
    spread: float = Field(ge=0, description="Standard deviation of the score between seeds.")
    score_by_world: dict[str, float] = Field(
        description="Mean score over the seeds of each hidden world; of the built-in tasks only."
    )
    pass_rate: float = Field(ge=0, le=1, description="Share of the episodes that passed.")
    performance: float = Field(ge=0, le=1, description="Mean performance at the end, 1 / (1 + log loss).")
    noise_ratio: float | None = Field(ge=0, le=1, description="Mean share of wrong labels bought; null if none.")
    bought: float = Field(ge=0, description="Mean number of samples bought.")
    episode_return: Interval = Field(description="Sum of the rewards of an episode.")
    difference: Difference | None = Field(description="Score less the reference's score; null without a reference.")
    curve: tuple[tuple[float, float], ...] = Field(description="Mean performance by the number of samples bought.")


class Report(WireModel):
    """What an evaluation found."""

    versions: Versions
    settings: Settings
    rows: tuple[Row, ...] = Field(description="One row for each task and policy, in the order asked for.")

    def row(self, task_id: str, policy: str) -> Row:
        """Return a row.

        Raises:
            KeyError: This was not evaluated.
        """
        for row in self.rows:
            if (row.task_id, row.policy) == (task_id, policy):
                return row
        raise KeyError((task_id, policy))


def build_report(plan: Plan, records: Sequence[EpisodeRecord], reference: str | None = None) -> Report:
    """Return the report on all records of a plan; ``reference`` is one of its policies.

    Raises:
        ValueError: There are fewer than two seeds.
    """
    by_cell: dict[tuple[str, str], list[EpisodeRecord]] = {}
    for one in records:
        by_cell.setdefault((one.task_id, one.policy), []).append(one)
    splits = {split_of(seed) for seed in plan.seeds}
    settings = Settings(
        policies=plan.policies,
        tasks=plan.tasks,
        first_seed=min(plan.seeds),
        last_seed=max(plan.seeds),
        seeds=len(plan.seeds),
        split=splits.pop() if len(splits) == 1 else None,
        reward_mode=plan.reward_mode,
        reference=reference,
        best_constants=dict(plan.best_constants),
        intervals=METHOD,
        own_tasks={
            one.name: {"fingerprint": TASKS[one.name].digest, **one.definition.model_dump(exclude_unset=True)}
            for one in task_recipes()
            if one.name in plan.tasks
        },
    )
    rows = []
    for (task_id, _), cell in by_cell.items():
        compared = by_cell.get((task_id, reference)) if reference is not None else None  # it may not play every task
        rows.append(_row(cell, compared))
    return Report(versions=Versions(), settings=settings, rows=tuple(rows))


def _row(cell: Sequence[EpisodeRecord], compared: Sequence[EpisodeRecord] | None) -> Row:
    """Return the row of a policy on a task; both sequences go by the same seeds in the same order."""
    scores = [one.score for one in cell]
    noise = [one.noise_ratio for one in cell if one.noise_ratio is not None]
    named = WORLDS if get_task(cell[0].task_id).built_in else ()
    worlds = {world: [one.score for one in cell if world_of(one.seed) == world] for world in named}
    row = Row(
        task_id=cell[0].task_id,
        policy=cell[0].policy,
        description=get_policy(cell[0].policy).description,
        score=mean_interval(scores),
        spread=stdev(scores),
        score_by_world={world: fmean(found) for world, found in worlds.items() if found},
        pass_rate=fmean(one.passed for one in cell),
        performance=fmean(one.performance for one in cell),
        noise_ratio=fmean(noise) if noise else None,
        bought=fmean(one.bought for one in cell),
        episode_return=mean_interval([one.episode_return for one in cell]),
        difference=None if compared is None else difference(scores, [one.score for one in compared]),
        curve=mean_curve(cell),
    )
    return Row.model_validate(rounded(row.model_dump()))


def mean_curve(cell: Sequence[EpisodeRecord]) -> tuple[tuple[float, float], ...]:
    """Return mean performance on an even grid from 0 to the mean number of samples bought.

    Between two purchases an episode's performance is taken from the line between them, after its last one it stays.
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
