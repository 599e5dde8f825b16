"""JSON Lines, with one object in each line, and JSON files with a list of objects."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

from dataselect_env.custom.errors import TableError
from dataselect_env.custom.formats.opened import OpenedTable, of_frame
from dataselect_env.custom.formats.text import TextFile

_HALF = re.compile("[\ud800-\udfff]")


class _Pairs(list[tuple[str, Any]]):
    """The keys and values of a JSON object."""


def open_json(file: TextFile) -> OpenedTable:
    """Open a file of JSON objects, whose keys are the columns.

    Raises:
        TableError: A row is not a JSON object, or has a key twice.
    """
    import pandas  # noqa: PLC0415

    columns: dict[str, list[Any]] = {}
    numbers: list[int] = []
    for row, pairs in _objects(file):
        cells: dict[str, Any] = {}
        for name, value in pairs:
            if name in cells:
                raise TableError(f'Row {row:,} of {file.title} has the key "{name}" twice. Correct it.', "file")
            for text in (name, value):
                if isinstance(text, str):
                    _check_text(file, row, text)
            cells[name] = value
            if name not in columns:
                columns[name] = [None] * len(numbers)
        for name, column in columns.items():
            column.append(cells.get(name))
        numbers.append(row)
    if not columns:
        raise TableError(f"{file.title} is empty.", "file")
    return of_frame(pandas.DataFrame(columns, index=numbers), "JSON objects")


def _check_text(file: TextFile, row: int, text: str) -> None:
    """Refuse text with half of a surrogate pair, which is no character and cannot be written as UTF-8."""
    if _HALF.search(text):
        message = f"Row {row:,} of {file.title} has half of a character, as \\ud800 is."
        raise TableError(f"{message} Write the whole character.", "file")


def _objects(file: TextFile) -> Iterator[tuple[int, _Pairs]]:
    """Yield the number of each row, from 1, and its object."""
    lines = file.lines()
    for row, line in enumerate(lines, start=1):
        text = line.strip()
        if text.startswith("["):  # a list, perhaps over several lines
            yield from enumerate(_list(file, "\n" * (row - 1) + line + "".join(lines)), start=1)
        elif text:
            yield row, _checked(file, row, _parsed(file, text, row))


def _list(file: TextFile, text: str) -> Iterator[_Pairs]:
    for number, item in enumerate(_parsed(file, text, 1), start=1):
        yield _checked(file, number, item)


def _parsed(file: TextFile, text: str, row: int) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_Pairs, parse_int=_integer)
    except json.JSONDecodeError as error:
        place = f"character {error.colno:,} of row {row + error.lineno - 1:,} of {file.title}"
        raise TableError(f"At {place}, there is no valid JSON: {error.msg}. {_ADVICE}", "file") from None
    except RecursionError:  # thousands of brackets
        raise TableError(f"Row {row:,} of {file.title} cannot be read: its JSON is too deep.", "file") from None


def _integer(digits: str) -> int | float:
    """Return an integer; a float, which may be infinite, where it has more digits than a float's range."""
    return int(digits) if len(digits) <= sys.float_info.max_10_exp else float(digits)


def _checked(file: TextFile, row: int, item: Any) -> _Pairs:
    if not isinstance(item, _Pairs):
        raise TableError(f"Row {row:,} of {file.title} is not a JSON object. {_ADVICE}", "file")
    return item


_ADVICE = 'Write one object in each line, such as {"size": 1.5, "label": "x"}, or one list of such objects.'
