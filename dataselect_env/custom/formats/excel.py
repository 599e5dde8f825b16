"""Spreadsheets of Excel and OpenDocument."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dataselect_env.custom.errors import TableError, check_known
from dataselect_env.custom.formats.opened import OpenedTable, of_frame


def open_excel(path: Path, title: str, sheet: str | None) -> OpenedTable:
    """Open a sheet of a spreadsheet, by default the first one, without its blank rows and columns.

    Raises:
        TableError: There is no such sheet, or it is empty.
    """
    import pandas  # noqa: PLC0415

    with path.open("rb") as file, pandas.ExcelFile(file, engine="calamine") as book:
        sheets = [str(name) for name in book.sheet_names]
        if not sheets:
            raise TableError(f"{title} has no sheets.", "file")
        if sheet is not None:
            check_known(title, "sheet", "sheet", sheet, sheets)
        chosen = sheet or sheets[0]
        cells = pandas.read_excel(book, sheet_name=chosen, header=None, dtype=object, na_filter=False)
    cells.index += 1  # as spreadsheets count
    cells = cells.mask(cells.map(_is_blank), None).dropna(how="all").dropna(how="all", axis="columns")
    if cells.empty:
        raise TableError(f'The sheet "{chosen}" of {title} is empty.', "sheet")
    header = cells.iloc[0]
    frame = cells.iloc[1:].infer_objects()
    frame.columns = [
        str(name).strip() if is_given else f"Unnamed: {place}"
        for place, name, is_given in zip(cells.columns, header, header.notna(), strict=True)
    ]
    which = f", the first of {len(sheets):,}" if sheet is None and len(sheets) > 1 else ""
    return of_frame(frame, f'sheet "{chosen}"{which}')


def _is_blank(cell: Any) -> bool:
    return isinstance(cell, str) and not cell.strip()
