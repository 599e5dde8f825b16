"""Readers of tables: files, scikit-learn's bundled data sets, and data sets of OpenML.

A reader knows the columns before it loads any, so that only the columns in use are loaded.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import re
import threading
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

import numpy as np
import numpy.typing as npt

from dataselect_env.custom.columns import EMPTY_WORDS
from dataselect_env.custom.definitions import Table
from dataselect_env.custom.errors import TableError, quoted

if TYPE_CHECKING:
    import pandas

MAX_BYTES = 1_000_000_000
"""Size of the largest file that is read, after unpacking."""
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
"""Separators of a .csv file; the most frequent one in its header is used."""
SUFFIXES = (".csv", ".csv.gz", ".tsv", ".parquet", ".npz")

_csv_limit = threading.Lock()
_EXTRA = "Tables need pandas and pyarrow: pip install 'dataselect-env[data]'"
_DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    RuntimeError,
    MemoryError,
    ArithmeticError,
    csv.Error,
    zlib.error,
    zipfile.BadZipFile,
)
"""Exceptions that libraries raise for damaged files; pandas and pyarrow derive theirs from these."""
_OpenedFile = tuple[list[str], int, Callable[[list[str]], "pandas.DataFrame"]]
"""Names of the columns, number of rows, and a function that loads some of the columns."""


@dataclass(frozen=True)
class TableReader:
    """An opened table, whose columns can be loaded.

    Attributes:
        title: Name of the table in messages.
        field: Field of ``Table`` that names it: ``file``, ``bundled`` or ``openml``.
        target: Column with the labels.
        names: All columns.
        load: Returns some of the columns, in the order of ``names``.
        note: How the file was read, for the report.
    """

    title: str
    field: str
    target: str
    names: list[str]
    load: Callable[[list[str]], pandas.DataFrame]
    note: str = ""


def open_reader(table: Table, folder: Path, as_text: Collection[str] = ()) -> TableReader:
    """Open a table without loading its columns.

    Args:
        table: The table to read.
        folder: Folder that a relative file name starts at.
        as_text: Columns of a CSV file that are loaded as they are written, beside those of labels.

    Raises:
        TableError: The table does not exist or cannot be read, or a library is missing.
    """
    field = next(field for field in ("file", "bundled", "openml") if getattr(table, field) is not None)
    try:
        import pandas  # noqa: F401, PLC0415
    except ImportError:
        raise TableError(_EXTRA, field) from None
    if table.file is not None:
        reader = _file(table, folder, as_text)
    else:
        reader = _bundled(table) if table.bundled is not None else _openml(table)
    duplicates = [name for name, count in Counter(reader.names).items() if count > 1]
    if duplicates:
        raise TableError(f"Several columns of {reader.title} are called {quoted(duplicates)}. Rename them.", field)
    return reader


@contextmanager
def _file_errors(title: str) -> Iterator[None]:
    """Turn what libraries raise for a file into a sentence."""
    try:
        yield
    except ImportError:
        raise TableError(_EXTRA, "file") from None
    except UnicodeDecodeError:
        raise TableError(f"{title} is not encoded in UTF-8. Save it in that encoding.", "file") from None
    except _DAMAGED:
        raise TableError(f"{title} cannot be read: it is damaged, or its suffix is wrong.", "file") from None


def _file(table: Table, folder: Path, as_text: Collection[str]) -> TableReader:
    path = folder / str(table.file)
    title = path.name if Path(str(table.file)).is_absolute() else str(table.file)
    suffix = next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), None)
    with _file_errors(title):
        if path.is_dir():
            raise TableError(f"{title} is a folder, not a file.", "file")
        if not path.exists():
            hint = "" if Path(str(table.file)).is_absolute() else " Names are relative to the folder of the task file."
            raise TableError(f"There is no file {title}.{hint}", "file")
        if suffix is None:
            raise TableError(f"{title} has an unknown suffix. Names of files end with {', '.join(SUFFIXES)}.", "file")
        if not path.stat().st_size:
            raise TableError(f"{title} is empty.", "file")
        _check_bytes(title, path.stat().st_size)
        note = ""
        if suffix == ".npz":
            names, rows, load = _npz(table, path, title)
        elif suffix == ".parquet":
            names, rows, load = _parquet(path)
        else:
            separator = "\t" if suffix == ".tsv" else _separator(path)
            note = f" (values separated by {SEPARATORS[separator]})"
            names, rows, load = _csv(path, title, separator, {*_label_names(table).values(), *as_text})

    def load_safely(columns: list[str]) -> pandas.DataFrame:
        _check_bytes(title, 8 * rows * len(columns))  # a small file may unpack to billions of cells
        with _file_errors(title):
            return load(columns)

    return TableReader(title, "file", str(table.target), names, load_safely, note)


def _label_names(table: Table) -> dict[str, str]:
    """Return the columns that hold labels or annotators, by the field that names them."""
    fields = {field: getattr(table, field) for field in ("target", "true_target", "annotator")}
    return {field: name for field, name in fields.items() if name is not None}


def _text_file(path: Path) -> TextIO:
    opener = gzip.open if path.name.lower().endswith(".gz") else io.open
    return cast("TextIO", opener(path, "rt", encoding="utf-8-sig", newline=""))


def _separator(path: Path) -> str:
    with _text_file(path) as text:
        first = next((line for line in text if line.strip()), "")
    return max(SEPARATORS, key=first.count)


def _csv(path: Path, title: str, separator: str, labels: Collection[str]) -> _OpenedFile:
    """Open a CSV file. Every row's length is checked here, because pandas does not when it reads only some columns."""
    import pandas  # noqa: PLC0415

    with _text_file(path) as text, _long_cells():
        header, rows = _checked_rows(csv.reader(text, delimiter=separator, skipinitialspace=True), title)
    options: dict[str, Any] = {"sep": separator, "header": 0, "names": header, "skipinitialspace": True}
    options["keep_default_na"] = False

    def load(columns: list[str]) -> pandas.DataFrame:
        places = [header.index(name) for name in columns]
        options["dtype"] = {name: str for name in columns if name in labels}  # so that 01 stays 01, and true stays true
        options["na_values"] = {name: EMPTY_WORDS for name in columns if name not in labels}
        with warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.DtypeWarning)
            try:  # in chunks, which takes half of the memory
                return pandas.read_csv(path, usecols=places, **options)
            except pandas.errors.DtypeWarning:  # numbers in one chunk and text in another
                return pandas.read_csv(path, usecols=places, low_memory=False, **options)

    return header, rows, load


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let the csv module read cells of any length; its limit of 131,072 characters is a setting of the process."""
    with _csv_limit:
        limit = csv.field_size_limit(MAX_BYTES)
        try:
            yield
        finally:
            csv.field_size_limit(limit)


def _checked_rows(lines: Iterable[list[str]], title: str) -> tuple[list[str], int]:
    """Return the names of the columns and the number of rows. Blank lines do not count.

    Raises:
        TableError: A row has more or fewer values than the header, or there is no header.
    """
    header: list[str] = []
    rows = 0
    for number, line in enumerate(lines, start=1):
        if not line or (len(line) == 1 and not line[0].strip()):
            continue
        rows += bool(header)
        header = header or [name.strip() or f"Unnamed: {place}" for place, name in enumerate(line)]
        if len(line) != len(header):
            message = f"Row {number:,} of {title} has {len(line):,} values, its header {len(header):,}."
            raise TableError(f"{message} Correct the file.", "file")
    if not header:
        raise TableError(f"{title} is empty.", "file")
    return header, rows


def _parquet(path: Path) -> _OpenedFile:
    from pyarrow.parquet import ParquetFile  # noqa: PLC0415

    with ParquetFile(path) as file:
        rows = int(file.metadata.num_rows)
        names = [name for name in file.schema_arrow.names if not re.fullmatch(r"__index_level_\d+__", name)]

    def load(columns: list[str]) -> pandas.DataFrame:
        with ParquetFile(path) as file:
            return file.read(columns=columns).to_pandas(ignore_metadata=True, split_blocks=True, self_destruct=True)

    return names, rows, load


def _npz(table: Table, path: Path, title: str) -> _OpenedFile:
    import pandas  # noqa: PLC0415

    with zipfile.ZipFile(path) as packed:
        _check_bytes(title, sum(member.file_size for member in packed.infolist()))
    with np.load(path, allow_pickle=False) as archive:
        if not archive.files:
            raise TableError(f"{title} has no arrays.", "file")
        labels = {name: _label_array(archive, name, title, field) for field, name in _label_names(table).items()}
        rows = {len(array) for array in labels.values()}
        if len(rows) > 1:
            raise TableError(f"{title}: the arrays {quoted(labels)} differ in length.", "file")
        features = _feature_array(archive, labels, min(rows), title)
    frame = pandas.DataFrame(features, columns=[f"x{place}" for place in range(features.shape[1])], copy=False)
    frame = pandas.concat([frame, pandas.DataFrame(labels)], axis=1)
    return list(frame.columns), len(frame), partial(_selected, frame)


def _label_array(archive: Any, name: str, title: str, field: str) -> npt.NDArray[Any]:
    check_known(title, "array", field, name, archive.files)
    array = _array(archive, name)
    if array is None or array.ndim != 1:
        raise TableError(f'"{name}" of {title} should be an array of one dimension, of numbers or text.', field)
    return np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array


def _feature_array(archive: Any, labels: Collection[str], rows: int, title: str) -> npt.NDArray[Any]:
    """Return the array X."""
    if "X" not in archive.files or "X" in labels:
        others = quoted([name for name in archive.files if name not in labels])
        raise TableError(f"{title} has no array X with the features. Besides the labels it has {others}.", "file")
    array = _array(archive, "X")
    if array is None or array.dtype.kind not in "biuf" or array.ndim != 2 or len(array) != rows:
        raise TableError(f"X of {title} should be numbers, ({rows:,} rows as the labels, features).", "file")
    return array


def _array(archive: Any, name: str) -> npt.NDArray[Any] | None:
    """Return an array of an archive; None for Python objects, which could run code when loaded."""
    with suppress(ValueError):
        return np.asarray(archive[name])
    return None


def _bundled(table: Table) -> TableReader:
    from sklearn import datasets  # noqa: PLC0415

    bunch = getattr(datasets, f"load_{table.bundled}")(as_frame=True)
    frame = bunch.frame.assign(target=np.asarray(bunch.target_names).astype(str)[bunch.target.to_numpy()])
    return TableReader(str(table.bundled), "bundled", "target", list(frame.columns), partial(_selected, frame))


def _openml(table: Table) -> TableReader:
    from sklearn.datasets import fetch_openml  # noqa: PLC0415

    version = table.version or "active"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as those about retries
            bunch = fetch_openml(table.openml, version=version, as_frame=True, parser="auto")
    except (OSError, HTTPException):
        raise TableError(
            f'"{table.openml}" could not be fetched: openml.org cannot be reached over the network.', "openml"
        ) from None
    except (ValueError, LookupError):
        message = f'There is no such data set on openml.org: "{table.openml}", version {version}.'
        raise TableError(message, "openml") from None
    frame = bunch.frame.rename(columns=str)
    targets = [table.target] if table.target is not None else list(bunch.target_names or ())
    if len(targets) != 1:
        raise TableError(f'"{table.openml}" has no single column of labels. Name one in target.', "target")
    return TableReader(str(table.openml), "openml", targets[0], list(frame.columns), partial(_selected, frame))


def _selected(frame: pandas.DataFrame, columns: list[str]) -> pandas.DataFrame:
    unwanted = [name for name in frame.columns if name not in columns]
    return frame.drop(columns=unwanted)  # a copy: frame[columns] may be a view


def check_known(title: str, what: str, field: str, name: str, names: Collection[str]) -> None:
    """Check that a name in a field of the table is among ``names``.

    Raises:
        TableError: It is not; the message lists ``names``.
    """
    if name in names:
        return
    lowered = {known.lower(): known for known in names}
    near = difflib.get_close_matches(name.lower(), lowered, n=1)
    guess = f' Did you mean "{lowered[near[0]]}"?' if near else ""
    raise TableError(f'{title} has no {what} "{name}", which {field} names.{guess} It has {quoted(names)}.', field)


def _check_bytes(title: str, size: int) -> None:
    if size > MAX_BYTES:
        message = f"{title} is too large: {size / 1e6:,.0f} MB, and at most {MAX_BYTES / 1e6:,.0f} MB can be read."
        raise TableError(f"{message} Save fewer columns or rows as another file.", "file")
