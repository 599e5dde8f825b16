"""Grades: hand-computed cases, monotonicity and bounds."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataselect_env.core.grading import COVERAGE, NOISE_CEILING, TracePoint, grade
from dataselect_env.core.models import Grade
from dataselect_env.core.tasks import PINNED, TASKS, Task
from tests.helpers.serving import ROOT, clean_environ

EASY, MEDIUM, HARD = TASKS["easy"], TASKS["medium"], TASKS["hard"]
EVERY_TASK = st.sampled_from(list(TASKS.values()))
SHARE = st.floats(0, 1)


def performance_for(task: Task, score: float) -> float:
    low, high = task.performance_range
    return low + score * (high - low)


def graded(task: Task, performance: float, *, bought: int = 0, mislabelled: int = 0) -> Grade:
    """Grade an episode that bought once and ended with this performance."""
    start = TracePoint(bought=0, mislabelled=0, performance=0.5)
    return grade(task, [start, TracePoint(bought, mislabelled, performance)])


def with_noise(share: float) -> int:
    """Return the number of wrong labels in medium's whole budget at this share of the noise ceiling."""
    return round(share * NOISE_CEILING * MEDIUM.budget)


# --- hand-computed cases --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("score", [0.0, 0.25, 1.0])
def test_easy_is_performance_over_its_range_whatever_was_bought(score: float) -> None:
    for bought in (0, 100, EASY.budget):
        assert graded(EASY, performance_for(EASY, score), bought=bought).score == pytest.approx(score)


def test_medium_weighs_performance_and_noise() -> None:
    performance = performance_for(MEDIUM, 0.5)
    mislabelled = 15
    noise_score = 1 - (mislabelled / MEDIUM.budget) / NOISE_CEILING
    result = graded(MEDIUM, performance, bought=MEDIUM.budget, mislabelled=mislabelled)
    assert result.breakdown.noise_score == pytest.approx(noise_score)
    assert result.score == pytest.approx(0.6 * 0.5 + 0.4 * noise_score)


def test_hard_weighs_performance_and_efficiency_jointly() -> None:
    result = graded(HARD, performance_for(HARD, 0.8), bought=HARD.budget // 4)
    assert result.breakdown.efficiency == pytest.approx(0.8 * 0.875)
    assert result.score == pytest.approx(0.65 * 0.8 + 0.35 * 0.8 * 0.875)


def test_hard_pays_nothing_for_saving_without_performance() -> None:
    assert graded(HARD, performance_for(HARD, 0.0)).score == 0.0


@pytest.mark.parametrize("task", [TASKS[name] for name in PINNED], ids=PINNED)
def test_performance_outside_of_the_range_is_clipped(task: Task) -> None:
    assert graded(task, 0.01, bought=task.budget).breakdown.performance_score == 0.0
    assert graded(task, 1.0, bought=task.budget).breakdown.performance_score == 1.0


@pytest.mark.parametrize(("share_of_gate", "expected"), [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (1 / COVERAGE, 1.0)])
def test_noise_score_counts_as_far_as_the_budget_is_covered(share_of_gate: float, expected: float) -> None:
    bought = round(share_of_gate * COVERAGE * MEDIUM.budget)
    assert graded(MEDIUM, 0.5, bought=bought).breakdown.noise_score == pytest.approx(expected)


def test_noise_at_or_above_the_ceiling_scores_nothing() -> None:
    for share in (1.0, 2.0):
        result = graded(MEDIUM, 0.5, bought=MEDIUM.budget, mislabelled=with_noise(share))
        assert result.breakdown.noise_score == 0.0


def test_average_noise_weighs_batches_by_their_size() -> None:
    trace = [TracePoint(0, 0, 0.5), TracePoint(10, 5, 0.5), TracePoint(30, 3, 0.6), TracePoint(0, 0, 0.6)]
    assert grade(MEDIUM, trace).breakdown.avg_noise_ratio == pytest.approx(0.2)


def test_no_purchase_has_no_average_noise() -> None:
    assert grade(MEDIUM, [TracePoint(0, 0, 0.5), TracePoint(0, 0, 0.5)]).breakdown.avg_noise_ratio is None


def test_the_last_performance_counts_and_all_purchases() -> None:
    trace = [TracePoint(0, 0, 0.5), TracePoint(10, 5, 0.9), TracePoint(30, 3, 0.6)]
    breakdown = grade(HARD, trace).breakdown
    assert (breakdown.performance, breakdown.budget_used, breakdown.budget) == (0.6, 40, HARD.budget)
    assert breakdown.avg_noise_ratio == pytest.approx(0.2)


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.task_id)
def test_breakdown_tells_how_the_score_came_about(task: Task) -> None:
    breakdown = graded(task, 0.6, bought=50, mislabelled=10).breakdown
    assert breakdown.success_criteria == task.success_criteria
    assert breakdown.score_formula == task.score_formula


# --- passing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.task_id)
def test_passing_needs_a_performance_above_the_threshold(task: Task) -> None:
    assert not graded(task, task.pass_performance, bought=50).passed
    assert graded(task, task.pass_performance + 1e-9, bought=50).passed


def test_passing_medium_needs_noise_below_the_threshold() -> None:
    assert not graded(MEDIUM, 0.9, bought=100, mislabelled=50).passed
    assert graded(MEDIUM, 0.9, bought=100, mislabelled=49).passed


def test_medium_is_not_passed_when_nothing_was_bought() -> None:
    result = graded(MEDIUM, 0.9)
    assert not result.passed
    assert result.breakdown.avg_noise_ratio is None
    assert result.breakdown.noise_score == 0.0


@pytest.mark.parametrize("task", [EASY, HARD], ids=lambda task: task.task_id)
def test_noise_fails_no_task_that_does_not_bound_it(task: Task) -> None:
    assert graded(task, 0.9, bought=50, mislabelled=50).passed


# --- rules that always hold -----------------------------------------------------------------------------------------


@given(task=EVERY_TASK, data=st.data())
def test_any_trace_gives_a_score_and_parts_in_range(task: Task, data: st.DataObject) -> None:
    trace, left = [TracePoint(0, 0, data.draw(SHARE))], task.budget
    for _ in range(data.draw(st.integers(0, task.max_steps))):
        bought = data.draw(st.integers(0, left))
        trace.append(TracePoint(bought, data.draw(st.integers(0, bought)), data.draw(SHARE)))
        left -= bought
    result = grade(task, trace)
    parts = result.breakdown
    assert 0 <= result.score <= 1
    assert all(0 <= part <= 1 for part in (parts.performance_score, parts.noise_score, parts.efficiency))
    assert parts.efficiency <= parts.performance_score
    assert parts.budget_used == task.budget - left


@given(task=EVERY_TASK, performances=st.tuples(SHARE, SHARE), bought=st.integers(0, 100))
def test_more_performance_never_lowers_a_grade(task: Task, performances: tuple[float, float], bought: int) -> None:
    worse, better = (graded(task, performance, bought=bought) for performance in sorted(performances))
    assert worse.score <= better.score
    assert worse.passed <= better.passed


@given(task=EVERY_TASK, performance=SHARE, bought=st.integers(1, 100), data=st.data())
def test_more_noise_never_raises_a_grade(task: Task, performance: float, bought: int, data: st.DataObject) -> None:
    fewer, more = sorted(data.draw(st.tuples(*[st.integers(0, bought)] * 2)))
    clean = graded(task, performance, bought=bought, mislabelled=fewer)
    noisy = graded(task, performance, bought=bought, mislabelled=more)
    assert noisy.score <= clean.score
    assert noisy.passed <= clean.passed


@given(performance=SHARE, purchases=st.tuples(*[st.integers(0, HARD.budget)] * 2))
def test_on_hard_the_same_performance_with_less_is_never_worse(performance: float, purchases: tuple[int, int]) -> None:
    less, more = (graded(HARD, performance, bought=bought) for bought in sorted(purchases))
    assert more.score <= less.score


@given(purchases=st.tuples(*[st.integers(0, MEDIUM.budget)] * 2))
def test_on_medium_buying_little_is_no_merit(purchases: tuple[int, int]) -> None:
    less, more = (graded(MEDIUM, 0.6, bought=bought) for bought in sorted(purchases))
    assert less.score <= more.score


@pytest.mark.slow
def test_playing_and_grading_need_no_network() -> None:
    script = """
import sys

def refuse(event, arguments):
    if event.startswith("socket."):
        raise RuntimeError(f"{event} {arguments}")

sys.addaudithook(refuse)

from dataselect_env.evaluation.rollout import rollout
from dataselect_env.policies import get_policy

print(rollout(get_policy("probing"), "hard", 20_005).grade.score)

import socket
try:
    socket.socket()
except RuntimeError:
    print("refused")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=clean_environ(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    score, refused = done.stdout.split()
    assert 0 < float(score) < 1
    assert refused == "refused"
