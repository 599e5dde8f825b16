"""Filters on given labels: what passes, what follows, and that no strategy can reach what is hidden."""

from __future__ import annotations

import copy
import gc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from dataselect_env import DataSelectEnv
from dataselect_env.core.actions import action_model
from dataselect_env.core.arrays import Floats
from dataselect_env.core.data import accepted_datasets, dataset_number
from dataselect_env.core.episode import Episode
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.strategies import (
    Candidates,
    LabelFilter,
    Strategy,
    evidence,
    get_strategy,
    rankings,
    register_filter,
    registry,
)
from dataselect_env.core.strategies.evidence import LeftOutRidge
from dataselect_env.core.strategies.filters import AGREEING, FILTERS, filtered
from dataselect_env.core.tasks import TASKS
from dataselect_env.core.warm_start import warm_start
from tests.helpers.candidates import make, pick
from tests.helpers.owning import forgotten, made, offered

PAIRS = [f"{name}_{ranking}" for name in FILTERS for ranking in (*rankings.BASE, *registry.STRATEGIES)]


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    with patch.dict(registry.STRATEGIES), patch.dict(FILTERS), forgotten():
        yield


# --- what passes ----------------------------------------------------------------------------------------------------


def test_every_pair_is_a_strategy_with_a_description_and_a_source() -> None:
    for name in PAIRS:
        strategy = get_strategy(name)
        assert strategy.name == name
        assert strategy.description.endswith(".")
        assert any(letters.isdigit() for letters in strategy.source)


@pytest.mark.parametrize("name", PAIRS)
@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 2**32), classes=st.integers(2, 5), coarse=st.booleans(), data=st.data())
def test_a_batch_is_distinct_left_and_pure(
    name: str, seed: int, classes: int, *, coarse: bool, data: st.DataObject
) -> None:
    candidates = make(seed, classes=classes, coarse=coarse)
    count = data.draw(st.integers(1, int(candidates.left.sum())))
    found, again = (pick(get_strategy(name), make(seed, classes=classes, coarse=coarse), count).tolist() for _ in "ab")
    assert len(found) == len(set(found)) == count
    assert candidates.left[found].all()
    assert again == found


def test_what_passes_comes_first_by_its_rank_and_the_rest_by_credibility() -> None:
    candidates = replace(make(0, rows=6), left=np.array([1, 1, 1, 1, 1, 0], dtype=np.bool_))
    credibility = np.array([0.5, -0.2, 0.0, -0.1, 2.0, 3.0])
    rank = np.array([1.0, 9.0, 3.0, 9.0, 2.0, 9.0])

    def ranking(seen: Candidates, count: int) -> Floats:
        assert seen.left.tolist() == [True, False, True, False, True, False]
        assert count <= 3
        return np.where(seen.left, rank, -np.inf)

    tried = filtered(LabelFilter("tried", "", "", lambda _: credibility), ranking)
    assert pick(Strategy("tried", "", "", tried), candidates, 5).tolist() == [2, 4, 0, 3, 1]


def test_the_model_agrees_where_it_predicts_the_given_label() -> None:
    candidates = make(3, rows=200)
    passing = FILTERS["agree"].credibility(candidates) >= 0
    assert np.array_equal(passing, candidates.probabilities.argmax(axis=1) == candidates.labels)


def test_confident_learning_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3], [0.55, 0.45], [0.3, 0.7]])
    labels = np.array([0, 0, 1, 1, 1, 1])
    # Thresholds: class 0 (.9 + .6) / 2 = .75, class 1 (.8 + .3 + .45 + .7) / 4 = .5625: only 0, 2 and 5 are judged.
    candidates = replace(make(0, rows=6, classes=2), labels=labels, memory={"held_out": probabilities})
    assert (FILTERS["confident"].credibility(candidates) >= 0).all()
    wrong = replace(candidates, labels=np.array([1, 0, 1, 1, 1, 1]), memory={"held_out": probabilities})
    # Thresholds now .6 and (.1 + .8 + .3 + .45 + .7) / 5 = .47: the first counts as class 0, the fourth too.
    assert (FILTERS["confident"].credibility(wrong) >= 0).tolist() == [False, True, True, False, True, True]


@pytest.mark.parametrize("name", ["held_out", "confident", "neighbours"])
def test_wrong_labels_of_separable_classes_are_found(name: str) -> None:
    rng = np.random.default_rng(0)
    right = np.repeat([0, 1, 2], 60)
    X = np.eye(3)[right] * 6 + rng.standard_normal((180, 3))
    wrong = rng.random(180) < 0.25
    labels = np.where(wrong, (right + rng.integers(1, 3, 180)) % 3, right)
    candidates = replace(make(0, rows=180), X=X, labels=labels, seed_size=0)
    passing = FILTERS[name].credibility(candidates) >= 0
    assert wrong[passing].mean() < (0.1 if name == "confident" else 0.02)  # a label it cannot judge is no issue
    assert passing[~wrong].mean() > (0.6 if name == "neighbours" else 0.9)


# --- the evidence ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 4])
def test_leave_one_out_is_what_training_n_times_gives(classes: int) -> None:
    rng = np.random.default_rng(classes)
    X, y = rng.standard_normal((40, 5)), rng.integers(0, classes, 40)
    X_seed, y_seed = rng.standard_normal((6, 5)), rng.integers(0, classes, 6)
    with patch.object(evidence, "PENALTIES", (0.1,)):
        found = evidence.leave_one_out(X, y, X_seed, y_seed, classes)
    known = StandardScaler().fit_transform(np.vstack([X, X_seed]))
    design, targets = np.hstack([known, np.ones((46, 1))]), np.eye(classes)[np.concatenate([y, y_seed])]
    model = Ridge(alpha=0.1 * 46, fit_intercept=False)
    expected = np.clip(cross_val_predict(model, design, targets, cv=LeaveOneOut())[:40], 0, 1)
    assert found == pytest.approx(expected / expected.sum(axis=1, keepdims=True), abs=1e-9)


def test_neighbours_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    X, labels = rng.standard_normal((3_000, 4)) * [1, 10, 100, 0], rng.integers(0, 3, 3_000)
    found = evidence.neighbour_agreement(X, labels, most_references=3_000)
    some = np.arange(0, 3_000, 7)
    assert np.array_equal(evidence.neighbour_agreement(X, labels, some, 3_000), found[some])
    nearest = NearestNeighbors(n_neighbors=11).fit(StandardScaler().fit_transform(X))
    places = nearest.kneighbors(return_distance=False, n_neighbors=10)
    assert found == pytest.approx((labels[places] == labels[:, None]).mean(axis=1))
    assert evidence.neighbour_agreement(X, labels) != pytest.approx(found)  # of a large pool it asks a part


@given(seed=st.integers(0, 2**32), rows=st.integers(1, 20), columns=st.integers(11, 400), digits=st.integers(0, 9))
def test_smallest_values_are_those_of_a_partition(seed: int, rows: int, columns: int, digits: int) -> None:
    values = np.random.default_rng(seed).standard_normal((rows, columns)).round(digits)  # few digits make many ties
    values[:, seed % columns] = np.inf
    expected = np.argpartition(values, 9, axis=1)[:, :10]
    assert np.array_equal(np.sort(evidence.smallest(values, 10)), np.sort(expected))


@pytest.mark.parametrize(
    "X", [np.zeros((30, 2)), np.repeat(np.eye(2), 15, axis=0), np.zeros((2, 1)), np.ones((30, 40))], ids=str
)
def test_evidence_on_degenerate_pools_is_finite(X: Floats) -> None:
    labels = np.arange(len(X)) % 2
    held_out = evidence.leave_one_out(X, labels, X[:0], labels[:0], 3)
    assert held_out.sum(axis=1) == pytest.approx(1)
    assert ((evidence.neighbour_agreement(X, labels) >= 0) & (evidence.neighbour_agreement(X, labels) <= 1)).all()


def test_evidence_is_computed_once_an_episode_and_not_without_need() -> None:
    task = offered(**NOISY, strategies=["confident_random", "held_out_uncertainty", "margin"])
    compute_it = LeftOutRidge.probabilities
    with patch.object(LeftOutRidge, "probabilities", autospec=True, side_effect=compute_it) as compute:
        episode = Episode(task, 3)
        episode.select_batch(5, (0.0, 0.0, 1.0, 0.0, 0.0, 1.0))
        assert compute.call_count == 0
        for _ in range(2):
            episode.select_batch(5, (0.0, 0.0, 0.0, 1.0, 1.0))
        copy.deepcopy(episode).select_batch(5, (0.0, 0.0, 0.0, 1.0, 1.0))
        assert compute.call_count == 1
        assert compute.call_count == 1


def test_what_depends_on_features_alone_is_computed_once_a_data_set() -> None:
    task = replace(TASKS["medium"], extra_strategies=("neighbours_random", "held_out_random", "k_center"))
    seeds = 5, 5 + len(accepted_datasets()["train"])
    assert dataset_number(seeds[0]) == dataset_number(seeds[1])
    warm_start.cache_clear()
    with (
        patch.object(evidence, "nearest_neighbours", side_effect=evidence.nearest_neighbours) as search,
        patch.object(LeftOutRidge, "of", side_effect=LeftOutRidge.of) as fit,
    ):
        episodes = [Episode(task, seed) for seed in seeds]
        for episode in episodes:
            episode.select_batch(15, (0.0, 0.0, 0.0, 1.0, 1.0, 1.0))
    assert (search.call_count, fit.call_count) == (1, 1)
    for name in ("neighbour_agreement", "held_out"):
        assert not np.array_equal(*(episode._memory[name] for episode in episodes))  # their labels differ


@pytest.mark.parametrize("name", ["k_center", "agree_k_center", "confident_uncertainty", "neighbours_diversity"])
def test_choices_do_not_depend_on_what_is_kept(name: str) -> None:
    """Play on twins of one episode that buy differently, and again without any memory."""
    task = replace(TASKS["medium"], extra_strategies=(name,))
    own, mixed = (0.0, 0.0, 0.0, 1.0), (0.4, 0.4, 0.2, 1.0)

    def play(episode: Episode, plan: list[tuple[float, ...]], *, forget: bool) -> list[list[int]]:
        batches = []
        for weights in plan:
            if forget:
                episode._memory.clear()
                episode._start.memory.clear()
            batches.append(episode.select_batch(9, weights).samples.tolist())
        return batches

    plans: tuple[list[tuple[float, ...]], ...] = [own, mixed, own, own], [mixed[:3], own, mixed, own]
    root = Episode(task, 11)
    play(root, [own], forget=False)
    twins = [copy.deepcopy(root), root]
    first, second = (
        [play(twins[i], plans[i][part], forget=False) for i in range(2)] for part in (slice(2), slice(2, 4))
    )
    kept = [first[i] + second[i] for i in range(2)]
    fresh = [play(Episode(task, 11), [own, *plan], forget=True)[1:] for plan in plans]
    assert kept == fresh


# --- in episodes ----------------------------------------------------------------------------------------------------

NOISY: dict[str, Any] = {
    "table": {"bundled": "breast_cancer"},
    "noise": {"uniform": 0.3},
    "budget": 60,
    "max_steps": 4,
    "score": {"performance_range": [0.5, 0.9]},
}


@pytest.mark.parametrize("mixing", ["quotas", "ranks"])
def test_filters_buy_clean_where_noise_is_uniform(mixing: str) -> None:
    names = [f"{name}_random" for name in FILTERS]
    task = offered(**NOISY, strategies=names, mixing=mixing)
    env = DataSelectEnv()
    for name in names:
        if name == "agree_random":
            continue  # the warmed-up model knows too little here
        env.reset(task_id="mine", seed=7)
        reply = env.step(action_model(task.extra_strategies).select(30, **{name: 1.0}))
        assert reply.info is not None
        assert reply.info.bought_by[name] == 30
        assert (reply.info.noise_ratio or 0.0) < 0.15


def test_the_noise_trap_raises_uncertainty_behind_a_filter_too() -> None:
    found = {}
    for trap in (False, True):
        task = made(**NOISY, strategies=["neighbours_uncertainty"], noise_trap=trap)
        infos = [Episode(task, seed).select_batch(40, (0.0, 0.0, 0.0, 1.0)).info for seed in range(4)]
        found[trap] = sum(info.mislabelled or 0 for info in infos)
    assert found[True] > found[False]


def test_a_filter_of_ones_own_stands_before_every_ranking() -> None:
    register_filter(LabelFilter("first_class", "in class 0", "None, 2024", lambda one: -one.labels.astype(np.float64)))
    task = offered(**NOISY, strategies=["first_class_margin", "first_class_random"])
    episode = Episode(task, 1)
    labels = episode._state.pool.labels[episode._start.dataset.pool_rows]
    for weights in ((0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0, 0.0, 1.0)):
        assert (labels[episode.select_batch(10, weights).samples] == 0).all()


@pytest.mark.parametrize("name", ["agree", "margin", "random", "", "Big", "a b", "k"])
def test_names_of_filters_that_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="name"):
        register_filter(LabelFilter(name, "", "", lambda one: one.X[:, 0]))


@pytest.mark.parametrize("credibility", [np.zeros(39), np.full(40, np.nan), None], ids=["shape", "nan", "none"])
def test_what_a_filter_of_ones_own_returns_is_checked(credibility: Any) -> None:
    register_filter(LabelFilter("broken", "", "", lambda _: credibility))
    with pytest.raises(InvalidInput, match=r"filter broken returned .*; it should return a number for each of 40"):
        pick(get_strategy("broken_random"), make(0), 3)


# --- what no strategy can reach -------------------------------------------------------------------------------------


def reachable(root: object) -> list[np.ndarray[Any, Any]]:
    """Return every array that can be reached from an object over references, those behind views included."""
    seen: dict[int, object] = {}
    todo = [root]
    while todo:
        one = todo.pop()
        if id(one) in seen or isinstance(one, type) or type(one).__name__ in ("module", "function"):
            continue
        seen[id(one)] = one
        todo += gc.get_referents(one)
        if isinstance(one, np.ndarray):
            todo.append(one.base)
        todo += [getattr(one, name) for name in getattr(type(one), "__slots__", ())]
    return [one for one in seen.values() if isinstance(one, np.ndarray)]


def test_no_strategy_can_reach_the_noise_mask_or_labels_of_the_validation_split() -> None:
    handed: list[Candidates] = []

    def spy(candidates: Candidates, _count: int) -> Floats:
        handed.append(candidates)
        _ = candidates.held_out, candidates.neighbour_agreement
        return np.where(candidates.left, candidates.rng.random(len(candidates.left)), -np.inf)

    registry.register(Strategy("spy", "Looks around.", "None, 2024", spy))
    task = offered(**NOISY, strategies=["spy", "agree_spy"])
    handed.clear()  # a strategy is tried when its task is made
    episode = Episode(task, 5)
    episode.select_batch(10, (1.0, 0.0, 0.0, 1.0, 1.0))
    episode.select_batch(10, (0.0, 0.0, 0.0, 1.0, 1.0))
    dataset, pool = episode._start.dataset, episode._state.pool
    hidden = [pool.mislabelled, pool.labels, dataset.y, dataset.y_validation, dataset.y_pool]
    assert len(handed) == 4
    for candidates in handed:
        arrays = reachable(candidates)
        assert any(np.shares_memory(array, dataset.X) for array in arrays)  # the search sees behind views
        for secret in hidden:
            assert not any(np.shares_memory(array, secret) for array in arrays)
        for array in arrays:  # nor is a copy of them there
            assert array.shape != pool.mislabelled.shape or not np.array_equal(array, pool.mislabelled)
        assert np.array_equal(candidates.labels, pool.labels[dataset.pool_rows])


def test_neighbours_pass_at_seven_of_ten() -> None:
    shares = np.arange(11) / 10
    candidates = replace(make(0, rows=11), memory={"neighbour_agreement": shares})
    assert (FILTERS["neighbours"].credibility(candidates) >= 0).sum() == 4
    assert AGREEING == 0.7
