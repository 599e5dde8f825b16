"""Speed of a step and a reset in process, alone and in a vector environment, against the textbook and the floor.

    python -m bench.speed.in_process

All contenders play the same episodes in turn, for many rounds. Figures are CPU time of this process, which other
processes on the machine hardly disturb, and each ratio is taken within a round. Also measures the parts of a step.
Prints tables and writes in_process.json.
"""

from __future__ import annotations

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import numpy as np
import sklearn
import threadpoolctl

from bench.speed.textbook import TextbookEnv
from dataselect_env import Action, DataSelectEnv, __version__
from dataselect_env.core import kernel, sgd
from dataselect_env.core.data import dataset_number
from dataselect_env.core.learner import passes_for
from dataselect_env.core.strategies import sampling
from dataselect_env.core.tasks import DYNAMICS_VERSION, PINNED, SPLITS, TASKS
from dataselect_env.core.warm_start import warm_start
from dataselect_env.gym.vector import DataSelectVectorEnv
from dataselect_env.policies.features import encode

RESULTS = Path(__file__).with_suffix(".json")
ROUNDS = 15
SEEDS = range(SPLITS["test"].first_seed, SPLITS["test"].first_seed + 8)
"""Few enough for every data set to stay in the cache, as in training with repeated seeds."""
COLD_SEEDS = range(200, 240)
WEIGHTS = {"uncertainty": 0.4, "diversity": 0.4, "random": 0.2}
BATCH_SIZE = 10
MANY_LANES, ROUNDS_OF_MANY = 512, 3
"""With this many lanes a round takes seconds, and exceeds the processor's cache."""
LANES = (1, 8, 64, 512)
MICROSECONDS = 1e6
PARTS: dict[str, tuple[Any, str]] = {
    "dividing the batch": (sampling, "quotas"),
    "choosing": (kernel, "choose"),
    "training and measuring": (kernel, "learn"),
    "reply": (DataSelectEnv, "_reply"),
}
"""The part "reply" is the construction of the reply; only the server makes JSON."""


def timed(work: Callable[[], object]) -> float:
    """Return the CPU time of ``work`` in seconds."""
    started = time.process_time()
    work()
    return time.process_time() - started


def package(task_id: str) -> tuple[float, float]:
    """Return the package's mean times of a reset and of a step, in seconds."""
    envs = [DataSelectEnv() for _ in SEEDS]
    action = Action.select(BATCH_SIZE, **WEIGHTS)
    steps = steps_of(task_id)

    def play() -> None:
        for env in envs:
            for _ in range(steps):
                env.step(action)

    reset = timed(lambda: [env.reset(task_id=task_id, seed=seed) for env, seed in zip(envs, SEEDS, strict=True)])
    return reset / len(envs), timed(play) / len(envs) / steps


def lockstep(task_id: str, lanes: int) -> float:
    """Return the wall time of a step per lane of the Gymnasium vector environment, in seconds, until budgets are spent.

    The figure includes features and infos; each lane has its own seed. The lanes are played on all cores.
    """
    env, steps = DataSelectVectorEnv(lanes, task_id), steps_of(task_id)
    env.reset(seed=SEEDS[0])
    actions = np.tile(encode(TASKS[task_id], Action.select(BATCH_SIZE, **WEIGHTS)), (lanes, 1))
    started = time.perf_counter()
    for _ in range(steps):
        env.step(actions)
    env.close()
    return (time.perf_counter() - started) / lanes / steps


def parts_of_a_step(task_id: str) -> dict[str, float]:
    """Return the time of each part of a step, median over many steps; the rest includes the wrappers' time."""
    spent: dict[str, list[float]] = {name: [] for name in PARTS}

    def wrapped(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                spent[name].append(time.perf_counter() - started)

        return call

    action, total = Action.select(BATCH_SIZE, **WEIGHTS), list[float]()
    with ExitStack() as stack:
        for name, (owner, attribute) in PARTS.items():
            stack.enter_context(patch.object(owner, attribute, wrapped(name, getattr(owner, attribute))))
        for seed in [*SEEDS] * 4:
            env = DataSelectEnv()
            env.reset(task_id=task_id, seed=seed)
            for name in spent:
                spent[name] = spent[name][: len(total)]  # without the calls of the reset
            for _ in range(steps_of(task_id)):
                started = time.perf_counter()
                env.step(action)
                total.append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in spent.items()}
    return {**medians, "rest": statistics.median(total) - sum(medians.values())}


def textbook(task_id: str) -> tuple[float, float]:
    """Return the textbook's times of a reset and of a step, in seconds."""
    envs = [TextbookEnv() for _ in SEEDS]
    steps = steps_of(task_id)

    def play() -> None:
        for env in envs:
            for _ in range(steps):
                env.step(BATCH_SIZE, WEIGHTS)

    reset = timed(lambda: [env.reset(task_id, seed) for env, seed in zip(envs, SEEDS, strict=True)])
    return reset / len(envs), timed(play) / len(envs) / steps


def floor_of(task_id: str) -> tuple[Callable[[], None], int]:
    """Return a function that computes what no step can avoid, and the number of steps for which it does.

    That is scoring, a partition, the updates and the measurement. The arrays are prepared, and the updates run in the
    compiled loop; there are no counts, rewards or replies.
    """
    start = warm_start(dataset_number(SEEDS[0]))
    data, learner, update = start.dataset, start.learner.copy(), sgd.fastest()
    weights = learner.parameters[0, :-1]
    steps, rng = steps_of(task_id), np.random.default_rng(0)
    orders = [
        rng.integers(0, 1_100, (100 + (step + 1) * BATCH_SIZE) * passes_for(step * BATCH_SIZE, (step + 1) * BATCH_SIZE))
        for step in range(steps)
    ]

    def play() -> None:
        for order in orders * len(SEEDS):
            np.partition(data.X_pool @ weights, -BATCH_SIZE)
            np.partition(data.X_pool @ weights, -BATCH_SIZE)
            update(learner, data.X_pool, data.y_pool, order)
            np.logaddexp(0, data.X_validation @ weights).mean()

    return play, len(SEEDS) * steps


def floor(task_id: str) -> float:
    """Return the time of a step of :func:`floor_of`, in seconds."""
    play, steps = floor_of(task_id)
    return timed(play) / steps


def cold_reset(task_id: str) -> float:
    """Return the package's time of a reset on a data set that is not in the cache, in seconds."""
    warm_start.cache_clear()
    env = DataSelectEnv()
    return timed(lambda: [env.reset(task_id=task_id, seed=seed) for seed in COLD_SEEDS]) / len(COLD_SEEDS)


def steps_of(task_id: str) -> int:
    return min(TASKS[task_id].max_steps, TASKS[task_id].budget // BATCH_SIZE)


def quartiles(values: list[float], scale: float = 1.0) -> dict[str, float]:
    """Return median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4)
    return {"median": middle * scale, "q1": low * scale, "q3": high * scale}


def measure(task_id: str) -> dict[str, Any]:
    """Return all figures of one task: times in microseconds, and ratios within rounds."""
    names = ("reset", "step", "textbook reset", "textbook step", "floor", "reset on a new data set")
    lanes = {f"step among {count} lanes": count for count in LANES}
    rounds: dict[str, list[float]] = {name: [] for name in (*names, *lanes)}
    for turn in range(ROUNDS):
        rounds["reset on a new data set"].append(cold_reset(task_id))
        package(task_id)  # fills the cache
        reset, step = package(task_id)
        slow_reset, slow_step = textbook(task_id)
        for name, value in zip(rounds, (reset, step, slow_reset, slow_step, floor(task_id)), strict=False):
            rounds[name].append(value)
        for name, count in lanes.items():
            if count < MANY_LANES or turn < ROUNDS_OF_MANY:
                rounds[name].append(lockstep(task_id, count))

    def ratio(above: str, below: str) -> dict[str, float]:
        return quartiles([a / b for a, b in zip(rounds[above], rounds[below], strict=False)])

    return {
        "microseconds": {name: quartiles(values, MICROSECONDS) for name, values in rounds.items()},
        "ratios": {
            "textbook step / step": ratio("textbook step", "step"),
            "step / floor": ratio("step", "floor"),
            "textbook reset / reset": ratio("textbook reset", "reset"),
            "textbook reset / reset on a new data set": ratio("textbook reset", "reset on a new data set"),
            **{f"textbook step / {name}": ratio("textbook step", name) for name in lanes},
        },
        "parts of a step": {name: value * MICROSECONDS for name, value in parts_of_a_step(task_id).items()},
    }


def versions() -> dict[str, Any]:
    """Return the versions and the machine of the measurements."""
    return {
        "package": __version__,
        "dynamics": DYNAMICS_VERSION,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "machine": platform.machine(),
        "system": platform.system(),
        "way of training": next(iter(sgd.ways())),
    }


def main() -> None:
    """Print and write the measurements."""
    with threadpoolctl.threadpool_limits(1), click.progressbar(PINNED, label="Measuring", file=sys.stderr) as bar:
        tasks = {task_id: measure(task_id) for task_id in bar}
    RESULTS.write_text(json.dumps({"versions": versions(), "rounds": ROUNDS, "tasks": tasks}, indent=1) + "\n")
    for task_id, figures in tasks.items():
        click.echo(f"\n{task_id}: median (quartiles) of {ROUNDS} rounds")
        for name, spread in figures["microseconds"].items():
            click.echo(f"  {name:<42} {spread['median']:9.0f} us ({spread['q1']:.0f} to {spread['q3']:.0f})")
        for name, spread in figures["ratios"].items():
            click.echo(f"  {name:<42} {spread['median']:9.1f} x  ({spread['q1']:.1f} to {spread['q3']:.1f})")
        click.echo("  of a step, timed from within:")
        for name, value in figures["parts of a step"].items():
            click.echo(f"    {name:<40} {value:9.0f} us")


if __name__ == "__main__":
    main()
