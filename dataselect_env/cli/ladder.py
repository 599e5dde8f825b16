"""The report of an evaluation as text for people: one block a task, at most 80 columns."""

from __future__ import annotations

import click

from dataselect_env.evaluation.ladder import Report, Row, Settings
from dataselect_env.evaluation.statistics import Difference
from dataselect_env.rendering.terminal import WIDTH

NAME_WIDTH = 20
HEADING = f"{'score':<11} pass perf. noise bought  return"


def ladder_table(report: Report) -> str:
    """Return all ladders, the best policy of each on top."""
    settings = report.settings
    lines = [click.wrap_text(explanation(settings), width=WIDTH)]
    heading = HEADING + ("  difference" if settings.reference else "")
    for task_id in settings.tasks:
        rows = sorted((row for row in report.rows if row.task_id == task_id), key=lambda row: -row.score.mean)
        lines += ["", click.style(f"{task_id:<{NAME_WIDTH}} {heading}", bold=True), *map(_line, rows)]
    return "\n".join(lines)


def explanation(settings: Settings) -> str:
    """Return what was played and how to read the table."""
    split = f", {settings.split} split" if settings.split else ""
    host = settings.host
    kind = "indices" if host is not None and host.sealed else "seeds"
    text = "" if host is None else f"Played on {host.url}{f' by {host.agent}' if host.agent else ''}. "
    text += (
        f"{settings.seeds} {kind} ({settings.first_seed} to {settings.last_seed}{split}), rewards: "
        f"{settings.reward_mode}. ± is the distance from the mean to the farther end of its interval. Intervals are "
        f"{settings.intervals}."
    )
    if settings.reference:
        text += f" difference: score minus that of {settings.reference}; * marks a corrected p value below 0.05."
    if settings.refused:
        text += f" {settings.refused} episodes are left out, of which the agent had its attempt before."
    for task_id, constant in settings.best_constants.items():
        text += f" On {task_id} best-constant is {constant}, the best on seeds of the train split."
    return text


def _line(row: Row) -> str:
    noise = "-" if row.noise_ratio is None else f"{row.noise_ratio:.0%}"
    score = f"{row.score.mean:.3f}±{row.score.margin:.3f}"
    figures = f"{row.pass_rate:>4.0%} {row.performance:.3f} {noise:>5} {row.bought:>6.1f} {row.episode_return:>+7.2f}"
    return f"{_short(row.policy, NAME_WIDTH):<{NAME_WIDTH}} {score} {figures}{_difference(row.difference)}"


def _difference(found: Difference | None) -> str:
    """Return the last column; it is empty for the reference itself."""
    if found is None:
        return ""
    text = f"  {found.mean:+.3f}±{found.margin:.3f}"
    if not found.significant:
        return text
    return click.style(f"{text} *", fg="green" if found.mean > 0 else "red")


def _short(name: str, width: int) -> str:
    return name if len(name) <= width else f"{name[: width - 3]}..."
