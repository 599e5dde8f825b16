"""JSON Lines, and JSON files with a list of objects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataselect_env.custom.definitions import Table
from dataselect_env.custom.tables import RawTable, read_table
from tests.helpers.tabling import refusal


def read(folder: Path, text: str, **fields: Any) -> RawTable:
    (folder / "t.jsonl").write_text(text, encoding="utf-8")
    return read_table(Table(file="t.jsonl", **{"target": "y", **fields}), folder)


def lines(**columns: list[Any]) -> str:
    names = list(columns)
    return "\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in zip(*columns.values(), strict=True))


LABELS = ["01", "1", "x"] * 4


def test_values_are_those_of_the_file(tmp_path: Path) -> None:
    numbers = [0.1 + 0.2, 1e-300, -5, *range(9)]
    raw = read(tmp_path, lines(a=numbers, y=LABELS))
    assert raw.frame["a"].tolist() == numbers
    assert [raw.classes[code] for code in raw.y] == LABELS


def test_keys_may_be_left_out_and_lines_blank(tmp_path: Path) -> None:
    rows = [
        {"y": name} | ({"a": row} if row % 3 else {}) | ({"b": row / 2} if row > 5 else {})
        for row, name in enumerate(LABELS)
    ]
    raw = read(tmp_path, "\n\n".join(map(json.dumps, rows)) + "\n")
    assert list(raw.frame.columns) == ["a", "b"]
    np.testing.assert_array_equal(raw.frame["a"], [row if row % 3 else np.nan for row in range(12)])
    assert {column.name: column.missing for column in raw.report.columns} == {"y": 0, "a": 4, "b": 6}


def test_a_list_may_be_pretty(tmp_path: Path) -> None:
    rows = [{"a": row, "y": name} for row, name in enumerate(LABELS)]
    for text in (json.dumps(rows), json.dumps(rows, indent=2), "\n\n" + json.dumps(rows, indent=1)):
        assert read(tmp_path, text, columns=["a"]).frame["a"].tolist() == list(range(12))


def test_text_and_numbers_together_are_read_as_numbers(tmp_path: Path) -> None:
    raw = read(tmp_path, lines(a=[1.5, "?", 3, "4"] * 3, b=["1,250", 7, 8, 9] * 3, y=LABELS))
    np.testing.assert_array_equal(raw.frame["a"][:4], [1.5, np.nan, 3, 4])
    assert raw.frame["b"].tolist()[:2] == [1250, 7]
    assert raw.categorical == ()


@pytest.mark.parametrize(("text", "field", "words"), [
    ("\n\n", "file", "t.jsonl is empty"),
    ("{}\n{}", "file", "t.jsonl is empty"),
    ("[]", "file", "t.jsonl is empty"),
    ('{"a": 1, "y": 2}\n{"a": 1, "y": 2', "file", "of row 2 of t.jsonl, there is no valid JSON: Expecting"),
    ('[{"a": 1, "y": 2},\n{"a" 1}]', "file", "At character 6 of row 2 of t.jsonl, there is no valid JSON"),
    ('{"a": 1, "y": 2}\n5', "file", "Row 2 of t.jsonl is not a JSON object. Write one object in each line"),
    ('[{"a": 1, "y": 2}, null]', "file", "Row 2 of t.jsonl is not a JSON object"),
    ('{"a": 1,\n"y": 2}', "file", "At character 9 of row 1 of t.jsonl, there is no valid JSON"),
    ('{"a": 1, "y": 2}\n{"a": ' + "[" * 100_000, "file", "Row 2 of t.jsonl cannot be read: its JSON is too deep"),
    ('{"a": 1, "y": 2, "a": 3}', "file", 'Row 1 of t.jsonl has the key "a" twice'),
    (lines(a=[[1], 2, 3] * 4, y=LABELS), "exclude", "nor just text nor just dates: row 1 has \"[1]\"."),
    (lines(a=[1, 2, {"b": 1}] * 4, y=LABELS), "exclude", "nor just dates: row 3 has "),
    (lines(a=[1, True, "x"] * 4, y=LABELS), "exclude", "nor just dates: row 2 has \"True\"."),
    (lines(a=[1.5] * 12, y=[*LABELS[:11], "\ud800"]), "file", "Row 12 of t.jsonl has half of a character"),
    (lines(a=[0.5] * 12, y=[["x"], "y"] * 6), "target", '"y" holds lists or structs'),
    (lines(a=[1, 10**400, 3] * 4, y=LABELS), "exclude", 'Column "a" is infinite, or beyond 1e+100, in 4 of 12 rows'),
    (lines(a=[7] * 12, y=LABELS).replace("7", "9" * 5_000), "exclude", 'Column "a" is infinite'),
    (lines(a=[float("inf")] * 12, y=LABELS), "exclude", 'Column "a" is infinite'),
])  # fmt: skip
def test_a_fault_is_told_with_its_row(tmp_path: Path, text: str, field: str, words: str) -> None:
    refusal(lambda: read(tmp_path, text), field, words)


def test_true_is_not_the_label_1(tmp_path: Path) -> None:
    raw = read(tmp_path, lines(a=[row / 2 for row in range(12)], y=[1, True, "1", 1.0] * 3))
    assert raw.classes == ("1", "True")
    assert raw.y.tolist() == [0, 1, 0, 0] * 3
