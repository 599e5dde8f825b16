"""Options and their features: bounded, the same in any order, and blind to what an agent cannot see."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest

from dataselect_env.core.models import Action, Reply
from dataselect_env.core.problem import as_described
from dataselect_env.core.tasks import BUILT_IN, TASKS, get_task
from dataselect_env.policies.options import OWN, PACES, SCALED, SHARED, UNKNOWN_RANGE, WIDTH, History, Option
from dataselect_env.policies.oracle import OracleEnv
from tests.helpers.owning import WINE, forgotten, offered


def played(task_id: str, seed: int, steps: int) -> tuple[OracleEnv, History, Reply]:
    """Return an episode with its history after some steps of random options."""
    env, rng = OracleEnv(), np.random.default_rng(seed)
    reply = env.reset(task_id=task_id, seed=seed)
    history = History(as_described(get_task(task_id), reply.problem))
    history.see(reply)
    for _ in range(steps):
        options = history.options()[:-1]
        reply = env.step(options[int(rng.integers(len(options)))].action(history.task.extra_strategies))
        history.see(reply)
        if reply.done:
            break
    return env, history, reply


@pytest.mark.parametrize("task_id", BUILT_IN)
@pytest.mark.parametrize("seed", [3, 10_004, 20_005])
def test_features_are_bounded_and_change_with_the_episode(task_id: str, seed: int) -> None:
    _, first, _ = played(task_id, seed, 0)
    _, later, _ = played(task_id, seed, 3)
    for history in (first, later):
        features = history.features(history.options())
        assert features.shape == (len(history.options()), WIDTH)
        assert np.isfinite(features).all()
        assert np.abs(features).max() <= 1
    before, after = (history.features([Option("random", 10)])[0] for history in (first, later))
    assert not np.array_equal(before[: len(SHARED)], after[: len(SHARED)])


def test_options_are_every_strategy_in_sizes_that_can_be_bought_and_a_stop() -> None:
    _, history, reply = played("open", 5, 1)
    options = history.options()
    assert options[-1] == Option(None)
    assert {option.strategy for option in options[:-1]} == {*history.strategies}
    left = reply.observation.remaining_budget
    assert all(history.task.min_batch <= option.batch_size <= left for option in options[:-1])
    assert len(options) <= len(PACES) * len(history.strategies) + 1
    assert len(set(options)) == len(options)


def test_without_a_known_range_the_whole_budget_is_spent() -> None:
    env, known, reply = played("open", 5, 0)
    task = replace(known.task, performance_range=UNKNOWN_RANGE)
    history = History(task)
    history.see(reply)
    assert not history.features(history.options())[:, [SHARED.index(name) for name in SCALED]].any()
    while not reply.done:
        options = history.options()
        assert Option(None) not in options
        reply = env.step(options[-1].action(task.extra_strategies))
        history.see(reply)
    assert reply.observation.remaining_budget == 0


def test_features_of_an_option_do_not_depend_on_the_order_of_strategies() -> None:
    env, history, reply = played("open", 6, 0)
    turned = History(replace(history.task, extra_strategies=history.task.extra_strategies[::-1]))
    turned.see(reply)
    for name in ("held_out_random", "uncertainty", "confident_random"):
        reply = env.step(Option(name, 5).action(history.task.extra_strategies))
        history.see(reply)
        turned.see(reply)
    options = history.options()
    assert np.array_equal(history.features(options), turned.features(options))


def test_a_strategy_that_it_does_not_know_is_an_option_too() -> None:
    with forgotten():
        task = offered("mine", **WINE, strategies=["k_center", "margin"])
        _, history, _ = played(task.task_id, 3, 2)
        rows = history.features([Option("k_center", 5), Option("margin", 5), Option("uncertainty", 5)])[
            :, len(SHARED) :
        ]
    ranking = [place for place, name in enumerate(OWN) if name.startswith("ranking_")]
    assert rows[:, ranking].argmax(axis=1).tolist() == [3, 0, 0]


def test_what_is_not_audited_leaves_no_trace() -> None:
    seed = next(seed for seed in range(100) if not played("open", seed, 0)[1].task.audited)
    _, history, _ = played("open", seed, 3)
    features = history.features(history.options())
    assert not features[:, SHARED.index("noise_found")].any()
    assert not features[:, len(SHARED) + OWN.index("noise")].any()


def test_without_a_description_statistics_are_zero() -> None:
    _, history, _ = played("medium", 3, 1)
    features = history.features(history.options())
    assert not features[:, SHARED.index("described") : len(SHARED)].any()
    assert TASKS["medium"].budget - history.performances[0] > 0


def test_a_copy_is_independent() -> None:
    env, history, _ = played("open", 8, 1)
    twin = deepcopy(history)
    before = history.features(history.options())
    twin.see(env.step(Action.select(5, random=1)))
    assert np.array_equal(history.features(history.options()), before)
    assert len(twin.performances) == len(history.performances) + 1
