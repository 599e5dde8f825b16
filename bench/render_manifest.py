"""Render openenv.yaml from the code, so that every number in it has a single source.

    python -m bench.render_manifest

A test checks that it is up to date.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from dataselect_env import __version__
from dataselect_env.core import reward as rewards_of
from dataselect_env.core.actions import action_model, offered
from dataselect_env.core.data import N_FEATURES, N_SAMPLES, POOL_ROWS, SEED_ROWS
from dataselect_env.core.models import Observation
from dataselect_env.core.open import problems
from dataselect_env.core.tasks import DYNAMICS_VERSION, SPLITS, TASKS, Task
from dataselect_env.server.catalogue import AUTHOR, DESCRIPTION, NAME

TARGET = Path(__file__).parents[1] / "openenv.yaml"
HEADER = """\
# Rendered by `make render`: change core/tasks.py, core/models.py or server/catalogue.py of the package, not this file.
# Everything else comes from bench/render_manifest.py.
"""
TAGS = [
    "openenv",
    "active-learning",
    "data-curation",
    "noisy-labels",
    "machine-learning",
    "reinforcement-learning",
]
ENDPOINTS = {
    "websocket": "WS /ws (primary, required on HF Spaces)",
    "reset": "POST /reset",
    "step": "POST /step",
    "state": "GET /state",
    "tasks": "GET /tasks",
    "grader": "POST /grader",
    "baseline": "GET /baseline",
    "health": "GET /health",
}


class Quoted(str):
    """Text that is quoted in YAML, so that a version is not read as a number."""


yaml.SafeDumper.add_representer(
    Quoted, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, '"')
)


def space(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of ``model`` without titles and references: nested models are inlined."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def plain(node: Any) -> Any:
        if isinstance(node, list):
            return [plain(item) for item in node]
        if not isinstance(node, dict):
            return node
        reference = node.get("$ref")
        if reference is not None:
            # A description next to the reference is that of the field, and replaces that of the model.
            node = {**definitions[reference.rsplit("/", 1)[-1]], **node}
        keys = sorted(node, key=lambda key: key not in ("type", "description"))
        return {key: plain(node[key]) for key in keys if key not in ("title", "$ref")}

    tidy: dict[str, Any] = plain(schema)
    return tidy


def longest_row(task: Task) -> float:
    """Return a bound on the length of every standardised row: no feature of n rows exceeds sqrt(n - 1) (Samuelson)."""
    if task.drawn:
        return math.sqrt(problems.MOST_COLUMNS * (problems.MOST_SEED + task.pool_size - 1))
    rows = len(range(N_SAMPLES)[SEED_ROWS]) + len(range(N_SAMPLES)[POOL_ROWS])
    return math.sqrt(N_FEATURES * (rows - 1))


def reward_range() -> list[float]:
    """Return lower and upper bounds of the reward of a step in either reward mode, as multiples of ten.

    The reward is a sum of terms, each monotonic in its argument, so its extremes are corners: performance, redundancy,
    noise ratio and grade lie in [0, 1]; a batch has 1 to ``budget`` samples; and no sample is farther from the mean of
    others than twice the longest row. A ``stop`` has only the terminal term, and a reward in ``grade`` mode is the
    difference of two grades.
    """
    rewards = [-1.0, 1.0, *(sum(rewards_of.stop_terms().values()) + rewards_of.terminal(score) for score in (0, 1))]
    for task in TASKS.values():
        for change, distance, redundancy, noise_ratio, batch_size, score in itertools.product(
            (-1, 1), (0, 2 * longest_row(task)), (0, 1), (0, 1), (1, task.budget), (0, 1)
        ):
            terms = rewards_of.selection_terms(
                performance_change=change,
                distance=distance,
                redundancy=redundancy,
                noise_ratio=noise_ratio,
                batch_size=batch_size,
                flip_y=task.flip_y,
            )
            rewards.append(sum(terms.values()) + rewards_of.terminal(score))
    return [10.0 * math.floor(min(rewards) / 10), 10.0 * math.ceil(max(rewards) / 10)]


def manifest() -> dict[str, Any]:
    """Return the content of openenv.yaml."""
    return {
        "spec_version": 1,
        "name": NAME,
        "version": Quoted(__version__),
        "type": "space",
        "runtime": "fastapi",
        "app": "server.app:app",
        "port": 8000,
        "description": DESCRIPTION,
        "tags": TAGS,
        "authors": [AUTHOR],
        "observation_space": space(Observation),
        "action_space": space(action_model(offered())),
        "tasks": [
            {
                "id": task.task_id,
                "difficulty": task.task_id,
                "description": task.summary,
                "success_criteria": task.success_criteria,
                "score": task.score_formula,
                "flip_y": task.flip_y,
                "budget": task.budget,
                "max_steps": task.max_steps,
                **({"numbers": "each seed draws its own; those here are upper limits"} if task.drawn else {}),
            }
            for task in TASKS.values()
        ],
        "reward": {
            "type": "continuous",
            "range": [-math.inf, math.inf],
            "description": "Shaped and dense: every step pays for what its batch brought and cost, not only the last "
            "one. The end of an episode also pays for its grade.",
        },
        "endpoints": ENDPOINTS,
        # There is no `execution` block: with it, `openenv validate` fails wherever no Docker daemon runs.
        "validation": {
            "reward": {"range": reward_range(), "oracle_tolerance": 0.1, "floor_margin": 0.1},
            "resources": {"cpu": 1.0, "memory_mb": 1024, "disk_mb": 256, "episode_timeout_s": 300},
            "network": {"mode": "no-network"},
            "capabilities": {
                "verifier": {"kind": "reward_channel"},
                "task_api": True,
                "declared_task_count": {split.name: split.num_tasks for split in SPLITS.values()},
            },
            "task_distribution": {"dataset_version": Quoted(DYNAMICS_VERSION)},
            "types": {"tags": ["active-learning", "data-curation", "noisy-labels"]},
        },
    }


def render() -> str:
    """Return the text of openenv.yaml."""
    return HEADER + yaml.safe_dump(manifest(), sort_keys=False, allow_unicode=True, width=110)


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
