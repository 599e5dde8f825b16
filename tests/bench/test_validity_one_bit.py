"""bench/validity/one_bit: what the page says about the first batch is what the package does today."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench.validity import one_bit
from dataselect_env.core.tasks import DYNAMICS_VERSION, MIN_BATCH, TASKS

RESULTS: dict[str, Any] = json.loads(one_bit.RESULTS.read_text(encoding="utf-8"))


def case(task_id: str, *, trap: bool) -> dict[str, Any]:
    (found,) = (one for one in RESULTS["cases"] if (one["task"], one["trap"]) == (task_id, trap))
    return dict(found)


def test_results_are_of_these_dynamics() -> None:
    assert RESULTS["dynamics"] == DYNAMICS_VERSION


@pytest.mark.parametrize("task_id", one_bit.HARDEST)
def test_the_first_batch_by_uncertainty_is_all_wrong_or_all_right(task_id: str) -> None:
    seeds = range(one_bit.FIRST, one_bit.FIRST + 20)
    assert {one_bit.probe(task_id, seed) for seed in seeds} == {0, MIN_BATCH}
    probes = case(task_id, trap=True)["probes"]
    assert probes[0] + probes[MIN_BATCH] == sum(probes) == one_bit.PROBES


@pytest.mark.parametrize("task_id", one_bit.HARDEST)
def test_without_the_trap_it_is_mixed_and_the_rule_still_holds(task_id: str) -> None:
    with one_bit.noise_trap(False):
        assert not TASKS[task_id].noise_trap
        assert {one_bit.probe(task_id, seed) for seed in range(one_bit.FIRST, one_bit.FIRST + 20)} >= {0, 1}
    assert TASKS[task_id].noise_trap
    on, off = case(task_id, trap=True)["grades"], case(task_id, trap=False)["grades"]
    assert on["ppo"] - on["one-bit"] < 0.05
    assert off["ppo"] < on["ppo"] - 0.1
    assert off["one-bit"] >= on["one-bit"]


def test_a_grade_comes_out_again() -> None:
    assert one_bit.mean_grade("one-bit", "hard", trap=True) == pytest.approx(
        case("hard", trap=True)["grades"]["one-bit"], rel=1e-4
    )
