"""Opens a file of a table: finds the format by its suffix."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from dataselect_env.custom.definitions import Table
from dataselect_env.custom.errors import TableError
from dataselect_env.custom.formats.columnar import open_columnar
from dataselect_env.custom.formats.delimited import open_delimited
from dataselect_env.custom.formats.excel import open_excel
from dataselect_env.custom.formats.failures import file_errors
from dataselect_env.custom.formats.json_rows import open_json
from dataselect_env.custom.formats.npz import open_npz
from dataselect_env.custom.formats.opened import OpenedTable, check_bytes
from dataselect_env.custom.formats.text import PACKINGS, TextFile, only_member

if TYPE_CHECKING:
    import pandas

DELIMITED = (".csv", ".tsv")
JSON = (".jsonl", ".ndjson", ".json")
COLUMNAR = (".parquet", ".feather", ".orc")
EXCEL = (".xlsx", ".xls", ".xlsb", ".ods")
SUFFIXES = (*DELIMITED, *JSON, *COLUMNAR, *EXCEL, ".npz")
"""Suffixes of files that can be read; those of text files may be followed by one of ``PACKINGS``."""
EXTRA = "Tables need pandas and pyarrow: pip install 'dataselect-env[data]'"
EXCEL_EXTRA = "Spreadsheets need python-calamine: pip install 'dataselect-env[excel]'"


def title_of(table: Table) -> str:
    """Return the name of the file in messages, without the folder of an absolute name."""
    name = str(table.file)
    return Path(name).name if Path(name).is_absolute() else name


def open_file(table: Table, folder: Path, as_text: Collection[str] = ()) -> OpenedTable:
    """Open the file of a table without loading its columns.

    Args:
        table: The table.
        folder: Folder that a relative name starts at.
        as_text: Columns of a CSV file that are loaded as they are written, beside those of labels.

    Raises:
        TableError: The file does not exist or cannot be read, or a library is missing.
    """
    title, path = title_of(table), folder / str(table.file)
    extra = EXCEL_EXTRA if _suffix(path.name) in EXCEL else EXTRA
    with file_errors(title, path, extra):
        _check_exists(title, path, is_absolute=Path(str(table.file)).is_absolute())
        opened = _open(table, path, title, as_text)

    def load(columns: list[str]) -> pandas.DataFrame:
        check_bytes(title, 8 * opened.rows * len(columns))  # a small file may unpack to billions of cells
        with file_errors(title, path, extra):
            return opened.load(columns)

    return opened._replace(load=load)


def _check_exists(title: str, path: Path, *, is_absolute: bool) -> None:
    if path.is_dir():
        raise TableError(f"{title} is a folder, not a file.", "file")
    if not path.exists():
        hint = "" if is_absolute else " Names are relative to the folder of the task file."
        raise TableError(f"There is no file {title}.{hint}", "file")
    if not path.is_file():
        raise TableError(f"{title} is a pipe or a device, not a file. Save its content as a file.", "file")
    if _suffix(path.name) not in (*SUFFIXES, ".zip"):
        packed = f"{', '.join((*DELIMITED, *JSON))} may be followed by {' or '.join(PACKINGS)}"
        raise TableError(f"{title} has an unknown suffix. Names end with {', '.join(SUFFIXES)}; {packed}.", "file")
    if not path.stat().st_size:
        raise TableError(f"{title} is empty.", "file")
    check_bytes(title, path.stat().st_size)


def _suffix(name: str) -> str:
    """Return the suffix that tells the format, in lower case; ``.zip`` if only the member can tell it."""
    path = Path(name.lower())
    inner = Path(path.stem).suffix
    return inner if path.suffix in PACKINGS and inner in (*DELIMITED, *JSON) else path.suffix


def _open(table: Table, path: Path, title: str, as_text: Collection[str]) -> OpenedTable:
    label_names = {field: getattr(table, field) for field in ("target", "true_target", "annotator")}
    labels = {field: name for field, name in label_names.items() if name is not None}
    suffix, packing = _suffix(path.name), path.suffix.lower()
    if table.sheet is not None and suffix not in EXCEL:
        raise TableError(f"{title} has no sheets; only {', '.join(EXCEL)} files have them. Leave sheet out.", "sheet")
    if suffix in COLUMNAR:
        return open_columnar(path, suffix[1:])
    if suffix in EXCEL:
        return open_excel(path, title, table.sheet)
    if suffix == ".npz":
        return open_npz(path, title, labels)
    member = only_member(path, title) if packing == ".zip" else ""
    if member:
        suffix = Path(member.lower()).suffix
    file = TextFile(path, title, packing if packing in PACKINGS else "", member)
    if suffix in JSON:
        opened = open_json(file)
    elif suffix in DELIMITED:
        opened = open_delimited(file, {*labels.values(), *as_text}, "\t" if suffix == ".tsv" else None)
    else:
        raise TableError(f'{title} has the file "{member}", which cannot be read from a .zip file. Unpack it.', "file")
    return opened._replace(note=f'"{Path(member).name}", {opened.note}') if member else opened
