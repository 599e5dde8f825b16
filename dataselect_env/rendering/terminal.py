"""Episodes and tables as text for a terminal: at most 80 columns, with ANSI colours that ``click.echo`` can strip."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter

import click

from dataselect_env.core.models import GradeBreakdown, Reply, RewardMode, StepInfo
from dataselect_env.core.strategies.sampling import STRATEGIES
from dataselect_env.core.tasks import Task, split_of
from dataselect_env.evaluation.baseline import BaselineReport, BaselineRow
from dataselect_env.evaluation.rollout import final_grade
from dataselect_env.policies.policy import AnyPolicy

WIDTH = 80
BAR_WIDTH = 10
MOST_TERMS = 3
"""Number of reward terms shown per step, largest first."""
PURCHASE_WIDTH = 31
FULL, EMPTY = "█", "░"
ASCII = str.maketrans({FULL: "#", EMPTY: ".", "±": "~"})
"""Replacements for output encodings without these characters."""

END_REASONS = {
    "stop": "the policy stopped",
    "budget": "the budget is spent",
    "max_steps": "all steps are taken",
    "pool": "the pool is empty",
}


def bar(share: float, width: int = BAR_WIDTH) -> str:
    """Return a bar of ``width`` characters, filled to ``share``, which is clipped to [0, 1]."""
    filled = round(width * min(1.0, max(0.0, share)))
    return FULL * filled + EMPTY * (width - filled)


def header(task: Task, policy: AnyPolicy, first: Reply, reward_mode: RewardMode) -> str:
    """Return task, policy and pass criteria, then the heading of the table of steps and the row of the reset."""
    low, high = task.performance_range
    split = split_of(first.seed)
    facts = [
        ("Task", f"{task.task_id}: {task.summary}"),
        ("Policy", f"{policy.name}: {policy.description}"),
        (
            "Seed" if first.index is None else "Index",
            f"{first.seed if first.index is None else first.index}{f' ({split} split)' if split else ''};"
            f" rewards: {reward_mode}",
        ),
        (
            "Budget",
            f"{task.budget} samples in at most {task.max_steps} steps; {task.flip_y:.0%} of the labels are "
            f"{'' if task.audited else 'thought '}wrong",
        ),
        ("Passes", task.success_criteria),
        ("Score", task.score_formula),
    ]
    heading = f"{'step':>5}{'unc.':>5}{'div.':>5}{'rand':>5}{'all':>6}{'wrong':>10}"
    if task.extra_strategies:
        facts.append(("Further", f"{', '.join(task.extra_strategies)}; what they bought counts in the column all"))
    heading += f"   {f'performance ({low:.2f}-{high:.2f})':<24}left"
    lines = [_wrapped(f"{name:<8}", text) for name, text in facts]
    lines += ["", click.style(heading, bold=True), _row(task, None, first, " " * PURCHASE_WIDTH)]
    return "\n".join(lines)


def step(task: Task, before: Reply, after: Reply) -> str:
    """Return the two lines of a step: the purchase and its effect, and the reward with its largest terms."""
    info = after.info
    if info is None:
        raise ValueError("the reply to a reset is not a step")
    return f"{_row(task, before, after, _purchase(task, info))}\n{_reward(after.reward or 0.0, info)}"


def verdict(task: Task, last: Reply, episode_return: float) -> str:
    """Return the end of an episode: why it ended, the grade with its parts, and whether it passed or why not."""
    grade, info = final_grade(last), last.info
    parts = grade.breakdown
    reason = END_REASONS[info.end_reason] if info and info.end_reason else "it ended"
    bought = f"Bought {parts.budget_used} of {parts.budget} samples"
    if parts.avg_noise_ratio is not None:
        bought += f"; {parts.avg_noise_ratio:.0%} of them carry a wrong label"
    lines = [f"The episode is over after {last.step} of {task.max_steps} steps: {reason}.", f"{bought}.", ""]
    lines.append(click.style(f"Grade  {grade.score:.3f}  {bar(grade.score)}", bold=True))
    for name, value, weight in _weighted(task, parts):
        lines.append(f"  {weight:>4g} x {name:<18} {value:.3f}  {bar(value)}")
    lines.append(f"Return {episode_return:+.3f}, the sum of the rewards")
    if grade.passed:
        lines.append(_wrapped("PASSED: ", task.success_criteria, fg="green"))
    else:
        lines.append(_wrapped("NOT PASSED: ", "; ".join(shortfalls(task, parts)), fg="red"))
    return "\n".join(lines)


def shortfalls(task: Task, parts: GradeBreakdown) -> list[str]:
    """Return why an episode did not pass, one clause for each missed criterion."""
    missed = []
    if parts.performance <= task.pass_performance:
        missed.append(f"performance {parts.performance:.4f} is not above {task.pass_performance:.2f}")
    if task.pass_noise is not None:
        if parts.avg_noise_ratio is None:
            missed.append("nothing was bought")
        elif parts.avg_noise_ratio >= task.pass_noise:
            missed.append(f"noise ratio {parts.avg_noise_ratio:.4f} is not below {task.pass_noise:.2f}")
    return missed


def baseline_table(report: BaselineReport) -> str:
    """Return the report as a table with one block for each task."""
    first, last = report.seeds[0], report.seeds[-1]
    lines = [f"{len(report.seeds)} seeds ({first} to {last}) a row; score: mean ± standard error."]
    columns = f"{'score':<14} passed   return  performance   noise  bought"
    for task_id, rows in groupby(report.rows, key=attrgetter("task_id")):
        lines += ["", click.style(f"{task_id:<12} {columns}", bold=True), *map(_table_row, rows)]
    return "\n".join(lines)


def _table_row(row: BaselineRow) -> str:
    noise = "-" if row.mean_noise_ratio is None else f"{row.mean_noise_ratio:.1%}"
    score = f"{row.mean_score:.3f} ± {row.score_standard_error:.3f}"
    return (
        f"{row.policy:<12} {score:<14} {row.pass_rate:>6.0%} {row.mean_return:>+8.2f}"
        f" {row.mean_performance:>12.3f} {noise:>7} {row.mean_budget_used:>7.1f}"
    )


def _wrapped(title: str, text: str, fg: str | None = None) -> str:
    """Return a bold title followed by wrapped text, indented under it."""
    wrapped = click.wrap_text(text, width=WIDTH, initial_indent=title, subsequent_indent=" " * len(title))
    return click.style(title, fg=fg, bold=True) + wrapped[len(title) :]


def _purchase(task: Task, info: StepInfo) -> str:
    """Return the number of samples by strategy, their sum, and the number of wrong labels."""
    if not info.batch_size:
        return "  nothing bought".ljust(PURCHASE_WIDTH)
    counts = "".join(f"{info.bought_by[name]:>5}" for name in STRATEGIES)
    if info.mislabelled is None:
        return f"{counts}{info.batch_size:>6}{'unknown':>10}"
    noise = info.mislabelled / info.batch_size
    wrong = click.style(f"{info.mislabelled:>4} {noise:>5.0%}", fg="red" if noise > task.flip_y else "green")
    return f"{counts}{info.batch_size:>6}{wrong}"


def _row(task: Task, before: Reply | None, after: Reply, purchase: str) -> str:
    """Return a row of the table of steps: step, purchase, performance and its change, remaining budget."""
    low, high = task.performance_range
    performance = after.observation.current_performance
    change = " " * 6
    if before is not None:
        difference = round(performance - before.observation.current_performance, 3) + 0.0  # no negative zero
        change = click.style(f"{difference:+.3f}", fg=_colour(difference))
    left = after.observation.remaining_budget
    return (
        f"{after.step:>2}/{task.max_steps:<2}{purchase}"
        f"   {performance:.3f} {bar((performance - low) / (high - low))} {change}"
        f" {left:>4} {click.style(bar(left / task.budget), fg='cyan')}"
    )


def _reward(reward: float, info: StepInfo) -> str:
    """Return the line of a reward. Terms are named by their first word; a single term is the reward itself."""
    lone = len(info.reward_terms) == 1
    terms = sorted(info.reward_terms.items(), key=lambda term: -abs(term[1]))
    shown = [f"{name.split('_')[0]} {value:+.2f}" for name, value in terms[:MOST_TERMS] if value and not lone]
    if any(value for _, value in terms[MOST_TERMS:]):
        shown.append("...")
    total = click.style(f"{reward:+.3f}" if lone else f"{reward:+.2f}", fg=_colour(reward), bold=True)
    return f"      reward {total}{': ' if shown else ''}{', '.join(shown)}"


def _colour(change: float) -> str | None:
    return "green" if change > 0 else "red" if change < 0 else None


def _weighted(task: Task, parts: GradeBreakdown) -> Iterable[tuple[str, float, float]]:
    rows = (
        ("performance score", parts.performance_score, task.performance_weight),
        ("noise score", parts.noise_score, task.noise_weight),
        ("efficiency", parts.efficiency, task.efficiency_weight),
    )
    return (row for row in rows if row[2])
