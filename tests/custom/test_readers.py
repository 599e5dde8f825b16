"""Where tables come from: archives, bundled sets, OpenML, and how a CSV file is divided."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import Mock
from urllib.error import URLError

import numpy as np
import pytest
import sklearn.datasets

from dataselect_env.custom.definitions import Table
from dataselect_env.custom.tables import read_table
from tests.helpers.tabling import COLOURS, every, frame, refusal


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
