"""Episodes on data of a user's own: the rules, rewards and replies of the built-in tasks, on any table."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from dataselect_env import Action, DataSelectEnv
from dataselect_env.core.arrays import Floats
from dataselect_env.core.data import dataset_number, make_pool, world_of
from dataselect_env.core.episode import Episode
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.grading import TracePoint, grade
from dataselect_env.core.models import RewardMode
from dataselect_env.core.reward import TERMS
from dataselect_env.core.source import BUILT_IN_SOURCE, source_of
from dataselect_env.core.strategies.sampling import STRATEGIES
from dataselect_env.core.tasks import TASKS
from dataselect_env.core.vector import OBSERVATION, Lanes
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
        expected = make_pool(task, start.dataset, start.placements[world_of(seed)], np.random.default_rng(1))
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
    """Return probabilities less what the shares of the classes in the training set explain."""
    episode = env._current()
    trained_on = episode._pool.labels[episode._acquired.rows]
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
        # Not to 1e-10: far out, scikit-learn's probability of the rarer class is rounded before its logarithm is taken.
        assert reply.observation.current_performance == pytest.approx(1 / (1 + loss), abs=1e-9)
        if not reply.done:
            reply = env.step(action)


@EACH
@pytest.mark.parametrize("mode", ["shaped", "grade"])
def test_lanes_equal_single_episodes(name: str, mode: RewardMode) -> None:
    task = offered(**OWN[name])
    seeds, rng = [5, 6, 20_007], np.random.default_rng(1)
    envs, lanes = [DataSelectEnv() for _ in seeds], Lanes(3, reward_mode=mode)
    observed = lanes.reset(["mine"] * 3, seeds)
    for env, seed, row in zip(envs, seeds, observed, strict=True):
        told = env.reset(task_id="mine", seed=seed, reward_mode=mode).observation
        assert row.tolist() == [getattr(told, field) for field in OBSERVATION]
    going = [0, 1, 2]
    while going:
        sizes = rng.integers(0, 25, len(going))
        mixes = [mix_of(task, rng) for _ in going]
        steps = lanes.step(sizes, [list(mix.values()) for mix in mixes], None, going)
        for place, lane in enumerate(going):
            reply = envs[lane].step(select(int(sizes[place]), **mixes[place]))
            info = info_of(reply)
            assert steps.observations[place].tolist() == [getattr(reply.observation, field) for field in OBSERVATION]
            assert steps.rewards[place] == reply.reward
            assert {term: values[place] for term, values in steps.reward_terms.items()} == info.reward_terms
            assert steps.bought_by[place].tolist() == list(info.bought_by.values())
            if info.mislabelled is None:
                assert np.isnan(steps.mislabelled[place])
            else:
                assert steps.mislabelled[place] == info.mislabelled
            assert steps.end_reasons[place] == info.end_reason
            assert steps.grades[place] == info.grade
        going = [lane for place, lane in enumerate(going) if not steps.done[place]]


def test_lanes_may_mix_own_and_built_in_tasks() -> None:
    task = offered(**OWN["quotas"])
    lanes, envs = Lanes(2), [DataSelectEnv(), DataSelectEnv()]
    lanes.reset(["mine", "hard"], [5, 5])
    for env, name in zip(envs, ("mine", "hard"), strict=True):
        env.reset(task_id=name, seed=5)
    steps = lanes.step([10, 10], [[0.5, 0.25, 0.25]] * 2)
    for place, env in enumerate(envs):
        reply = env.step(Action.select(10, uncertainty=0.5, diversity=0.25, random=0.25))
        assert steps.rewards[place] == reply.reward
    assert steps.bought_by.shape == (2, 3 + len(task.extra_strategies))
    assert steps.bought_by[1, 3:].tolist() == [0] * len(task.extra_strategies)
    with pytest.raises(InvalidInput, match="weights"):
        lanes.step([10, 10], [[0.5, 0.25, 0.25, 0.0]] * 2)


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


@settings(deadline=None, max_examples=60)
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
    """Raised to the smallest, cut to the largest, the budget and the pool; no sample twice, none of the seed set."""
    task = copy.copy(task_of(name))
    object.__setattr__(task, "min_batch", smallest)
    object.__setattr__(task, "max_batch", most)
    episode, rng = Episode(task, seed), np.random.default_rng(seed)
    dataset, bought = source_of(task).start(seed).dataset, []
    for size in wanted:
        if episode.end_reason is not None:
            break
        left = min(episode.remaining_budget, episode.samples_available)
        purchase = episode.select_batch(size, tuple(mix_of(task, rng).values()))
        expected = min(max(size, smallest), left if most is None else most, left)
        assert purchase.bought == len(purchase.samples) == sum(purchase.counts) == expected
        bought += purchase.samples.tolist()
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
