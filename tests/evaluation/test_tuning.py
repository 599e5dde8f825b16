"""The best constant of a task of a user's own is found by a search on the train split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from statistics import fmean
from typing import Any

import numpy as np
import pytest

from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import Action
from dataselect_env.core.strategies.sampling import STRATEGIES
from dataselect_env.core.tasks import SPLITS, TASKS, Task
from dataselect_env.evaluation import tuning
from dataselect_env.evaluation.evaluate import Plan, evaluate
from dataselect_env.evaluation.records import EpisodeRecord
from dataselect_env.evaluation.tuning import SEEDS, candidates, episode_count, find_best_constant
from dataselect_env.policies import get_policy
from dataselect_env.policies.policy import Policy
from tests.helpers.owning import FURTHER, WINE, forgotten, offered


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    with forgotten():
        yield


def action_of(name: str, task: Task) -> Action:
    policy = get_policy(name)
    assert isinstance(policy, Policy)
    return policy.start(task, np.random.default_rng(0))(None)  # type: ignore[arg-type]  # it never looks


def test_candidates_are_every_strategy_alone_and_mixes_in_several_sizes() -> None:
    task = offered(**{**WINE, "budget": 50}, strategies=FURTHER)
    actions = [action_of(name, task) for name in candidates(task)]
    weights = [dict(action.strategy_weights) for action in actions]
    for name in (*STRATEGIES, *FURTHER):
        alone = [w for w in weights if {one for one, value in w.items() if value} == {name}]
        assert len(alone) == 3, name
    assert {action.batch_size for action in actions} == {10, 15, 30}
    assert len(set(candidates(task))) == len(actions) == 3 * (3 + len(FURTHER) + 3)
    assert episode_count("mine") == len(actions) * 10


def test_sizes_follow_the_budget_where_each_seed_draws_its_own() -> None:
    task = TASKS["open"]
    names = candidates(task)
    assert len(names) == 3 * (len(STRATEGIES) + len(task.extra_strategies) + 3)
    for budget, steps, sizes in ((60, 6, {10, 15, 30}), (24, 4, {6, 9, 18}), (80, 16, {5, 8, 15})):
        drawn = replace(task, budget=budget, max_steps=steps)
        assert {action_of(name, drawn).batch_size for name in names} == sizes


@pytest.mark.parametrize("size", ["x", "0x", "-1x", "infx", "nanx", "1.5"])
def test_wrong_sizes_are_refused(size: str) -> None:
    with pytest.raises(InvalidInput, match="even shares"):
        get_policy(f"constant:{size}:random=1")


def test_sizes_are_at_least_the_smallest_batch_and_each_is_tried_once() -> None:
    task = offered(**{**WINE, "budget": 30, "max_steps": 30}, min_batch=4)
    assert {action_of(name, task).batch_size for name in candidates(task)} == {4}


def test_a_planted_best_constant_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores are made up: the planted one is best on the mean though not on every seed."""
    offered(**WINE, strategies=["margin"])
    planted = candidates(TASKS["mine"])[7]
    seen: list[Plan] = []

    def made_up(plan: Plan, **_: Any) -> list[EpisodeRecord]:
        seen.append(plan)
        return [
            EpisodeRecord(
                policy=name,
                task_id=task,
                seed=seed,
                score=(0.6 if name == planted else 0.5) + (0.3 if seed == 0 and name != planted else 0),
                passed=False,
                noise_ratio=None,
                actions=(),
                rewards=(),
                curve=((0, 0.5),),
            )
            for name, task, seed in plan.keys
        ]

    monkeypatch.setattr(tuning, "evaluate", made_up)
    assert find_best_constant("mine") == planted
    assert (seen[0].tasks, seen[0].seeds) == (("mine",), SEEDS)


def test_seeds_are_of_the_train_split() -> None:
    assert len(set(SEEDS)) == 10
    assert all(seed in SPLITS["train"] for seed in SEEDS)


def test_of_equal_ones_the_first_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A score whose range nothing reaches: everything scores 0."""
    offered(**{**WINE, "score": {"performance_range": [0.99, 1.0]}})
    monkeypatch.setattr(tuning, "SEEDS", (0, 1))
    assert find_best_constant("mine") == candidates(TASKS["mine"])[0]


def test_the_one_found_scores_best_of_all_that_were_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    offered(**WINE, noise={"instance": {"rate": 0.3, "where": "confident", "sharpness": 30}})
    monkeypatch.setattr(tuning, "SEEDS", (0, 1, 2))
    done: list[int] = []
    found = find_best_constant("mine", progress=done.append)
    names = candidates(TASKS["mine"])
    assert sum(done) == len(names) * 3 == episode_count("mine")
    records = evaluate(Plan(policies=names, tasks=("mine",), seeds=(0, 1, 2)))
    means = {name: fmean(one.score for one in records if one.policy == name) for name in names}
    assert means[found] == max(means.values()) > min(means.values())


def test_it_plays_under_the_name_of_the_best_constant() -> None:
    offered(**WINE)
    best = "constant:10:random=1"
    plan = Plan(policies=("best-constant",), tasks=("mine",), seeds=(3,), best_constants={"mine": best})
    named, written_out = evaluate(plan)[0], evaluate(Plan(policies=(best,), tasks=("mine",), seeds=(3,)))[0]
    assert named.policy == "best-constant"
    assert named.curve == written_out.curve
