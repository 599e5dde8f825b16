"""Pictures for this page alone; the others come from ``dataselect_env.rendering.plots``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.validity.candidates import FAMILIES
from bench.validity.measure import Cells, returns, scores
from dataselect_env.core.tasks import PINNED
from dataselect_env.rendering import palette
from dataselect_env.rendering.plots import PANEL_WIDTH, look

WORLD_ROWS = ("balanced", "uncertainty", "random", "best-constant", "probing", "oracle")
FAMILY_LOOKS = dict(zip(FAMILIES, ((palette.BLUE, "o"), (palette.ORANGE, "^"), (palette.GREEN, "s")), strict=True))


def figure(height: float, draw: Callable[[Axes, str], None]) -> Figure:
    """Return a figure with one panel per task."""
    with rc_context(palette.STYLE):
        picture = Figure(figsize=(PANEL_WIDTH * len(PINNED), height), layout="constrained")
        for ax, task in zip(picture.subplots(1, len(PINNED)), PINNED, strict=True):
            draw(ax, task)
            ax.set_title(task)
        lines = {str(line.get_label()): line for ax in picture.axes for line in ax.get_lines()}
        named = {name: line for name, line in lines.items() if not name.startswith("_")}
        picture.legend(named.values(), named, loc="outside upper center", ncols=len(named), fontsize=8.5)
    return picture


def worlds(table: Mapping[str, Any]) -> Figure:
    """Return the mean grades of some policies by world: full points for core, hollow ones for confident."""

    def draw(ax: Axes, task: str) -> None:
        for height, policy in enumerate(WORLD_ROWS):
            found, colour = table[task][policy]["worlds"], look(policy)[0]
            ax.plot([found["core"], found["confident"]], [height, height], color=palette.PALE, linewidth=2, zorder=1)
            for world, filling in (("core", colour), ("confident", "white")):
                ax.plot(
                    found[world],
                    height,
                    "o",
                    label=f"{world} world" if policy == "oracle" else "_",
                    markersize=7.5,
                    markerfacecolor=filling,
                    markeredgecolor=colour,
                    markeredgewidth=1.6,
                )
        ax.set_yticks(range(len(WORLD_ROWS)), WORLD_ROWS)
        ax.set_xlim(-0.04, 1.04)
        ax.grid(axis="y", visible=False)
        ax.set_xlabel("grade")

    return figure(2.6, draw)


def aligned(cells: Cells, names: Sequence[str], families: Sequence[str]) -> Figure:
    """Return the figure of return against grade, one point per random policy."""

    def draw(ax: Axes, task: str) -> None:
        for family, (colour, marker) in FAMILY_LOOKS.items():
            chosen = [name for name, of in zip(names, families, strict=True) if of == family]
            x = [fmean(scores(cells, task, name)) for name in chosen]
            y = [fmean(returns(cells, task, name)) for name in chosen]
            ax.plot(x, y, marker, color=colour, label=family, markersize=4.5, alpha=0.75, markeredgewidth=0)
        ax.set_xlabel("grade")
        ax.set_ylabel("return (shaped)")

    return figure(2.9, draw)
