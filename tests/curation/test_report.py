"""The report as text and as a picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataselect_env.core.errors import InvalidInput
from dataselect_env.curation import Curation, CurationReport, curate
from dataselect_env.curation.picture import figure
from tests.helpers.curating import noisy

DATA = noisy()


@pytest.fixture(scope="module")
def curation() -> Curation:
    return curate(*DATA.arguments, budget=40, steps=4, audit=DATA.right)


@pytest.fixture(scope="module")
def report(curation: Curation) -> CurationReport:
    return curation.report


def test_the_text_has_the_figures(report: CurationReport) -> None:
    first, *lines = str(report).splitlines()
    assert first.endswith("chose 40 of 400 rows in 4 steps (budget 40).")
    assert lines[2].endswith(f"among the rows chosen, and corrected: {report.wrong}.")
    assert max(map(len, lines)) <= 86
    assert report.comparison is not None
    for one in report.comparison.contenders:
        line = next(line for line in lines if line.startswith(f"{one.name} "))
        for number in (f"{one.rows:,.0f}", f"{one.accuracy:.3f}", f"{one.performance:.3f}"):
            assert number in line
        if one.advantage is not None:
            assert f"{one.advantage.mean:+.3f} [{one.advantage.low:+.3f}, {one.advantage.high:+.3f}]" in line
            assert line.endswith("*") == one.advantage.significant


def test_without_an_audit_and_a_comparison_the_text_is_short(report: CurationReport) -> None:
    short = report.model_copy(update={"comparison": None, "wrong": None, "audited": False})
    assert len(str(short).splitlines()) == 3
    assert "corrected" not in str(short)
    long = report.model_copy(update={"policy": "module_with_a_long_name:my_policy"})
    assert "module_with_a_long_name:my_policy chose" in str(long)


def test_it_survives_json(report: CurationReport) -> None:
    assert CurationReport.model_validate_json(report.model_dump_json()) == report


def test_the_picture_has_a_line_for_each_contender(report: CurationReport, tmp_path: Path) -> None:
    drawn = figure(report)
    assert report.comparison is not None
    contenders = [one for one in report.comparison.contenders if one.name != "trusted rows alone"]
    for axes, place in zip(drawn.axes, (1, 2), strict=True):
        lines = {line.get_label(): line for line in axes.get_lines()}
        assert set(lines) == {one.name for one in contenders}
        for one in contenders:
            if one.name != "every row of the table":
                heights = [float(height) for height in lines[one.name].get_ydata()]  # type: ignore[union-attr,arg-type]
                assert heights == [point[place] for point in one.curve]
    drawn.savefig(tmp_path / "curation.png")


def test_without_a_comparison_the_picture_shows_the_steps(report: CurationReport) -> None:
    (axes,) = figure(report.model_copy(update={"comparison": None})).axes
    (line,) = axes.get_lines()
    assert list(map(float, line.get_ydata())) == [step.performance for step in report.steps]  # type: ignore[arg-type]


def test_the_steps_add_up(report: CurationReport) -> None:
    bought = [step.bought for step in report.steps]
    assert bought == sorted(bought)
    assert bought[-1] == 40
    assert sum(step.wrong or 0 for step in report.steps) == report.wrong
    assert sum(report.bought_by.values()) == report.bought == 40


def test_a_policy_that_does_not_exist() -> None:
    with pytest.raises(InvalidInput, match="there is no policy 'clever'"):
        curate(*DATA.arguments, budget=40, policy="clever")
