"""What people are shown is true, fits the screen, and reads well without colours."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from click import unstyle

from dataselect_env.core.grading import TracePoint, grade
from dataselect_env.core.models import Action, RewardMode
from dataselect_env.core.tasks import DYNAMICS_VERSION, TASKS, Task
from dataselect_env.evaluation.baseline import BASELINE_POLICIES, BASELINE_SEEDS, BaselineReport, summarise
from dataselect_env.evaluation.rollout import Rollout, rollout
from dataselect_env.policies import AnyPolicy, Policy, constant, get_policy
from dataselect_env.rendering import terminal

REWARD_MODES: tuple[RewardMode, ...] = ("shaped", "grade")
COMPARED = [get_policy(name) for name in BASELINE_POLICIES]
SHOWN = [*COMPARED, get_policy("oracle"), get_policy("one-min-uncertainty")]
WHOLE_BUDGET = constant("all at once", "Spends the budget in one step.", Action.select(1_000, random=1))


def shown(episode: Rollout, policy: AnyPolicy, reward_mode: RewardMode = "shaped") -> str:
    task, replies = TASKS[episode.task_id], episode.replies
    parts = [terminal.header(task, policy, replies[0], reward_mode)]
    parts += [terminal.step(task, before, after) for before, after in pairwise(replies)]
    return "\n".join([*parts, terminal.verdict(task, replies[-1], episode.episode_return)])


def flat(text: str) -> str:
    """Return a text without colours and line breaks."""
    return " ".join(unstyle(text).split())


@pytest.mark.parametrize("reward_mode", REWARD_MODES)
@pytest.mark.parametrize("task_id", TASKS)
def test_every_episode_fits_eighty_columns(task_id: str, reward_mode: RewardMode) -> None:
    for policy in (*SHOWN, WHOLE_BUDGET):
        text = unstyle(shown(rollout(policy, task_id, 20_003, reward_mode=reward_mode), policy, reward_mode))
        assert [line for line in text.splitlines() if len(line) > 80] == [], policy.name


def test_long_names_are_wrapped() -> None:
    name = "some.package.of.a.user.with.a.long.name:and_a_policy"
    policy = constant(name, "Does this and that. " * 6, Action.stop())
    first = rollout(get_policy("stop"), "easy", 7).replies[0]
    assert max(map(len, unstyle(terminal.header(TASKS["easy"], policy, first, "shaped")).splitlines())) <= 80


@pytest.mark.parametrize(
    ("share", "filled"), [(-1.0, 0), (0.0, 0), (0.04, 0), (0.06, 1), (0.5, 5), (0.96, 10), (1.0, 10), (7.0, 10)]
)
def test_bar(share: float, filled: int) -> None:
    assert terminal.bar(share) == terminal.FULL * filled + terminal.EMPTY * (10 - filled)


def test_header_names_what_is_played_and_what_passes() -> None:
    first = rollout(get_policy("stop"), "medium", 20_003).replies[0]
    text = flat(terminal.header(TASKS["medium"], get_policy("stop"), first, "grade"))
    for fact in (
        f"Task medium: {TASKS['medium'].summary}",
        "Policy stop: Stops at once",
        "Seed 20003 (test split); rewards: grade",
        "Budget 150 samples in at most 12 steps; 25% of the labels are wrong",
        f"Passes {TASKS['medium'].success_criteria}",
        f"Score {TASKS['medium'].score_formula}",
        f"0/12 {first.observation.current_performance:.3f}",
    ):
        assert fact in text


def test_seed_outside_all_splits_has_none_named() -> None:
    first = rollout(get_policy("stop"), "easy", 4_000_000).replies[0]
    assert "Seed    4000000; rewards" in unstyle(terminal.header(TASKS["easy"], get_policy("stop"), first, "shaped"))


def test_step_shows_the_purchase_and_its_effect() -> None:
    before, after = rollout(get_policy("balanced"), "hard", 20_003).replies[:2]
    assert after.info is not None
    row, reward = unstyle(terminal.step(TASKS["hard"], before, after)).splitlines()
    seen, was = after.observation, before.observation
    wrong = after.info.mislabelled or 0
    assert row.split()[:7] == ["1/8", "4", "4", "2", "10", str(wrong), f"{wrong / 10:.0%}"]
    assert row.split()[7] == f"{seen.current_performance:.3f}"
    assert row.split()[9] == f"{seen.current_performance - was.current_performance:+.3f}"
    assert row.split()[10:] == ["90", terminal.bar(0.9)]
    assert reward.split()[:2] == ["reward", f"{after.reward:+.2f}:"]


def test_reward_line_has_the_biggest_terms_first() -> None:
    before, after = rollout(get_policy("balanced"), "hard", 20_003).replies[:2]
    assert after.info is not None
    biggest = sorted(after.info.reward_terms.values(), key=abs, reverse=True)[:3]
    line = unstyle(terminal.step(TASKS["hard"], before, after)).splitlines()[1]
    assert re.findall(r"[+-]\d+\.\d+", line)[1:] == [f"{value:+.2f}" for value in biggest]
    assert line.endswith(", ...")


def test_lone_reward_term_is_not_told_twice() -> None:
    before, after = rollout(get_policy("random"), "hard", 20_003, reward_mode="grade").replies[:2]
    assert unstyle(terminal.step(TASKS["hard"], before, after)).splitlines()[1] == f"      reward {after.reward:+.3f}"


def test_step_that_buys_nothing() -> None:
    before, after = rollout(get_policy("stop"), "easy", 20_003).replies
    assert "nothing bought" in terminal.step(TASKS["easy"], before, after)


def test_reply_to_a_reset_is_no_step() -> None:
    first = rollout(get_policy("stop"), "easy", 20_003).replies[0]
    with pytest.raises(ValueError, match="not a step"):
        terminal.step(TASKS["easy"], first, first)


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (get_policy("stop"), "after 1 of 8 steps: the policy stopped."),
        (get_policy("random"), "after 8 of 8 steps: all steps are taken."),
        (WHOLE_BUDGET, "after 1 of 8 steps: the budget is spent."),
    ],
    ids=lambda value: value.name if isinstance(value, Policy) else "",
)
def test_verdict_tells_why_it_ended(policy: AnyPolicy, reason: str) -> None:
    episode = rollout(policy, "hard", 20_003)
    assert reason in terminal.verdict(TASKS["hard"], episode.replies[-1], 0.0)


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_shortfalls_are_named_exactly_when_an_episode_fails(task: Task) -> None:
    for performance in (0.3, task.pass_performance, task.pass_performance + 0.01, 0.9):
        for bought, mislabelled in ((0, 0), (20, 0), (20, 9), (20, 10), (20, 11), (20, 20)):
            result = grade(task, [TracePoint(0, 0, 0.5), TracePoint(bought, mislabelled, performance)])
            missed = terminal.shortfalls(task, result.breakdown)
            assert result.passed == (missed == []), (performance, bought, mislabelled)
            assert any("performance" in reason for reason in missed) == (performance <= task.pass_performance)


@pytest.mark.parametrize("policy", [get_policy("diversity"), get_policy("uncertainty")], ids=lambda policy: policy.name)
@pytest.mark.parametrize("task_id", TASKS)
def test_verdict_ends_with_passed_or_why_not(task_id: str, policy: AnyPolicy) -> None:
    episode = rollout(policy, task_id, 20_003)
    text = flat(terminal.verdict(TASKS[task_id], episode.replies[-1], episode.episode_return))
    missed = terminal.shortfalls(TASKS[task_id], episode.grade.breakdown)
    assert text.endswith(
        "NOT PASSED: " + "; ".join(missed) if missed else f" PASSED: {TASKS[task_id].success_criteria}"
    )
    assert ("NOT PASSED" in text) == (missed != [])


def test_verdict_has_the_grade_with_its_weighted_parts() -> None:
    episode = rollout(get_policy("diversity"), "hard", 20_003)
    parts = episode.grade.breakdown
    text = flat(terminal.verdict(TASKS["hard"], episode.replies[-1], episode.episode_return))
    for fact in (
        f"Bought 80 of 100 samples; {parts.avg_noise_ratio:.0%} of them carry a wrong label.",
        f"Grade {episode.grade.score:.3f}",
        f"0.65 x performance score {parts.performance_score:.3f}",
        f"0.35 x efficiency {parts.efficiency:.3f}",
        f"Return {episode.episode_return:+.3f}",
    ):
        assert fact in text
    assert "noise score" not in text


def table() -> str:
    seeds = BASELINE_SEEDS[:2]
    rows = [
        summarise(policy, task_id, [rollout(policy, task_id, seed) for seed in seeds])
        for task_id in TASKS
        for policy in COMPARED
    ]
    report = BaselineReport(dynamics_version=DYNAMICS_VERSION, reward_mode="shaped", seeds=seeds, rows=tuple(rows))
    return unstyle(terminal.baseline_table(report))


def test_baseline_table() -> None:
    lines = table().splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("2 seeds (20000 to 20001)")
    headings = [line.split()[0] for line in lines if "score" in line and line.split()[0] in TASKS]
    assert headings == list(TASKS)
    assert [line.split()[0] for line in lines if "±" in line][1:] == list(BASELINE_POLICIES) * len(TASKS)
    assert len({len(line) for line in lines if line and line.split()[0] in (*TASKS, *BASELINE_POLICIES)}) == 1


def test_ascii_stand_ins_cover_all_signs() -> None:
    episode = rollout(get_policy("balanced"), "easy", 20_003)
    assert shown(episode, get_policy("balanced")).translate(terminal.ASCII).isascii()
    assert table().translate(terminal.ASCII).isascii()


def test_no_step_of_a_reply_is_lost() -> None:
    episode = rollout(get_policy("random"), "easy", 20_003)
    steps = re.findall(r"^ ?(\d+)/15", unstyle(shown(episode, get_policy("random"))), flags=re.MULTILINE)
    assert [int(step) for step in steps] == [reply.step for reply in episode.replies]
