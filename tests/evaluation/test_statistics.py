"""Intervals, paired differences and corrections are those of the textbooks, and cover as often as they claim."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dataselect_env.core.data import WORLDS
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.tasks import TASKS
from dataselect_env.evaluation.statistics import (
    UNBOUNDED,
    Difference,
    corrected,
    difference,
    mean_interval,
    spearman,
    standard_error,
    strata_of,
)

FEW = [0.2, 0.9, 0.4, 0.5, 0.7]
OTHERS = [0.1, 0.3, 0.5, 0.2, 0.6]
CORE, CONFIDENT = [0.9, 0.8, 0.95, 0.85, 0.7, 0.9], [0.4, 0.3, 0.5, 0.35]
WORLD = ["core"] * 6 + ["confident"] * 4
values = st.lists(st.floats(-1, 1), min_size=2, max_size=30)


def welch(one: list[float], other: list[float]) -> tuple[float, float]:
    """The interval of a stratified mean as Welch's interval of a difference: a second derivation."""
    n = len(one) + len(other)
    weighted = np.array(one) * len(one) / n, -np.array(other) * len(other) / n
    found = stats.ttest_ind(*weighted, equal_var=False).confidence_interval()
    return found.low, found.high


# --- means ----------------------------------------------------------------------------------------------------------


def test_interval_is_students() -> None:
    found = mean_interval(FEW)
    low, high = stats.t.interval(0.95, len(FEW) - 1, np.mean(FEW), stats.sem(FEW))
    assert (found.mean, found.low, found.high) == pytest.approx((np.mean(FEW), low, high))
    assert found.margin == pytest.approx((high - low) / 2)
    assert standard_error(FEW) == pytest.approx(stats.sem(FEW))


def test_interval_of_strata_is_welchs() -> None:
    found = mean_interval([*CORE, *CONFIDENT], WORLD)
    assert (found.low, found.high) == pytest.approx(welch(CORE, CONFIDENT))
    assert found.mean == pytest.approx(np.mean([*CORE, *CONFIDENT]))


def test_strata_that_differ_make_it_narrow() -> None:
    assert mean_interval([*CORE, *CONFIDENT], WORLD).margin < mean_interval([*CORE, *CONFIDENT]).margin / 2


def test_order_does_not_matter() -> None:
    mixed = [1.0, 0.3, 1.0, 1.0, 0.5, 1.0, 1.0, 1.0]
    worlds = [*"aabbabab"]
    order = np.random.default_rng(0).permutation(len(mixed))
    again = mean_interval([mixed[place] for place in order], [worlds[place] for place in order])
    assert again == mean_interval(mixed, worlds)


def test_more_confidence_is_a_wider_interval() -> None:
    assert mean_interval(FEW, confidence=0.99).margin > mean_interval(FEW).margin


def test_a_stratum_of_one_is_no_stratum() -> None:
    assert mean_interval(FEW, [*"aaaab"]) == mean_interval(FEW)


@pytest.mark.parametrize("n", [2, 10, 50])
@pytest.mark.parametrize("grade", [0.0, 1.0])
def test_equal_grades_have_the_binomial_interval(n: int, grade: float) -> None:
    found = mean_interval([grade] * n)
    low, high = stats.binomtest(n if grade else 0, n).proportion_ci(0.95, method="exact")
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-3)


def test_interval_stays_on_the_scale() -> None:
    found = mean_interval([1.0, 0.9, 0.99, 0.2, 0.98])
    assert found.high == 1
    assert mean_interval([1.0, 0.9, 0.99, 0.2, 0.98], scale=UNBOUNDED).high > 1


def coverage(draw: np.ndarray, truth: float) -> float:
    hits = [found.low <= truth <= found.high for found in (mean_interval(x, draws=500) for x in draw.tolist())]
    return float(np.mean(hits))


@pytest.mark.parametrize("n", [10, 50])
def test_covers_the_truth_as_often_as_it_says(n: int) -> None:
    assert 0.93 <= coverage(np.random.default_rng(0).beta(2, 2, size=(1_000, n)), 0.5) <= 0.97


@pytest.mark.parametrize("n", [10, 20])
def test_covers_the_truth_where_grades_pile_up(n: int) -> None:
    """Four in five are 1: plain t intervals cover at most 0.9 of the means of ten or twenty."""
    rng = np.random.default_rng(0)
    draw = np.where(rng.random((600, n)) < 0.8, 1, rng.uniform(0.5, 1, (600, n)))
    assert coverage(draw, 0.95) >= 0.93
    plain = stats.t.interval(0.95, n - 1, draw.mean(axis=1), np.maximum(stats.sem(draw, axis=1), 1e-9))
    assert np.mean((plain[0] <= 0.95) & (plain[1] >= 0.95)) <= 0.9


def test_the_bootstrap_is_repeatable_and_its_seed_an_argument() -> None:
    piled = [1.0, 1.0, 1.0, 1.0, 0.6, 0.8]
    assert mean_interval(piled) == mean_interval(piled)
    other = mean_interval(piled, rng_seed=1)
    assert other.low != mean_interval(piled).low
    assert other.low == pytest.approx(mean_interval(piled).low, abs=0.01)


def test_many_values_need_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    piled = [1.0] * 30 + [0.5] * 10
    whole = mean_interval(piled, draws=1_000)
    monkeypatch.setattr("dataselect_env.evaluation.statistics.MOST_CELLS", 4_000)
    assert mean_interval(piled, draws=1_000) == whole


@pytest.mark.parametrize("few", [[], [1.0]])
def test_too_few_values(few: list[float]) -> None:
    with pytest.raises(InvalidInput, match="at least two"):
        mean_interval(few)


def test_strata_of_another_number() -> None:
    with pytest.raises(InvalidInput, match="5 values have 2 strata"):
        mean_interval(FEW, ["a", "b"])


def test_equal_values_without_a_scale_have_no_interval() -> None:
    with pytest.raises(InvalidInput, match="infinite scale"):
        mean_interval([3.0, 3.0], scale=UNBOUNDED)


def test_strata_are_the_worlds_of_built_in_tasks() -> None:
    worlds = strata_of(TASKS["hard"], range(20_000, 20_050))
    assert worlds is not None
    assert [worlds.count(world) for world in WORLDS] == [30, 20]


# --- differences ----------------------------------------------------------------------------------------------------


def test_difference_is_the_paired_t_test() -> None:
    found, theirs = difference(FEW, OTHERS), stats.ttest_rel(FEW, OTHERS)
    interval = theirs.confidence_interval()
    assert (found.mean, found.low, found.high) == pytest.approx((0.2, interval.low, interval.high))
    assert (found.p, found.p_corrected) == pytest.approx((theirs.pvalue,) * 2)
    assert found.pairs == 5
    assert not found.significant


def test_difference_within_strata() -> None:
    ours = [0.5 + gap / 2 for gap in (*CORE, *CONFIDENT)]
    theirs = [0.5 - gap / 2 for gap in (*CORE, *CONFIDENT)]
    found = difference(ours, theirs, WORLD)
    assert (found.low, found.high) == pytest.approx(welch(CORE, CONFIDENT))


def test_pairs_tell_more_than_two_groups() -> None:
    noise = np.random.default_rng(0).uniform(0, 0.8, size=20)
    ours, theirs = (noise + 0.1 + 0.001 * np.arange(20)).tolist(), noise.tolist()
    assert difference(ours, theirs).significant
    assert mean_interval(ours).low < mean_interval(theirs).mean


@pytest.mark.parametrize("n", [5, 10, 12])
def test_equal_differences_have_the_p_value_of_the_sign_test(n: int) -> None:
    found = difference([1.0] * n, [0.0] * n)
    assert found.p == pytest.approx(stats.binomtest(n, n).pvalue, abs=2e-4)
    assert found.low < found.mean == found.high == 1


@given(values)
def test_a_difference_to_itself_is_nothing_that_is_known_exactly(some: list[float]) -> None:
    found = difference(some, some)
    assert (found.mean, found.p) == (0, 1)
    assert found.low < 0 < found.high


def test_p_value_and_interval_agree_where_differences_pile_up() -> None:
    for rare in range(12):
        ours = [0.5 + 0.02 * number if number < rare else 0.5 for number in range(20)]
        found = difference(ours, [0.5] * 20)
        assert (found.p < 0.05) == (found.low > 0)


def test_pairs_that_are_none() -> None:
    with pytest.raises(InvalidInput, match="2 values cannot be paired with 3"):
        difference([1.0, 2.0, 3.0], [1.0, 2.0])


# --- many comparisons -----------------------------------------------------------------------------------------------


def with_p(p: float) -> Difference:
    return Difference(mean=0.1, low=0, high=0.2, pairs=9, p=p, p_corrected=p)


def test_correction_is_holms() -> None:
    found = corrected([with_p(p) for p in (0.01, 0.04, 0.03, 0.005)])
    assert [one.p_corrected for one in found] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert [one.p for one in found] == [0.01, 0.04, 0.03, 0.005]
    assert [one.significant for one in found] == [True, False, False, True]


@given(st.lists(st.floats(0, 1), max_size=12))
def test_correction_keeps_the_order_and_never_helps(some: list[float]) -> None:
    found = sorted(corrected([with_p(p) for p in some]), key=lambda one: one.p)
    assert all(one.p <= one.p_corrected <= 1 for one in found)
    assert all(one.p_corrected <= other.p_corrected for one, other in pairwise(found))


def test_spearman_asks_for_ranks_alone() -> None:
    assert spearman([1, 2, 3, 4], [10, 20, 21, 99]) == pytest.approx(1)
    assert spearman([3, 1, 1, 2], [0.5, 1, 1, 0.7]) == pytest.approx(-1)
