"""The baseline's figures are those of its rollouts, and nothing else changes them."""

from __future__ import annotations

import os
import subprocess
import sys
from statistics import fmean, stdev

import pytest

from dataselect_env.core.tasks import DYNAMICS_VERSION, PINNED, SPLITS
from dataselect_env.evaluation import baseline
from dataselect_env.evaluation.baseline import BaselineReport, BaselineRow, baseline_report, episode_count
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.policies import get_policy

SEEDS = baseline.BASELINE_SEEDS[:2]
FIVE = ("balanced", "random", "uncertainty", "diversity", "stop")
SHORT = f"from dataselect_env.evaluation import baseline; baseline.BASELINE_SEEDS = {SEEDS}"


@pytest.fixture(scope="module")
def report() -> BaselineReport:
    """The report on two seeds: the whole one takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baseline, "BASELINE_SEEDS", SEEDS)
        return baseline_report()


def row_of(report: BaselineReport, task_id: str, policy: str) -> BaselineRow:
    return next(row for row in report.rows if (row.task_id, row.policy) == (task_id, policy))


def test_seeds_are_held_out_and_fixed() -> None:
    assert len(set(baseline.BASELINE_SEEDS)) == 20
    assert all(seed in SPLITS["test"] for seed in baseline.BASELINE_SEEDS)


def test_one_row_for_each_task_and_policy(report: BaselineReport) -> None:
    assert [(row.task_id, row.policy) for row in report.rows] == [(task, name) for task in PINNED for name in FIVE]
    assert {row.seeds for row in report.rows} == {len(SEEDS)}
    assert (report.dynamics_version, report.reward_mode, report.seeds) == (DYNAMICS_VERSION, "shaped", SEEDS)


@pytest.mark.parametrize(("task_id", "policy"), [("easy", "balanced"), ("medium", "uncertainty"), ("hard", "random")])
def test_figures_are_those_of_the_rollouts(report: BaselineReport, task_id: str, policy: str) -> None:
    episodes = [rollout(get_policy(policy), task_id, seed) for seed in SEEDS]
    scores = [episode.grade.score for episode in episodes]
    parts = [episode.grade.breakdown for episode in episodes]
    expected = {
        "mean_score": fmean(scores),
        "score_standard_error": stdev(scores) / 2**0.5,
        "pass_rate": fmean(episode.grade.passed for episode in episodes),
        "mean_return": fmean(episode.episode_return for episode in episodes),
        "mean_performance": fmean(part.performance for part in parts),
        "mean_noise_ratio": fmean(part.avg_noise_ratio or 0 for part in parts),
        "mean_budget_used": fmean(part.budget_used for part in parts),
    }
    row = row_of(report, task_id, policy).model_dump()
    assert {name: row[name] for name in expected} == pytest.approx(expected, abs=5.1e-5)


def test_figures_are_rounded(report: BaselineReport) -> None:
    figures = [value for row in report.rows for value in row.model_dump().values() if isinstance(value, float)]
    assert figures == [round(figure, 4) for figure in figures]
    assert len(figures) >= 6 * len(report.rows)


def test_who_buys_nothing_has_no_noise_ratio(report: BaselineReport) -> None:
    for task_id in PINNED:
        row = row_of(report, task_id, "stop")
        assert row.mean_noise_ratio is None
        assert row.mean_budget_used == 0


@pytest.mark.slow
def test_same_in_another_process(report: BaselineReport) -> None:
    command = f"{SHORT}; print(baseline.baseline_report().model_dump_json())"
    environment = {**os.environ, "PYTHONHASHSEED": "12"}
    elsewhere = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True, env=environment
    )
    assert BaselineReport.model_validate_json(elsewhere.stdout) == report


def test_progress_adds_up_to_the_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline, "BASELINE_SEEDS", SEEDS)
    monkeypatch.setattr(baseline, "BASELINE_POLICIES", ("stop", "random"))
    calls: list[int] = []
    baseline_report(calls.append)
    assert calls == [1] * episode_count()
    assert episode_count() == len(SEEDS) * 2 * len(PINNED)


@pytest.mark.parametrize("model", [BaselineRow, BaselineReport])
def test_every_field_is_described(model: type[BaselineRow | BaselineReport]) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description] == []
