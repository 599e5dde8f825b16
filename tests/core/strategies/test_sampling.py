"""Query strategies: fair quotas, exact utilities, and a noise trap that affects entropy only."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataselect_env.core.arrays import Indices, Mask
from dataselect_env.core.strategies.sampling import (
    STRATEGIES,
    at_random,
    entropy,
    highest,
    quotas,
    quotas_of_many,
    select,
    squared_distance,
    trap_strength,
)

ROWS = 400
SOURCE = np.random.default_rng(0)
X = SOURCE.standard_normal((ROWS, 6))
LOG_ODDS = SOURCE.normal(0, 2, ROWS)
FAR = SOURCE.random(ROWS)
EVERYTHING = np.ones(ROWS, dtype=np.bool_)

WEIGHT = st.floats(0, 1e308, allow_nan=False) | st.sampled_from([0.0, 5e-324, 1e308])
WEIGHTS = st.tuples(WEIGHT, WEIGHT, WEIGHT).filter(any)


def choose(counts: tuple[int, int, int], *, seed: int = 0, available: Mask = EVERYTHING) -> Indices:
    return select(
        picks=(
            lambda left, count: highest(np.where(left, entropy(LOG_ODDS), -np.inf), count),
            lambda left, count: highest(np.where(left, FAR, -np.inf), count),
            at_random(np.random.default_rng(seed)),
        ),
        available=available,
        counts=counts,
    )


# --- quotas ---------------------------------------------------------------------------------------------------------


@given(batch_size=st.integers(0, 1_100), weights=WEIGHTS)
def test_quotas_add_up_and_stay_within_one_of_the_exact_share(
    batch_size: int, weights: tuple[float, float, float]
) -> None:
    counts = quotas(batch_size, weights)
    assert sum(counts) == batch_size
    total = sum(map(Fraction, weights))
    for quota, weight in zip(counts, weights, strict=True):
        assert quota >= 0
        assert abs(quota - float(batch_size * Fraction(weight) / total)) < 1 + 1e-9
        assert weight > 0 or quota == 0


@given(
    batch_size=st.integers(0, 1_100),
    parts=st.tuples(*[st.integers(0, 9)] * 3).filter(any),
    exponent=st.integers(-1_070, 1_019),
)
def test_only_the_ratios_of_the_weights_matter(batch_size: int, parts: tuple[int, ...], exponent: int) -> None:
    weights = tuple(float(part) for part in parts)
    scaled = tuple(math.ldexp(weight, exponent) for weight in weights)
    assert quotas(batch_size, scaled) == quotas(batch_size, weights)


@pytest.mark.parametrize(
    ("batch_size", "weights", "expected"),
    [
        (10, (0.5, 0.5, 0.0), (5, 5, 0)),
        (10, (1.0, 1.0, 1.0), (4, 3, 3)),
        (11, (1.0, 1.0, 1.0), (4, 4, 3)),
        (10, (0.4, 0.4, 0.2), (4, 4, 2)),
        (5, (0.0, 0.0, 1.0), (0, 0, 5)),
        (5, (0.15, 0.25, 0.60), (1, 1, 3)),
        (20, (1e308, 1e308, 0.0), (10, 10, 0)),
        (20, (5e-324, 5e-324, 0.0), (10, 10, 0)),
        (20, (1e308, 5e-324, 0.0), (20, 0, 0)),
    ],
)
def test_quotas_of_known_cases(batch_size: int, weights: tuple[float, ...], expected: tuple[int, ...]) -> None:
    assert quotas(batch_size, weights) == expected


@given(data=st.data(), lanes=st.integers(1, 6), strategies=st.integers(1, 5))
def test_quotas_of_many_are_those_of_each(data: st.DataObject, lanes: int, strategies: int) -> None:
    row = st.lists(WEIGHT, min_size=strategies, max_size=strategies).filter(any)
    weights = [data.draw(row) for _ in range(lanes)]
    sizes = [data.draw(st.integers(1, 1_100)) for _ in range(lanes)]
    expected = [quotas(size, tuple(each)) for size, each in zip(sizes, weights, strict=True)]
    assert [tuple(counts) for counts in quotas_of_many(np.array(sizes), np.array(weights)).tolist()] == expected


# --- utilities ------------------------------------------------------------------------------------------------------


def test_entropy_is_the_textbook_formula() -> None:
    odds = np.linspace(-15, 15, 301)
    p = 1 / (1 + np.exp(-odds))
    assert entropy(odds) == pytest.approx(-p * np.log(p) - (1 - p) * np.log1p(-p), abs=1e-12)


def test_entropy_of_extremes_is_finite_and_silent() -> None:
    odds = np.array([0.0, 5e-324, -5e-324, 800.0, -800.0, 1e300, -1e300])
    assert entropy(odds).tolist() == pytest.approx([math.log(2)] * 3 + [0.0] * 4, abs=1e-15)


@pytest.mark.parametrize(("flip_y", "nats"), [(0.0, 0.1), (0.05, 0.2), (0.2, 0.5), (0.25, 0.55), (0.3, 0.55)])
def test_trap_is_the_specification(flip_y: float, nats: float) -> None:
    assert trap_strength(flip_y) == pytest.approx(nats)


def test_highest_are_best_first_and_ties_go_to_the_lower_index() -> None:
    utilities = np.array([0.2, 0.9, 0.5, 0.9, 0.1])
    assert highest(utilities, 4).tolist() == [1, 3, 2, 0]
    assert highest(np.zeros(50), 3).tolist() == [0, 1, 2]


@given(values=st.lists(st.integers(0, 5), min_size=1, max_size=40), data=st.data())
def test_highest_are_those_of_a_full_stable_sort(values: list[int], data: st.DataObject) -> None:
    utilities = np.array(values, dtype=np.float64)
    count = data.draw(st.integers(1, len(values)))
    assert highest(utilities, count).tolist() == np.argsort(-utilities, kind="stable")[:count].tolist()


def test_distances_are_squared_euclidean_ones() -> None:
    centroid = np.full(6, 0.3)
    distances = squared_distance(X @ centroid, (X**2).sum(axis=1), centroid @ centroid)
    assert distances == pytest.approx(np.linalg.norm(X - centroid, axis=1) ** 2, rel=1e-12)


# --- selection ------------------------------------------------------------------------------------------------------


@given(counts=st.tuples(*[st.integers(0, 130)] * 3).filter(any), seed=st.integers(0, 2**32))
def test_a_batch_has_the_size_asked_for_and_no_sample_twice(counts: tuple[int, int, int], seed: int) -> None:
    chosen = choose(counts, seed=seed).tolist()
    assert len(set(chosen)) == len(chosen) == sum(counts)
    assert set(chosen) <= set(range(ROWS))


@pytest.mark.parametrize("counts", [(ROWS, 0, 0), (0, ROWS, 0), (0, 0, ROWS), (100, 200, 100)])
def test_the_whole_pool_can_be_chosen(counts: tuple[int, int, int]) -> None:
    assert sorted(choose(counts).tolist()) == list(range(ROWS))


@pytest.mark.parametrize("counts", [(7, 0, 0), (0, 7, 0), (0, 0, 7), (3, 3, 3)])
def test_selection_is_a_function_of_the_stream(counts: tuple[int, int, int]) -> None:
    assert choose(counts, seed=5).tolist() == choose(counts, seed=5).tolist()


def test_other_streams_choose_otherwise_at_random_only() -> None:
    assert choose((0, 0, 7), seed=5).tolist() != choose((0, 0, 7), seed=6).tolist()
    assert choose((5, 5, 0), seed=5).tolist() == choose((5, 5, 0), seed=6).tolist()


def test_uncertainty_picks_first_and_by_entropy() -> None:
    chosen = choose((6, 4, 4))
    assert chosen[:6].tolist() == highest(entropy(LOG_ODDS), 6).tolist()


def test_diversity_picks_the_highest_among_what_is_left() -> None:
    chosen = choose((6, 4, 0)).tolist()
    left = [row for row in highest(FAR, ROWS).tolist() if row not in chosen[:6]]
    assert chosen[6:] == left[:4]


@given(counts=st.tuples(*[st.integers(0, 30)] * 3), seed=st.integers(0, 2**32))
def test_nothing_is_chosen_that_is_not_available(counts: tuple[int, int, int], seed: int) -> None:
    available = np.arange(ROWS) % 4 == 0
    chosen = choose(counts, seed=seed, available=available)
    assert len(chosen) == sum(counts)
    assert available[chosen].all()
    assert available.sum() == ROWS // 4


def test_strategies_are_asked_when_needed_only() -> None:
    def unneeded(_left: Mask, _count: int) -> Indices:
        raise AssertionError("called although its count is 0")

    picks = (unneeded, unneeded, at_random(np.random.default_rng(0)))
    chosen = select(picks=picks, available=EVERYTHING, counts=(0, 0, 3))
    assert len(chosen) == 3


def test_strategies_are_named_in_the_order_of_the_weights() -> None:
    assert STRATEGIES == ("uncertainty", "diversity", "random")
