"""Intervals, paired differences and rank correlations are those of the textbooks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dataselect_env.evaluation.statistics import difference, mean_interval, spearman

FEW = [0.2, 0.9, 0.4, 0.4, 0.7]
OTHERS = [0.1, 0.3, 0.5, 0.2, 0.6]
values = st.lists(st.floats(-100, 100), min_size=2, max_size=30)


def test_interval_is_students() -> None:
    found = mean_interval(FEW)
    low, high = stats.t.interval(0.95, len(FEW) - 1, np.mean(FEW), stats.sem(FEW))
    assert (found.mean, found.low, found.high) == pytest.approx((np.mean(FEW), low, high))
    assert found.margin == pytest.approx((high - low) / 2)


def test_more_confidence_is_a_wider_interval() -> None:
    assert mean_interval(FEW, confidence=0.99).margin > mean_interval(FEW).margin


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0).beta(0.5, 0.5, size=(2_000, 50))  # scores of 0 and 1 for the most part
    hits = [found.low <= 0.5 <= found.high for found in map(mean_interval, draws.tolist())]
    assert 0.93 <= np.mean(hits) <= 0.97


def test_difference_is_the_paired_t_test() -> None:
    found, theirs = difference(FEW, OTHERS), stats.ttest_rel(FEW, OTHERS)
    interval = theirs.confidence_interval()
    assert (found.mean, found.low, found.high) == pytest.approx((0.18, interval.low, interval.high))
    assert found.p == pytest.approx(theirs.pvalue)
    assert found.pairs == 5
    assert not found.significant


def test_pairs_tell_more_than_two_groups() -> None:
    noise = np.random.default_rng(0).normal(size=20)
    ours, theirs = (noise + 0.1 + 0.01 * np.arange(20)).tolist(), noise.tolist()
    assert difference(ours, theirs).significant
    assert mean_interval(ours).low < mean_interval(theirs).mean


@pytest.mark.parametrize(("gap", "p"), [(0.0, 1.0), (0.25, 0.0), (-0.25, 0.0)])
def test_difference_without_spread(gap: float, p: float) -> None:
    found = difference([0.5 + gap] * 3, [0.5] * 3)
    assert (found.mean, found.low, found.high, found.p) == (gap, gap, gap, p)
    assert found.significant == bool(gap)


@given(values)
def test_a_difference_to_itself_is_nothing(some: list[float]) -> None:
    found = difference(some, some)
    assert (found.mean, found.low, found.high, found.p) == (0, 0, 0, 1)


@pytest.mark.parametrize("few", [[], [1.0]])
def test_too_few_values(few: list[float]) -> None:
    with pytest.raises(ValueError, match="at least two"):
        mean_interval(few)


def test_pairs_that_are_none() -> None:
    with pytest.raises(ValueError, match="shorter"):
        difference([1.0, 2.0, 3.0], [1.0, 2.0])


@pytest.mark.parametrize("first", [FEW, [3, 1, 1, 1, 2], [1, 2, 3, 4, 5]])
@pytest.mark.parametrize("second", [OTHERS, [0, 0, 1, 0, 0], [5, 4, 3, 2, 1]])
def test_spearman_with_and_without_ties(first: list[float], second: list[float]) -> None:
    assert spearman(first, second) == pytest.approx(stats.spearmanr(first, second).statistic)


@given(values)
def test_spearman_asks_for_ranks_alone(some: list[float]) -> None:
    if min(some) == max(some):
        with pytest.raises(ValueError, match="do not vary"):
            spearman(some, some)
    else:
        ranks = stats.rankdata(some).tolist()
        assert spearman(some, ranks) == pytest.approx(1)
        assert spearman(some, [-rank for rank in ranks]) == pytest.approx(-1)


def test_spearman_of_different_lengths() -> None:
    with pytest.raises(ValueError, match="cannot correlate 2 values with 3"):
        spearman([1, 2], [1, 2, 3])
