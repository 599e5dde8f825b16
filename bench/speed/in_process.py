"""How fast a step and a reset are in process, alone and in lock-step, against the textbook and against the floor.

    python -m bench.speed.in_process

All contenders play the same episodes in turn, many rounds; figures are CPU time of this process, so that a neighbour on
the machine disturbs little, and each ratio is taken round by round. Says where the time of a step goes, prints tables
and writes in_process.json.
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
from dataselect_env.core import reward, sgd
from dataselect_env.core.data import dataset_number
from dataselect_env.core.learner import Learner, passes_for
from dataselect_env.core.selection import BatchSelector
from dataselect_env.core.tasks import DYNAMICS_VERSION, SPLITS, TASKS
from dataselect_env.core.training_set import TrainingSet
from dataselect_env.core.warm_start import warm_start
from dataselect_env.gym.vector import DataSelectVectorEnv
from dataselect_env.policies.features import encode

RESULTS = Path(__file__).with_suffix(".json")
ROUNDS = 15
SEEDS = range(SPLITS["test"].first_seed, SPLITS["test"].first_seed + 8)
"""Few enough for every data set to be in the cache when it is played again, as in training with repeated seeds."""
COLD_SEEDS = range(200, 240)
WEIGHTS = {"uncertainty": 0.4, "diversity": 0.4, "random": 0.2}
BATCH_SIZE = 10
MANY_LANES, ROUNDS_OF_MANY = 512, 3
"""With so many lanes a round takes seconds, and more of the cache than there is."""
LANES = (1, 8, 64, 512)
MICROSECONDS = 1e6
PARTS: dict[str, tuple[Any, str]] = {
    "scoring and choosing": (BatchSelector, "select"),
    "training": (Learner, "train"),
    "measuring": (Learner, "performance"),
    "distance and redundancy": (reward, "distance_and_redundancy"),
    "sums over the training set": (TrainingSet, "extend"),
    "reply": (DataSelectEnv, "_reply"),
}
""" "reply" holds what an answer in process is made of; JSON is made by the server alone."""


def timed(work: Callable[[], object]) -> float:
    """Return the CPU seconds that ``work`` takes."""
    started = time.process_time()
    work()
    return time.process_time() - started


def package(task_id: str) -> tuple[float, float]:
    """Return the package's seconds for a reset and for a step, mean over the seeds."""
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
    """Return the seconds of a step of one lane of the Gymnasium vector environment, until budgets end.

    Features and infos are in the figure; each lane has a seed of its own.
    """
    env, steps = DataSelectVectorEnv(lanes, task_id), steps_of(task_id)
    env.reset(seed=SEEDS[0])
    actions = np.tile(encode(TASKS[task_id], Action.select(BATCH_SIZE, **WEIGHTS)), (lanes, 1))
    return timed(lambda: [env.step(actions) for _ in range(steps)]) / lanes / steps


def parts_of_a_step(task_id: str) -> dict[str, float]:
    """Return where the seconds of a step go: by part, median over many steps; the wrappers' own time is in the rest."""
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
                spent[name] = spent[name][: len(total)]  # without what the reset called
            for _ in range(steps_of(task_id)):
                started = time.perf_counter()
                env.step(action)
                total.append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in spent.items()}
    return {**medians, "rest": statistics.median(total) - sum(medians.values())}


def textbook(task_id: str) -> tuple[float, float]:
    """Return the textbook's seconds for a reset and for a step."""
    envs = [TextbookEnv() for _ in SEEDS]
    steps = steps_of(task_id)

    def play() -> None:
        for env in envs:
            for _ in range(steps):
                env.step(BATCH_SIZE, WEIGHTS)

    reset = timed(lambda: [env.reset(task_id, seed) for env, seed in zip(envs, SEEDS, strict=True)])
    return reset / len(envs), timed(play) / len(envs) / steps


def floor(task_id: str) -> float:
    """Return the seconds of what no step can avoid: scoring the pool, a partition, the updates, the measurement.

    The arrays lie ready, the updates run in the compiled loop; nothing is accounted, rewarded or answered.
    """
    start = warm_start(dataset_number(SEEDS[0]))
    data, model, update = start.dataset, start.learner.copy().model, sgd.fastest()
    steps, rng = steps_of(task_id), np.random.default_rng(0)
    orders = [
        rng.integers(0, 1_100, (100 + (step + 1) * BATCH_SIZE) * passes_for(step * BATCH_SIZE, (step + 1) * BATCH_SIZE))
        for step in range(steps)
    ]

    def play() -> None:
        for order in orders * len(SEEDS):
            np.partition(data.X_pool @ model.coef_[0], -BATCH_SIZE)
            np.partition(data.X_pool @ model.coef_[0], -BATCH_SIZE)
            update(model, data.X_pool, data.y_pool, order)
            np.logaddexp(0, data.X_validation @ model.coef_[0]).mean()

    return timed(play) / len(SEEDS) / steps


def cold_reset(task_id: str) -> float:
    """Return the package's seconds for a reset on a data set that is not in the cache."""
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
    """Return all figures of one task: microseconds, and ratios taken round by round."""
    names = ("reset", "step", "textbook reset", "textbook step", "floor", "reset on a new data set")
    lanes = {f"step among {count} lanes": count for count in LANES}
    rounds: dict[str, list[float]] = {name: [] for name in (*names, *lanes)}
    for turn in range(ROUNDS):
        rounds["reset on a new data set"].append(cold_reset(task_id))
        package(task_id)  # fills the cache again
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
    """Return what the figures were measured with."""
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
    """Measure, print and write."""
    with threadpoolctl.threadpool_limits(1), click.progressbar(TASKS, label="measuring", file=sys.stderr) as bar:
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
