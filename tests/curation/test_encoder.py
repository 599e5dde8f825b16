"""The transformer of tables as a scikit-learn estimator, and what it takes for a table."""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from dataselect_env.core.errors import InvalidInput
from dataselect_env.curation import TableEncoder
from dataselect_env.curation.encoder import as_frame

TABLE = pd.DataFrame(
    {
        "size": [1.0, 2.0, np.nan, 5.0],
        "colour": ["red", "blue", "red", None],
        "code": [1, 2, 1, 2],
        "note": ["first note", "second note", "third note", "fourth note"],
    }
)


def encoder(**changes: Any) -> TableEncoder:
    return TableEncoder(**{"exclude": ["note"], "categorical": ["code"], **changes})


def test_numbers_and_categories_become_columns() -> None:
    fitted = encoder().fit(TABLE)
    X = fitted.transform(TABLE)
    names = fitted.get_feature_names_out().tolist()
    assert names == ["size", "colour_blue", "colour_missing", "colour_red", "code_1", "code_2"]
    assert X.shape == (4, 6)
    np.testing.assert_allclose(X.mean(axis=0), 0, atol=1e-12)
    assert fitted.fit_transform(TABLE).tolist() == X.tolist()


def test_the_table_itself_stays_as_it_is() -> None:
    before = TABLE.copy()
    encoder().fit(TABLE).transform(TABLE)
    pd.testing.assert_frame_equal(TABLE, before)


def test_it_is_an_estimator_that_can_be_cloned_and_pickled() -> None:
    fitted = encoder().fit(TABLE)
    with pytest.raises(NotFittedError):
        clone(fitted).transform(TABLE)
    copied = pickle.loads(pickle.dumps(fitted))  # noqa: S301  (of our own)
    np.testing.assert_array_equal(copied.transform(TABLE), fitted.transform(TABLE))


def test_new_rows_need_the_features_alone() -> None:
    fitted = encoder(columns=["size", "colour"], categorical=[]).fit(TABLE)
    X = fitted.transform(TABLE[["colour", "size"]].iloc[:1])
    np.testing.assert_array_equal(X, fitted.transform(TABLE)[:1])


def test_an_array_is_a_table_of_numbers() -> None:
    array = np.array([[1.0, 5.0], [2.0, np.nan], [4.0, 1.0]])
    fitted = TableEncoder().fit(array)
    assert fitted.get_feature_names_out().tolist() == ["x0", "x1"]
    assert np.isfinite(fitted.transform(array)).all()
    mixed = np.array([[1.0, "a"], [2.0, "b"], [4.0, "a"]], dtype=object)
    assert TableEncoder().fit(mixed).get_feature_names_out().tolist() == ["x0", "x1_a", "x1_b"]


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"exclude": []}, "exclude", '"note" has 4 different values'),
        ({"exclude": ["notes"]}, "exclude", 'no column "notes", which exclude names. Did you mean "note"?'),
        ({"columns": ["size", "nothing"]}, "columns", 'no column "nothing"'),
        ({"exclude": list(TABLE)}, "exclude", "no column left"),
        ({"exclude": ["note", "code"]}, "categorical", '"code" cannot be in categorical'),
    ],
)
def test_columns_that_cannot_be_features(changes: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(words)) as caught:
        encoder(**changes).fit(TABLE)
    assert caught.value.field == field


def test_rows_that_do_not_fit_the_table() -> None:
    fitted = encoder().fit(TABLE)
    with pytest.raises(InvalidInput, match='"size" holds numbers in the table, but "big" in these rows'):
        fitted.transform(TABLE.assign(size="big"))
    with pytest.raises(InvalidInput, match='lack columns that are features: "colour"'):
        fitted.transform(TABLE.drop(columns="colour"))


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (np.zeros(3), "not an array of 1 dimensions"),
        (np.zeros((0, 2)), "has no rows"),
        (csr_matrix(np.eye(2)), "should be dense"),
        (pd.DataFrame(np.eye(2), columns=["a", "a"]), 'several columns are called "a"'),
    ],
)
def test_what_is_no_table(X: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        as_frame(X, "X_trusted")
    assert caught.value.field == "X_trusted"


def test_tables_of_other_libraries_are_converted() -> None:
    class Foreign:
        def to_pandas(self) -> pd.DataFrame:
            return TABLE

    pd.testing.assert_frame_equal(as_frame(Foreign()), TABLE)
