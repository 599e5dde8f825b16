"""An evaluation's records and report are those of its rollouts, played at once, in parts, or by many."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest

from dataselect_env.core.data import world_of
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.tasks import TASKS
from dataselect_env.evaluation import evaluate as room
from dataselect_env.evaluation.evaluate import Plan, evaluate, jobs_of
from dataselect_env.evaluation.ladder import Report, Row, build_report, mean_curve
from dataselect_env.evaluation.line_file import JournalError
from dataselect_env.evaluation.records import EpisodeRecord, Versions
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.evaluation.statistics import corrected, difference, mean_interval
from dataselect_env.policies import get_policy
from dataselect_env.policies.policy import PolicyError

PLAN = Plan(policies=("random-agent", "stop", "oracle"), tasks=("easy", "hard"), seeds=(20_001, 20_000, 5))
OWN = """
from dataselect_env.core.models import Action

def thrifty(task, rng):
    "Buys one batch."
    return lambda reply: Action.stop() if reply.step else Action.select(int(rng.integers(5, 20)), random=1)

def failing(task, rng):
    return lambda reply: {}["nothing"]
"""


@pytest.fixture(scope="module")
def records() -> list[EpisodeRecord]:
    return evaluate(PLAN)


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"own_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    return name


# --- records --------------------------------------------------------------------------------------------------------


def test_records_come_in_the_order_of_the_plan(records: list[EpisodeRecord]) -> None:
    assert [one.key for one in records] == PLAN.keys
    assert len(PLAN.keys) == len(PLAN) == 18
    assert [key for key in PLAN.keys if key[2] == 5][:2] == [("random-agent", "easy", 5), ("stop", "easy", 5)]


def test_seeds_may_be_of_any_type(records: list[EpisodeRecord]) -> None:
    assert evaluate(dataclasses.replace(PLAN, seeds=tuple(np.array(PLAN.seeds)))) == records


def test_a_record_is_what_the_rollout_was(records: list[EpisodeRecord]) -> None:
    for one in records:
        episode = rollout(get_policy(one.policy), one.task_id, one.number)
        parts = episode.grade.breakdown
        assert (one.score, one.passed, one.noise_ratio) == (
            episode.grade.score,
            episode.grade.passed,
            parts.avg_noise_ratio,
        )
        assert (one.bought, one.performance) == (parts.budget_used, parts.performance)
        assert one.episode_return == pytest.approx(episode.episode_return)
        assert len(one.curve) == len(one.rewards) + 1 == len(episode.replies)
        assert one.curve[0] == (0, episode.replies[0].observation.current_performance)


@pytest.mark.slow
def test_records_do_not_depend_on_the_number_of_processes(records: list[EpisodeRecord]) -> None:
    assert evaluate(PLAN, processes=2) == records


def test_reward_mode_changes_the_rewards_alone(records: list[EpisodeRecord]) -> None:
    plan = Plan(policies=PLAN.policies, tasks=PLAN.tasks, seeds=PLAN.seeds, reward_mode="grade")
    for graded, shaped in zip(evaluate(plan), records, strict=True):
        assert graded.episode_return == pytest.approx(graded.score)
        assert graded.model_copy(update={"rewards": shaped.rewards}) == shaped


@pytest.mark.slow
def test_own_policy_in_other_processes(own_module: str) -> None:
    plan = Plan(policies=(f"{own_module}:thrifty", "stop"), tasks=("hard",), seeds=(1, 2))
    found = evaluate(plan, processes=2)
    assert found == evaluate(plan)
    assert [one.policy for one in found] == [f"{own_module}:thrifty"] * 2 + ["stop"] * 2


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_own_policy_that_fails(own_module: str, processes: int) -> None:
    plan = Plan(policies=("stop", f"{own_module}:failing"), tasks=("easy",), seeds=(1, 2, 3))
    with pytest.raises(PolicyError, match=rf"policy {own_module}:failing failed in .*line 9: KeyError: 'nothing'"):
        evaluate(plan, processes=processes)


def test_misspelt_policy_fails_before_anything_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "play_job", lambda _: pytest.fail("an episode was played"))
    with pytest.raises(InvalidInput, match="there is no policy 'stopp'; did you mean stop"):
        evaluate(Plan(policies=("random", "stopp"), tasks=("easy",), seeds=(1, 2)))


def test_progress_adds_up(tmp_path: Path) -> None:
    plan = Plan(policies=("stop", "one-min-random"), tasks=("easy", "hard"), seeds=(1, 2))
    for _ in range(2):  # the second time nothing is left to play
        calls: list[int] = []
        evaluate(plan, resume=tmp_path / "run.jsonl", progress=calls.append)
        assert sum(calls) == len(plan) == 8
    assert calls == [8]


# --- going on after an interruption ---------------------------------------------------------------------------------


class PowerCutError(Exception):
    """Stands in for a power cut."""


def interrupted(after: int) -> room.Progress:
    """Return a progress callback that interrupts the run after so many episodes."""
    done = 0

    def progress(count: int) -> None:
        nonlocal done
        done += count
        if done >= after:
            raise PowerCutError

    return progress


def count_plays(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list that the names of policies go to when they play."""
    played: list[str] = []
    play_job = room.play_job

    def counted(job: room.Job) -> list[EpisodeRecord | None]:
        played.extend(job.policies)
        return play_job(job)

    monkeypatch.setattr(room, "play_job", counted)
    return played


def test_interrupted_run_goes_on(records: list[EpisodeRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "run.jsonl"
    with pytest.raises(PowerCutError):
        evaluate(PLAN, resume=target, progress=interrupted(after=7))
    played = count_plays(monkeypatch)
    assert evaluate(PLAN, resume=target) == records
    assert len(played) == 18 - 9  # three jobs of three policies were finished
    played.clear()
    assert evaluate(PLAN, resume=target) == records
    assert played == []


def test_run_killed_while_it_wrote(records: list[EpisodeRecord], tmp_path: Path) -> None:
    target = tmp_path / "run.jsonl"
    evaluate(PLAN, resume=target)
    whole = target.read_bytes()
    for end in np.random.default_rng(0).integers(whole.index(b"\n") + 1, len(whole), 5):
        target.write_bytes(whole[:end])
        assert evaluate(PLAN, resume=target) == records
        lines = target.read_bytes().splitlines()
        assert sorted(lines[1:]) == sorted(whole.splitlines()[1:])
        assert lines[0] == whole.splitlines()[0]


def test_larger_plan_plays_only_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "run.jsonl"
    evaluate(Plan(policies=("stop",), tasks=("easy",), seeds=(1, 2)), resume=target)
    played = count_plays(monkeypatch)
    evaluate(Plan(policies=("stop", "one-min-random"), tasks=("easy",), seeds=(1, 2, 3)), resume=target)
    assert sorted(played) == ["one-min-random"] * 3 + ["stop"]


def test_jobs_share_seed_and_task() -> None:
    jobs = jobs_of(PLAN, {("stop", "easy", 5), *((name, "hard", 5) for name in PLAN.policies)})
    assert [(job.seed, job.task_id) for job in jobs] == [
        (20_001, "easy"),
        (20_001, "hard"),
        (20_000, "easy"),
        (20_000, "hard"),
        (5, "easy"),
    ]
    assert [job.policies for job in jobs] == [PLAN.policies] * 4 + [("random-agent", "oracle")]


@pytest.mark.parametrize("content", ["no line", "\x00\xff" * 50, '{"policy": "stop"}\n', "# Notes\n\nText.\n"])
def test_file_of_something_else_is_left_alone(tmp_path: Path, content: str) -> None:
    target = tmp_path / "notes.md"
    target.write_text(content)
    with pytest.raises(JournalError, match=r"notes\.md"):
        evaluate(PLAN, resume=target)
    assert target.read_text() == content


def test_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"cannot be read or written: Is a directory"):
        evaluate(PLAN, resume=tmp_path)


@pytest.mark.parametrize("change", [{"reward_mode": "grade"}, {"dynamics": 1}, {"numpy": "1.0"}])
def test_episodes_of_other_rules_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    target = tmp_path / "run.jsonl"
    versions = {
        **Versions.current().model_dump(),
        **{name: value for name, value in change.items() if name != "reward_mode"},
    }
    header = {"format_version": 1, "versions": versions, "reward_mode": change.get("reward_mode", "shaped")}
    target.write_text(json.dumps(header) + "\n")
    with pytest.raises(
        JournalError, match=r"run.jsonl is of another run: (reward mode grade|dynamics 1|numpy 1.0) \(now"
    ):
        evaluate(PLAN, resume=target)


def test_broken_line_is_named(tmp_path: Path) -> None:
    target = tmp_path / "run.jsonl"
    evaluate(Plan(policies=("stop",), tasks=("easy",), seeds=(1, 2)), resume=target)
    lines = target.read_text().splitlines()
    target.write_text("\n".join([lines[0], "{}", lines[2]]) + "\n")
    with pytest.raises(JournalError, match=r"run.jsonl, line 2: not a line of an evaluation"):
        evaluate(PLAN, resume=target)


# --- report ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def report(records: list[EpisodeRecord]) -> Report:
    return build_report(PLAN, records, "stop")


def row_of(report: Report, task_id: str, policy: str) -> Row:
    return next(row for row in report.rows if (row.task_id, row.policy) == (task_id, policy))


def test_one_row_for_each_task_and_policy(report: Report) -> None:
    assert [(row.task_id, row.policy) for row in report.rows] == [(t, p) for t in PLAN.tasks for p in PLAN.policies]


def test_figures_are_those_of_the_records(report: Report, records: list[EpisodeRecord]) -> None:
    cell = [one for one in records if (one.task_id, one.policy) == ("hard", "random-agent")]
    scores, row = [one.score for one in cell], row_of(report, "hard", "random-agent")
    interval = mean_interval(scores, [world_of(one.number) for one in cell])
    assert (row.score.low, row.score.high) == pytest.approx((interval.low, interval.high), rel=1e-5)
    expected = {
        "pass_rate": fmean(one.passed for one in cell),
        "performance": fmean(one.performance for one in cell),
        "noise_ratio": fmean(one.noise_ratio or 0 for one in cell),
        "bought": fmean(one.bought for one in cell),
        "spread": float(np.std(scores, ddof=1)),
    }
    assert {name: getattr(row, name) for name in expected} == pytest.approx(expected, rel=1e-5)
    assert row.episode_return == pytest.approx(fmean(one.episode_return for one in cell), rel=1e-5)
    stops = [one.score for one in records if (one.task_id, one.policy) == ("hard", "stop")]
    assert row.difference is not None
    assert row.difference.p == pytest.approx(difference(scores, stops).p, rel=1e-5)
    assert row.difference.mean == pytest.approx(row.score.mean - fmean(stops), rel=1e-5)
    worlds = {world: fmean(one.score for one in cell if world_of(one.number) == world) for world in row.score_by_world}
    assert row.score_by_world == pytest.approx(worlds, rel=1e-5)


def test_the_reference_is_not_compared_with_itself(report: Report) -> None:
    assert row_of(report, "easy", "stop").difference is None


def test_intervals_are_taken_within_worlds() -> None:
    plan = Plan(policies=("half-diversity", "stop"), tasks=("medium",), seeds=tuple(range(20_000, 20_020)))
    records = evaluate(plan)
    row = row_of(build_report(plan, records, "stop"), "medium", "half-diversity")
    ours, theirs = ([one.score for one in records if one.policy == name] for name in plan.policies)
    worlds = [world_of(seed) for seed in plan.seeds]
    assert row.difference is not None
    for found, expected in (
        (row.score, mean_interval(ours, worlds)),
        (row.difference, difference(ours, theirs, worlds)),
    ):
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-4)
        assert found.margin < 0.7 * mean_interval(ours).margin


def test_p_values_are_corrected_for_all_comparisons_of_the_report(report: Report) -> None:
    found = [row.difference for row in report.rows if row.difference is not None]
    assert len(found) == 4
    assert [one.p_corrected for one in found] == pytest.approx([one.p_corrected for one in corrected(found)], rel=1e-4)
    assert min(one.p_corrected for one in found) == pytest.approx(min(1, 4 * min(one.p for one in found)), rel=1e-4)


def test_without_a_reference_there_are_no_differences(records: list[EpisodeRecord]) -> None:
    assert {row.difference for row in build_report(PLAN, records).rows} == {None}


def test_who_buys_nothing_has_no_noise_and_no_curve(report: Report) -> None:
    row = row_of(report, "easy", "stop")
    assert row.noise_ratio is None
    assert len(row.curve) == 1


def test_settings_say_what_was_asked_for(report: Report) -> None:
    settings = report.settings
    assert (settings.policies, settings.tasks, settings.seeds) == (PLAN.policies, PLAN.tasks, 3)
    assert (settings.first_seed, settings.last_seed, settings.split) == (5, 20_001, None)
    assert (settings.reference, settings.reward_mode) == ("stop", "shaped")
    held_out = build_report(*played("stop", seeds=(20_000, 20_001)))
    assert held_out.settings.split == "test"


def played(*policies: str, seeds: tuple[int, ...]) -> tuple[Plan, list[EpisodeRecord]]:
    plan = Plan(policies=policies, tasks=("easy",), seeds=seeds)
    return plan, evaluate(plan)


def test_report_survives_json(report: Report) -> None:
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_report_of_one_seed_has_no_interval() -> None:
    with pytest.raises(InvalidInput, match="at least 2 episodes"):
        build_report(*played("stop", seeds=(1,)))


def test_mean_curve_goes_through_the_means(records: list[EpisodeRecord]) -> None:
    cell = [one for one in records if (one.task_id, one.policy) == ("hard", "oracle")]
    curve = mean_curve(cell)
    assert curve[0] == pytest.approx((0, fmean(one.curve[0][1] for one in cell)))
    assert curve[-1] == pytest.approx((TASKS["hard"].budget, fmean(one.performance for one in cell)))
    assert len(curve) == 21
    assert [x for x, _ in curve] == sorted(x for x, _ in curve)


def test_curve_stays_where_an_episode_ended(records: list[EpisodeRecord]) -> None:
    one = next(one for one in records if one.task_id == "hard")
    short = one.model_copy(update={"curve": ((0, 0.4), (10, 0.6))})
    long = one.model_copy(update={"curve": ((0, 0.4), (10, 0.5), (30, 0.8))})
    assert mean_curve([short, long])[-1] == pytest.approx((20, (0.6 + 0.65) / 2))
