"""Find the best constant action of each task on seeds of the train split, and write tuning.json.

    python -m bench.validity.tuning

The highest mean grade wins; among grades too close to tell apart, the highest return. A test compares the result with
``dataselect_env.policies.reference.BEST_CONSTANTS``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bench.validity.candidates import GRID, full_name
from dataselect_env.cli.console import progress
from dataselect_env.core.tasks import PINNED
from dataselect_env.core.threads import cores
from dataselect_env.evaluation.evaluate import Plan, evaluate
from dataselect_env.evaluation.ladder import Report, build_report

TARGET = Path(__file__).with_name("tuning.json")
SEEDS = tuple(range(100))
"""Seeds of the train split."""
SHOWN = 6
"""Number of best entries that the file keeps per task."""
CLOSE = 0.01
"""Grades this close count as equal: the standard error of a mean is two to three times as large."""


def chosen(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the best entry: the highest return among entries whose grade is close to the highest."""
    highest = max(entry["score"] for entry in entries)
    return max((entry for entry in entries if entry["score"] >= highest - CLOSE), key=lambda entry: entry["return"])


def summary(report: Report) -> dict[str, Any]:
    """Return the chosen entry of each task, the entries with the highest grades, and that with the highest return."""
    tasks = {}
    for task in report.settings.tasks:
        rows = sorted((row for row in report.rows if row.task_id == task), key=lambda row: -row.score.mean)
        entries: list[dict[str, Any]] = [
            {
                "policy": row.policy.rpartition(":")[2],
                "score": row.score.mean,
                "return": row.episode_return,
            }
            for row in rows
        ]
        highest_return = max(entries, key=lambda entry: entry["return"])
        tasks[task] = {"chosen": chosen(entries), "highest": entries[:SHOWN], "highest_return": highest_return}
    settings = report.settings
    return {
        "versions": report.versions.model_dump(),
        "seeds": [settings.first_seed, settings.last_seed],
        "split": settings.split,
        "grid": len(settings.policies),
        "tasks": tasks,
    }


def main() -> None:
    plan = Plan(policies=tuple(map(full_name, GRID)), tasks=tuple(PINNED), seeds=SEEDS)
    with progress(len(plan), "Playing the grid") as advance:
        records = evaluate(plan, processes=cores(), progress=advance)
    found = summary(build_report(plan, records))
    TARGET.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for task, entries in found["tasks"].items():
        click.echo(f"{task}: {entries['chosen']['policy']}, {entries['chosen']['score']:.3f}")


if __name__ == "__main__":
    main()
