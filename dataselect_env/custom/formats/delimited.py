"""CSV and TSV files.

Every row is checked here, because pandas neither counts the values of rows when it reads only some columns nor reports
what it makes of cells such as ``007`` and ``NA``.
"""

from __future__ import annotations

import csv
import re
import threading
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from dataselect_env.custom.columns import EMPTY_WORDS
from dataselect_env.custom.errors import TableError, quoted
from dataselect_env.custom.formats.opened import MAX_BYTES, OpenedTable
from dataselect_env.custom.formats.text import TextFile

if TYPE_CHECKING:
    import pandas

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
"""Separators of a .csv file; the one that divides its header into most names is used."""

_csv_limit = threading.Lock()
_BLANKS = " \t\r\n\f\v\u00a0\ufeff"
"""Characters around a column's name that do not belong to it; the last is the byte order mark of a joined file."""
_NOTHING = {*EMPTY_WORDS} - {""}
_MAY_BE_REWRITTEN = re.compile(r"\x1f(?:0[0-9]+\x1f|[A-Za-z#<]|-[nN]|-?1\.#)")
"""Finds rows with leading zeros or words among cells joined by \\x1f; one search a row costs less than one a cell."""


def open_delimited(file: TextFile, labels: Collection[str], separator: str | None = None) -> OpenedTable:
    """Open a CSV file.

    Args:
        file: The file.
        labels: Columns of labels, which are loaded as text: ``01`` stays ``01``, and ``true`` stays ``true``.
        separator: One of ``SEPARATORS``; None finds it.

    Raises:
        TableError: The file is empty, or a row cannot be read.
    """
    separator = separator or _separator(file)
    scan = _Scan(file.title)
    with _long_cells():
        scan.read(csv.reader(file.lines(), delimiter=separator, skipinitialspace=True, strict=True))
    options: dict[str, Any] = {"sep": separator, "header": 0, "names": scan.header, "skipinitialspace": True}

    def load(columns: list[str]) -> pandas.DataFrame:
        options["usecols"] = [scan.header.index(name) for name in columns]
        options["dtype"] = {name: str for name in columns if name in labels}
        options["na_values"] = {name: EMPTY_WORDS for name in columns if name not in labels}
        frame = _read_csv(file, options)
        frame.index = scan.row_numbers()
        return frame

    return OpenedTable(scan.header, scan.rows, load, f"separated by {SEPARATORS[separator]}", scan.rewritten())


def _read_csv(file: TextFile, options: dict[str, Any]) -> pandas.DataFrame:
    import pandas  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("error", pandas.errors.DtypeWarning)
        try:  # in chunks, which takes half of the memory
            with file.open() as text:
                return pandas.read_csv(text, keep_default_na=False, **options)
        except pandas.errors.DtypeWarning:  # numbers in one chunk and text in another
            with file.open() as text:
                return pandas.read_csv(text, keep_default_na=False, low_memory=False, **options)


def _separator(file: TextFile) -> str:
    """Return the separator that divides the first line that is not blank into most values."""
    first = next((line for line in file.lines() if line.strip()), "")
    return max(SEPARATORS, key=lambda separator: len(next(csv.reader([first], delimiter=separator), [])))


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let the csv module read cells of any length; its limit of 131,072 characters is a setting of the process."""
    with _csv_limit:
        limit = csv.field_size_limit(MAX_BYTES)
        try:
            yield
        finally:
            csv.field_size_limit(limit)


class _Scan:
    """One pass over all rows.

    Args:
        title: Name of the file in messages.

    Attributes:
        header: Names of the columns.
        rows: Number of rows below the header; blank ones do not count.
    """

    def __init__(self, title: str) -> None:
        self.header: list[str] = []
        self.rows = 0
        self._title = title
        self._first = 0  # number of the header's row
        self._blank: list[int] = []  # numbers of blank rows below it
        self._zeros: dict[int, str] = {}  # by column, the first cell such as 007
        self._words: dict[int, set[str]] = {}  # by column, cells such as NA

    def read(self, lines: Iterator[list[str]]) -> None:
        """Read all rows.

        Raises:
            TableError: A row cannot be divided, or has more or fewer values than the header; or there is no header.
        """
        number = 0
        try:
            for number, line in enumerate(lines, start=1):
                self._take(number, line)
        except csv.Error:
            raise TableError(
                f"Row {number + 1:,} of {self._title} cannot be divided into values: a quoted value does not end, or"
                ' text follows it. Write a quote inside quotes twice, as in "a 3"" nail".',
                "file",
            ) from None
        if not self.header:
            raise TableError(f"{self._title} is empty.", "file")

    def _take(self, number: int, line: list[str]) -> None:
        if not line or (len(line) == 1 and not line[0].strip(" \t")):  # as pandas sees it
            if self.header:
                self._blank.append(number)
            return
        if not self.header:
            self._first = number
            self._check_header(line)
            self.header = [name.strip(_BLANKS) or f"Unnamed: {place}" for place, name in enumerate(line)]
            return
        self.rows += 1
        if len(line) != len(self.header):
            message = f"Row {number:,} of {self._title} has {len(line):,} values, its header {len(self.header):,}."
            first = "the first row should have the names of the columns, and " if self.rows == 1 else ""
            raise TableError(f"{message} Correct it; {first}values that contain the separator need quotes.", "file")
        if _MAY_BE_REWRITTEN.search("\x1f".join(("", *line, ""))):
            for place, cell in enumerate(line):
                if cell in _NOTHING:
                    self._words.setdefault(place, set()).add(cell)
                elif cell[:1] == "0" and cell[1:].isdecimal():
                    self._zeros.setdefault(place, cell)

    def _check_header(self, names: list[str]) -> None:
        if len(names) == 1:
            message = f"{self._title} has only one column, {quoted(names)}; a table has labels and features."
            wanted = ", ".join(SEPARATORS.values())
            raise TableError(f"{message} Separate values by one of {wanted}; in a .tsv file by tabs.", "file")

    def row_numbers(self) -> Any:
        """Return the number of each row in the file, counted as spreadsheets do."""
        numbers = np.arange(self._first + 1, self._first + 1 + self.rows + len(self._blank))
        return np.setdiff1d(numbers, self._blank)

    def rewritten(self) -> dict[str, str]:
        """Return by column what pandas makes of cells such as ``007`` and ``NA``."""
        found: dict[str, list[str]] = {}
        for place, cell in self._zeros.items():
            found.setdefault(self.header[place], []).append(f'"{cell}" as {int(cell)}')
        for place, words in self._words.items():
            found.setdefault(self.header[place], []).append(", ".join(f'"{word}" as missing' for word in sorted(words)))
        return {name: ", ".join(readings) for name, readings in found.items()}
