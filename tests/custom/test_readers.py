"""Where tables come from: archives, bundled sets, OpenML, and how a CSV file is divided."""

from __future__ import annotations

import csv
import io
import zipfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from urllib.error import URLError

import numpy as np
import pandas as pd
import pytest
import sklearn.datasets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataselect_env.custom.definitions import Table
from dataselect_env.custom.errors import TableError
from dataselect_env.custom.tables import RawTable, read_table
from tests.helpers.tabling import COLOURS, N, every, frame, refusal


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


@pytest.mark.parametrize(("name", "shape", "classes"), [
    ("digits", (1797, 64), tuple("0123456789")),
    ("breast_cancer", (569, 30), ("benign", "malignant")),
    ("wine", (178, 13), ("class_0", "class_1", "class_2")),
])  # fmt: skip
def test_bundled_sets(name: Any, shape: tuple[int, int], classes: tuple[str, ...]) -> None:
    raw = read_table(Table(bundled=name), Path())
    X = every(raw)
    assert (X.shape, raw.classes, raw.categorical) == (shape, classes, ())
    assert np.isfinite(X).all()
    bunch = getattr(sklearn.datasets, f"load_{name}")()
    np.testing.assert_array_equal(np.array(classes)[raw.y], bunch.target_names.astype(str)[bunch.target])


def test_openml(monkeypatch: pytest.MonkeyPatch) -> None:
    data = frame().astype({"colour": "category", "label": "category"})
    fetch = Mock(side_effect=lambda *_, **__: sklearn.utils.Bunch(frame=data, target_names=["label"]))
    monkeypatch.setattr("sklearn.datasets.fetch_openml", fetch)
    assert read_table(Table(openml="people"), Path()).classes == ("no", "yes")
    assert read_table(Table(openml="people", version=2, target="colour"), Path()).classes == COLOURS
    assert [call.kwargs["version"] for call in fetch.mock_calls] == ["active", 2]
    refusal(lambda: read_table(Table(openml="people", target="color"), Path()), "target", 'Did you mean "colour"')
    fetch.side_effect = [sklearn.utils.Bunch(frame=data, target_names=[])]
    refusal(lambda: read_table(Table(openml="people"), Path()), "target", "Name one in target")


def test_openml_without_network_or_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = ValueError("No active dataset people found.")
    for error, words in ((URLError("no route"), "network"), (TimeoutError(), "network"), (unknown, "no such data set")):
        monkeypatch.setattr("sklearn.datasets.fetch_openml", Mock(side_effect=error))
        refusal(lambda: read_table(Table(openml="people"), Path()), "openml", words, "openml.org", '"people"')


@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_values_may_be_divided_by_semicolons_and_tabs(tmp_path: Path, separator: str) -> None:
    text = "\n".join(
        separator.join(row) for row in (("a", "b", "y"), *((f"{n}.5", "1", "uv"[n % 2]) for n in range(8)))
    )
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    raw = read_table(Table(file="t.csv", target="y"), tmp_path)
    assert list(raw.frame.columns) == ["a", "b"]
    assert raw.classes == ("u", "v")


@pytest.mark.parametrize("fields", [{"exclude": ["doc"]}, {"columns": ["a"]}], ids=str)
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_cells_may_be_long(tmp_path: Path, name: str, fields: dict[str, Any]) -> None:
    documents = ["w " * (70_000 if row == 7 else 5) for row in range(N)]
    frame(doc=documents).to_csv(tmp_path / name, index=False)
    limit = csv.field_size_limit()
    raw = read_table(Table(file=name, target="label", **fields), tmp_path)
    assert (len(raw.frame), "doc" in raw.frame) == (N, False)
    assert csv.field_size_limit() == limit  # a setting of the whole process


def test_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.csv").mkdir()
    (tmp_path / "t").mkdir()
    for table in (Table(file=name, target="y") for name in ("t.csv", "t", ".")):
        refusal(partial(read_table, table, tmp_path), "file", "is a folder, not a file")


def sample(folder: Path, name: str) -> bytes:
    data = frame(day=pd.date_range("2020-01-01", periods=N), size=["1,250", "?"] * (N // 2))
    if name.endswith(".parquet"):
        data.to_parquet(folder / name)
    elif name.endswith(".npz"):
        np.savez(folder / name, X=np.eye(N, 3), label=np.arange(N) % 2)
    else:
        data.to_csv(folder / name, index=False)
    return (folder / name).read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["t.csv", "t.csv.gz", "t.tsv", "t.parquet", "t.npz"]),
    damage=st.lists(st.tuples(st.floats(0, 0.999), st.binary(max_size=8), st.integers(0, 30)), max_size=9),
)
def test_any_damage_is_told_in_a_sentence(tmp_path: Path, name: str, damage: list[tuple[float, bytes, int]]) -> None:
    content = sample(tmp_path, name)
    for place, inserted, removed in damage:
        start = int(place * len(content))
        content = content[:start] + inserted + content[start + removed :]
    (tmp_path / name).write_bytes(content)
    with suppress(TableError):
        every(read_table(Table(file=name, target="label"), tmp_path))


def test_headers_of_arrays_are_not_believed(tmp_path: Path) -> None:
    labels, features = io.BytesIO(), io.BytesIO()
    np.save(labels, np.arange(N) % 2)
    for rows in (10**12, 10**30):
        np.lib.format.write_array_header_1_0(features, {"descr": "<f8", "fortran_order": False, "shape": (rows, 3)})
        with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
            archive.writestr("y.npy", labels.getvalue())
            archive.writestr("X.npy", features.getvalue())
        refusal(lambda: read_table(Table(file="t.npz", target="y"), tmp_path), "file", "t.npz cannot be read")
