"""What a large custom table costs: seconds per step and memory, with 50,000 samples x 100 features.

    python -m bench.custom.cost

Writes a CSV file, loads it through a task file, and plays episodes in process: one for each query strategy and one for
a mix of all. Prints a table and writes cost.json. Linux only.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from bench.speed.in_process import quartiles, versions
from dataselect_env.core.actions import action_model
from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.strategies.registry import STRATEGIES as FURTHER
from dataselect_env.core.strategies.sampling import STRATEGIES
from dataselect_env.core.tasks import get_task
from dataselect_env.custom.task_file import load_tasks

RESULTS = Path(__file__).with_suffix(".json")
POOL, FEATURES = 50_000, 100
VALIDATION, SEED_SET = 1_000, 100
EPISODES = 3
STEPS, BATCH_SIZE = 10, 20
CLASSES = (2, 5)


def write_table(path: Path, classes: int, rows: int, features: int) -> None:
    """Write a CSV file with numeric features and labels."""
    rng = np.random.default_rng(0)
    y = rng.integers(classes, size=rows)
    X = rng.standard_normal((rows, features)) + 0.25 * rng.standard_normal((classes, features))[y]
    names = ",".join(f"x{number}" for number in range(features))
    formats = ["%.6g"] * features + ["%d"]
    np.savetxt(path, np.column_stack([X, y]), fmt=formats, delimiter=",", header=f"{names},label", comments="")


def task_text(classes: int) -> str:
    """Return the task file for a table with this number of classes."""
    return f"""
tasks:
  large-{classes}:
    table: {{file: large-{classes}.csv, target: label}}
    split: {{seed: {SEED_SET}, validation: {VALIDATION}, pool: {POOL}}}
    noise: {{uniform: 0.2}}
    budget: {STEPS * BATCH_SIZE}
    max_steps: {STEPS}
    strategies: [{", ".join(FURTHER)}]
"""


def task_file(folder: Path, classes: int) -> Path:
    """Write the table and its task file; the table is written by another process, whose memory does not count."""
    table = folder / f"large-{classes}.csv"
    arguments = (table, classes, POOL + VALIDATION + SEED_SET, FEATURES)
    writer = multiprocessing.get_context("spawn").Process(target=write_table, args=arguments)
    writer.start()
    writer.join()
    path = folder / f"tasks-{classes}.yaml"
    path.write_text(task_text(classes), encoding="utf-8")
    return path


def peak() -> float:
    """Return the peak memory of this process, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def seconds_of_steps(task_id: str, weights: dict[str, float]) -> list[float]:
    """Return the duration of each step of some episodes, in seconds."""
    action = action_model(get_task(task_id).extra_strategies).select(BATCH_SIZE, **weights)
    env, seconds = DataSelectEnv(), []
    for seed in range(EPISODES):
        env.reset(task_id=task_id, seed=20_000 + seed)
        for _ in range(STEPS):
            started = time.perf_counter()
            env.step(action)
            seconds.append(time.perf_counter() - started)
    return seconds


def measure(classes: int, folder: Path) -> dict[str, Any]:
    """Load the table, play, and return the measurements."""
    path = task_file(folder, classes)
    started = time.perf_counter()
    (task_id,) = load_tasks(path)
    loaded = time.perf_counter() - started
    names = (*STRATEGIES, *FURTHER)
    mixes = {name: {name: 1.0} for name in names} | {"all of them": dict.fromkeys(names, 1.0)}
    steps = {}
    for name, weights in mixes.items():
        seconds = seconds_of_steps(task_id, weights)
        steps[name] = {**quartiles(seconds, 1_000), "max": max(seconds) * 1_000}
    started = time.perf_counter()
    DataSelectEnv().reset(task_id=task_id, seed=30_000)
    return {"load_s": loaded, "reset_ms": (time.perf_counter() - started) * 1_000, "step_ms": steps, "peak_mb": peak()}


@click.command()
def main() -> None:
    """Print and write the measurements."""
    results: dict[str, Any] = {"versions": versions(), "pool": POOL, "features": FEATURES, "classes": {}}
    with tempfile.TemporaryDirectory() as folder:
        for classes in CLASSES:
            found = results["classes"][str(classes)] = measure(classes, Path(folder))
            click.echo(
                f"{classes} classes: loaded in {found['load_s']:.1f} s, reset {found['reset_ms']:.0f} ms, "
                f"at most {found['peak_mb']:.0f} MB so far"
            )
            for name, row in found["step_ms"].items():
                click.echo(
                    f"  {name:<18} {row['median']:6.1f} ms ({row['q1']:.1f} to {row['q3']:.1f}),"
                    f" at most {row['max']:.0f}"
                )
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
