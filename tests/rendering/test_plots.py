"""Pictures show every policy that they should, fit their paper, and need matplotlib only when they are drawn."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dataselect_env.evaluation.evaluate import Plan, evaluate
from dataselect_env.evaluation.ladder import Report, Row, build_report
from dataselect_env.policies import GROUPS
from dataselect_env.rendering import plots

PLAN = Plan(
    policies=(*GROUPS["ladder"], "one-min-random", "giant-diversity", "random-20"),
    tasks=("medium", "hard"),
    seeds=(1, 2),
)
PICTURES = (plots.PANELS, [plots.LADDER], [plots.CURVES])


@pytest.fixture(scope="module")
def report() -> Report:
    return build_report(PLAN, evaluate(PLAN), "best-constant")


def row_of(report: Report, task_id: str, policy: str) -> Row:
    return next(row for row in report.rows if (row.task_id, row.policy) == (task_id, policy))


def panels(figure: Figure, title: str) -> list[Axes]:
    return [ax for ax in figure.axes if ax.get_title(loc="left") == title]


@pytest.mark.parametrize("rows", PICTURES)
def test_a_column_for_each_task_and_a_row_for_each_panel(rows: Sequence[plots.Panel], report: Report) -> None:
    figure = plots.figure(report, rows)
    assert {task: len(panels(figure, task)) for task in PLAN.tasks} == dict.fromkeys(PLAN.tasks, len(rows))
    foot = figure.get_supxlabel()
    assert [row.note for row in rows if row.note] == foot.split("; ")[1:]


@pytest.mark.parametrize("suffix", plots.SUFFIXES)
def test_pictures_can_be_written(suffix: str, report: Report, tmp_path: Path) -> None:
    target = tmp_path / f"picture{suffix}"
    plots.figure(report).savefig(target)
    assert target.stat().st_size > 10_000


def test_ladder_has_the_best_on_top_and_the_degenerate_ones_below(report: Report) -> None:
    (ax,) = panels(plots.figure(report, [plots.LADDER]), "hard")
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[0] == "2 degenerate"
    assert set(labels[1:]) == {*GROUPS["ladder"], "random-20"}
    scores = [row_of(report, "hard", policy).score.mean for policy in labels[1:]]
    assert scores == sorted(scores)


def test_ladder_draws_means_and_intervals(report: Report) -> None:
    (ax,) = panels(plots.figure(report, [plots.LADDER]), "hard")
    row = row_of(report, "hard", "random")
    drawn = [tuple(np.asarray(line.get_xdata()).tolist()) for line in ax.get_lines()]
    assert (row.score.mean,) in drawn
    assert (row.score.low, row.score.high) in drawn


def test_curves_are_those_of_the_ladder(report: Report) -> None:
    (ax,) = panels(plots.figure(report, [plots.CURVES]), "medium")
    curves = {str(line.get_label()): line for line in ax.get_lines() if not str(line.get_label()).startswith("_")}
    assert set(curves) == set(GROUPS["ladder"])
    assert np.asarray(curves["oracle"].get_ydata()).tolist() == [y for _, y in row_of(report, "medium", "oracle").curve]


def test_returns_have_a_point_for_each_policy(report: Report) -> None:
    *_, ax = panels(plots.figure(report), "medium")
    drawn = {tuple(np.asarray(line.get_xydata())[0].tolist()) for line in ax.get_lines()}
    assert drawn == {(row.score.mean, row.episode_return) for row in report.rows if row.task_id == "medium"}
    assert f"over {len(PLAN.policies)} policies" in ax.texts[0].get_text()


def test_looks_differ_in_more_than_colour() -> None:
    looks = list(plots.ACCENTS.values())
    assert len({marker for _, _, marker in looks}) == len(looks)
    assert len({colour for colour, _, _ in looks}) == len(looks)


def test_a_users_own_policy_is_drawn(report: Report) -> None:
    rows = [*report.rows, row_of(report, "hard", "probing").model_copy(update={"policy": "my:own"})]
    with_own = report.model_copy(update={"rows": tuple(rows)})
    figure = plots.figure(with_own)
    ladder, curves, _ = panels(figure, "hard")
    assert "my:own" in [label.get_text() for label in ladder.get_yticklabels()]
    assert "my:own" in [line.get_label() for line in curves.get_lines()]


def test_one_policy_alone_can_be_drawn() -> None:
    plan = Plan(policies=("stop",), tasks=("easy",), seeds=(1, 2))
    figure = plots.figure(build_report(plan, evaluate(plan)))
    figure.draw_without_rendering()
    assert len(figure.axes) == 3


@pytest.mark.parametrize("name", ["picture", "picture.jpg", "picture.exe"])
def test_unknown_type_of_picture(name: str) -> None:
    with pytest.raises(plots.CannotPlot, match=r"\.png, \.svg, \.pdf"):
        plots.check(Path(name))


def test_matplotlib_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(plots.CannotPlot, match=r"pip install 'dataselect-env\[plot\]'"):
        plots.check(Path("picture.png"))


@pytest.mark.slow
def test_matplotlib_is_not_loaded_before_it_is_needed() -> None:
    code = "import sys, dataselect_env.rendering.plots; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_long_names_are_cut_to_what_tells_them_apart() -> None:
    assert plots.shown("probing") == "probing"
    assert plots.shown("a_very_long.module_path:thrifty") == "...module_path:thrifty"
