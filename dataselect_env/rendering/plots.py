"""Pictures of an evaluation: the ladder, learning curves, and return against grade.

Needs matplotlib (the extra ``plot``), which is imported when something is drawn. Policies differ in the colour and
dashes of their lines and in the shape of their points.
"""
# ruff: noqa: PLC0415  (for the same reason)

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.tasks import Task, get_task
from dataselect_env.evaluation.ladder import Report, Row
from dataselect_env.evaluation.statistics import spearman
from dataselect_env.policies import GROUPS
from dataselect_env.rendering import palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
PANEL_WIDTH = 3.9
"""Inches."""
ACCENTS = {
    "stop": (palette.GREY, ":", "s"),
    "uncertainty": (palette.ORANGE, (0, (4, 1.5)), "v"),
    "balanced": (palette.PURPLE, (0, (1, 1)), "P"),
    "random": (palette.SKY_BLUE, "-.", "^"),
    "best-constant": (palette.BLUE, "-", "D"),
    "probing": (palette.VERMILION, "-", "o"),
    "ppo": (palette.VIOLET, (0, (3, 1)), "p"),
    "oracle": (palette.GREEN, (0, (6, 1.5)), "X"),
    "greedy-oracle": (palette.BLACK, "-", "*"),
}
"""Colour, dashes and marker of the policies of the ladder. Learning curves show these and a user's own policies."""
OTHER_REFERENCE = (palette.LINE, "-", "o")
DEGENERATE = (palette.PALE, "-", ".")
OWN = (palette.YELLOW, "-", "h")
LONGEST_NAME = 22
"""Characters of a policy's name in a picture."""


class CannotPlot(InvalidInput):
    """A picture cannot be drawn; the message says why."""


def check(path: Path) -> None:
    """Check that a picture can be drawn into this file.

    Raises:
        CannotPlot: The suffix is unknown, or matplotlib is not installed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise CannotPlot(f"{path.name} should end in one of {', '.join(SUFFIXES)}")
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise CannotPlot("matplotlib is not installed; run pip install 'dataselect-env[plot]'") from error


def figure(report: Report, panels: Sequence[Panel] | None = None) -> Figure:
    """Return a figure with a column per task and a row per panel, by default all ``PANELS``."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    rows, tasks = PANELS if panels is None else panels, report.settings.tasks
    heights = [panel.height or ladder_height(report) for panel in rows]
    with rc_context(palette.STYLE):
        figure = Figure(figsize=(PANEL_WIDTH * len(tasks), sum(heights) + 0.45), layout="constrained")
        grid = figure.subplots(len(rows), len(tasks), squeeze=False, gridspec_kw={"height_ratios": heights})
        for axes, panel in zip(grid, rows, strict=True):
            for ax, task in zip(axes, tasks, strict=True):
                panel.draw(ax, report, task)
        _legend(figure)
        settings = report.settings
        notes = [f"seeds {settings.first_seed} to {settings.last_seed}", *(panel.note for panel in rows if panel.note)]
        figure.supxlabel("; ".join(notes), fontsize=7.5, color=palette.NOTE)
    return figure


def _legend(figure: Figure) -> None:
    """Put one legend above all panels if there are labelled lines."""
    lines = {line.get_label(): line for ax in figure.axes for line in ax.get_lines()}
    named = {str(name): line for name, line in lines.items() if not str(name).startswith("_")}
    if named:
        figure.legend(named.values(), named, loc="outside upper center", ncols=min(8, len(named)), fontsize=8.5)


def shown(policy: str) -> str:
    """Return a policy's name, shortened from the left: the end is the attribute's name."""
    return policy if len(policy) <= LONGEST_NAME else f"...{policy[3 - LONGEST_NAME :]}"


def look(policy: str) -> tuple[str, object, str]:
    """Return colour, dashes and marker of a policy."""
    if policy in ACCENTS:
        return ACCENTS[policy]
    if policy in GROUPS["degenerate"]:
        return DEGENERATE
    return OTHER_REFERENCE if policy in GROUPS["reference"] else OWN


def _point(marker: str) -> dict[str, Any]:
    """Return the settings of a point; a star needs more size to look as large as the others."""
    size = {"*": 10.0, ".": 7.0}.get(marker, 6.5)
    return {"marker": marker, "markersize": size, "markeredgecolor": "white", "markeredgewidth": 0.5}


def ladder_rows(report: Report, task: str) -> list[Row]:
    """Return the rows of the ladder except the degenerate policies, the worst first."""
    shown = [row for row in report.rows if row.task_id == task and look(row.policy) != DEGENERATE]
    return sorted(shown, key=lambda row: (row.score.mean, row.policy))


def ladder_height(report: Report) -> float:
    """Return the height of the ladder in inches; it grows with the number of policies."""
    return 0.9 + 0.19 * max(len(ladder_rows(report, task)) for task in report.settings.tasks)


def draw_ladder(ax: Axes, report: Report, task: str) -> None:
    """Draw mean scores with their intervals, one line per policy; degenerate policies share the lowest line."""
    rows = ladder_rows(report, task)
    for height, row in enumerate(rows):
        colour, _, marker = look(row.policy)
        ax.plot([row.score.low, row.score.high], [height, height], color=colour, linewidth=2.2, solid_capstyle="round")
        ax.plot(row.score.mean, height, color=colour, **_point(marker))
    others = [row for row in report.rows if row.task_id == task and look(row.policy) == DEGENERATE]
    names = [row.policy for row in rows]
    if others:
        scores = [row.score.mean for row in others]
        ax.plot(scores, [-1.2] * len(scores), "|", color=palette.LINE, markersize=9, markeredgewidth=1.1)
        ax.axhline(-0.55, color=palette.PALE, linewidth=0.6)
    ax.set_yticks(
        [*([-1.2] if others else []), *range(len(rows))],
        [*([f"{len(others)} degenerate"] if others else []), *map(shown, names)],
    )
    for label, name in zip(ax.get_yticklabels()[bool(others) :], names, strict=True):
        label.set_color(palette.BLACK if name in ACCENTS else palette.LINE)
    ax.set_xlim(-0.02, 1.04)
    ax.set_ylim(-1.8 if others else -0.8, len(rows) - 0.4)
    ax.grid(axis="y", visible=False)
    ax.set_title(task)
    ax.set_xlabel("grade")


def draw_curves(ax: Axes, report: Report, task: str) -> None:
    """Draw performance against samples bought for the policies of the ladder and a user's own."""
    for row in report.rows:
        if row.task_id != task or look(row.policy) in (DEGENERATE, OTHER_REFERENCE):
            continue
        colour, dashes, marker = look(row.policy)
        x, y = zip(*row.curve, strict=True)
        ax.plot(
            x,
            y,
            color=colour,
            linestyle=dashes,
            linewidth=1.7,
            label=shown(row.policy),
            markevery=[-1],
            **_point(marker),
        )
    if not get_task(task).varies:
        _mark_thresholds(ax, get_task(task))
    ax.set_title(task)
    ax.set_xlabel("budget spent, in samples")
    ax.set_ylabel("performance")


def _mark_thresholds(ax: Axes, task: Task) -> None:
    """Draw the range that is scored, and the threshold for passing."""
    ax.axhspan(*task.performance_range, color=palette.BLACK, alpha=0.035, linewidth=0)
    ax.axhline(task.pass_performance, color=palette.LINE, linewidth=0.8, linestyle=":")
    ax.annotate(
        "passes above",
        (ax.get_xlim()[1], task.pass_performance),
        (-2, 2),
        textcoords="offset points",
        ha="right",
        fontsize=7,
        color=palette.NOTE,
    )


def draw_returns(ax: Axes, report: Report, task: str) -> None:
    """Draw mean return against mean grade, one point per policy."""
    rows = [row for row in report.rows if row.task_id == task]
    for row in sorted(rows, key=lambda row: (look(row.policy) != DEGENERATE, row.policy in ACCENTS)):
        colour, _, marker = look(row.policy)
        ax.plot(row.score.mean, row.episode_return, color=colour, **_point(marker))
    scores, returns = [row.score.mean for row in rows], [row.episode_return for row in rows]
    if len(set(scores)) > 1 and len(set(returns)) > 1:
        text = f"Spearman {spearman(scores, returns):.3f} over {len(rows)} policies"
        ax.text(0.03, 0.97, text, transform=ax.transAxes, va="top", fontsize=8, color=palette.TEXT)
    ax.set_title(task)
    ax.set_xlabel("grade")
    ax.set_ylabel(f"return ({report.settings.reward_mode})")


@dataclass(frozen=True, slots=True)
class Panel:
    """A row of a figure.

    Attributes:
        draw: Draws the panel of one task.
        height: Inches; 0 is :func:`ladder_height`.
        note: Note at the foot of the figure, or nothing.
    """

    draw: Callable[[Axes, Report, str], None]
    height: float
    note: str = ""


LADDER = Panel(draw_ladder, 0, "lines through points are 95 % intervals")
CURVES = Panel(draw_curves, 2.7, "grey: the range over which performance is scored")
PANELS = (LADDER, CURVES, Panel(draw_returns, 2.6))
"""The ladder, learning curves, and return against grade."""
