"""The picture of a curation: how the model does by rows bought.

Needs matplotlib (the extra ``plot``), which is imported when something is drawn.
"""
# ruff: noqa: PLC0415  (for the same reason)

from __future__ import annotations

from typing import TYPE_CHECKING

from dataselect_env.curation.comparison import EVERYTHING, NOTHING
from dataselect_env.curation.report import Comparison, CurationReport
from dataselect_env.rendering import palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHOSEN = (palette.VERMILION, "-", "o")
RIVALS = (
    (palette.PURPLE, (0, (1, 1)), "P"),
    (palette.BLUE, (0, (4, 1.5)), "D"),
    (palette.SKY_BLUE, "-.", "^"),
)
WIDTH, HEIGHT = 8.4, 3.6
"""Inches."""


def figure(report: CurationReport) -> Figure:
    """Return the picture of a report.

    With a comparison: accuracy and performance on trusted rows that the choice has not seen, for each contender.
    Without one: performance on the validation half of the trusted rows, which drove the policy.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(palette.STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        if report.comparison is None:
            _draw_steps(figure.subplots(), report)
        else:
            for ax, place, name in zip(figure.subplots(1, 2), (1, 2), ("accuracy", "performance"), strict=True):
                _draw_curves(ax, report.comparison, report.policy, place)
                ax.set(title=name, xlabel="rows chosen", ylabel=f"{name} on trusted rows")
            lines = figure.axes[0].get_lines()
            figure.legend(handles=lines, loc="outside upper center", ncols=len(lines), fontsize=8.5)
            note = f"cross-validation on {report.trusted_rows} trusted rows, {report.comparison.folds} folds"
            figure.supxlabel(note, fontsize=7.5, color=palette.NOTE)
    return figure


def _draw_curves(ax: Axes, comparison: Comparison, policy: str, place: int) -> None:
    """Draw one line for each policy, and a level for the model of every row; ``place`` is that in a point."""
    looks = iter(RIVALS)
    for one in comparison.contenders:
        if one.name == NOTHING:
            continue  # the start of every curve
        if one.name == EVERYTHING:
            ax.axhline(one.curve[-1][place], color=palette.LINE, linewidth=1, linestyle=":", label=one.name)
            continue
        colour, dashes, marker = CHOSEN if one.name == policy else next(looks)
        x, y = [point[0] for point in one.curve], [point[place] for point in one.curve]
        ax.plot(x, y, color=colour, linestyle=dashes, marker=marker, markersize=4, linewidth=1.7, label=one.name)


def _draw_steps(ax: Axes, report: CurationReport) -> None:
    colour, dashes, marker = CHOSEN
    x, y = [step.bought for step in report.steps], [step.performance for step in report.steps]
    ax.plot(x, y, color=colour, linestyle=dashes, marker=marker, markersize=4, linewidth=1.7)
    ax.set(title=report.policy, xlabel="rows chosen", ylabel="performance of the learner", xlim=(0, None))
