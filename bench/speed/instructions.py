"""Instructions that a step and a reset execute, counted by callgrind: what the noise of a machine cannot blur.

    python -m bench.speed.instructions

Needs ``valgrind``. One process plays every contender in turn under callgrind and marks the borders between them. Counts
repeat to a fraction of a percent. They do not show what waits for memory, and callgrind offers no AVX-512, so that the
kernel runs as it does on processors with AVX2. Prints a table and writes instructions.json.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from bench.speed import in_process
from bench.speed.textbook import TextbookEnv
from dataselect_env import Action, DataSelectEnv
from dataselect_env.core.tasks import TASKS
from dataselect_env.core.warm_start import warm_start
from dataselect_env.gym.vector import DataSelectVectorEnv
from dataselect_env.policies.features import encode

RESULTS = Path(__file__).with_suffix(".json")
TASK, LANES = "medium", 64
ACTION = Action.select(in_process.BATCH_SIZE, **in_process.WEIGHTS)
BORDER = "getloadavg"
"""A function of the C library that nothing else calls; callgrind writes a file whenever it is entered."""
TOTAL = re.compile(r"^totals: (\d+)", re.MULTILINE)


def step() -> int:
    """Play whole episodes through the environment; return the number of steps."""
    envs = [DataSelectEnv() for _ in in_process.SEEDS]
    for env, seed in zip(envs, in_process.SEEDS, strict=True):
        env.reset(task_id=TASK, seed=seed)
    os.getloadavg()
    for env in envs:
        for _ in range(in_process.steps_of(TASK)):
            env.step(ACTION)
    return len(envs) * in_process.steps_of(TASK)


def step_in_a_lane() -> int:
    """Play whole episodes side by side; return the number of steps of all lanes."""
    env = DataSelectVectorEnv(LANES, TASK)
    env.reset(seed=in_process.SEEDS[0])
    actions = np.tile(encode(TASKS[TASK], ACTION), (LANES, 1))
    os.getloadavg()
    for _ in range(in_process.steps_of(TASK)):
        env.step(actions)
    env.close()
    return LANES * in_process.steps_of(TASK)


def textbook_step() -> int:
    """Play an episode of the textbook; return the number of steps."""
    env = TextbookEnv()
    env.reset(TASK, in_process.SEEDS[0])
    os.getloadavg()
    for _ in range(in_process.steps_of(TASK)):
        env.step(in_process.BATCH_SIZE, in_process.WEIGHTS)
    return in_process.steps_of(TASK)


def floor_step() -> int:
    """Play the arithmetic that no step can avoid."""
    play, steps = in_process.floor_of(TASK)
    os.getloadavg()
    play()
    return steps


def reset() -> int:
    """Reset on data sets that are in the cache."""
    env = DataSelectEnv()
    for seed in in_process.SEEDS:
        env.reset(task_id=TASK, seed=seed)
    os.getloadavg()
    for seed in in_process.SEEDS:
        env.reset(task_id=TASK, seed=seed)
    return len(in_process.SEEDS)


def reset_on_a_new_data_set() -> int:
    """Reset on data sets that are not."""
    env = DataSelectEnv()
    warm_start.cache_clear()
    os.getloadavg()
    for seed in in_process.COLD_SEEDS:
        env.reset(task_id=TASK, seed=seed)
    return len(in_process.COLD_SEEDS)


def textbook_reset() -> int:
    """Reset the textbook."""
    env = TextbookEnv()
    os.getloadavg()
    for seed in in_process.SEEDS:
        env.reset(TASK, seed)
    return len(in_process.SEEDS)


CONTENDERS: dict[str, Callable[[], int]] = {
    "step": step,
    f"step among {LANES} lanes": step_in_a_lane,
    "floor": floor_step,
    "textbook step": textbook_step,
    "reset": reset,
    "reset on a new data set": reset_on_a_new_data_set,
    "textbook reset": textbook_reset,
}


def play() -> None:
    """Play every contender, with a border before and after what counts; print the number of steps or resets."""
    step()  # loads what is loaded on first use
    for contender in CONTENDERS.values():
        count = contender()
        os.getloadavg()
        print(count, flush=True)  # read by main


def main() -> None:
    """Count, print and write."""
    with tempfile.TemporaryDirectory() as folder:
        options = [f"--callgrind-out-file={folder}/found", f"--dump-before={BORDER}", "--combine-dumps=no"]
        command = ["valgrind", "--tool=callgrind", *options, sys.executable, "-m", __spec__.name, "--play"]
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        parts = sorted(Path(folder).glob("found.*"), key=lambda path: int(path.suffix[1:]))
        totals = [int(TOTAL.findall(part.read_text())[0]) for part in parts]
    counts = [int(line) for line in finished.stdout.split()]
    # Parts end at the borders: the first in step(), which loads libraries, then two of each contender, and the exit.
    found = {name: total / count for name, total, count in zip(CONTENDERS, totals[2::2], counts, strict=True)}
    version = subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=True).stdout.strip()  # noqa: S607
    results = {"versions": {**in_process.versions(), "valgrind": version}, "task": TASK, "instructions": found}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    for name, value in found.items():
        click.echo(f"{name:<28} {value:14,.0f} instructions")


if __name__ == "__main__":
    play() if "--play" in sys.argv else main()
