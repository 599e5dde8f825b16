"""Does skill carry over? Policies tuned on synthetic tasks, judged untouched on real data sets.

    python -m bench.transfer.report

Plays every policy on 50 seeds of each task of tasks.yaml (three data sets of scikit-learn, three kinds of noise) and
writes results.json; ``python -m bench.transfer.page`` renders README.md and transfer.png from it. Policies that are
tuned on the table itself are yardsticks, not contenders.

The anchor is Konyushkova, Sznitman and Fua, "Discovering General-Purpose Active Learning Strategies", 2018: a strategy
learned by reinforcement on some data sets is better than the usual ones on data sets that it has never seen.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from bench.machine import processor
from dataselect_env.core.tasks import SPLITS
from dataselect_env.custom.task_file import load_tasks
from dataselect_env.evaluation.evaluate import Plan, cores, evaluate
from dataselect_env.evaluation.journal import EpisodeRecord, Versions
from dataselect_env.evaluation.statistics import METHOD, difference, mean_interval
from dataselect_env.evaluation.tuning import SEEDS as TUNING_SEEDS
from dataselect_env.evaluation.tuning import find_best_constant

HERE = Path(__file__).parent
TASKS, RESULTS = HERE / "tasks.yaml", HERE / "results.json"
SEEDS = tuple(range(SPLITS["test"].first_seed, SPLITS["test"].first_seed + 50))
REFERENCES = ("random", "uncertainty", "best-constant")
"""Policies to compare with: the baseline, the usual rule, and the best constant of the table itself."""
CONTENDERS = {
    "uncertainty": "a rule, tuned on nothing",
    "diversity": "a rule, tuned on nothing",
    "balanced": "a rule, tuned on nothing",
    "constant:20:uncertainty=1": "best constant of easy",
    "constant:13:diversity=1": "best constant of medium and hard",
    "probing": "a rule for the two worlds of the built-in tasks",
    "ppo:easy": "network trained on easy",
    "ppo:medium": "network trained on medium",
    "ppo:hard": "network trained on hard",
    "bench.transfer.general:general": "network trained on eight synthetic tasks at once",
}
"""Policies that are compared, with what they were tuned on."""
YARDSTICKS = {
    "best-constant": "best constant of this very table, on seeds of the train split",
    "oracle": "sees the right labels",
}


def by_policy(records: Sequence[EpisodeRecord], task_id: str) -> dict[str, list[float]]:
    """Return the scores of a task by policy, in the order of the seeds."""
    scores: dict[str, list[float]] = {}
    for one in records:
        if one.task_id == task_id:
            scores.setdefault(one.policy, []).append(one.score)
    return scores


def compared(scores: dict[str, list[float]]) -> dict[str, Any]:
    """Return the mean score of each policy, and the differences by seed to each of ``REFERENCES``."""
    rows = {}
    for name, values in scores.items():
        rows[name] = {"score": mean_interval(values).model_dump()}
        for reference in REFERENCES:
            if name != reference:
                gap = difference(values, scores[reference])
                rows[name][f"less {reference}"] = {**gap.model_dump(), "significant": gap.significant}
    return rows


@click.command()
@click.option("--processes", default=cores(), show_default=True)
def main(processes: int) -> None:
    """Play all tasks, and write the comparison."""
    tasks = load_tasks(TASKS)
    best = {task: find_best_constant(task, processes=processes) for task in tasks}
    plan = Plan(policies=("random", *CONTENDERS, *YARDSTICKS), tasks=tasks, seeds=SEEDS, best_constants=best)
    with click.progressbar(length=len(plan), label="Playing", file=sys.stderr) as bar:
        records = evaluate(plan, processes=processes, progress=bar.update)
    results = {
        "machine": processor(),
        "versions": Versions().model_dump(),
        "seeds": [SEEDS[0], SEEDS[-1]],
        "tuning_seeds": [TUNING_SEEDS[0], TUNING_SEEDS[-1]],
        "intervals": METHOD,
        "best_constants": best,
        "tasks": {task: compared(by_policy(records, task)) for task in tasks},
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
