"""Feature columns of a table as a matrix that a classifier can learn from.

Every column becomes numbers or categories (:func:`prepare_features`), and all columns together a matrix
(:func:`encode_features`). The kind of a column follows from the whole table, its scale only from the rows to fit on.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dataselect_env.core.arrays import Floats, Indices
from dataselect_env.custom.columns import NUMBER_KINDS, TEXT_KINDS, TIME_KINDS, inferred_kind, text_column
from dataselect_env.custom.errors import TableError

if TYPE_CHECKING:
    import pandas

MAX_NUMBER = 1e100
"""Largest magnitude of a number: its square must be finite, too."""
MAX_CATEGORIES = 50
"""Most one-hot columns of one feature; its rarest categories share one."""
MANY_TEXTS = 100
"""A text column with more distinct values than this may be free text."""
MAX_CELLS = 20_000_000
"""Largest number of rows times encoded features, 160 MB."""
BLOCK = 8
"""Columns encoded at once; limits the memory for scikit-learn's own copies."""
MISSING = "missing"
"""Category of an empty cell."""


def prepare_features(
    frame: pandas.DataFrame, categorical: Collection[str], columns: Collection[str]
) -> tuple[str, ...]:
    """Make every column numbers or text, in place, and return the names of the text columns: the categories.

    Categories are strings, booleans, pandas categories and the columns in ``categorical``. Dates become seconds since
    1970 (UTC unless they have a time zone), durations seconds. Missing cells stay NaN.

    Args:
        frame: The features, (n, n_columns).
        categorical: Columns that are categories whatever their values.
        columns: Columns that the user named as features; row numbers are refused among the others.

    Raises:
        TableError: A column has infinite or huge numbers, free text, row numbers, or values of another kind.
    """
    categories = []
    for name in frame.columns:
        kind = inferred_kind(frame[name])
        if kind in NUMBER_KINDS:
            _prepare_numbers(frame, name, kind, row_numbers_allowed=name in columns or name in categorical)
        elif kind in TIME_KINDS:
            _prepare_times(frame, name, kind)
        elif kind not in TEXT_KINDS:
            message = f'Column "{name}" holds neither numbers nor text nor dates. Put it into exclude, or encode it.'
            raise TableError(message, "exclude")
        if name in categorical or kind in TEXT_KINDS:
            _prepare_texts(frame, name, free_text_allowed=name in categorical)
            categories.append(name)
    return tuple(categories)


def _prepare_numbers(frame: pandas.DataFrame, name: str, kind: str, *, row_numbers_allowed: bool) -> None:
    column = frame[name]
    values: npt.NDArray[Any] = column.to_numpy(dtype=np.float64, na_value=np.nan)
    if not isinstance(column.dtype, np.dtype) or column.dtype == object:
        frame[name] = values
    huge = int((np.abs(values) > MAX_NUMBER).sum())  # NaN is not
    if huge:
        raise TableError(
            f'Column "{name}" is infinite, or beyond {MAX_NUMBER:g}, in {huge:,} of {len(values):,} rows. Leave these'
            " cells empty, or put the column into exclude.",
            "exclude",
        )
    run = kind == "integer" and len(values) > 1 and values.max() - values.min() == len(values) - 1
    if run and not row_numbers_allowed and column.nunique() == len(values):
        raise TableError(
            f'Column "{name}" numbers the rows, which is no feature. Put it into exclude; if it is one, name the'
            " features in columns.",
            "exclude",
        )


def _prepare_times(frame: pandas.DataFrame, name: str, kind: str) -> None:
    import pandas  # noqa: PLC0415

    try:
        if kind.startswith("timedelta"):
            spans = pandas.to_timedelta(frame[name])
        else:
            spans = pandas.to_datetime(frame[name], utc=True) - pandas.Timestamp(0, tz="UTC")
    except (ValueError, TypeError, OverflowError):
        message = f'The dates of column "{name}" cannot be converted to numbers. Put it into exclude, or encode it.'
        raise TableError(message, "exclude") from None
    frame[name] = spans.dt.total_seconds().astype(np.float64)


def _prepare_texts(frame: pandas.DataFrame, name: str, *, free_text_allowed: bool) -> None:
    import pandas  # noqa: PLC0415

    codes, names = text_column(frame[name])
    distinct, rows = len(set(names)), int((codes >= 0).sum())
    if not free_text_allowed and ((distinct > MANY_TEXTS and distinct > rows / 2) or 1 < rows == distinct):
        raise TableError(
            f'Column "{name}" has {distinct:,} different values in {rows:,} rows: free text or an identifier, no'
            f" category.{_hint(names)} Put it into exclude, or encode it as numbers.",
            "exclude",
        )
    texts = np.array([*names, np.nan], dtype=object)[codes]  # -1, a missing cell, takes the last
    frame[name] = pandas.Series(texts, index=frame.index, dtype=object)


def _hint(names: list[str]) -> str:
    """Return a sentence about what keeps a column from being numbers, where it nearly is; else nothing."""
    import pandas  # noqa: PLC0415

    others = pandas.isna(pandas.to_numeric(pandas.Series(names, dtype=object), errors="coerce")).to_numpy()
    if not 0 < others.sum() < len(names) / 2:
        return ""
    return f' Most are numbers, but "{names[int(others.argmax())]}" is not: such cells should be empty.'


def check_cells(frame: pandas.DataFrame, categories: Collection[str], title: str) -> None:
    """Check the size of the matrix that prepared features will make.

    Raises:
        TableError: It has more than ``MAX_CELLS`` cells.
    """
    distinct = (int(frame[name].nunique(dropna=False)) for name in categories)
    features = frame.shape[1] - len(categories) + sum(min(count, MAX_CATEGORIES) for count in distinct)
    cells = len(frame) * features
    if cells > MAX_CELLS:
        message = f"{title} is too large: {len(frame):,} rows x {features:,} encoded features make {cells:,} cells, and"
        advice = f"{MAX_CELLS:,} are allowed. Choose fewer features by columns or fewer rows by max_rows."
        raise TableError(f"{message} {advice}", "max_rows")


def encode_features(frame: pandas.DataFrame, categories: Collection[str], fit_rows: Indices) -> Floats:
    """Return prepared features as a matrix: numbers first, then categories, each in the order of the frame.

    A missing number becomes the median; then numbers are standardised to mean 0 and standard deviation 1. A category
    becomes one column of 0 and 1, minus its mean. A missing cell is a category; a category without any of ``fit_rows``
    is 0 in all columns (minus the mean). Categories are not divided by their standard deviation, which would make a
    rare category outweigh everything else: their span of 1 equals one standard deviation of a number. Columns without
    any value in ``fit_rows`` are left out; columns with a single value there become 0 in these rows.

    Args:
        frame: As :func:`prepare_features` leaves it, (n, n_columns).
        categories: Names of its text columns.
        fit_rows: Rows that medians, means, deviations and categories come from, at least one.

    Returns:
        Finite numbers, (n, n_features), C-contiguous.

    Raises:
        TableError: No column has a value in ``fit_rows``.
    """
    names = [name for name in frame.columns if frame[name].iloc[fit_rows].notna().any()]
    if not names:
        raise TableError("No feature has a value in the rows to learn from.", "columns")
    numbers = [name for name in names if name not in categories]
    blocks = [numbers[start : start + BLOCK] for start in range(0, len(numbers), BLOCK)]
    blocks += [[name] for name in names if name in categories]

    def values(block: list[str]) -> npt.NDArray[Any]:  # a copy, which transformers may overwrite
        dtype = object if block[0] in categories else np.float64
        copy: npt.NDArray[Any] = frame[block].to_numpy(dtype=dtype, copy=True)
        return copy

    fitted = [_transformer(block[0] in categories).fit(values(block)[fit_rows]) for block in blocks]
    stops = np.cumsum([pipeline[-1].n_features_in_ for pipeline in fitted])
    X = np.empty((len(frame), stops[-1]))
    for block, pipeline, stop in zip(blocks, fitted, stops, strict=True):
        X[:, stop - pipeline[-1].n_features_in_ : stop] = pipeline.transform(values(block))
    return X


def _transformer(is_text: bool) -> Any:
    """Return a scikit-learn pipeline for columns of one kind; its last step is a scaler."""
    from sklearn.impute import SimpleImputer  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import OneHotEncoder, StandardScaler  # noqa: PLC0415

    if not is_text:
        return make_pipeline(SimpleImputer(strategy="median", copy=False), StandardScaler(copy=False))
    return make_pipeline(
        SimpleImputer(strategy="constant", fill_value=MISSING, copy=False),
        OneHotEncoder(handle_unknown="ignore", max_categories=MAX_CATEGORIES, sparse_output=False),
        StandardScaler(with_std=False, copy=False),
    )
