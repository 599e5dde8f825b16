"""The report on a table: one line for each column, and a summary with every reading that was guessed."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dataselect_env.custom.definitions import Table
from dataselect_env.custom.report import ColumnReport
from dataselect_env.custom.tables import RawTable, read_table
from tests.helpers.tabling import N, frame, save


def read(folder: Path, data: pd.DataFrame, name: str = "t.csv", **fields: Any) -> RawTable:
    save(folder / name, data)
    return read_table(Table(file=name, **{"target": "label", **fields}), folder)


def test_the_report_names_every_column_and_what_it_was_taken_for(tmp_path: Path) -> None:
    day = [None, *[datetime.date(1970, 1, 2)] * (N - 1)]
    data = frame(c=["1,250", "?"] * (N // 2), day=day, gap=[np.nan, 8.0] * (N // 2), b=True, void=np.nan, who="ann")
    data = data.assign(code=np.arange(N) % 4, many=[f"t{row % 55}" for row in range(N)], truth=data["label"])
    table = {"true_target": "truth", "annotator": "who", "exclude": ["a"], "categorical": ["gap"]}
    report = read(tmp_path, data, "t.parquet", **table).report
    assert report.summary() == (
        't.parquet: 60 rows, 2 classes in "label", 2 numbers, 1 date, 4 categories, 2 columns not used; categories are'
        ' "b", "colour", "gap", "many"; read "c": "1,250" as 1250, "?" as missing.'
    )
    lines = [line.split("  ") for line in report.lines()]
    assert lines[0] == ['t.parquet: 60 rows, 2 classes: "no", "yes"']
    assert {words[0].strip(): (next(filter(None, words[1:])).strip(), words[-1].strip()) for words in lines[2:]} == {
        "a": ("not used", "exclude names it"),
        "b": ("category", 'true or false, 1 different: "True"'),
        "colour": ("category", 'text, 3 different: "blue", "green", "red"'),
        "label": ("labels", 'target names it; 2 classes: "no", "yes"'),
        "c": ("number", 'always 1250, which tells nothing; read "1,250" as 1250, "?" as missing; 30 missing, replaced'
              " by the median"),
        "day": ("date", "dates as seconds since 1970; 1 missing, replaced by the median"),
        "gap": ("category", 'named in categorical, 1 different: "8"; 30 missing, a category'),
        "void": ("not used", "no values"),
        "who": ("annotators", 'annotator names it; 1: "ann"'),
        "code": ("number", "whole numbers, 0 to 3, 4 different; if they are codes, name the column in categorical"),
        "many": ("category", 'text, 55 different: "t0", "t1", "t10", "t11", "t12", ...; all but the 49 most frequent'
                 " share one"),
        "truth": ("right labels", 'true_target names it; 2 classes: "no", "yes"'),
    }  # fmt: skip
    unused = ColumnReport("a", "not used", "columns does not name it")
    assert read(tmp_path, frame(), columns=["b"]).report.columns[0] == unused


def test_the_summary_lists_twenty_readings(tmp_path: Path) -> None:
    many = read(tmp_path, frame().assign(**{f"x{place}": ["$1", "$2", "$3"] * (N // 3) for place in range(30)})).report
    assert many.summary().endswith('"x19": "$1" as 1 and 10 more.')
    assert many.note == "separated by commas"


def test_numbers_are_reported_with_as_many_digits_as_they_need(tmp_path: Path) -> None:
    shares, prices = ["18.3%", "20.1%"] * (N // 2), ["$3,185.17", "$4.00"] * (N // 2)
    summary = read(tmp_path, frame(share=shares, price=prices)).report.summary()
    assert '"18.3%" as 18.3' in summary
    assert '"$3,185.17" as 3185.17' in summary
