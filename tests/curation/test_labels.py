"""Labels of any type as codes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dataselect_env.core.errors import InvalidInput
from dataselect_env.curation.labels import code_labels


@pytest.mark.parametrize(
    ("y", "names", "values"),
    [
        (["b", "a", "b"], ("a", "b"), ["a", "b"]),
        (np.array([10, 9, 10]), ("9", "10"), [9, 10]),
        (np.array([True, False, True]), ("False", "True"), [False, True]),
        (pd.Series(["y ", "x", "y"], dtype="category"), ("x", "y"), ["x", "y"]),
        (np.array([[2.0], [1.0], [2.0]]), ("1", "2"), [1.0, 2.0]),
    ],
)
def test_labels_of_any_type(y: Any, names: tuple[str, ...], values: list[Any]) -> None:
    classes, codes = code_labels({"y": y})
    assert (classes.names, classes.values.tolist()) == (names, values)
    assert codes["y"].tolist() == [1, 0, 1]


def test_equal_labels_of_different_types_are_one_class_of_the_first_type() -> None:
    classes, codes = code_labels({"y": np.array([1, 2, 1]), "y_trusted": np.array(["2", "1.0", "3"])[:2]})
    assert classes.names == ("1", "1.0", "2")  # "1.0" is another text than "1"
    classes, codes = code_labels({"y": np.array([1, 2, 1]), "y_trusted": np.array([2.0, 1.0])})
    assert classes.names == ("1", "2")
    assert classes.values.dtype.kind == "i"
    assert codes["y_trusted"].tolist() == [1, 0]
    assert [classes.code(label) for label in (1, "1", 2.0)] == [0, 0, 1]
    with pytest.raises(InvalidInput, match=re.escape('"3" is none of the classes "1", "2"')):
        classes.code(3)


@pytest.mark.parametrize(
    ("columns", "field", "words"),
    [
        ({"y": ["a", None, "b"]}, "y", "is missing"),
        ({"y": ["a", "b"], "y_trusted": ["a", ""]}, "y_trusted", "y_trusted: "),
        ({"y": [0.5, 1.5]}, "y", "looks like a quantity"),
        ({"y": np.zeros((2, 2))}, "y", "not of shape (2, 2)"),
    ],
)
def test_columns_that_hold_no_labels(columns: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(words)) as caught:
        code_labels(columns)
    assert caught.value.field == field


def test_declared_classes_allow_words_for_missing_cells_and_nothing_else() -> None:
    classes, _ = code_labels({"y": ["None", "crack", "None"]}, ["None", "crack", "dent"])
    assert classes.names == ("None", "crack")
    with pytest.raises(InvalidInput, match=re.escape('the labels "crakc" are none of the classes')):
        code_labels({"y": ["crack", "crakc"]}, ["crack", "dent"])
