"""Readers of tables: files, scikit-learn's bundled data sets, data sets of OpenML, and DataFrames.

A reader knows the columns before it loads any, so that only the columns in use are loaded.
:mod:`~dataselect_env.custom.formats.files` opens files.
"""

from __future__ import annotations

import textwrap
import warnings
from collections import Counter
from collections.abc import Collection
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dataselect_env.custom.definitions import Table
from dataselect_env.custom.errors import TableError, quoted
from dataselect_env.custom.formats.files import EXTRA, open_file, title_of
from dataselect_env.custom.formats.opened import OpenedTable, of_frame
from dataselect_env.custom.frame_table import FrameTable


class TableReader(NamedTuple):
    """An opened table, whose columns can be loaded.

    Attributes:
        title: Name of the table in messages.
        field: Field of ``Table`` that names it: ``file``, ``bundled``, ``openml`` or ``frame``.
        target: Column with the labels.
        opened: Its columns.
    """

    title: str
    field: str
    target: str
    opened: OpenedTable


def open_reader(table: Table, folder: Path, as_text: Collection[str] = ()) -> TableReader:
    """Open a table without loading its columns.

    Args:
        table: The table to read.
        folder: Folder that a relative file name starts at.
        as_text: Columns of a CSV file that are loaded as they are written, beside those of labels.

    Raises:
        TableError: The table does not exist or cannot be read, or a library is missing.
    """
    field = next((field for field in ("file", "bundled", "openml") if getattr(table, field) is not None), "frame")
    try:
        import pandas  # noqa: F401, PLC0415
    except ImportError:
        raise TableError(EXTRA, field) from None
    if table.file is not None:
        reader = TableReader(title_of(table), field, str(table.target), open_file(table, folder, as_text))
    elif isinstance(table, FrameTable):
        reader = TableReader("the DataFrame", field, str(table.target), of_frame(table.frame.content))
    else:
        reader = _bundled(table) if table.bundled is not None else _openml(table)
    duplicates = [name for name, count in Counter(reader.opened.names).items() if count > 1]
    if duplicates:
        raise TableError(f"Several columns of {reader.title} are called {quoted(duplicates)}. Rename them.", field)
    return reader


def _bundled(table: Table) -> TableReader:
    from sklearn import datasets  # noqa: PLC0415

    bunch = getattr(datasets, f"load_{table.bundled}")(as_frame=True)
    frame = bunch.frame.assign(target=np.asarray(bunch.target_names).astype(str)[bunch.target.to_numpy()])
    return TableReader(str(table.bundled), "bundled", "target", of_frame(frame.set_axis(range(1, len(frame) + 1))))


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
    except (ValueError, LookupError) as error:
        reason = textwrap.shorten(str(error), 200)
        message = f'There is no such data set on openml.org, or it is no table: "{table.openml}", version {version}'
        raise TableError(f"{message} ({reason}).", "openml") from None
    frame = bunch.frame.rename(columns=str)
    targets = [table.target] if table.target is not None else list(bunch.target_names or ())
    if len(targets) != 1:
        raise TableError(f'"{table.openml}" has no single column of labels. Name one in target.', "target")
    return TableReader(str(table.openml), "openml", targets[0], of_frame(frame.set_axis(range(1, len(frame) + 1))))
