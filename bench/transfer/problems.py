"""The tasks of the exam: a real table with a kind of label noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bench.transfer.tables import HUMAN
from dataselect_env.core.tasks import TASKS, Task
from dataselect_env.custom.definitions import TaskDefinition
from dataselect_env.custom.task_builder import make_task

BUDGET, STEPS = 80, 8
SMALLEST_SEED_SET, SEEDS_PER_CLASS = 12, 3
RATE = 0.25
MENU = TASKS["open"].extra_strategies
"""Strategies that the tasks offer beside the three base strategies."""
SYNTHETIC = ("none", "uniform", "boundary", "class-conditional", "worlds")
"""Kinds of noise that are added to tables with right labels."""
RECORDED = "people"
"""Kind of noise of tables that have the labels given by people."""


def noise_of(kind: str, n_classes: int) -> dict[str, Any]:
    """Return the fields of a task definition for a kind of noise.

    Class-conditional noise has a rate of 0.4 in the classes of even number and of 0.1 in the others, and a wrong label
    names the next class. Under ``worlds`` label errors are where the built-in tasks have them, with their noise trap.
    """
    if kind == "class-conditional":
        rates = [RATE + 0.15 if label % 2 == 0 else RATE - 0.15 for label in range(n_classes)]
        confusion = {str(label): {str((label + 1) % n_classes): rate} for label, rate in enumerate(rates)}
        return {"noise": {"confusion": confusion}}
    kinds: dict[str, dict[str, Any]] = {
        "none": {"noise": {"uniform": 0.0}},
        "uniform": {"noise": {"uniform": RATE}},
        "boundary": {"noise": {"instance": {"rate": RATE, "where": "boundary", "sharpness": 5}}},
        "worlds": {"noise": {"instance": {"rate": RATE, "where": "worlds", "sharpness": 30}}, "noise_trap": True},
        RECORDED: {},
    }
    return kinds[kind]


def kinds_of(table: str) -> tuple[str, ...]:
    """Return the kinds of noise that a table is played with."""
    return (RECORDED,) if table in HUMAN else SYNTHETIC


def make(table: str, kind: str, folder: Path) -> Task:
    """Return the task of a table, ``folder/TABLE.npz``, with a kind of noise; it is not registered.

    Raises:
        TaskDefinitionError: It cannot be played; for example, buying does not help.
    """
    with np.load(folder / f"{table}.npz") as arrays:
        n_classes = int(arrays["y"].max()) + 1
    columns = {"target": "given", "true_target": "y"} if kind == RECORDED else {"target": "y"}
    fields = {
        "table": {"file": f"{table}.npz", **columns},
        "split": {"seed": max(SMALLEST_SEED_SET, SEEDS_PER_CLASS * n_classes)},
        "budget": BUDGET,
        "max_steps": STEPS,
        "strategies": list(MENU),
        **noise_of(kind, n_classes),
    }
    name = f"{table}-{kind}".replace("_", "-")
    return make_task(name, TaskDefinition.model_validate(fields), folder)
