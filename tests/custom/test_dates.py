"""Dates in text: ISO 8601 is read, what could mean two days is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dataselect_env.custom.dates import nearly_date, read_dates
from dataselect_env.custom.definitions import Table
from dataselect_env.custom.tables import RawTable, read_table
from tests.helpers.tabling import N, frame, save


def read(folder: Path, data: pd.DataFrame, name: str = "t.csv", **fields: Any) -> RawTable:
    save(folder / name, data)
    return read_table(Table(file=name, **{"target": "label", **fields}), folder)


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_dates_in_text_are_read_and_reported(tmp_path: Path, name: str) -> None:
    days = ["1970-01-02", "1970-01-01 00:01", "1970-01-01T01:00:00+01:00", "-"] * (N // 4)
    raw = read(tmp_path, frame(day=days), name)
    np.testing.assert_array_equal(raw.frame["day"][:4], [86_400, 60, 0, np.nan])
    assert raw.report.summary().endswith(
        '1 date, 1 category; categories are "colour"; read "day": "1970-01-02" as a date, "-" as missing.'
    )
    assert read(tmp_path, frame(day=days), name, categorical=["day"]).categorical == ("colour", "day")


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_dates_of_any_year_are_read(tmp_path: Path, name: str) -> None:
    days = pd.Series(np.array(["2020-01-01", "9999-12-31"], dtype="datetime64[us]"))
    raw = read(tmp_path, frame(day=[*days] * (N // 2)), name)
    assert raw.frame["day"][:2].tolist() == [1577836800, 253402214400]


@pytest.mark.parametrize(("texts", "odd"), [
    (["25.12.2020", "1.1.2021"], "25.12.2020"), (["3/4/20", "12/31/20", "soon"], "3/4/20"),
    (["2020/01/02"], "2020/01/02"),
    (["2020-01-01", "2020-02-30", "?"], "2020-02-30"), (["2020-01-01", "soon"] , None),
    (["1.2.3", "2.0.0"], None), (["10-11-12", "1-2-3"], None), (["12:30"], None), (["2020-13-01", "2020-01-32"], None),
])  # fmt: skip
def test_what_is_nearly_a_date(texts: list[str], odd: str | None) -> None:
    assert read_dates(texts) is None
    assert nearly_date(texts) == odd
