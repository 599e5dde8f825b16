"""Renders an episode so far as text or as a picture: the render modes ``ansi`` and ``rgb_array``.

The same episode gives the same text and, with the same version of matplotlib, the same pixels. matplotlib (the extra
``plot``) is imported with the first picture.
"""
# ruff: noqa: PLC0415  (for the same reason)

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dataselect_env.core.models import Reply, StepInfo
from dataselect_env.core.strategies.sampling import STRATEGIES
from dataselect_env.core.tasks import Task
from dataselect_env.rendering import palette, terminal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (6.0, 5.0)
"""Width and height in inches: 600 x 500 pixels at 100 dots per inch."""
DPI = 100


def check() -> None:
    """Check that pictures can be drawn.

    Raises:
        CannotPlot: matplotlib is not installed.
    """
    from dataselect_env.rendering import plots

    plots.check(Path("frame.png"))


def as_text(task: Task, replies: Sequence[Reply]) -> str:
    """Return the episode as ``dataselect-env play`` shows it, with colours.

    Args:
        task: The task that is played.
        replies: The reply to the reset, then one per step; empty before the first reset.
    """
    if not replies:
        return f"{_title(task, replies)}\n"
    lines = [_title(task, replies), *(terminal.step(task, before, after) for before, after in pairwise(replies))]
    if replies[-1].done:
        lines += ["", terminal.verdict(task, replies[-1], sum(reply.reward or 0.0 for reply in replies))]
    return "\n".join(lines) + "\n"


def as_picture(task: Task, replies: Sequence[Reply]) -> NDArray[np.uint8]:
    """Return a picture of performance by samples bought, and of every batch by strategy, as pixels, (500, 600, 3).

    Raises:
        CannotPlot: matplotlib is not installed.
    """
    check()
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context({**palette.STYLE, "figure.dpi": DPI}):
        figure = Figure(figsize=SIZE, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        above, below = figure.subplots(2, height_ratios=(3, 2))
        _draw_performance(above, task, replies)
        _draw_batches(below, task, [reply.info for reply in replies if reply.info is not None])
        canvas.draw()  # type: ignore[no-untyped-call]
        return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()  # type: ignore[no-untyped-call]


def _title(task: Task, replies: Sequence[Reply]) -> str:
    if not replies:
        return f"{task.task_id}: no episode yet"
    title = f"{task.task_id}, {replies[0].place}, step {replies[-1].step} of {task.max_steps}"
    grade = replies[-1].info.grade if replies[-1].info is not None else None
    return title if grade is None else f"{title}: grade {grade.score:.3f}, {'' if grade.passed else 'not '}passed"


def _draw_performance(ax: Axes, task: Task, replies: Sequence[Reply]) -> None:
    bought = [task.budget - reply.observation.remaining_budget for reply in replies]
    ax.axhspan(*task.performance_range, color=palette.FAINT, label="range that is scored")
    ax.axhline(task.pass_performance, color=palette.GREEN, linestyle="--", linewidth=1, label="passes above")
    ax.plot(bought, [reply.observation.current_performance for reply in replies], "o-", color=palette.VERMILION)
    ax.set(title=_title(task, replies), xlim=(-0.02 * task.budget, 1.02 * task.budget))
    ax.set(xlabel="samples bought", ylabel="performance")
    ax.set_ylim(min(0.4, *ax.get_ylim()), max(0.8, *ax.get_ylim()))
    ax.legend(loc="lower right", fontsize=8)


def _draw_batches(ax: Axes, task: Task, steps: Sequence[StepInfo]) -> None:
    numbers = np.arange(1, len(steps) + 1)
    floor = np.zeros(len(steps))
    for name in STRATEGIES:
        counts = np.array([step.bought_by[name] for step in steps], dtype=np.float64)
        ax.bar(numbers, counts, bottom=floor, color=palette.STRATEGIES[name], width=0.7, label=name)
        floor += counts
    if task.extra_strategies:
        others = np.array([step.batch_size for step in steps], dtype=np.float64) - floor
        ax.bar(numbers, others, bottom=floor, color=palette.GREY, width=0.7, label="others")
        floor += others
    if task.audited:
        wrong = [step.mislabelled or 0 for step in steps]
        ax.bar(numbers, wrong, color="none", edgecolor=palette.BLACK, hatch="////", width=0.7, label="wrong labels")
    ax.set(
        xlim=(0.4, task.max_steps + 0.6),
        xticks=range(1, task.max_steps + 1),
        ylim=(0, max(20, 1.1 * max(floor, default=0))),
    )
    ax.set(xlabel="step", ylabel="samples")
    ax.legend(loc="upper right", fontsize=8, ncols=4)
