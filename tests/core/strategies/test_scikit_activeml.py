"""Query strategies of scikit-activeml: those that work, those that are refused, and isolation of global state."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataselect_env.core.arrays import Floats, Indices
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.strategies import get_strategy, registry, scikit_activeml
from tests.helpers.candidates import make, pick

SKACTIVEML = (
    "Badge",
    "BatchBALD",
    "Clue",
    "ContrastiveAL",
    "CoreSet",
    "CostEmbeddingAL",
    "DiscriminativeAL",
    "DropQuery",
    "EpistemicUncertaintySampling",
    "Falcun",
    "FourDs",
    "GreedyBALD",
    "GreedySamplingX",
    "MaxHerding",
    "ProbCover",
    "ProbabilisticAL",
    "QueryByCommittee",
    "RandomSampling",
    "TypiClust",
    "UncertaintySampling",
)


@pytest.mark.parametrize(
    ("class_name", "name"),
    [
        ("QueryByCommittee", "skactiveml_query_by_committee"),
        ("GreedyBALD", "skactiveml_greedy_bald"),
        ("MonteCarloEER", "skactiveml_monte_carlo_eer"),
        ("FourDs", "skactiveml_four_ds"),
        ("KLDivergenceMaximization", "skactiveml_kl_divergence_maximization"),
        ("Badge", "skactiveml_badge"),
    ],
)
def test_names_of_classes_in_actions(class_name: str, name: str) -> None:
    assert scikit_activeml.action_name(class_name) == name


def test_without_the_library_the_message_says_how_to_get_it() -> None:
    with (
        patch.dict("sys.modules", {"skactiveml.pool": None}),
        pytest.raises(InvalidInput, match=r"pip install 'dataselect-env\[skactiveml\]'"),
    ):
        get_strategy("skactiveml:NeverLoadedBefore")


QUICK = {"CoreSet", "EpistemicUncertaintySampling", "QueryByCommittee", "UncertaintySampling"}
"""Classes that stand for the others in the default run: distances, two classes only, an ensemble, probabilities."""


@pytest.mark.parametrize(
    "class_name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in SKACTIVEML]
)
def test_a_class_of_scikit_activeml_picks_a_batch(class_name: str) -> None:
    pytest.importorskip("skactiveml")
    strategy = get_strategy(f"skactiveml:{class_name}")
    for classes in (2,) if class_name == "EpistemicUncertaintySampling" else (2, 4):
        for coarse in (False, True):
            picked = []
            for count in (6, 6, int(make(3).left.sum()), 1):
                candidates = make(3, classes=classes, acquired=20, coarse=coarse)
                picked.append(pick(strategy, candidates, count).tolist())
                assert len(picked[-1]) == len(set(picked[-1])) == count
                assert candidates.left[picked[-1]].all()
            assert picked[0] == picked[1]


@pytest.mark.parametrize("class_name", ["UncertaintySampling", "QueryByCommittee", "TypiClust", "CoreSet"])
def test_scikit_activeml_where_the_training_set_or_the_pool_is_poor(class_name: str) -> None:
    pytest.importorskip("skactiveml")
    strategy = get_strategy(f"skactiveml:{class_name}")
    one_class = make(0, classes=3, acquired=1)
    assert len(pick(strategy, one_class, 4)) == 4
    one_left = np.arange(40) == 17
    poor = replace(one_class, X=np.zeros((40, 3)), left=one_left)
    assert pick(strategy, poor, 1).tolist() == [17]


@pytest.mark.parametrize(
    "name",
    [
        *registry.NATIVE,
        *(f"{label_filter}_k_center" for label_filter in registry.NATIVE_FILTERS),
        *(f"skactiveml:{name}" for name in ("TypiClust", "FourDs", "CoreSet", "QueryByCommittee", "ProbCover")),
    ],
)
@settings(deadline=None, max_examples=12)
@given(
    distinct=st.integers(1, 4), spread=st.sampled_from([0, 1e-12, 1, 1e8]), acquired=st.integers(1, 20), data=st.data()
)
def test_a_batch_is_filled_where_few_rows_are_distinct(
    name: str, distinct: int, spread: float, acquired: int, data: st.DataObject
) -> None:
    if name.startswith("skactiveml"):
        pytest.importorskip("skactiveml")
    plain = make(distinct, classes=2, acquired=acquired)
    values = np.random.default_rng(distinct).normal(size=(distinct, 3)) * spread + 1 / 3
    poor = replace(plain, X=values[np.arange(40) % distinct], X_acquired=values[np.arange(acquired) % distinct])
    count = data.draw(st.integers(1, int(poor.left.sum())))
    batch = pick(get_strategy(name), poor, count).tolist()
    assert len(set(batch)) == count
    assert poor.left[batch].all()


def test_a_class_that_fails_is_asked_again_with_rows_moved_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = pytest.importorskip("skactiveml.pool")
    strategy, seen = get_strategy("skactiveml:TypiClust"), []

    def fails_on_duplicates(_self: object, X: Floats, y: Floats, **_options: object) -> tuple[Indices, Floats]:
        seen.append(X)
        if len(np.unique(X, axis=0)) < len(X):
            raise ZeroDivisionError
        return np.array([len(X) - 1]), np.zeros((1, len(X)))

    monkeypatch.setattr(pool.TypiClust, "query", fails_on_duplicates)
    poor = replace(make(0, acquired=5), X=np.tile([[0.0, 1 / 3, 1e6]], (40, 1)), left=np.ones(40, dtype=bool))
    assert pick(strategy, poor, 1).tolist() == [39]
    assert np.abs(seen[1] - seen[0]).max() < 0.1 * max(1, seen[0].std(axis=0).max())
    monkeypatch.setattr(pool.TypiClust, "query", lambda *_, **__: 1 // 0)
    with pytest.raises(InvalidInput, match="TypiClust of scikit-activeml cannot be used here: integer division"):
        pick(strategy, poor, 1)


@pytest.mark.parametrize("class_name", ["CostEmbeddingAL", "Clue", "DropQuery", "TypiClust"])
def test_scikit_activeml_leaves_the_global_stream_as_it_was(class_name: str) -> None:
    pytest.importorskip("skactiveml")
    before = repr(np.random.get_state())  # noqa: NPY002
    pick(get_strategy(f"skactiveml:{class_name}"), make(3, acquired=20), 6)
    assert repr(np.random.get_state()) == before  # noqa: NPY002


def test_scikit_activeml_core_set_covers_as_k_center_does() -> None:
    pytest.importorskip("skactiveml")
    for seed in range(5):
        found, expected = (
            pick(get_strategy(name), make(seed, acquired=5), 8).tolist() for name in ("skactiveml:CoreSet", "k_center")
        )
        assert found == expected


def test_scikit_activeml_sees_a_random_part_of_a_large_pool() -> None:
    pytest.importorskip("skactiveml")
    utilities = get_strategy("skactiveml:UncertaintySampling").utilities(make(0, rows=2_000), 5)
    assert np.count_nonzero(utilities > -np.inf) == scikit_activeml.MOST_CANDIDATES


def test_a_class_of_scikit_activeml_tells_agents_what_it_is() -> None:
    pytest.importorskip("skactiveml")
    strategy = get_strategy("skactiveml:QueryByCommittee")
    assert strategy is get_strategy("skactiveml:QueryByCommittee")
    assert strategy.name == "skactiveml_query_by_committee"
    assert strategy.description == "Query-by-Committee (QBC), by scikit-activeml with its own model."
    assert strategy.source.startswith("H. S. Seung, M. Opper, and H. Sompolinsky. Query by Committee.")
    assert strategy.source.endswith("1992.")


@pytest.mark.parametrize(
    ("class_name", "reason"),
    [
        ("Nonsense", "no such strategy; choose one of .*Badge"),
        ("uncertainty_scores", "no such strategy"),
        ("utils", "no such strategy"),
        ("MonteCarloEER", "takes seconds"),
        ("GreedySamplingTarget", "it needs reg$"),
        ("ExpectedErrorReduction", "it needs enforce_mapping$"),
        ("SubSamplingWrapper", "wraps another strategy"),
    ],
)
def test_classes_of_scikit_activeml_that_are_refused(class_name: str, reason: str) -> None:
    pytest.importorskip("skactiveml")
    with pytest.raises(InvalidInput, match=reason):
        get_strategy(f"skactiveml:{class_name}")


def test_every_class_of_scikit_activeml_either_works_or_is_refused() -> None:
    pool = pytest.importorskip("skactiveml.pool")
    usable = []
    for name in pool.__all__:
        try:
            get_strategy(f"skactiveml:{name}")
        except InvalidInput:
            continue
        usable.append(name)
    assert set(usable) == set(SKACTIVEML)


def test_a_strategy_for_two_classes_says_so_at_first_use() -> None:
    pytest.importorskip("skactiveml")
    with pytest.raises(InvalidInput, match="two-class problems"):
        pick(get_strategy("skactiveml:EpistemicUncertaintySampling"), make(0, classes=3), 2)
