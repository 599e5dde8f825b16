"""Extra strategies on custom tasks: purchases in both mixings, and replies without ground truth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from dataselect_env import Action, DataSelectEnv
from dataselect_env.core.actions import action_model
from dataselect_env.core.episode import Episode
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.source import source_of
from dataselect_env.core.strategies.sampling import STRATEGIES
from dataselect_env.core.tasks import Task
from tests.helpers.owning import FURTHER, OWN, RANGE, forgotten, info_of, made, offered, plain, play, select, task_of


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    with forgotten():
        yield


# --- strategies -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["uncertainty", "diversity", *FURTHER])
def test_a_strategy_alone_buys_the_same_in_both_mixings(strategy: str) -> None:
    """Ranks are in the order of utilities. Random is left out because its draws differ between the mixings."""
    fields = {**OWN["quotas"], "noise_trap": True}
    found = []
    for mixing in ("quotas", "ranks"):
        task = made(**{**fields, "mixing": mixing})
        weights = [float(one == strategy) for one in (*STRATEGIES, *task.extra_strategies)]
        found.append(sorted(Episode(task, 5).select_batch(10, tuple(weights)).samples.tolist()))
    assert found[0] == found[1]


def test_a_strategy_of_more_weight_counts_for_more() -> None:
    """Under ``ranks``, the batch of a mix moves from one strategy's batch to the other's as the weights change."""
    task = task_of("ranks")

    def batch(**weights: float) -> set[int]:
        mix = tuple(weights.get(one, 0.0) for one in (*STRATEGIES, *task.extra_strategies))
        return set(Episode(task, 5).select_batch(20, mix).samples.tolist())

    alone, other = batch(margin=1), batch(diversity=1)
    assert alone != other
    assert batch(margin=1, diversity=1e-9) == alone
    assert batch(margin=1e-9, diversity=1) == other
    assert batch(margin=3, diversity=1) == batch(margin=300, diversity=100)
    mixed = batch(margin=1, diversity=1)
    assert mixed not in (alone, other)


def test_uncertainty_of_several_classes_is_the_entropy() -> None:
    task = task_of("wine")
    episode = Episode(task, 6)
    dataset = source_of(task).start(6).dataset
    p = episode.learner.model.predict_proba(dataset.X_pool)
    entropy = np.where(dataset.available, -(p * np.log(np.maximum(p, 1e-300))).sum(axis=1), -np.inf)
    bought = episode.select_batch(15, (1.0, 0.0, 0.0)).samples
    assert sorted(bought.tolist()) == sorted(np.argsort(-entropy)[:15].tolist())


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("mixing", ["quotas", "ranks"])
def test_the_trap_draws_uncertainty_to_wrong_labels_where_it_is_set(classes: int, mixing: str) -> None:
    fields: dict[str, Any] = {
        "generator": {"n_features": 20, "n_classes": classes},
        "split": {"pool": 300},
        "noise": {"uniform": 0.3},
        "mixing": mixing,
        "score": RANGE,
    }
    noise = {}
    for trap in (False, True):
        task = made(**fields, noise_trap=trap)
        infos = [Episode(task, seed).select_batch(40, (1.0, 0.0, 0.0)).info for seed in range(4)]
        noise[trap] = float(np.mean([info.noise_ratio or 0.0 for info in infos]))
    assert noise[True] > noise[False] + 0.2


def test_built_in_actions_work_where_more_is_offered() -> None:
    for name in ("ranks", "quotas", "unknown"):
        task = offered(**OWN[name])
        one, other = DataSelectEnv(), DataSelectEnv()
        for env in (one, other):
            env.reset(task_id="mine", seed=3)
        wide = action_model(task.extra_strategies).select(10, uncertainty=0.5, random=0.5)
        plain_reply = one.step(Action.select(10, uncertainty=0.5, random=0.5))
        assert plain(plain_reply) == plain(other.step(wide))
        assert sum(info_of(plain_reply).bought_by[name] for name in task.extra_strategies) == 0
        assert one.step(Action.stop()).done


@pytest.mark.parametrize("form", ["mapping", "action"])
def test_weight_for_what_is_not_offered_is_refused_and_nothing_happens(form: str) -> None:
    offered(**OWN["two"])  # offers only margin
    env = DataSelectEnv()
    for task_id, field in (("mine", "k_center"), ("hard", "margin")):
        before = env.reset(task_id=task_id, seed=3)
        action: Any = select(10, **{field: 1.0})
        if form == "action":
            action = action_model((field,)).select(10, **{field: 1.0})
        with pytest.raises(InvalidInput, match="random") as caught:
            env.step(action)
        assert caught.value.field == f"strategy_weights.{field}"
        assert env.state.step_count == before.step == 0


# --- unknown truth ----------------------------------------------------------------------------------------------------


def test_where_the_truth_is_unknown_no_reply_tells_it() -> None:
    task = offered(**OWN["unknown"])
    replies = play(DataSelectEnv(), task, 3)
    assert replies[0].observation.noise_estimate == 0.1
    for reply in replies[1:]:
        info = info_of(reply)
        assert (info.mislabelled, info.noise_ratio) == (None, None)
        assert 0 <= reply.observation.noise_estimate <= 1
        assert info.reward_terms["noise_penalty"] == 0
    assert len({reply.observation.noise_estimate for reply in replies}) > 1
    result = info_of(replies[-1]).grade
    assert result is not None
    assert result.breakdown.avg_noise_ratio is None
    assert result.score == pytest.approx(result.breakdown.performance_score)


def test_unknown_truth_cannot_be_graded_by_noise() -> None:
    task = task_of("unknown")
    for weights in ({"performance_weight": 0.5, "noise_weight": 0.5}, {"pass_noise": 0.2}):
        changed = {field: getattr(task, field) for field in Task.__dataclass_fields__} | weights
        with pytest.raises(ValueError, match="not reported"):
            Task(**changed)
