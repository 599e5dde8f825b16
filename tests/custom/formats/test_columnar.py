"""Parquet, Feather and ORC files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dataselect_env.custom.definitions import Table
from dataselect_env.custom.formats.columnar import open_columnar
from dataselect_env.custom.tables import read_table
from tests.helpers.tabling import N, frame, refusal, save


@pytest.mark.parametrize("name", ["t.parquet", "_t.feather", ".t.orc"])
def test_columns_are_loaded_by_name(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, frame())
    opened = open_columnar(path, path.suffix[1:])
    assert (opened.names, opened.rows) == (["a", "b", "colour", "label"], N)
    loaded = opened.load(["a", "label"])
    assert list(loaded.columns) == ["a", "label"]
    assert loaded.index.tolist() == list(range(1, N + 1))
    np.testing.assert_array_equal(loaded["a"], frame()["a"])


def test_an_index_is_not_a_column(tmp_path: Path) -> None:
    data = frame().set_index(pd.Index(np.arange(N) * 3))
    data.to_parquet(tmp_path / "t.parquet")
    assert open_columnar(tmp_path / "t.parquet", "parquet").names == list(data.columns)


@pytest.mark.parametrize("name", ["t.parquet", "t.feather"])
def test_faults_have_the_row(tmp_path: Path, name: str) -> None:
    values = np.ones(N)
    values[3] = np.inf
    save(tmp_path / name, frame(c=values))
    refusal(lambda: read_table(Table(file=name, target="label"), tmp_path), "exclude", f"{name}: ", "first in row 4.")
