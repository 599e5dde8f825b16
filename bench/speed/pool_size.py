"""Growth of the time of a step with the pool: 1,000 to 100,000 samples of the same generator.

    python -m bench.speed.pool_size

Writes pool_size.json. The goal B6 is at most linear growth. Figures are CPU time of this process, with one thread.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from unittest.mock import patch

import click
import threadpoolctl

from bench.speed.in_process import BATCH_SIZE, MICROSECONDS, WEIGHTS, quartiles, timed, versions
from dataselect_env.core import data
from dataselect_env.core.episode import Episode
from dataselect_env.core.tasks import SPLITS, TASKS
from dataselect_env.core.warm_start import make_warm_start

RESULTS = Path(__file__).with_suffix(".json")
POOL_SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)
EPISODES = 12
TASK = TASKS["medium"]


def seconds_of_a_step(size: int) -> list[float]:
    """Return the time of a step on a pool of this size, in seconds, one figure per episode."""
    first = data.POOL_ROWS.start
    rows = slice(first, first + size)
    with patch.dict(data.GENERATOR, n_samples=rows.stop), patch.object(data, "POOL_ROWS", rows):
        start = make_warm_start(data.dataset_number(SPLITS["test"].first_seed))
        seconds = []
        with patch("dataselect_env.core.source.warm_start", lambda _: start):
            for seed in range(EPISODES):
                episode = Episode(TASK, seed)
                steps = [timed(lambda: episode.select_batch(BATCH_SIZE, tuple(WEIGHTS.values()))) for _ in range(10)]  # noqa: B023
                seconds.append(statistics.median(steps))
    return seconds


def main() -> None:
    """Print and write the measurements."""
    with threadpoolctl.threadpool_limits(1), click.progressbar(POOL_SIZES, label="Measuring", file=sys.stderr) as bar:
        figures = {size: quartiles(seconds_of_a_step(size), MICROSECONDS) for size in bar}
    smallest = figures[POOL_SIZES[0]]["median"]
    RESULTS.write_text(json.dumps({"versions": versions(), "microseconds": figures}, indent=1) + "\n")
    for size, spread in figures.items():
        growth = spread["median"] / smallest
        click.echo(
            f"{size:>8} samples {spread['median']:9.0f} us   {growth:6.1f} x for {size / POOL_SIZES[0]:5.0f} x the pool"
        )


if __name__ == "__main__":
    main()
