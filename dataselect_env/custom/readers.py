"""Where tables come from: files, data sets that scikit-learn brings along, and those of OpenML.

A source knows its columns before it is read, so that no more is read than is needed.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import re
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
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dataselect_env.custom.definitions import Table
from dataselect_env.custom.encoding import TableProblem, listed

if TYPE_CHECKING:
    import pandas

MOST_BYTES = 1_000_000_000
"""Size of the largest file that is read, unpacked where it is packed."""
SEPARATORS = ",;\t"
"""Of values in a .csv file: the one that its header has most of."""
SUFFIXES = (".csv", ".csv.gz", ".tsv", ".parquet", ".npz")

_EXTRA = "Tables need pandas and pyarrow: pip install 'dataselect-env[data]'"
_DAMAGED = (OSError, EOFError, ValueError, LookupError, NotImplementedError, csv.Error, zlib.error, zipfile.BadZipFile)
"""What libraries raise for damaged files; what pandas and pyarrow raise are kinds of ValueError."""
_Opened = tuple[list[str], int, Callable[[list[str]], "pandas.DataFrame"]]
"""A file: its columns, the number of its rows, how to load some of the columns."""


@dataclass(frozen=True)
class Reader:
    """Columns to load: what messages call them, the field of ``Table`` that names them, the one with the labels."""

    title: str
    field: str
    target: str
    names: list[str]
    load: Callable[[list[str]], pandas.DataFrame]


def open_reader(table: Table, folder: Path) -> Reader:
    """Return what a table comes from, its columns known and not yet read.

    Raises:
        TableProblem: It is not there, cannot be read, or a library is missing.
    """
    field = next(field for field in ("file", "bundled", "openml") if getattr(table, field) is not None)
    try:
        import pandas  # noqa: F401, PLC0415
    except ImportError:
        raise TableProblem(_EXTRA, field) from None
    named = _bundled if table.openml is None else _openml
    source = named(table) if table.file is None else _file(table, folder)
    twice = [name for name, count in Counter(source.names).items() if count > 1]
    if twice:
        raise TableProblem(f"Several columns of {source.title} are called {listed(twice)}. Rename them.", field)
    return source


@contextmanager
def _reading(title: str) -> Iterator[None]:
    try:
        yield
    except ImportError:
        raise TableProblem(_EXTRA, "file") from None
    except UnicodeDecodeError:
        raise TableProblem(f"{title} is not written in UTF-8. Save it in that encoding.", "file") from None
    except _DAMAGED:
        raise TableProblem(f"{title} cannot be read: damaged, or not what its suffix says.", "file") from None


def _file(table: Table, folder: Path) -> Reader:
    path = folder / str(table.file)
    title = path.name if Path(str(table.file)).is_absolute() else str(table.file)
    suffix = next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), None)
    if suffix is None:
        raise TableProblem(f"{title} is of an unknown kind. Files end with {', '.join(SUFFIXES)}.", "file")
    with _reading(title):
        if not path.is_file():
            raise TableProblem(f"There is no file {title}. Names are relative to the folder of the task file.", "file")
        if not path.stat().st_size:
            raise TableProblem(f"{title} is empty.", "file")
        _check_bytes(title, path.stat().st_size)
        if suffix == ".npz":
            names, rows, load = _npz(table, path, title)
        else:
            names, rows, load = _parquet(path) if suffix == ".parquet" else _csv(path, title, suffix)

    def load_safely(columns: list[str]) -> pandas.DataFrame:
        _check_bytes(title, 8 * rows * len(columns))  # few packed bytes may be billions of cells
        with _reading(title):
            return load(columns)

    return Reader(title, "file", str(table.target), names, load_safely)


def _csv(path: Path, title: str, suffix: str) -> _Opened:
    """Check the length of every row first: where only some columns are read, pandas does not."""
    import pandas  # noqa: PLC0415

    opener = gzip.open if suffix == ".csv.gz" else io.open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as text:
        first = next((line for line in text if line.strip()), "")
    separator = "\t" if suffix == ".tsv" else max(SEPARATORS, key=first.count)
    with opener(path, "rt", encoding="utf-8-sig", newline="") as text:
        header, rows = _checked(csv.reader(text, delimiter=separator, skipinitialspace=True), title)
    how = {"sep": separator, "header": 0, "names": header, "skipinitialspace": True}

    def load(columns: list[str]) -> pandas.DataFrame:
        places = [header.index(name) for name in columns]
        with warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.DtypeWarning)
            try:  # part by part, which takes half of the memory
                return pandas.read_csv(path, usecols=places, **how)
            except pandas.errors.DtypeWarning:  # numbers in one part and text in another
                return pandas.read_csv(path, usecols=places, low_memory=False, **how)

    return header, rows, load


def _checked(lines: Iterable[list[str]], title: str) -> tuple[list[str], int]:
    """Return the names of the columns and the number of rows; all have as many values, blank lines do not count."""
    header: list[str] = []
    rows = 0
    for number, line in enumerate(lines, start=1):
        if not line or (len(line) == 1 and not line[0].strip()):
            continue
        rows += bool(header)
        header = header or [name.strip() or f"Unnamed: {place}" for place, name in enumerate(line)]
        if len(line) != len(header):
            message = f"Row {number:,} of {title} has {len(line):,} values, its header {len(header):,}."
            raise TableProblem(f"{message} Correct the file.", "file")
    if not header:
        raise TableProblem(f"{title} is empty.", "file")
    return header, rows


def _parquet(path: Path) -> _Opened:
    from pyarrow.parquet import ParquetFile  # noqa: PLC0415

    with ParquetFile(path) as file:
        rows = int(file.metadata.num_rows)
        names = [name for name in file.schema_arrow.names if not re.fullmatch(r"__index_level_\d+__", name)]

    def load(columns: list[str]) -> pandas.DataFrame:
        with ParquetFile(path) as file:
            return file.read(columns=columns).to_pandas(ignore_metadata=True, split_blocks=True, self_destruct=True)

    return names, rows, load


def _npz(table: Table, path: Path, title: str) -> _Opened:
    import pandas  # noqa: PLC0415

    with zipfile.ZipFile(path) as packed:
        _check_bytes(title, sum(member.file_size for member in packed.infolist()))
    with np.load(path, allow_pickle=False) as archive:
        if not archive.files:
            raise TableProblem(f"{title} has no arrays.", "file")
        fields = {field: getattr(table, field) for field in ("target", "true_target", "annotator")}
        labels = {name: _label_array(archive, name, title, field) for field, name in fields.items() if name is not None}
        rows = {len(array) for array in labels.values()}
        if len(rows) > 1:
            raise TableProblem(f"{title}: the arrays {listed(labels)} differ in length.", "file")
        features = _feature_arrays(archive, set(labels), min(rows), title)
    frame = pandas.concat([*features, pandas.DataFrame(labels)], axis=1)
    return list(frame.columns), len(frame), partial(_selected, frame)


def _label_array(archive: Any, name: str, title: str, field: str) -> npt.NDArray[Any]:
    check_known(title, "array", field, name, archive.files)
    array = _array(archive, name)
    if array is None or array.ndim != 1:
        raise TableProblem(f'"{name}" of {title} should be an array of one dimension, of numbers or text.', field)
    return np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array


def _feature_arrays(archive: Any, labels: Collection[str], rows: int, title: str) -> list[pandas.DataFrame]:
    """Return the features: array X or, where there is none, all others that are numbers and have as many rows."""
    import pandas  # noqa: PLC0415

    only_x = "X" in archive.files and "X" not in labels
    frames = []
    for name in ["X"] if only_x else [name for name in archive.files if name not in labels]:
        array = _array(archive, name)
        if array is not None and array.dtype.kind in "biuf" and array.ndim in (1, 2) and len(array) == rows:
            names = [name] if array.ndim == 1 else [f"{name.lower()}{place}" for place in range(array.shape[1])]
            frames.append(pandas.DataFrame(array, columns=names, copy=False))
        elif only_x:
            raise TableProblem(f"X of {title} should be numbers, ({rows:,} rows as the labels, features).", "file")
    if not frames:
        raise TableProblem(f"{title} has no array of numbers with {rows:,} rows, as its labels have.", "file")
    return frames


def _array(archive: Any, name: str) -> npt.NDArray[Any] | None:
    """Return an array of an archive, None where it is one of Python objects, which may hide programs."""
    with suppress(ValueError):
        return np.asarray(archive[name])
    return None


def _bundled(table: Table) -> Reader:
    from sklearn import datasets  # noqa: PLC0415

    bunch = getattr(datasets, f"load_{table.bundled}")(as_frame=True)
    frame = bunch.frame.assign(target=np.asarray(bunch.target_names).astype(str)[bunch.target.to_numpy()])
    return Reader(str(table.bundled), "bundled", "target", list(frame.columns), partial(_selected, frame))


def _openml(table: Table) -> Reader:
    from sklearn.datasets import fetch_openml  # noqa: PLC0415

    version = table.version or "active"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as that it tries again
            bunch = fetch_openml(table.openml, version=version, as_frame=True, parser="auto")
    except (OSError, HTTPException):
        raise TableProblem(f'"{table.openml}" could not be fetched: openml.org needs a network.', "openml") from None
    except (ValueError, LookupError):
        message = f'There is no such data set on openml.org: "{table.openml}", version {version}.'
        raise TableProblem(message, "openml") from None
    frame = bunch.frame.rename(columns=str)
    targets = [table.target] if table.target is not None else list(bunch.target_names or ())
    if len(targets) != 1:
        raise TableProblem(f'"{table.openml}" has no one column of labels. Name it in target.', "target")
    return Reader(str(table.openml), "openml", targets[0], list(frame.columns), partial(_selected, frame))


def _selected(frame: pandas.DataFrame, columns: list[str]) -> pandas.DataFrame:
    return frame.drop(columns=[name for name in frame.columns if name not in columns])  # no view, as frame[columns] is


def check_known(title: str, what: str, field: str, name: str, names: Collection[str]) -> None:
    """Raise TableProblem, with those there are, unless a name that a field of the table gives is among ``names``."""
    if name in names:
        return
    lowered = {known.lower(): known for known in names}
    near = difflib.get_close_matches(name.lower(), lowered, n=1)
    guess = f' Did you mean "{lowered[near[0]]}"?' if near else ""
    raise TableProblem(f'{title} has no {what} "{name}", which {field} names.{guess} It has {listed(names)}.', field)


def _check_bytes(title: str, size: int) -> None:
    if size > MOST_BYTES:
        message = f"{title} is too large: {size / 1e6:,.0f} MB, where {MOST_BYTES / 1e6:,.0f} MB can be read."
        raise TableProblem(f"{message} Choose fewer columns or rows and save them as a file of their own.", "file")
