"""CSV and TSV files: separators, rows, and what pandas would make of cells without a word."""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dataselect_env.custom.definitions import Table
from dataselect_env.custom.tables import RawTable, read_table
from tests.helpers.tabling import N, frame, refusal, save


def read(folder: Path, text: str | bytes, **fields: Any) -> RawTable:
    content = text.encode() if isinstance(text, str) else text
    (folder / "t.csv").write_bytes(content)
    return read_table(Table(file="t.csv", **{"target": "y", **fields}), folder)


def test_a_csv_may_have_a_mark_quotes_and_blank_lines(tmp_path: Path) -> None:
    rows = "\n\n".join(f'"one, {row % 2}", {row % 7}.5,{row % 2}' for row in range(12))
    raw = read(tmp_path, f'\ufeff"the ""text""", b,y\n{rows}\n  \n')
    assert list(raw.frame.columns) == ['the "text"', "b"]
    assert raw.frame.iloc[1].tolist() == ["one, 1", 1.5]


def test_names_of_columns_have_no_blanks_or_marks_around_them(tmp_path: Path) -> None:
    rows = "\n".join(f"{row % 7}.5,1,{row % 2}" for row in range(12))
    assert list(read(tmp_path, f"\ufeff\ufeffa,\u00a0b\u00a0, y\n{rows}").frame.columns) == ["a", "b"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8"])
def test_a_byte_order_mark_tells_the_encoding(tmp_path: Path, encoding: str) -> None:
    rows = [f"{row / 3};{'öü'[row % 2]}" for row in range(12)]
    raw = read(tmp_path, "\n".join(["ä;y", *rows]).encode(encoding))
    assert (list(raw.frame.columns), raw.classes) == (["ä"], ("ö", "ü"))


@pytest.mark.parametrize("separator", [";", "\t", ",", "|"])
def test_the_separator_is_found_and_reported(tmp_path: Path, separator: str) -> None:
    rows = (('"a, or; b"', "b", "y"), *((f"{n}.5", "1", "uv"[n % 2]) for n in range(8)))
    raw = read(tmp_path, "\n".join(separator.join(row) for row in rows))
    assert list(raw.frame.columns) == ["a, or; b", "b"]
    assert raw.classes == ("u", "v")
    assert raw.report.note.startswith("separated by ")


@pytest.mark.parametrize("fields", [{"exclude": ["doc"]}, {"columns": ["a"]}], ids=str)
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_cells_may_be_long(tmp_path: Path, name: str, fields: dict[str, Any]) -> None:
    documents = ["w " * (70_000 if row == 7 else 5) for row in range(N)]
    save(tmp_path / name, frame(doc=documents))
    limit = csv.field_size_limit()
    raw = read_table(Table(file=name, target="label", **fields), tmp_path)
    assert (len(raw.frame), "doc" in raw.frame) == (N, False)
    assert csv.field_size_limit() == limit  # a setting of the whole process


def test_a_long_column_with_text_at_its_end_is_text(tmp_path: Path) -> None:
    rows = 150_000  # pandas reads such a file in parts
    mixed = [str(row % 9) for row in range(rows - 1)] + ["many"]
    save(tmp_path / "t.csv", frame(rows, mixed=mixed))
    raw = read_table(Table(file="t.csv", target="label", columns=["mixed"], categorical=["mixed"]), tmp_path)
    assert set(raw.frame["mixed"]) == {*"012345678", "many"}


@pytest.mark.parametrize(("content", "words"), [
    (b"\n \n", "t.csv is empty"),
    (b"a,y\n", "t.csv has no rows"),
    (b"a,y\n1,2\n1,2,3\n", "Row 3 of t.csv has 3 values, its header 2. Correct it; values that contain the separator"),
    (b"a,y\n1,2\n1\n", "Row 3 of t.csv has 1 values"),
    (b"a,y\n1,2,3\n1,2,3\n", "Row 2 of t.csv has 3 values, its header 2. Correct it; the first row should have the"),
    (b"a y\n1 2\n", 't.csv has only one column, "a y"; a table has labels and features. Separate values by one of'),
    (b"a,y\n1,x\n\x0c\n", "Row 3 of t.csv has 1 values"),
    (b"a,y\n1,x\n1\x002,x\n", "Row 3 of t.csv has a NUL character, which no text has. Its suffix is wrong, or"),
    (b"PK\x03\x04\x14\0\0\0\xff\n", "Row 1 of t.csv has a NUL character"),
    ("a,y\n1,x\n".encode("utf-16-le"), "Row 1 of t.csv has a NUL character"),
    ("a,y\n1,x\n".encode("utf-32"), "Row 1 of t.csv has a NUL character"),
    (b"a,a,y\n1,2,3\n", 'Several columns of t.csv are called "a"'),
    (b'a,y\n1,2\n\n1,"x\n3,4\n5,6\n', "Row 4 of t.csv cannot be divided into values: a quoted value does not end"),
    (b'a,y\n1,2\n"1"5,x\n', "Row 3 of t.csv cannot be divided into values: a quoted value does not end, or text"),
    (b"a,y\n1,2\ncaf\xe9 noir,x\n", 'Row 3 of t.csv is not encoded in UTF-8, near "café noir,x". Save'),
])  # fmt: skip
def test_a_bad_file_is_refused_with_its_row(tmp_path: Path, content: bytes, words: str) -> None:
    refusal(lambda: read(tmp_path, content), "file", words)


@pytest.mark.parametrize(("cells", "field", "words"), [
    (["1e999"], "exclude", 't.csv: Column "a" is infinite, or beyond 1e+100, in 1 of 12 rows, first in row 8.'),
    (["many"], "categorical", 'but "many", in row 8, cannot be read with the others. Write plain numbers'),
], ids=["infinite", "word"])  # fmt: skip
def test_faults_of_cells_have_the_row_of_the_file(tmp_path: Path, cells: list[str], field: str, words: str) -> None:
    rows = [f"{row / 3},{'uv'[row % 2]}" for row in range(12)]
    rows[4] = f"{cells[0]},u"  # below the header, two blank rows and four others
    text = "\n".join(["a,y", rows[0], "", " ", *rows[1:]])
    refusal(lambda: read(tmp_path, text), field, words)


def test_a_file_without_a_header_is_told(tmp_path: Path) -> None:
    rows = "\n".join(f"{row / 2},{row},{'uv'[row % 2]}" for row in range(12))
    refusal(lambda: read(tmp_path, rows), "target", 'has no column "y"', "The first row should have the names")


def test_faults_of_labels_have_the_row_of_the_file(tmp_path: Path) -> None:
    rows = [f"{row / 3},{row % 2}" for row in range(12)]
    for label, words in (("", "in 1 of 12 rows, first in row 7. Drop"), ("1.5", "it has fractions, first in row 7.")):
        text = "\n".join(["a,y", *rows[:5], f"0.5,{label}", *rows[6:]])
        refusal(partial(read, tmp_path, text), "target", 't.csv: "y" ', words)


@pytest.mark.parametrize(("cell", "reading"), [
    ("007", '"007" as 7'), ("00", '"00" as 0'), ("NA", '"NA" as missing'), ("null", '"null" as missing'),
    ("0", ""), ("0.5", ""), ("", ""),
])  # fmt: skip
def test_what_pandas_would_rewrite_is_reported(tmp_path: Path, cell: str, reading: str) -> None:
    rows = [f"{cell if row == 5 else row % 7},{row / 3},{'uv'[row % 2]}" for row in range(12)]
    raw = read(tmp_path, "\n".join(["a,b,y", *rows]))
    found = {column.name: column.reading for column in raw.report.columns}
    assert found == {"a": reading, "b": "", "y": ""}
    assert (f'"a": {reading}' in raw.report.summary()) == bool(reading)
