"""Episodes on custom data follow the rules, rewards and replies of the built-in tasks."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from dataselect_env import DataSelectEnv
from dataselect_env.core.arrays import Floats
from dataselect_env.core.data import dataset_number, make_pool, world_of
from dataselect_env.core.episode import Episode
from dataselect_env.core.grading import TracePoint, grade
from dataselect_env.core.reward import TERMS
from dataselect_env.core.source import BUILT_IN_SOURCE, source_of
from dataselect_env.core.strategies.sampling import STRATEGIES
from dataselect_env.core.tasks import TASKS
from dataselect_env.core.warm_start import warm_start
from dataselect_env.custom.sources import TableSource
from tests.helpers.owning import OWN, WINE, forgotten, info_of, mix_of, offered, plain, play, script, select, task_of

EACH = pytest.mark.parametrize("name", OWN)


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    with forgotten():
        yield


# --- where pools come from --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task_id", ["easy", "medium", "hard"])
def test_pools_of_the_built_in_tasks_are_those_they_were(task_id: str) -> None:
    task = TASKS[task_id]
    source = source_of(task)
    assert source is BUILT_IN_SOURCE
    for seed in (3, 20_004):
        start = warm_start(dataset_number(seed))
        assert source.start(seed) is start
        found = source.pool(task, seed, np.random.default_rng(1))
        expected = make_pool(task, start.dataset, start.placement(world_of(seed)), np.random.default_rng(1))
        assert found.labels.tobytes() == expected.labels.tobytes()
        assert found.mislabelled.tobytes() == expected.mislabelled.tobytes()


def test_an_own_task_brings_its_origin() -> None:
    task = task_of("wine")
    assert source_of(task) is task.source
    assert isinstance(task.source, TableSource)


# --- episodes ---------------------------------------------------------------------------------------------------------


@EACH
def test_an_episode_is_repeated_on_another_object_of_its_task_and_from_a_copy_halfway(name: str) -> None:
    task = offered(**OWN[name])
    env = DataSelectEnv()
    first = play(env, task, 7)
    offered(**OWN[name])
    assert [plain(reply) for reply in play(env, task, 7)] == [plain(reply) for reply in first]
    assert plain(play(env, task, 9)[-1]) != plain(first[-1])

    one = Episode(task, 7)
    one.select_batch(10, (0.3, 0.3, 0.4))
    other = copy.deepcopy(one)
    for episode in (one, other):
        episode.select_batch(10, (0.0, 0.0, 1.0))
    assert one.trace == other.trace
    assert one._start is other._start
    one.select_batch(10, (0.0, 0.0, 1.0))
    assert other.steps == 2


def balanced(p: Floats, env: DataSelectEnv) -> Floats:
    """Return probabilities adjusted for the class shares of the training set."""
    episode = env._checked("state")
    trained_on = episode._state.pool.labels[episode._state.acquired.rows]
    p = p / (np.bincount(trained_on, minlength=p.shape[1]) + 1)
    divided: Floats = p / p.sum(axis=1, keepdims=True)
    return divided


@EACH
def test_performance_is_that_of_scikit_learn(name: str) -> None:
    task = offered(**OWN[name])
    env, dataset = DataSelectEnv(), source_of(task).start(4).dataset
    reply = env.reset(task_id="mine", seed=4)
    for action in script(task, 4):
        p = env.model.predict_proba(dataset.X_validation)
        if dataset.weights is not None:
            p = balanced(p, env)
        loss = log_loss(dataset.y_validation, p, labels=range(task.n_classes), sample_weight=dataset.weights)
        # Not to 1e-10: scikit-learn rounds tiny probabilities of the rarer class before it takes the logarithm.
        assert reply.observation.current_performance == pytest.approx(1 / (1 + loss), abs=1e-9)
        if not reply.done:
            reply = env.step(action)


@EACH
def test_reward_terms_are_the_formula(name: str) -> None:
    task = offered(**OWN[name])
    replies = play(DataSelectEnv(), task, 11)
    assert replies[-1].done
    for before, reply in itertools.pairwise(replies):
        info = info_of(reply)
        assert tuple(info.reward_terms) == TERMS
        change = reply.observation.current_performance - before.observation.current_performance
        assert info.reward_terms["performance_gain"] == pytest.approx(5 * change)
        assert info.reward_terms["cost"] == pytest.approx(-0.01 * info.batch_size)
        wrong = -(1 + 2 * task.flip_y) * (info.noise_ratio or 0.0)
        assert info.reward_terms["noise_penalty"] == pytest.approx(wrong)
        assert list(info.bought_by) == [*STRATEGIES, *task.extra_strategies]
    assert info_of(replies[-1]).grade is not None


@EACH
def test_the_grade_follows_from_what_the_replies_told(name: str) -> None:
    task = offered(**OWN[name])
    replies = play(DataSelectEnv(), task, 13)
    trace = [TracePoint(0, 0, replies[0].observation.current_performance)]
    for reply in replies[1:]:
        info = info_of(reply)
        trace.append(TracePoint(info.batch_size, info.mislabelled or 0, reply.observation.current_performance))
    assert info_of(replies[-1]).grade == grade(task, trace)


@given(
    name=st.sampled_from(sorted(OWN)),
    seed=st.integers(0, 2**32 - 1),
    wanted=st.lists(st.integers(0, 40), min_size=1, max_size=12),
    smallest=st.integers(1, 12),
    most=st.none() | st.integers(12, 30),
)
def test_batches_keep_the_rules_of_the_task(
    name: str, seed: int, wanted: list[int], smallest: int, most: int | None
) -> None:
    """Batches respect minimum, maximum, budget and pool, repeat no sample and contain no sample of the seed set."""
    task = copy.copy(task_of(name))
    object.__setattr__(task, "min_batch", smallest)
    object.__setattr__(task, "max_batch", most)
    episode, rng = Episode(task, seed), np.random.default_rng(seed)
    dataset, bought = source_of(task).start(seed).dataset, []
    for size in wanted:
        if episode.end_reason is not None:
            break
        left = min(episode.remaining_budget, episode.samples_available)
        result = episode.select_batch(size, tuple(mix_of(task, rng).values()))
        info = result.info
        expected = min(max(size, smallest), left if most is None else most, left)
        assert info.batch_size == len(result.samples) == sum(info.bought_by.values()) == expected
        bought += result.samples.tolist()
        assert 0 <= episode.noise_estimate <= 1
        assert 0 < episode.performance <= 1
    assert len(set(bought)) == len(bought) == episode.budget_used <= task.budget
    assert dataset.available[bought].all()
    assert episode.steps <= task.max_steps
    assert episode.samples_available == task.pool_size - len(bought)


def test_a_pool_can_be_bought_empty() -> None:
    task = offered(**{**WINE, "budget": 30, "max_steps": 20}, split={"pool": 30})
    env = DataSelectEnv()
    env.reset(task_id="mine", seed=1)
    reply = env.step(select(30, diversity=1.0))
    assert (reply.observation.samples_available, info_of(reply).end_reason) == (0, "budget")
    assert task.pool_size == 30
