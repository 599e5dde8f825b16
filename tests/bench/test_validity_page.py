"""bench/validity: the page is made from the results, and the results are what the package does today."""

from __future__ import annotations

import json
import re
from statistics import fmean
from typing import Any

import numpy as np
import pytest

from bench.validity import candidates, coverage, measure, page
from dataselect_env.core.tasks import PINNED, SPLITS, split_of
from dataselect_env.evaluation.evaluate import Plan, evaluate
from dataselect_env.evaluation.records import Versions
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.policies import GROUPS, get_policy

LARGEST_PICTURE = 150_000
LEAST_COVERAGE = {10: 0.84, 20: 0.88, 50: 0.91}
"""Lowest coverage of any case by number of seeds; the page names it."""
REPEATED = ("stop", "best-constant", "probing", "oracle")
"""Policies that play a whole block again here; it takes some seconds."""


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page.RESULTS.read_text(encoding="utf-8"))
    return found


def test_the_page_is_rendered_from_the_results(results: dict[str, Any]) -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.rendered(text, results) == text
    assert set(re.findall(r"<!-- rendered: (\w+) -->", text)) == set(page.RENDERERS)


def test_results_are_of_these_dynamics_and_policies(results: dict[str, Any]) -> None:
    versions = Versions.current()
    assert (results["versions"]["package"], results["versions"]["dynamics"]) == (versions.package, versions.dynamics)
    for block in results["blocks"].values():
        for task in PINNED:
            assert tuple(block["ladder"][task]) == GROUPS["all"]


def test_blocks_are_held_out(results: dict[str, Any]) -> None:
    ends = [(block["first_seed"], block["last_seed"]) for block in results["blocks"].values()]
    assert [last - first + 1 for first, last in ends] == [50, 50]
    assert [{split_of(seed) for seed in range(first, last + 1)} for first, last in ends] == [{"test"}, {None}]
    tuned = json.loads(page.TUNING.read_text(encoding="utf-8"))["seeds"]
    assert all(seed in SPLITS["train"] for seed in tuned)


@pytest.mark.slow
@pytest.mark.parametrize("task_id", PINNED)
def test_results_come_out_again(results: dict[str, Any], task_id: str) -> None:
    block = results["blocks"]["test split"]
    seeds = tuple(range(block["first_seed"], block["last_seed"] + 1))
    cells = measure.cells_of(evaluate(Plan(policies=REPEATED, tasks=(task_id,), seeds=seeds)))
    for policy in REPEATED:
        recorded = block["ladder"][task_id][policy]
        assert fmean(measure.scores(cells, task_id, policy)) == pytest.approx(recorded["score"], rel=1e-4)
        assert fmean(measure.returns(cells, task_id, policy)) == pytest.approx(recorded["return"], rel=1e-4)


def test_pictures_are_there_and_small() -> None:
    names = re.findall(r"!\[[^]]+\]\((\S+)\)", page.PAGE.read_text(encoding="utf-8"))
    assert len(names) == 4
    for name in names:
        picture = (page.HERE / name).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < LARGEST_PICTURE


def test_a_shortfall_would_be_told(results: dict[str, Any]) -> None:
    block = json.loads(json.dumps(results["blocks"]["test split"]))
    before = dict(page.verdicts(block))
    block["exploits"]["hard"]["return"]["above"] = ["giant-random"]
    block["telescoping"]["largest_error"] = 0.1
    block["random_policies"]["easy"]["spearman"] = 0.85
    changed = {goal: told for goal, told in page.verdicts(block) if told != before[goal]}
    assert sorted(goal[:2] for goal in changed) == ["A3", "A4", "A5"]
    assert {verdict for _, verdict in changed.values()} == {"**falls short**"}
    assert "giant-random on hard" in changed["A3 none above the best constant in return"][0]


# --- coverage of intervals ------------------------------------------------------------------------------------------


def test_coverage_comes_out_again() -> None:
    case = coverage.Case("easy", "oracle")
    again = coverage.simulate(case, samples=100)
    kept = json.loads(page.COVERAGE.read_text(encoding="utf-8"))
    recorded = [row for row in kept["rows"] if (row["task"], row["case"]) == (case.task, case.title)]
    assert [row["seeds"] for row in recorded] == [row["seeds"] for row in again] == [10, 20, 50]
    for ours, theirs in zip(again, recorded, strict=True):
        for method in coverage.METHODS.keys() & ours.keys():
            assert ours[method]["coverage"] == pytest.approx(theirs[method]["coverage"], abs=0.16)  # four errors of 100


def test_grades_behind_the_coverage_are_what_policies_score() -> None:
    for case in (coverage.Case("hard", "probing"), coverage.Case("easy", "ppo")):
        seeds = range(coverage.FIRST_SEED, coverage.FIRST_SEED + 10)
        grades = sorted(rollout(get_policy(case.policy), case.task, seed).grade.score for seed in seeds)
        assert np.sort(coverage.values_of(case)[0]) == pytest.approx(grades, abs=1e-4)


def test_worlds_are_told_apart_in_a_block() -> None:
    core, other = coverage.worlds(coverage.values_of(coverage.Case("medium", "best-constant"))[np.newaxis])
    assert core.size == 1.5 * other.size
    assert core.mean() > other.mean() + 0.3


def test_evaluate_covers_at_least_as_often_as_the_methods_that_know_no_more() -> None:
    kept = json.loads(page.COVERAGE.read_text(encoding="utf-8"))
    assert {row["task"] for row in kept["rows"]} == set(PINNED)
    for row in kept["rows"]:
        assert row["evaluate"]["coverage"] >= row["t within worlds"]["coverage"]
        assert row["evaluate"]["coverage"] >= LEAST_COVERAGE[row["seeds"]]


# --- candidates -----------------------------------------------------------------------------------------------------


def test_grid_entries_are_what_their_names_say() -> None:
    info = rollout(get_policy(candidates.full_name("u25_d0_r75_b20")), "easy", 3).replies[1].info
    assert info is not None
    assert info.bought_by == {"uncertainty": 5, "diversity": 0, "random": 15}
    assert len(candidates.GRID) == len(set(candidates.GRID)) == 91


@pytest.mark.parametrize("number", range(6))
def test_random_policies_are_the_same_each_time(number: int) -> None:
    name = candidates.full_name(f"random_{number}")
    one, again = (rollout(get_policy(name), "hard", 3) for _ in range(2))
    assert [reply.reward for reply in one.replies] == [reply.reward for reply in again.replies]
    assert candidates.FAMILIES[number % 3] in get_policy(name).description


def test_random_policies_differ() -> None:
    returns = {rollout(candidates.random_policy(number), "easy", 3).episode_return for number in range(12)}
    assert len(returns) == 12


def test_no_other_names() -> None:
    with pytest.raises(AttributeError, match="no attribute 'u1_d2'"):
        candidates.u1_d2  # noqa: B018


# --- measures -------------------------------------------------------------------------------------------------------


def test_odds_mix_the_worlds() -> None:
    worlds = {"probing": {"core": 0.6, "confident": 0.7}, "best-constant": {"core": 0.7, "confident": 0.2}}
    table = {task: {name: {"worlds": means} for name, means in worlds.items()} for task in measure.LADDER_TASKS}
    found = measure.odds(table)["hard"]
    assert found == pytest.approx({"0.2": 0.02, "0.3": 0.08, "0.4": 0.14, "0.5": 0.2, "0.6": 0.26})


def test_telescoping_sees_what_is_off() -> None:
    (one,) = evaluate(Plan(policies=("random",), tasks=("hard",), seeds=(3,), reward_mode="grade"))
    assert measure.telescoping([one])["largest_error"] < 1e-12
    off = one.model_copy(update={"rewards": (*one.rewards, 0.25)})
    assert measure.telescoping([one, off])["largest_error"] == pytest.approx(0.25)


def test_exploits_sees_who_is_above() -> None:
    policies = tuple(dict.fromkeys(("best-constant", *GROUPS["degenerate"])))
    cells = dict(measure.cells_of(evaluate(Plan(policies=policies, tasks=tuple(PINNED), seeds=(3, 4)))))
    for task in PINNED:
        cells[task, "best-constant"], cells[task, "stop"] = cells[task, "stop"], cells[task, "best-constant"]
    found = measure.exploits(cells)["medium"]
    assert "stop" in found["grade"]["above"]
    assert "stop" in found["return"]["above"]
