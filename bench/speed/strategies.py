"""Cost of the query strategies beyond the base ones: a step with each, against a step with the base strategies.

    python -m bench.speed.strategies

Each round makes the data sets again and plays them twice: on the first pass, strategies compute what they keep with a
data set; on the second it is there. Figures are CPU time of this thread, without reply; each ratio is taken within a
round. Prints a table and writes strategies.json.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import click
import threadpoolctl

from bench.speed.in_process import BATCH_SIZE, MICROSECONDS, SEEDS, WEIGHTS, quartiles, versions
from dataselect_env.core.data import dataset_number
from dataselect_env.core.episode import Episode
from dataselect_env.core.strategies.filters import FILTERS
from dataselect_env.core.strategies.rankings import BASE
from dataselect_env.core.strategies.registry import STRATEGIES
from dataselect_env.core.tasks import TASKS
from dataselect_env.core.warm_start import warm_start

RESULTS = Path(__file__).with_suffix(".json")
TASK_ID = "medium"
ROUNDS = 9
PASSES = ("new data set", "cached data set")
NAMES = (*STRATEGIES, *(f"{name}_{ranking}" for name in FILTERS for ranking in BASE))


def seconds_of_a_step(name: str | None, seed: int) -> float:
    """Return the mean CPU time of a step, over one episode that buys by this strategy; None buys by the base ones."""
    task = replace(TASKS[TASK_ID], extra_strategies=() if name is None else (name,))
    episode = Episode(task, seed, hold_data=True)
    weights = (*WEIGHTS.values(),) if name is None else (0.0, 0.0, 0.0, 1.0)
    started = time.thread_time()
    while episode.end_reason is None:
        episode.select_batch(BATCH_SIZE, weights)
    return (time.thread_time() - started) / episode.steps


def passes(name: str | None) -> list[float]:
    """Return the mean times of a step on data sets just made, and on the same ones again, in seconds."""
    warm_start.cache_clear()
    for seed in SEEDS:
        warm_start(dataset_number(seed))
    return [sum(seconds_of_a_step(name, seed) for seed in SEEDS) / len(SEEDS) for _ in PASSES]


def measure() -> dict[str, dict[str, dict[str, float]]]:
    """Return microseconds and ratios to a base step of the same round and pass, by strategy."""
    seconds: dict[str | None, list[list[float]]] = {name: [] for name in (None, *NAMES)}
    with click.progressbar(range(ROUNDS), label="Measuring", file=sys.stderr) as rounds:
        for _ in rounds:
            for name, found in seconds.items():
                found.append(passes(name))
    result = {}
    for name, found in seconds.items():
        figures = {}
        for place, title in enumerate(PASSES):
            own = [one[place] for one in found]
            figures[f"{title}, us"] = quartiles(own, MICROSECONDS)
            figures[f"{title}, base steps"] = quartiles(
                [one / base[place] for one, base in zip(own, seconds[None], strict=True)]
            )
        result["base" if name is None else name] = figures
    return result


def main() -> None:
    """Print and write the measurements."""
    with threadpoolctl.threadpool_limits(1):
        found = measure()
    RESULTS.write_text(
        json.dumps({"versions": versions(), "rounds": ROUNDS, "task": TASK_ID, "strategies": found}, indent=1) + "\n"
    )
    for name, figures in found.items():
        medians = (f"{title} {spread['median']:8.1f}" for title, spread in figures.items())
        click.echo(f"{name:<24} {'  '.join(medians)}")


if __name__ == "__main__":
    main()
