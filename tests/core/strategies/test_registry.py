"""Further query strategies: each against a plain re-statement of itself, and the registry that names them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataselect_env.core.arrays import Floats, Indices
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.strategies import Candidates, Utilities, clustering, rankings, sampling, scikit_activeml
from dataselect_env.core.strategies.clustering import farthest_first, k_means, nearest_distances
from dataselect_env.core.strategies.registry import (
    STRATEGIES,
    Strategy,
    get_strategy,
    ranks,
    register,
)
from tests.helpers.candidates import make, pick

NATIVE = ("margin", "k_center", "density_weighted", "cluster_medoid")


@pytest.fixture
def restored_registry() -> Iterator[None]:
    with patch.dict(STRATEGIES):
        yield


# --- what holds of all ----------------------------------------------------------------------------------------------


POOLS = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32),
        "rows": st.integers(1, 50),
        "classes": st.integers(2, 5),
        "acquired": st.integers(0, 12),
        "coarse": st.booleans(),
    }
)


@pytest.mark.parametrize("name", NATIVE)
@given(pool=POOLS, most=st.sampled_from([5, 2_000]), data=st.data())
def test_a_batch_is_distinct_left_and_of_the_size_asked_for(
    name: str, pool: dict[str, Any], most: int, data: st.DataObject
) -> None:
    left = make(**pool).left
    count = data.draw(st.integers(1, int(left.sum())))
    with patch.object(rankings.among_some, "__defaults__", (most,)):
        found, again = (pick(get_strategy(name), make(**pool), count).tolist() for _ in range(2))
    assert len(found) == len(set(found)) == count
    assert left[found].all()
    assert again == found


@pytest.mark.parametrize("name", NATIVE)
def test_every_sample_left_of_a_small_pool_is_considered(name: str) -> None:
    candidates = make(1)
    assert np.array_equal(np.isfinite(get_strategy(name).utilities(candidates, 4)), candidates.left)


@pytest.mark.parametrize("name", ["k_center", "cluster_medoid"])
def test_costly_strategies_look_at_a_random_part_of_a_large_pool(name: str) -> None:
    def looked_at(count: int, draws: int) -> set[int]:
        utilities = get_strategy(name).utilities(make(0, rows=4_000, left=0.9, draws=draws), count)
        return set(np.flatnonzero(utilities > -np.inf).tolist())

    assert len(looked_at(20, 0)) == rankings.MOST_CANDIDATES
    assert looked_at(20, 0) == looked_at(20, 0)
    assert looked_at(20, 0) != looked_at(20, 1)
    assert looked_at(20, 0) <= set(np.flatnonzero(make(0, rows=4_000, left=0.9).left).tolist())
    assert len(looked_at(2_100, 0)) == 2_100


# --- each against a plain re-statement ------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**32), classes=st.integers(2, 6))
def test_margin_is_the_difference_after_a_sort(seed: int, classes: int) -> None:
    candidates = make(seed, classes=classes)
    utilities = rankings.margin(candidates, 1)
    for row in np.flatnonzero(candidates.left):
        *_, second, first = sorted(candidates.probabilities[row])
        assert utilities[row] == pytest.approx(second - first, abs=1e-15)


def naive_density(candidates: Candidates) -> Floats:
    """Entropy times (1 + mean cosine) / 2, one pair after the other."""
    left = np.flatnonzero(candidates.left)
    utilities = np.full(len(candidates.X), -np.inf)
    for row in left:
        x = candidates.X[row]
        cosines = []
        for other in candidates.X[left]:
            lengths = math.sqrt(x @ x) * math.sqrt(other @ other)
            cosines.append(x @ other / lengths if lengths else 0.0)
        entropy = -sum(p * math.log(p) for p in candidates.probabilities[row] if p > 0)
        utilities[row] = entropy * (1 + sum(cosines) / len(cosines)) / 2
    return utilities


@given(seed=st.integers(0, 2**32), coarse=st.booleans())
def test_density_is_the_mean_over_all_pairs(seed: int, *, coarse: bool) -> None:
    candidates = make(seed, coarse=coarse, rows=25)
    utilities = rankings.density_weighted(candidates, 1)
    assert utilities == pytest.approx(naive_density(candidates), abs=1e-12)
    assert (utilities[candidates.left] >= 0).all()


def test_density_of_certain_samples_is_nothing_and_silent() -> None:
    given_ = make(0, classes=2)
    certain = np.tile([1.0, 0.0], (40, 1))
    sure = replace(given_, probabilities=certain)
    assert (rankings.density_weighted(sure, 1)[given_.left] == 0).all()


@given(seed=st.integers(0, 2**32), acquired=st.integers(1, 20), data=st.data())
def test_k_center_is_the_brute_force_one(seed: int, acquired: int, data: st.DataObject) -> None:
    candidates = make(seed, coarse=True, acquired=acquired)  # whole numbers: distances are exact, ties are ties
    count = data.draw(st.integers(1, int(candidates.left.sum())))
    known, chosen = list(candidates.X_acquired), list[int]()
    for _ in range(count):
        open_ = [int(row) for row in np.flatnonzero(candidates.left) if row not in chosen]
        distances = [min(((candidates.X[row] - one) ** 2).sum() for one in known) for row in open_]
        chosen.append(open_[int(np.argmax(distances))])
        known.append(candidates.X[chosen[-1]])
    assert pick(get_strategy("k_center"), candidates, count).tolist() == chosen
    with patch.object(rankings, "MOST_CANDIDATES", 0):  # as on a large pool, where no distances are kept
        assert pick(get_strategy("k_center"), candidates, count).tolist() == chosen


@pytest.mark.parametrize("name", ["k_center", "cluster_medoid", "skactiveml:DiscriminativeAL"])
def test_a_large_batch_costs_no_more_than_one_of_the_candidates(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Distances between all samples of a batch of 20,000 would take gigabytes."""
    sizes: list[tuple[int, int]] = []

    def small(X: Floats, *args: Any, **kwargs: Any) -> tuple[Indices, Floats]:
        count = kwargs.get("count") or next(arg for arg in reversed(args) if isinstance(arg, int))
        sizes.append((len(X), count))
        return np.arange(count)[::-1], np.zeros(len(X))

    monkeypatch.setattr(rankings, "farthest_first", small)
    monkeypatch.setattr(rankings, "k_means", lambda X, count, _: small(X, count))
    monkeypatch.setattr(scikit_activeml, "query", lambda _, X, *_rest, **options: small(X, **options))
    rng, pool = np.random.default_rng(0), 30_000
    left = rng.random(pool) < 0.9
    X, given = rng.random((pool, 2)), np.zeros(pool, np.int64)
    candidates = Candidates(X, np.full((pool, 2), 0.5), left, X[:1], given[:1], rng, given)
    batch = pick(get_strategy(name), candidates, 20_000)
    assert len(np.unique(batch)) == 20_000
    assert left[batch].all()
    assert np.ptp(batch) > 0.9 * pool  # those that were not considered are drawn from everywhere
    most = scikit_activeml.MOST_CANDIDATES if name.startswith("sk") else rankings.MOST_CANDIDATES
    assert sizes == [(most, most)]


def test_farthest_first_ranks_the_others_by_what_is_still_uncovered() -> None:
    X = np.array([[0.0], [1.0], [10.0], [6.0], [9.0]])
    squares, left = (X * X)[:, 0], np.arange(5) != 4
    known = nearest_distances(X, squares, np.zeros((1, 1)))
    assert known.tolist() == [0.0, 1.0, 100.0, 36.0, 81.0]
    chosen, nearest = farthest_first(X, squares, known, left, 2)
    assert chosen.tolist() == [2, 3]
    assert nearest.tolist() == [0.0, 1.0, 0.0, 0.0, 1.0]


def test_medoids_are_the_middles_of_clusters_the_largest_first() -> None:
    sizes, centres = (5, 20, 10), (-100.0, 0.0, 100.0)
    spread = [centre + np.linspace(-1, 1, size + 1)[:size] for size, centre in zip(sizes, centres, strict=True)]
    X = np.concatenate(spread)[:, None] * np.ones(2)
    cluster = np.repeat([0, 1, 2], sizes)
    for draws in range(10):
        everything, rng = np.ones(35, dtype=np.bool_), np.random.default_rng(draws)
        candidates = Candidates(X, np.full((35, 2), 0.5), everything, X[:1], np.array([0]), rng, np.zeros(35, np.int64))
        found = pick(get_strategy("cluster_medoid"), candidates, 3)
        assert cluster[found].tolist() == [1, 2, 0]
        for row in found:
            mine = np.flatnonzero(cluster == cluster[row])
            distances = abs(X - X[mine].mean(axis=0)).sum(axis=1)
            assert distances[row] == pytest.approx(distances.min(), abs=1e-9)


@given(seed=st.integers(0, 2**32), count=st.integers(1, 12))
def test_clusters_are_those_of_scikit_learn(seed: int, count: int) -> None:
    from sklearn.cluster import KMeans

    X = np.random.default_rng(seed).standard_normal((120, 4))
    squares = np.einsum("ij,ij->i", X, X)
    first = clustering._first_centres(X, squares, count, np.random.default_rng(seed))
    with patch.object(clustering, "LLOYD_STEPS", 300):
        own, distances = k_means(X, count, np.random.default_rng(seed))
    reference = KMeans(count, init=first, n_init=1, max_iter=300, tol=0, algorithm="lloyd").fit(X)
    assert own.tolist() == reference.labels_.tolist()
    assert distances.sum() == pytest.approx(reference.inertia_)


def test_first_centres_are_rows_far_apart() -> None:
    X = np.repeat(np.arange(5.0) * 1e3, 20)[:, None] + np.random.default_rng(0).random((100, 1))
    for seed in range(20):
        centres = clustering._first_centres(X, X[:, 0] ** 2, 5, np.random.default_rng(seed))
        assert sorted((centres[:, 0] // 1e3).astype(int).tolist()) == [0, 1, 2, 3, 4]


# --- ranks ----------------------------------------------------------------------------------------------------------


@given(values=st.lists(st.sampled_from([-np.inf, -2.0, 0.0, 0.5, 1.0, 7.0]), min_size=1, max_size=30), data=st.data())
def test_ranks_keep_the_order_and_lie_between_zero_and_one(values: list[float], data: st.DataObject) -> None:
    left = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))))
    utilities = np.array(values)
    found = ranks(utilities, left)
    assert (found[~left] == -np.inf).all()
    among, ranked = utilities[left], found[left]
    assert ((ranked >= 0) & (ranked <= 1)).all()
    for one in range(len(among)):
        for other in range(len(among)):
            assert (ranked[one] < ranked[other]) == (among[one] < among[other])


@given(values=st.lists(st.integers(-3, 3), min_size=2, max_size=30))
def test_ranks_count_who_is_lower_and_half_of_who_is_equal(values: list[int]) -> None:
    found = ranks(np.array(values, dtype=np.float64), np.ones(len(values), dtype=np.bool_))
    for value, rank in zip(values, found, strict=True):
        lower, equal = sum(one < value for one in values), values.count(value) - 1
        assert rank == pytest.approx((lower + equal / 2) / (len(values) - 1))


@pytest.mark.parametrize(
    ("utilities", "left", "expected"),
    [
        ([3.0, 1.0, 2.0], [1, 1, 1], [1.0, 0.0, 0.5]),
        ([3.0, 1.0, 3.0], [1, 1, 1], [0.75, 0.0, 0.75]),
        ([9.0, 1.0, 2.0], [0, 1, 1], [-np.inf, 0.0, 1.0]),
        ([-np.inf, -np.inf, -np.inf, 4.0], [1, 1, 1, 1], [0.0, 0.0, 0.0, 1.0]),
        ([9.0, 1.0], [0, 1], [-np.inf, 1.0]),
        ([9.0, -np.inf], [0, 1], [-np.inf, 1.0]),
        ([9.0, 1.0], [0, 0], [-np.inf, -np.inf]),
    ],
)
def test_ranks_of_known_cases(utilities: list[float], left: list[int], expected: list[float]) -> None:
    assert ranks(np.array(utilities), np.array(left, dtype=np.bool_)).tolist() == expected


# --- the registry ---------------------------------------------------------------------------------------------------


def other(name: str, utilities: Utilities = rankings.margin) -> Strategy:
    return Strategy(name, "Made up.", "Nobody, 1900", utilities)


def test_strategies_stand_under_their_names() -> None:
    assert tuple(STRATEGIES) == NATIVE
    assert not set(STRATEGIES) & set(sampling.STRATEGIES)
    for name, strategy in STRATEGIES.items():
        assert strategy.name == name
        assert name.isidentifier()
        assert get_strategy(name) is strategy
        assert strategy.description.endswith(".")
        assert strategy.source[-4:].isdigit()


@pytest.mark.parametrize(
    "name", ["nonsense", "uncertainty", "", "Margin", "agree", "agree_", "agree_agree_margin", "agree_nonsense"]
)
def test_an_unknown_name_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        get_strategy(name)
    assert all(known in refused.value.message for known in NATIVE)


@pytest.mark.usefixtures("restored_registry")
def test_a_strategy_of_ones_own() -> None:
    mine = other("my_own_2", lambda candidates, _: np.where(candidates.left, np.arange(40.0), -np.inf))
    register(mine)
    found = get_strategy("my_own_2")
    assert replace(found, utilities=mine.utilities) == mine
    candidates = make(0)
    assert pick(found, candidates, 3).tolist() == np.flatnonzero(candidates.left)[:-4:-1].tolist()


@pytest.mark.usefixtures("restored_registry")
@pytest.mark.parametrize(
    "name",
    [
        "margin",
        *sampling.STRATEGIES,
        "skactiveml_badge",
        "agree_margin",
        "confident_x",
        "",
        "2nd",
        "Big",
        "a-b",
        "a b",
        "x" * 65,
        "a\n",
        "é",
    ],
)
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        register(other(name))


def test_what_was_not_considered_comes_last_in_order() -> None:
    left = np.arange(6) > 0
    candidates = replace(make(0, rows=6), left=left)
    some = np.array([9.0, -np.inf, -np.inf, 3.0, -np.inf, 4.0])
    assert pick(other("some", lambda *_: some), candidates, 4).tolist() == [5, 3, 1, 2]
