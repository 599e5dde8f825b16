"""Small tables and tasks of a user's own, for tests that play on them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from sklearn.datasets import make_classification

from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.models import Reply, RewardMode, StepInfo
from dataselect_env.core.strategies.sampling import STRATEGIES
from dataselect_env.core.tasks import BUILT_IN, TASKS, Task
from dataselect_env.custom import task_file
from dataselect_env.custom.definitions import TaskDefinition
from dataselect_env.custom.task_builder import make_task
from dataselect_env.custom.task_file import TaskRecipe

NAMES = ("ant", "bee", "cow", "dog", "elk", "fox")
RANGE = {"performance_range": [0.3, 0.9]}
"""A score whose range need not be measured."""
WINE: dict[str, Any] = {"table": {"bundled": "wine"}, "budget": 40, "max_steps": 5, "score": RANGE}
FURTHER = ["margin", "k_center", "density_weighted", "cluster_medoid"]
OWN: dict[str, dict[str, Any]] = {
    "wine": {**WINE, "noise": {"uniform": 0.2}, "budget": 60},
    "ranks": {**WINE, "noise": {"uniform": 0.2}, "strategies": FURTHER, "mixing": "ranks", "noise_trap": True},
    "quotas": {**WINE, "noise": {"instance": {"rate": 0.3, "where": "worlds"}}, "strategies": FURTHER},
    "two": {
        "table": {"bundled": "breast_cancer"},
        "noise": {"instance": {"rate": 0.2}},
        "budget": 50,
        "max_steps": 6,
        "strategies": ["margin"],
        "mixing": "ranks",
        "score": {"performance_range": [0.5, 0.9], "weights": {"performance": 0.5, "noise": 0.5}},
    },
    "unknown": {**WINE, "noise": {"unknown": 0.1}, "strategies": ["k_center"]},
    "unaudited": {**WINE, "noise": {"uniform": 0.3}, "audited": False, "strategies": ["held_out_random"]},
    "six": {
        "generator": {"n_features": 16, "n_classes": 6, "n_informative": 8, "class_sep": 2.0},
        "split": {"seed": 40, "validation": 60, "pool": 200},
        "noise": {"confusion": {"0": {"1": 0.3}, "5": {"2": 0.2, "3": 0.2}}},
        "budget": 50,
        "max_steps": 6,
        "score": {"performance_range": [0.2, 0.9], "metric": "balanced_log_loss"},
    },
}
"""Definitions of many kinds of tasks: both mixings, two to six classes, with and without ground truth or an audit."""


def frame(rows: int = 300, classes: int = 3, seed: int = 0) -> pd.DataFrame:
    """Return ten columns of numbers and one with the names of classes, ``label``."""
    X, y = make_classification(rows, 10, n_informative=6, n_classes=classes, n_clusters_per_class=1, random_state=seed)
    columns = {f"x{place}": values for place, values in enumerate(X.T.round(6))}
    return pd.DataFrame({**columns, "label": np.array(NAMES)[y]})


def save(folder: Path, name: str = "t.csv", **changes: Any) -> Path:
    """Write a table with some columns of its own, and return its file."""
    path = folder / name
    frame().assign(**changes).to_csv(path, index=False)
    return path


def defined(**fields: Any) -> TaskDefinition:
    return TaskDefinition.model_validate(fields)


def made(folder: Path | None = None, **fields: Any) -> Task:
    """Return the task of a definition; it is not registered."""
    return make_task("mine", defined(**fields), folder or Path())


def offered(name: str = "mine", folder: Path | None = None, **fields: Any) -> Task:
    """Return the task of a definition and offer it beside the others."""
    return task_file.add_task(TaskRecipe(name, defined(**fields), folder or Path()))


def forget() -> None:
    """Remove all tasks that are not built in."""
    for name in tuple(TASKS)[len(BUILT_IN) :]:
        del TASKS[name]
    task_file._recipes.clear()


@contextmanager
def forgotten() -> Iterator[None]:
    """Restore the registered tasks when the context ends."""
    with patch.dict(TASKS), patch.dict(task_file._recipes):
        yield


# --- episodes on them -----------------------------------------------------------------------------------------------


@cache
def task_of(name: str) -> Task:
    return made(**OWN[name])


def mix_of(task: Task, rng: np.random.Generator) -> dict[str, float]:
    """Return random weights of the strategies of a task, some of them 0."""
    names = (*STRATEGIES, *task.extra_strategies)
    weights = rng.dirichlet(np.ones(len(names))) * (rng.random(len(names)) < 0.7)
    if not weights.any():
        weights[-1] = 1.0
    return dict(zip(names, weights.tolist(), strict=True))


def select(size: int, **weights: float) -> dict[str, Any]:
    return {"action_type": "select_batch", "batch_size": size, "strategy_weights": weights}


def script(task: Task, seed: int) -> list[dict[str, Any]]:
    """Return more random actions than an episode takes."""
    rng = np.random.default_rng(seed)
    return [select(int(rng.integers(0, 15)), **mix_of(task, rng)) for _ in range(task.max_steps)]


def info_of(reply: Reply) -> StepInfo:
    assert reply.info is not None
    return reply.info


def play(env: DataSelectEnv, task: Task, seed: int, mode: RewardMode = "shaped") -> list[Reply]:
    replies = [env.reset(task_id=task.task_id, seed=seed, reward_mode=mode)]
    for action in script(task, seed):
        if replies[-1].done:
            break
        replies.append(env.step(action))
    return replies


def plain(reply: Reply) -> Any:
    told = json.loads(reply.model_dump_json(exclude={"episode_id"}))
    told["metadata"].pop("episode_id")
    return told
