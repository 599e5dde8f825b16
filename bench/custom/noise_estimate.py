"""Error of ``noise_estimate`` without ground truth, measured on data with ground truth.

    python -m bench.custom.noise_estimate

Each data set gets uniform noise of a known rate, which is hidden from the episodes. The estimate that agents see is
compared with the true share of wrong labels. The table also shows the share of bought labels that could be judged
(:func:`dataselect_env.core.noise_estimate.suspected`). Prints a table and writes
noise_estimate.json.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import click

from bench.speed.in_process import versions
from dataselect_env.core.episode import Episode
from dataselect_env.custom.definitions import TaskDefinition
from dataselect_env.custom.task_builder import make_task

RESULTS = Path(__file__).with_suffix(".json")
SOURCES: dict[str, dict[str, Any]] = {
    "breast_cancer": {"table": {"bundled": "breast_cancer"}},
    "wine": {"table": {"bundled": "wine"}},
    "digits": {"table": {"bundled": "digits"}},
    "generator": {"generator": {}},
}
RATES = (0.0, 0.1, 0.2, 0.3, 0.4)
GUESS = 0.1
"""Rate that the task declares."""
STRATEGIES = {"random": (0.0, 0.0, 1.0), "uncertainty": (1.0, 0.0, 0.0)}
BUDGET, STEPS = 80, 8
SEEDS = range(20_000, 20_030)


def measure(source: dict[str, Any], rate: float, weights: tuple[float, ...]) -> dict[str, float]:
    """Return means over the seeds, and the standard deviation of the estimate."""
    definition = {"noise": {"uniform": rate}, "budget": BUDGET, "max_steps": STEPS, "score": SCORE, **source}
    task = replace(
        make_task("estimated", TaskDefinition.model_validate(definition), Path()), flip_y=GUESS, has_ground_truth=False
    )
    judged, estimated, wrong = [], [], []
    for seed in SEEDS:
        episode = Episode(task, seed)
        while episode.end_reason is None:
            episode.select_batch(BUDGET // STEPS, weights)
        estimated.append(episode.noise_estimate)
        used = episode.budget_used
        judged.append(episode.judged / used)
        wrong.append(sum(point.mislabelled for point in episode.trace) / used)
    return {"wrong": fmean(wrong), "judged": fmean(judged), "estimate": fmean(estimated), "spread": stdev(estimated)}


SCORE = {"performance_range": [0.2, 0.9]}
"""The range has no effect here, and measuring it would take time."""


@click.command()
def main() -> None:
    """Print and write the measurements."""
    rows = []
    cases = list(product(SOURCES.items(), STRATEGIES.items(), RATES))
    with click.progressbar(cases, label="Measuring", file=sys.stderr) as bar:
        for (name, source), (strategy, weights), rate in bar:
            rows.append({"data": name, "strategy": strategy, "rate": rate, **measure(source, rate, weights)})
    for row in rows:
        click.echo(
            f"{row['data']:<14} {row['strategy']:<12} {row['rate']:.1f}  wrong {row['wrong']:.2f}"
            f"  judged {row['judged']:.2f}  estimate {row['estimate']:.2f} +- {row['spread']:.2f}"
        )
    settings = {"guess": GUESS, "budget": BUDGET, "seeds": [SEEDS[0], SEEDS[-1]]}
    RESULTS.write_text(json.dumps({"versions": versions(), "settings": settings, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
