"""Spreadsheets."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest

from dataselect_env.custom.definitions import Table
from dataselect_env.custom.tables import RawTable, read_table
from tests.helpers.tabling import refusal
from tests.helpers.xlsb import write_xlsb

Read = Callable[..., RawTable]
SHEETS = Path(__file__).parent / "sheets"
"""Files that no library of the tests can write: t.xls by xlwt 1.3, t.ods by odfpy 1.4, encrypted.xlsx by
msoffcrypto-tool 6 with the password "secret"."""
DAY = datetime.date(1970, 1, 2)
HEADER = ["a", "when", "lab"]


def body(rows: int = 12) -> list[list[Any]]:
    return [[row / 2, DAY, ["x", "y"][row % 2]] for row in range(rows)]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write sheets and read one."""

    def read(*rows: list[Any], others: dict[str, list[list[Any]]] | None = None, **fields: Any) -> RawTable:
        book = openpyxl.Workbook()
        sheet = book.active
        assert sheet is not None
        sheet.title = "Data"
        for row in rows:
            sheet.append(row)
        for name, content in (others or {}).items():
            other = book.create_sheet(name)
            for row in content:
                other.append(row)
        book.save(tmp_path / "t.xlsx")
        return read_table(Table(file="t.xlsx", **{"target": "lab", **fields}), tmp_path)

    return read


def test_a_sheet_is_a_table(read: Read) -> None:
    raw = read(HEADER, *body())
    assert raw.report.note == 'sheet "Data"'
    assert raw.frame["a"].tolist() == [row / 2 for row in range(12)]
    assert raw.frame["when"].tolist() == [86400] * 12
    assert raw.classes == ("x", "y")


def test_blank_rows_and_columns_do_not_count(read: Read) -> None:
    wide = [[None, *row[:2], None, "  ", row[2]] for row in [HEADER, *body()]]
    raw = read([], *wide[:4], [None, " "], *wide[4:])
    assert list(raw.frame.columns) == ["a", "when"]
    assert len(raw.y) == 12


def test_which_sheet_was_read_is_told_and_can_be_chosen(read: Read) -> None:
    others = {"More": [HEADER, *body(20)], "Empty": []}
    assert read(HEADER, *body(), others=others).report.note == 'sheet "Data", the first of 3'
    chosen = read(["junk"], others=others, sheet="More")
    assert (chosen.report.note, len(chosen.y)) == ('sheet "More"', 20)
    refusal(lambda: read(["junk"], others=others, sheet="more"), "sheet", 'no sheet "more"', 'Did you mean "More"?')
    refusal(lambda: read(["junk"], others=others, sheet="Empty"), "sheet", 'The sheet "Empty" of t.xlsx is empty')


def test_text_and_numbers_in_a_column_are_read_as_numbers(read: Read) -> None:
    rows = [[*row, [7.5, "?", "12", 3][place % 4]] for place, row in enumerate(body())]
    raw = read([*HEADER, "mix"], *rows)
    np.testing.assert_array_equal(raw.frame["mix"][:4], [7.5, np.nan, 12, 3])
    assert '"mix": "7.5" as 7.5, "?" as missing' in raw.report.summary()


def test_faults_have_the_row_of_the_sheet(read: Read) -> None:
    rows = body()
    rows[5][0] = "many"
    refusal(lambda: read([], HEADER, *rows), "categorical", 't.xlsx: Most values of column "a"', '"many", in row 8,')
    rows = body()
    rows[5][2] = None
    refusal(lambda: read(HEADER, *rows), "target", "first in row 7. Drop these rows")
    rows = body()
    rows[3][1] = datetime.time(3, 4)
    refusal(lambda: read(HEADER, *rows), "exclude", 'Column "when" holds neither')


def test_other_files_have_no_sheets(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,lab\n1,2\n")
    table = Table(file="t.csv", target="lab", sheet="Data")
    refusal(lambda: read_table(table, tmp_path), "sheet", "t.csv has no sheets; only .xlsx")
    with pytest.raises(ValueError, match="Only files have sheets"):
        Table(bundled="wine", sheet="Data")


def test_a_column_without_a_name_gets_one(read: Read) -> None:
    raw = read(["a", None, "lab"], *body())
    assert list(raw.frame.columns) == ["a", "Unnamed: 1"]
    refusal(lambda: read(["a", "a", "lab"], *body()), "file", 'Several columns of t.xlsx are called "a"')


@pytest.mark.parametrize("name", ["t.xls", "t.ods"])
def test_older_and_open_formats_are_read(name: str) -> None:
    raw = read_table(Table(file=name, target="label"), SHEETS)
    assert raw.report.note == 'sheet "Data", the first of 2'
    assert raw.frame["a"].tolist() == [row / 2 for row in range(12)]
    assert raw.frame["day"].tolist() == [1577836800 + 86400 * row for row in range(12)]
    assert raw.frame["colour"].tolist() == ["blue", "green"] * 6
    assert raw.frame["flag"].tolist() == ["True", "False", "False"] * 4
    assert (raw.classes, raw.y.tolist()) == (("no", "yes"), [0, 1] * 6)


def test_a_binary_workbook_is_read(tmp_path: Path) -> None:
    rows: list[list[str | float | bool]] = [["a", "colour", "flag", "label"]]
    rows += ([row / 2, ["blue", "green"][row % 2], row % 3 == 0, ["no", "yes"][row % 2]] for row in range(12))
    write_xlsb(tmp_path / "t.xlsb", rows)
    raw = read_table(Table(file="t.xlsb", target="label"), tmp_path)
    assert raw.report.note == 'sheet "Data"'
    assert raw.frame["a"].tolist() == [row / 2 for row in range(12)]
    assert raw.frame["flag"].tolist() == ["True", "False", "False"] * 4
    assert (raw.categorical, raw.classes, raw.y.tolist()) == (("colour", "flag"), ("no", "yes"), [0, 1] * 6)


def test_an_encrypted_workbook_is_told() -> None:
    table = Table(file="encrypted.xlsx", target="y")
    refusal(lambda: read_table(table, SHEETS), "file", "encrypted.xlsx is encrypted. Save it without a password.")
