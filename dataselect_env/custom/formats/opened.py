"""What every format returns for a file, and the limit on sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from dataselect_env.custom.errors import TableError

if TYPE_CHECKING:
    import pandas

MAX_BYTES = 1_000_000_000
"""Size of the largest file that is read, after unpacking."""


class OpenedTable(NamedTuple):
    """A table in a file, whose columns can be loaded.

    Attributes:
        names: All columns.
        rows: Number of rows.
        load: Returns some of the columns, in the order of ``names``; the index has the numbers of the rows.
        note: How the file was read, for the report.
        rewritten: By column, what the reader makes of some of its cells, for the report.
    """

    names: list[str]
    rows: int
    load: Callable[[list[str]], pandas.DataFrame]
    note: str = ""
    rewritten: Mapping[str, str] = MappingProxyType({})


def of_frame(frame: pandas.DataFrame, note: str = "") -> OpenedTable:
    """Return a table of which all columns are in memory."""
    return OpenedTable(list(frame.columns), len(frame), lambda columns: selected(frame, columns), note)


def selected(frame: pandas.DataFrame, columns: Iterable[str]) -> pandas.DataFrame:
    """Return some columns of a frame as a copy, in the order of the frame."""
    wanted = set(columns)
    return frame.drop(columns=[name for name in frame.columns if name not in wanted])  # frame[columns] may be a view


def check_bytes(title: str, size: int) -> None:
    """Check the size of a file, or of what it unpacks to.

    Raises:
        TableError: It exceeds ``MAX_BYTES``.
    """
    if size > MAX_BYTES:
        message = f"{title} is too large: {size / 1e6:,.0f} MB, and at most {MAX_BYTES / 1e6:,.0f} MB can be read."
        raise TableError(f"{message} Save fewer columns or rows as another file.", "file")
