"""NumPy archives: an array X with the features, and arrays with the labels."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dataselect_env.custom.errors import TableError, check_known, quoted
from dataselect_env.custom.formats.opened import OpenedTable, check_bytes, of_frame


def open_npz(path: Path, title: str, label_names: Mapping[str, str]) -> OpenedTable:
    """Open an archive; its columns are those of ``X``, named x0, x1 and so on, and the labels.

    Args:
        path: The file.
        title: Its name in messages.
        label_names: Arrays with labels or annotators, by the field that names them.

    Raises:
        TableError: An array is missing, or has a wrong shape or type.
    """
    import pandas  # noqa: PLC0415

    with zipfile.ZipFile(path) as packed:
        check_bytes(title, sum(member.file_size for member in packed.infolist()))
    with np.load(path, allow_pickle=False) as archive:
        if not archive.files:
            raise TableError(f"{title} has no arrays.", "file")
        labels = {name: _label_array(archive, name, title, field) for field, name in label_names.items()}
        rows = {len(array) for array in labels.values()}
        if len(rows) > 1:
            raise TableError(f"{title}: the arrays {quoted(labels)} differ in length.", "file")
        features = _feature_array(archive, labels, min(rows), title)
    index = pandas.RangeIndex(1, len(features) + 1)
    names = [f"x{place}" for place in range(features.shape[1])]
    frame = pandas.DataFrame(features, index=index, columns=names, copy=False)
    return of_frame(pandas.concat([frame, pandas.DataFrame(labels, index=index)], axis=1))


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
