"""A scikit-learn transformer from the columns of a table to numbers; the first step of a curation's model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from dataselect_env.core.arrays import Floats
from dataselect_env.core.errors import InvalidInput
from dataselect_env.custom.encoding import check_cells, fit_encoding
from dataselect_env.custom.errors import TableError, check_known, quoted
from dataselect_env.custom.features import prepare_features, prepare_like
from dataselect_env.custom.frame_table import with_text_names

if TYPE_CHECKING:
    import pandas


class TableEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Encodes the columns of a table as numbers.

    Numbers are standardised, and missing ones replaced by the median. Text, booleans and pandas categories become one
    column of 0 and 1 for each category. Text columns whose values are numbers (``1,250``, ``12%``) become numbers,
    dates become seconds. Further rows are read the same way; unknown categories are none of the known ones.

    Args:
        columns: Names of the features; None for every column.
        exclude: Names of columns that are no features.
        categorical: Names of features that are categories even if they are written as numbers.

    Attributes:
        features_: What each column was taken for, a :class:`~dataselect_env.custom.report.ColumnReport`.
        encoding_: The fitted :class:`~dataselect_env.custom.encoding.Encoding`.
    """

    def __init__(
        self,
        columns: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
        categorical: Sequence[str] = (),
    ) -> None:
        self.columns = columns
        self.exclude = exclude
        self.categorical = categorical

    def fit(self, X: Any, y: object = None) -> Self:  # noqa: ARG002  (scikit-learn passes the labels)
        """Find out what each column holds, and fit the encoding.

        Args:
            X: A table, (n, n_columns): a DataFrame, or an array, whose columns are called x0, x1 and so on.
            y: Ignored.

        Raises:
            InvalidInput: A column does not exist, or cannot be a feature; the message says what to change.
        """
        with table_errors():
            frame = self._chosen(as_frame(X))
            self.features_ = prepare_features(frame, self.categorical, self.columns or ())
            categories = [feature.name for feature in self.features_ if feature.role == "category"]
            check_cells(frame, categories)
            self.encoding_ = fit_encoding(frame, categories, np.arange(len(frame)))
        return self

    def transform(self, X: Any) -> Floats:
        """Return rows with the columns of the table, (n, n_columns), as numbers, (n, n_features).

        Raises:
            InvalidInput: A feature is missing, or holds values of another kind than in the table.
        """
        check_is_fitted(self)
        with table_errors():
            return self.encoding_.transform(prepare_like(as_frame(X), self.features_))

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray[Any, Any]:  # noqa: ARG002
        """Return the names of the encoded features, (n_features,)."""
        check_is_fitted(self)
        return np.array(self.encoding_.names, dtype=object)

    def _chosen(self, frame: pandas.DataFrame) -> pandas.DataFrame:
        """Return a copy of the features of a table."""
        names = [str(name) for name in frame.columns]
        fields = {"columns": self.columns or (), "exclude": self.exclude, "categorical": self.categorical}
        for field, used in fields.items():
            for name in used:
                check_known("X", "column", field, name, names)
        chosen = [name for name in self.columns or names if name not in self.exclude]
        if not chosen:
            raise TableError("X has no column left to be a feature.", "exclude")
        strays = [name for name in self.categorical if name not in chosen]
        if strays:
            raise TableError(f"{quoted(strays)} cannot be in categorical, because they are no features.", "categorical")
        return frame[chosen].copy()


@contextmanager
def table_errors() -> Iterator[None]:
    """Turn the error of a table into an :class:`InvalidInput` with the same message and field."""
    try:
        yield
    except TableError as error:
        raise InvalidInput(error.message, field=error.field) from None


def as_frame(X: Any, name: str = "X") -> pandas.DataFrame:
    """Return a table as a DataFrame with text as column names; it may share its values with ``X``.

    Args:
        X: A DataFrame of pandas or of a library that converts to it, or an array, (n, n_columns).
        name: Its name in messages.

    Raises:
        InvalidInput: It is no table, has no rows, its columns have several levels, or two of them share a name.
    """
    try:
        import pandas  # noqa: PLC0415  (an extra)
    except ImportError:
        raise InvalidInput("Tables need pandas: pip install 'dataselect-env[data]'", field=name) from None
    if hasattr(X, "toarray"):
        raise InvalidInput(f"{name}: should be dense; reduce a sparse matrix with TruncatedSVD", field=name)
    if not isinstance(X, pandas.DataFrame) and hasattr(X, "to_pandas"):
        X = X.to_pandas()
    if not isinstance(X, pandas.DataFrame):
        array = np.asarray(X)
        if array.ndim != 2:
            message = f"{name}: should be a table, (rows, columns), not an array of {array.ndim} dimensions"
            raise InvalidInput(message, field=name)
        X = pandas.DataFrame(array, columns=[f"x{place}" for place in range(array.shape[1])])
        X = X.infer_objects() if array.dtype == object else X
    frame = with_text_names(X, name)
    twice = [column for column, count in Counter(frame.columns).items() if count > 1]
    if twice:
        raise InvalidInput(f"{name}: several columns are called {quoted(twice)}", field=name)
    if not len(frame):
        raise InvalidInput(f"{name}: has no rows", field=name)
    return frame
