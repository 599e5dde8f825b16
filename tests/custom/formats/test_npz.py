"""NumPy archives."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataselect_env.custom.definitions import Table
from dataselect_env.custom.tables import RawTable, read_table
from tests.helpers.tabling import N, every, refusal


def npz(folder: Path, table: dict[str, Any] | None = None, **arrays: Any) -> RawTable:
    np.savez(folder / "t.npz", **arrays)
    return read_table(Table(file="t.npz", **(table or {"target": "y"})), folder)


def test_an_archive_has_features_x_and_labels(tmp_path: Path) -> None:
    X, y, names = np.eye(N, 4, dtype=np.float32), np.arange(N) % 3, np.array([b"ann", b"bob"])[np.arange(N) % 2]
    table = {"target": "given", "true_target": "y", "annotator": "who", "exclude": ["x1"]}
    raw = npz(tmp_path, table, X=X, y=y, given=np.roll(y, 1), who=names, other=np.ones(3))
    assert list(raw.frame.columns) == ["x0", "x2", "x3"]
    assert raw.given is not None
    np.testing.assert_array_equal(raw.y, y)
    np.testing.assert_array_equal(raw.given, np.roll(y, 1))
    assert raw.annotators == ("ann", "bob")
    every(raw)


@pytest.mark.parametrize(("arrays", "field", "words"), [
    ({}, "file", "t.npz has no arrays"),
    ({"X": np.ones((N, 2)), "Y": np.ones(N)}, "target", 'no array "y", which target names. Did you mean "Y"'),
    ({"X": np.ones((N, 2)), "y": np.array([{}] * N)}, "target", '"y" of t.npz should be an array of one dimension'),
    ({"X": np.ones((N, 2)), "y": np.ones((N, 2))}, "target", "one dimension"),
    ({"X": np.array([[{}]] * N), "y": np.ones(N)}, "file", "X of t.npz should be numbers"),
    ({"X": np.ones((9, 2)), "y": np.ones(N)}, "file", "60 rows"),
    ({"X": np.ones((N, 2, 2)), "y": np.ones(N)}, "file", "X of t.npz should be numbers"),
    ({"X": np.ones(N), "y": np.ones(N)}, "file", "X of t.npz should be numbers"),
    ({"X": np.full((N, 2), "x"), "y": np.ones(N)}, "file", "X of t.npz should be numbers"),
    ({"Z": np.ones((N, 2)), "y": np.ones(N)}, "file", 'no array X with the features. Besides the labels it has "Z"'),
    ({"y": np.ones(N)}, "file", "no array X with the features. Besides the labels it has none"),
])  # fmt: skip
def test_a_bad_archive_is_refused(tmp_path: Path, arrays: dict[str, Any], field: str, words: str) -> None:
    refusal(lambda: npz(tmp_path, **arrays), field, words)


def test_headers_of_arrays_are_not_believed(tmp_path: Path) -> None:
    labels, features = io.BytesIO(), io.BytesIO()
    np.save(labels, np.arange(N) % 2)
    for rows in (10**12, 10**30):
        np.lib.format.write_array_header_1_0(features, {"descr": "<f8", "fortran_order": False, "shape": (rows, 3)})
        with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
            archive.writestr("y.npy", labels.getvalue())
            archive.writestr("X.npy", features.getvalue())
        refusal(lambda: read_table(Table(file="t.npz", target="y"), tmp_path), "file", "t.npz does not fit into")
