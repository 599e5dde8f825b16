"""Compute the figures of the validity goals from the records of an evaluation.

The functions take cells: the records of each policy on each task, one per seed, in the order of the seeds.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any, TypeVar

import numpy as np

from bench.validity.candidates import FAMILIES
from dataselect_env.core.data import WORLDS, world_of
from dataselect_env.core.learner import passes_for
from dataselect_env.core.tasks import PINNED, get_task
from dataselect_env.core.warm_start import warm_start
from dataselect_env.evaluation.records import EpisodeRecord
from dataselect_env.evaluation.statistics import (
    GRADES,
    UNBOUNDED,
    Difference,
    corrected,
    difference,
    mean_interval,
    spearman,
    strata_of,
)
from dataselect_env.policies import GROUPS
from dataselect_env.policies.oracle import BATCH_SIZE as ORACLE_BATCH

Cells = Mapping[tuple[str, str], Sequence[EpisodeRecord]]

STOP_AT_MOST = 0.10
ORACLE_LEAD = HEADROOM = 0.08
ALIGNMENT = 0.9
GRADE_GAP = 0.03
FEW_SEEDS = 20
LADDER_TASKS = ("medium", "hard")
"""Tasks where the ladder has to hold; on easy, most labels are right and only the amount bought counts."""

STEPS = (
    ("random", "uncertainty"),
    ("random-20", "uncertainty-20"),
    ("best-constant", "random"),
    ("best-constant", "random-20"),
    ("probing", "best-constant"),
    ("oracle", "best-constant"),
    ("oracle", "probing"),
    ("greedy-oracle", "oracle"),
)
"""Pairs of policies on the ladder, the better one first; random and uncertainty in batches of 10 and of 20."""
ODDS = (0.2, 0.3, 0.4, 0.5, 0.6)


def cells_of(records: Iterable[EpisodeRecord]) -> Cells:
    """Return records by task and policy."""
    cells: dict[tuple[str, str], list[EpisodeRecord]] = {}
    for one in records:
        cells.setdefault((one.task_id, one.policy), []).append(one)
    return cells


def scores(cells: Cells, task: str, policy: str) -> list[float]:
    """Return the scores of a cell."""
    return [one.score for one in cells[task, policy]]


def returns(cells: Cells, task: str, policy: str) -> list[float]:
    """Return the returns of a cell."""
    return [one.episode_return for one in cells[task, policy]]


def ladder(cells: Cells) -> dict[str, Any]:
    """Return the figures of the ladder by task and policy, with the mean score of each world."""
    table: dict[str, Any] = {}
    for (task, policy), cell in cells.items():
        score = mean_interval([one.score for one in cell], worlds(cells, task, policy))
        noise = [one.noise_ratio for one in cell if one.noise_ratio is not None]
        table.setdefault(task, {})[policy] = {
            "score": score.mean,
            "low": score.low,
            "high": score.high,
            "spread": stdev(one.score for one in cell),
            "passed": fmean(one.passed for one in cell),
            "performance": fmean(one.performance for one in cell),
            "noise": fmean(noise) if noise else None,
            "bought": fmean(one.bought for one in cell),
            "return": fmean(one.episode_return for one in cell),
            "worlds": {
                world: fmean(one.score for one in cell if world_of(one.number) == world) for world in WORLDS
            },
        }  # fmt: skip
    return table


def worlds(cells: Cells, task: str, policy: str) -> list[str]:
    """Return the hidden worlds of the seeds of a cell; the task is built in."""
    return strata_of(get_task(task), [one.seed for one in cells[task, policy]]) or []


KINDS = {"grade": (scores, GRADES), "return": (returns, UNBOUNDED)}
"""What policies are compared by, with the values that are possible."""
Named = TypeVar("Named", bound=Hashable)


def gap(
    cells: Cells, task: str, above: str, below: str, *, kind: str = "grade", seeds: int | None = None
) -> Difference:
    """Return the difference between two policies on a task, on the first ``seeds`` seeds or on all."""
    values, scale = KINDS[kind]
    ours, theirs = values(cells, task, above)[:seeds], values(cells, task, below)[:seeds]
    return difference(ours, theirs, worlds(cells, task, above)[:seeds], scale=scale)


def plain(differences: Mapping[Named, Difference]) -> dict[Named, dict[str, Any]]:
    """Return differences as plain data, corrected for their number."""
    found = zip(differences, corrected(list(differences.values())), strict=True)
    return {name: {**one.model_dump(), "significant": one.significant} for name, one in found}


def steps(cells: Cells) -> dict[str, list[dict[str, Any]]]:
    """Return A1 and A2: the differences between neighbours on the ladder."""
    found = plain({(task, *pair): gap(cells, task, *pair) for task in PINNED for pair in STEPS})
    return {
        task: [{"above": above, "below": below, **found[task, above, below]} for above, below in STEPS]
        for task in PINNED
    }  # fmt: skip


def exploits(cells: Cells) -> dict[str, Any]:
    """Return A3: the degenerate policies with a higher mean grade or return than the best constant, and the best."""
    names, limit = GROUPS["degenerate"], "best-constant"
    means = {
        (task, kind): {policy: fmean(values(cells, task, policy)) for policy in (limit, *names)}
        for task in PINNED
        for kind, (values, _) in KINDS.items()
    }
    best = {case: max(names, key=found.__getitem__) for case, found in means.items()}
    gaps = plain({case: gap(cells, case[0], policy, limit, kind=case[1]) for case, policy in best.items()})
    result: dict[str, Any] = {task: {"policies": len(names)} for task in PINNED}
    for (task, kind), found in means.items():
        result[task][kind] = {
            "best_constant": found[limit],
            "best": best[task, kind],
            "mean": found[best[task, kind]],
            "difference": gaps[task, kind],
            "above": sorted(policy for policy in names if found[policy] > found[limit]),
        }
    return result


def alignment(cells: Cells, names: Sequence[str], families: Sequence[str] | None = None) -> dict[str, Any]:
    """Return A4 over the policies ``names``: rank correlation, and the grade lost by maximising the return."""
    found: dict[str, Any] = {}
    for task in PINNED:
        grades = np.array([fmean(scores(cells, task, name)) for name in names])
        paid = np.array([fmean(returns(cells, task, name)) for name in names])
        found[task] = {
            "policies": len(names),
            "spearman": spearman(grades.tolist(), paid.tolist()),
            "highest_grade": float(grades.max()),
            "grade_of_highest_return": float(grades[paid.argmax()]),
            "gap": float(grades.max() - grades[paid.argmax()]),
        }
        if families is not None:
            of = np.array(families)
            found[task]["families"] = {
                family: spearman(grades[of == family].tolist(), paid[of == family].tolist()) for family in FAMILIES
            }
    return found


def telescoping(records: Sequence[EpisodeRecord]) -> dict[str, Any]:
    """Return A5 from episodes of reward mode ``grade``: the error of the sum of rewards, and their range."""
    rewards = [reward for one in records for reward in one.rewards]
    return {
        "episodes": len(records),
        "largest_error": max(abs(one.episode_return - one.score) for one in records),
        "lowest": min(rewards),
        "highest": max(rewards),
    }


def separable(cells: Cells) -> dict[str, Any]:
    """Return A6: best constant minus balanced mix on the first seeds."""
    return plain({task: gap(cells, task, "best-constant", "balanced", seeds=FEW_SEEDS) for task in PINNED})


def odds(table: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return the headroom (probing minus best constant) for several shares of ``confident`` seeds."""
    found = {}
    for task in LADDER_TASKS:
        gaps = {
            world: table[task]["probing"]["worlds"][world] - table[task]["best-constant"]["worlds"][world]
            for world in WORLDS
        }
        found[task] = {f"{share:g}": (1 - share) * gaps["core"] + share * gaps["confident"] for share in ODDS}
    return found


def compute_share(cells: Cells, numbers: Mapping[int, int]) -> dict[str, dict[str, float]]:
    """Return the share of the oracle's gain in performance that the same passes over the seed set alone bring.

    Args:
        cells: Cells with those of the oracle.
        numbers: Data set number of each seed.
    """
    found = {}
    for task_id in PINNED:
        task, passes, bought = get_task(task_id), 0, 0
        for _ in range(task.max_steps):
            batch = min(ORACLE_BATCH, task.budget - bought)
            passes += passes_for(bought, bought + batch) if batch else 0
            bought += batch
        start, alone = [], []
        for seed, number in numbers.items():
            warm = warm_start(number)
            learner, data = warm.learner.copy(), warm.dataset
            learner.train(data.X, data.y, data.seed_rows, passes, np.random.default_rng(seed))
            start.append(warm.performance)
            alone.append(learner.performance(data.X_validation, data.y_validation))
        oracle = fmean(one.performance for one in cells[task_id, "oracle"])
        found[task_id] = {
            "passes": passes,
            "start": fmean(start),
            "seed_set_alone": fmean(alone),
            "oracle": oracle,
            "share": (fmean(alone) - fmean(start)) / (oracle - fmean(start)),
        }
    return found
