"""Choose the constant that is best for the task ``open``, on its validation problems: the fair constant of the exam.

    python -m bench.transfer.open_constant

Writes open_constant.json, with the mean grade of every candidate. The tables of the exam have no part in the choice.
"""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import click
import numpy as np

from bench.transfer.contenders import Constant, constants
from dataselect_env.core.tasks import SPLITS, TASKS
from dataselect_env.evaluation.records import Versions
from dataselect_env.evaluation.workers import THREAD_LIMITS

RESULTS = Path(__file__).with_suffix(".json")
PROBLEMS = 200


def grades(seed: int) -> list[float]:
    """Return the grades of all candidates on one problem."""
    return [one.grade(TASKS["open"], seed) for one in constants(TASKS["open"]).values()]


def chosen() -> Constant:
    """Return the constant with the highest mean grade."""
    means: dict[str, float] = json.loads(RESULTS.read_text(encoding="utf-8"))["means"]
    return constants(TASKS["open"])[max(means, key=lambda name: means[name])]


@click.command(help=(__doc__ or "").splitlines()[0])
@click.option("--processes", default=1, show_default=True)
@click.option("--problems", default=PROBLEMS, show_default=True)
def main(processes: int, problems: int) -> None:
    first = SPLITS["validation"].first_seed
    seeds = range(first, first + problems)
    os.environ.update(dict.fromkeys(THREAD_LIMITS, "1"))
    with (
        ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as executor,
        click.progressbar(executor.map(grades, seeds), problems, label="problems", file=sys.stderr) as found,
    ):
        means = np.mean(list(found), axis=0)
    by_name = {name: round(float(mean), 4) for name, mean in zip(constants(TASKS["open"]), means, strict=True)}
    ordered = dict(sorted(by_name.items(), key=lambda item: -item[1]))
    results = {"versions": Versions.current().model_dump(), "seeds": [seeds[0], seeds[-1]], "means": ordered}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
