"""Compute the list of accepted data sets that the package pins (dataselect_env/core/datasets.json).

    python -m bench.validity.pin_datasets

A data set is accepted when the warm-started model neither knows the answer already nor is lost. Without this band the
difference between data sets drowns the difference between policies. The list is computed once for a DYNAMICS_VERSION
and pinned, so that no difference in the last digit of a library can change which data set a seed means.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from pathlib import Path

import click

from dataselect_env.core.data import WARM_START_BAND
from dataselect_env.core.tasks import DYNAMICS_VERSION
from dataselect_env.core.warm_start import warm_start

TARGET = Path(__file__).parents[2] / "dataselect_env" / "core" / "datasets.json"
WANTED = {"train": 1024, "validation": 128, "test": 256}
"""Accepted data sets by split; a seed picks one by its remainder."""


def is_accepted(number: int) -> bool:
    """Return whether the warm start of data set ``number`` lies in the band."""
    low, high = WARM_START_BAND
    return low <= warm_start(number).performance <= high


def accepted(numbers: Iterable[int], wanted: int) -> Iterator[int]:
    """Yield the first ``wanted`` accepted of ``numbers``, in order."""
    found, chunk = 0, 500
    numbers = iter(numbers)
    with ProcessPoolExecutor() as executor:
        while True:
            batch = [number for number, _ in zip(numbers, range(chunk), strict=False)]
            for number, good in zip(batch, executor.map(is_accepted, batch, chunksize=25), strict=True):
                if good:
                    yield number
                    found += 1
                    if found == wanted:
                        return


def main() -> None:
    total = sum(WANTED.values())
    with click.progressbar(accepted(count(), total), length=total, label="accepted data sets") as bar:
        found = list(bar)
    datasets, start = {}, 0
    for split, size in WANTED.items():
        datasets[split] = found[start : start + size]
        start += size
    pinned = {"dynamics_version": DYNAMICS_VERSION, "candidates": found[-1] + 1, "datasets": datasets}
    TARGET.write_text(json.dumps(pinned) + "\n", encoding="utf-8")
    click.echo(f"{total} of {found[-1] + 1} candidates accepted ({total / (found[-1] + 1):.1%})")


if __name__ == "__main__":
    main()
