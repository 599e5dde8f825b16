"""openenv.yaml: what SPEC section 8 asks for, rendered from the code, and a declared reward range that holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml

from bench import render_manifest
from dataselect_env import Action, DataSelectEnv, __version__
from dataselect_env.core.episode import Episode
from dataselect_env.core.models import RewardMode
from dataselect_env.core.reward import selection_terms, stop_terms, terminal
from dataselect_env.core.strategies.sampling import STRATEGIES
from dataselect_env.core.tasks import SPLITS, TASKS
from dataselect_env.server import catalogue
from dataselect_env.server.app import create_app

MANIFEST: dict[str, Any] = yaml.safe_load(render_manifest.TARGET.read_text(encoding="utf-8"))


def test_it_is_rendered_from_the_code() -> None:
    assert render_manifest.TARGET.read_text(encoding="utf-8") == render_manifest.render(), "run `make render`"


def test_who_and_what_it_is() -> None:
    assert MANIFEST["name"] == catalogue.NAME == "DataSelectEnv"
    assert MANIFEST["version"] == __version__
    assert MANIFEST["authors"] == [catalogue.AUTHOR] == ["InfraNova"]
    assert MANIFEST["description"] == catalogue.DESCRIPTION
    assert {"openenv", "active-learning", "data-curation", "noisy-labels", "reinforcement-learning"} < {
        *MANIFEST["tags"]
    }


def test_what_openenv_tools_start() -> None:
    assert (MANIFEST["spec_version"], MANIFEST["type"], MANIFEST["runtime"]) == (1, "space", "fastapi")
    assert (MANIFEST["app"], MANIFEST["port"]) == ("server.app:app", 8000)


def test_the_spaces_have_described_fields() -> None:
    observation, action = MANIFEST["observation_space"], MANIFEST["action_space"]
    assert {
        "remaining_budget": "integer",
        "diversity_score": "number",
        "noise_estimate": "number",
        "current_performance": "number",
        "samples_available": "integer",
    }.items() <= {name: field.get("type") for name, field in observation["properties"].items()}.items()
    assert observation["properties"]["noise_estimate"].items() >= {"minimum": 0, "maximum": 1}.items()
    assert action["required"] == ["action_type", "batch_size", "strategy_weights"]
    assert action["properties"]["action_type"]["enum"] == ["select_batch", "stop"]
    assert action["properties"]["batch_size"].items() >= {"type": "integer", "minimum": 0}.items()
    weights = action["properties"]["strategy_weights"]["properties"]
    assert {name: field["minimum"] for name, field in weights.items()} == dict.fromkeys(
        (*STRATEGIES, *TASKS["open"].extra_strategies), 0
    )
    for space in (observation, action, action["properties"]["strategy_weights"]):
        assert all(field["description"] for field in space["properties"].values())


def test_the_tasks_are_the_table() -> None:
    assert [
        (task["id"], task["success_criteria"], task["flip_y"], task["budget"], task["max_steps"])
        for task in MANIFEST["tasks"]
    ] == [(task.task_id, task.success_criteria, task.flip_y, task.budget, task.max_steps) for task in TASKS.values()]
    assert all(task["difficulty"] and task["description"] for task in MANIFEST["tasks"])


def test_the_endpoints_exist() -> None:
    app = create_app()
    routes = {
        f"{method.upper()} {path}" for path, operations in app.openapi()["paths"].items() for method in operations
    }
    endpoints = dict(MANIFEST["endpoints"])
    assert endpoints.pop("websocket").startswith("WS /ws ")
    assert {getattr(route, "path", None) for route in app.routes} >= {"/ws"}
    assert {*endpoints.values()} <= routes
    assert {*endpoints} == {"reset", "step", "state", "tasks", "grader", "baseline", "health"}


def test_the_validation_block() -> None:
    validation = MANIFEST["validation"]
    assert "execution" not in validation  # it would make `openenv validate` fail where no Docker daemon runs
    assert validation["network"] == {"mode": "no-network"}
    assert validation["capabilities"]["verifier"] == {"kind": "reward_channel"}
    assert validation["capabilities"]["task_api"] is True
    assert validation["capabilities"]["declared_task_count"] == {
        split.name: split.num_tasks for split in SPLITS.values()
    }


# --- the declared reward range --------------------------------------------------------------------------------------
#
# Documentation says that rewards are unbounded; the validator wants finite bounds that hold. render_manifest says why
# they do: the worst conceivable step is one of finitely many, as long as what it supposes is so.


@pytest.mark.parametrize("task_id", TASKS)
@pytest.mark.parametrize("split", SPLITS)
def test_rows_are_as_short_as_the_reward_range_supposes(split: str, task_id: str) -> None:
    task = TASKS[task_id]
    episode = Episode(task, SPLITS[split].first_seed)
    for X in (episode._start.dataset.X_seed, episode._start.dataset.X_pool):
        assert np.linalg.norm(X, axis=1).max() <= render_manifest.longest_row(task)


def test_the_reward_range_holds_for_the_worst_and_the_best_step() -> None:
    low, high = MANIFEST["validation"]["reward"]["range"]
    for task in TASKS.values():
        far = 2 * render_manifest.longest_row(task)
        worst = selection_terms(
            performance_change=-1,
            distance=0,
            redundancy=1,
            noise_ratio=1,
            batch_size=task.budget,
            flip_y=task.flip_y,
        )
        best = selection_terms(
            performance_change=1, distance=far, redundancy=0, noise_ratio=0, batch_size=1, flip_y=task.flip_y
        )
        assert low <= sum(worst.values()) + terminal(0)
        assert sum(best.values()) + terminal(1) <= high
    assert low <= sum(stop_terms().values()) <= sum(stop_terms().values()) + terminal(1) <= high
    assert low <= -1 <= 1 <= high  # what the difference of two grades can be


@pytest.mark.parametrize("mode", ["shaped", "grade"])
@pytest.mark.parametrize("task_id", TASKS)
def test_rewards_of_played_episodes_lie_in_the_declared_range(task_id: str, mode: RewardMode) -> None:
    low, high = MANIFEST["validation"]["reward"]["range"]
    rng = np.random.default_rng(7)
    env = DataSelectEnv()
    for seed in range(3):
        done = env.reset(task_id=task_id, seed=seed, reward_mode=mode).done
        while not done:
            uncertainty, diversity, random = rng.dirichlet([1, 1, 1])
            size = int(rng.integers(0, TASKS[task_id].budget // 2))
            reply = env.step(Action.select(size, uncertainty=uncertainty, diversity=diversity, random=random))
            assert reply.reward is not None
            assert low <= reply.reward <= high
            done = reply.done
