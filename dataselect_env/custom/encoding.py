"""Columns of a table as numbers that a classifier can learn from.

:mod:`dataselect_env.custom.tables` reads the table. Labels become text and then codes. Every feature becomes either
numbers or text (:func:`tidy`), and all of them a matrix (:func:`encode_frame`). What a column *is* follows from the
whole table, what it is *scaled by* only from the rows to fit on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dataselect_env.core.arrays import Floats, Indices, Labels
from dataselect_env.custom.definitions import Table

if TYPE_CHECKING:
    import pandas

LARGEST = 1e100
"""Numbers beyond it are refused: the square of a number must be a number as well."""
MOST_CATEGORIES = 50
"""Columns that one column of categories may become; its rarest categories share one."""
MANY_TEXTS = 100
"""A text column with more different values than this may be free text."""
MOST_CELLS = 20_000_000
"""Rows times encoded features of the largest data set: 160 MB."""
BLOCK = 8
"""Columns that are encoded at once; it bounds the memory that scikit-learn takes for its own copies."""
MISSING = "missing"
"""The category of a cell that is empty."""
MOST_CLASSES = 100
FEWEST_ROWS = 3
"""Rows that each class must have: the seed set, the validation split and the pool want one each."""
SHOWN = 20
"""Names that a message lists at most."""
Texts = tuple[Indices, list[str]]
"""A column as text: for each row, (n,), the place of its text in a list, -1 where the cell is missing."""

_NUMBERS = {"integer", "floating", "mixed-integer-float", "decimal", "empty"}
_TEXTS = {"string", "boolean", "categorical", "mixed-integer"}
_TIMES = {"datetime64", "datetime", "date", "timedelta64", "timedelta"}


class TableProblem(Exception):
    """A table that cannot be used as it is described.

    Args:
        message: A sentence that says what is wrong and what to change; no absolute paths.
        field: Name of the field of ``definitions.Table`` to change.
    """

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


def text_of(value: object) -> str:
    """Return a cell as text; whole numbers are written alike whatever their type.

    >>> [text_of(value) for value in (1, 1.0, "1", 0.5, True, b"cat")]
    ['1', '1', '1', '0.5', 'True', 'cat']
    """
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def texts_of(column: pandas.Series) -> Texts:
    """Return a column, (n,), as text, the texts by first appearance; two values may have the same text."""
    import pandas  # noqa: PLC0415

    codes, values = pandas.factorize(column, use_na_sentinel=True)
    return codes.astype(np.intp), [text_of(value) for value in values]


def listed(names: Collection[str]) -> str:
    """Return names for a message: the first of them, or ``none``."""
    shown = ", ".join(f'"{name}"' for name in list(names)[:SHOWN]) or "none"
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN:,} more"


def kind_of(column: pandas.Series) -> str:
    """Return what pandas infers the values of a column to be, such as ``floating``; missing values do not count."""
    from pandas.api.types import infer_dtype  # noqa: PLC0415

    return str(infer_dtype(column, skipna=True))


# --- labels ---------------------------------------------------------------------------------------------------------


def label_texts(column: pandas.Series, field: str) -> Texts:
    """Return a column of labels, or of the names of those who labelled, as text.

    Args:
        column: Any values, (n,).
        field: ``target``, ``true_target`` or ``annotator``.

    Raises:
        TableProblem: A cell is empty, or the values look like no classes.
    """
    codes, names = texts_of(column)
    blank = np.array([*(not name.strip() for name in names), True])
    missing = int(blank[codes].sum())  # -1, a missing cell, takes the last
    if missing:
        message = f'"{column.name}" is missing (empty, NA, None or the like) in {missing:,} of {len(codes):,} rows.'
        raise TableProblem(f"{message} Drop these rows.", field)
    if field == "annotator":
        return codes, names
    if kind_of(column) in {"floating", "mixed-integer-float", "decimal"}:
        values = column.to_numpy(dtype=np.float64)
        if not (np.isfinite(values) & (values == np.floor(values))).all():
            message = f'"{column.name}" looks like a quantity, not a class: it has fractions. Name a column of classes.'
            raise TableProblem(message, field)
    if len(set(names)) > MOST_CLASSES:
        message = f'"{column.name}" looks like a quantity, not a class: {len(set(names)):,} different values, where'
        raise TableProblem(f"{message} {MOST_CLASSES} are allowed. Name a column of classes.", field)
    return codes, names


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Return different names, sorted: as numbers where all are, else as text.

    >>> ordered(["10", "9", "9"]), ordered(["10", "9", "b"])
    (('9', '10'), ('10', '9', 'b'))
    """
    different = sorted(set(names))
    try:
        finite = all(np.isfinite(float(name)) for name in different)
    except ValueError:
        finite = False
    return tuple(sorted(different, key=float) if finite else different)


def coded(texts: Texts, names: Collection[str]) -> Labels:
    """Return texts as places in ``names``, (n,)."""
    place = {name: code for code, name in enumerate(names)}
    codes, used = texts
    return np.array([place[name] for name in used], dtype=np.int64)[codes]


def check_classes(table: Table, classes: Collection[str], y: Labels) -> None:
    """Check the classes that labels ``y``, (n,), and given labels have.

    Raises:
        TableProblem: Other classes than declared, fewer than 2, or one with too few rows.
    """
    if table.classes is not None:
        declared = ordered(text_of(name) for name in table.classes)
        lacking, others = [name for name in declared if name not in classes], set(classes) - set(declared)
        if lacking or others:
            message = f"Declared but not found: {listed(lacking)}. Found but not declared: {listed(ordered(others))}."
            raise TableProblem(f"The labels have other classes than declared. {message}", "classes")
    field = "target" if table.true_target is None else "true_target"
    if len(classes) < 2:
        raise TableProblem(f"There is one class only: {listed(classes)}. At least 2 are needed.", field)
    counts = np.bincount(y, minlength=len(classes))
    few = [f'"{name}" has {count}' for name, count in zip(classes, counts, strict=True) if count < FEWEST_ROWS]
    if few:
        message = f"Each class needs at least {FEWEST_ROWS} rows; {', '.join(few[:SHOWN])}. Drop or merge such classes."
        raise TableProblem(message, field)


def drawn(y: Labels, size: int) -> Indices:
    """Return ``size`` of n rows, rising: of each class of ``y``, (n,), in proportion, but at least ``FEWEST_ROWS``.

    Raises:
        TableProblem: Too few rows for so many classes.
    """
    counts = np.bincount(y)
    if size < FEWEST_ROWS * len(counts):
        message = f"max_rows should be at least {FEWEST_ROWS * len(counts)}: {FEWEST_ROWS} rows of each class."
        raise TableProblem(message, "max_rows")
    shares = counts * (size / len(y))
    quotas = np.maximum(np.floor(shares).astype(np.intp), FEWEST_ROWS)
    while quotas.sum() > size:
        quotas[np.argmax(quotas)] -= 1
    while quotas.sum() < size:
        quotas[np.argmax(np.where(quotas < counts, shares - quotas, -np.inf))] += 1
    rng = np.random.default_rng(0)
    rows = [rng.choice(np.flatnonzero(y == label), quota, replace=False) for label, quota in enumerate(quotas)]
    return np.sort(np.concatenate(rows))


# --- features -------------------------------------------------------------------------------------------------------


def tidy(frame: pandas.DataFrame, declared: Collection[str], chosen: Collection[str]) -> tuple[str, ...]:
    """Make every column numbers or text, in place, and return the names of those that are text: the categories.

    Categories are strings, booleans, pandas categories and what is declared. Dates become seconds since 1970 (without
    a time zone they count as UTC), durations seconds. Missing cells stay NaN.

    Args:
        frame: The features, (n, n_columns).
        declared: Columns that are categories whatever their values.
        chosen: Columns that were asked for by name; row numbers are refused among the others.

    Raises:
        TableProblem: A column of infinite or huge numbers, free text, row numbers, or values of another kind.
    """
    categorical = []
    for name in frame.columns:
        kind = kind_of(frame[name])
        if kind in _NUMBERS:
            _tidy_numbers(frame, name, kind, row_numbers_allowed=name in chosen or name in declared)
        elif kind in _TIMES:
            _tidy_times(frame, name, kind)
        elif kind not in _TEXTS:
            message = f'Column "{name}" holds neither numbers nor text nor dates. Put it into exclude, or encode it.'
            raise TableProblem(message, "exclude")
        if name in declared or kind in _TEXTS:
            _tidy_texts(frame, name, free_allowed=name in declared)
            categorical.append(name)
    return tuple(categorical)


def _tidy_numbers(frame: pandas.DataFrame, name: str, kind: str, *, row_numbers_allowed: bool) -> None:
    column = frame[name]
    values: npt.NDArray[Any] = column.to_numpy(dtype=np.float64, na_value=np.nan)
    if not isinstance(column.dtype, np.dtype) or column.dtype == object:
        frame[name] = values
    huge = int((np.abs(values) > LARGEST).sum())  # NaN is not
    if huge:
        raise TableProblem(
            f'Column "{name}" is infinite, or beyond {LARGEST:g}, in {huge:,} of {len(values):,} rows. Leave these'
            " cells empty, or put the column into exclude.",
            "exclude",
        )
    run = kind == "integer" and len(values) > 1 and values.max() - values.min() == len(values) - 1
    if run and not row_numbers_allowed and column.nunique() == len(values):
        raise TableProblem(
            f'Column "{name}" numbers the rows, which is no feature. Put it into exclude; if it is one, name the'
            " features in columns.",
            "exclude",
        )


def _tidy_times(frame: pandas.DataFrame, name: str, kind: str) -> None:
    import pandas  # noqa: PLC0415

    try:
        if kind.startswith("timedelta"):
            spans = pandas.to_timedelta(frame[name])
        else:
            spans = pandas.to_datetime(frame[name], utc=True) - pandas.Timestamp(0, tz="UTC")
    except (ValueError, TypeError, OverflowError):
        message = f'The dates of column "{name}" cannot be made numbers. Put it into exclude, or encode it.'
        raise TableProblem(message, "exclude") from None
    frame[name] = spans.dt.total_seconds().astype(np.float64)


def _tidy_texts(frame: pandas.DataFrame, name: str, *, free_allowed: bool) -> None:
    import pandas  # noqa: PLC0415

    codes, names = texts_of(frame[name])
    different, rows = len(set(names)), int((codes >= 0).sum())
    if not free_allowed and ((different > MANY_TEXTS and different > rows / 2) or 1 < rows == different):
        raise TableProblem(
            f'Column "{name}" has {different:,} different values in {rows:,} rows: free text or an identifier, no'
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


def check_cells(frame: pandas.DataFrame, categorical: Collection[str], title: str) -> None:
    """Refuse a tidy frame that would make a too large matrix.

    Raises:
        TableProblem: More than ``MOST_CELLS``.
    """
    different = (int(frame[name].nunique(dropna=False)) for name in categorical)
    features = frame.shape[1] - len(categorical) + sum(min(count, MOST_CATEGORIES) for count in different)
    cells = len(frame) * features
    if cells > MOST_CELLS:
        message = f"{title} is too large: {len(frame):,} rows x {features:,} encoded features make {cells:,} cells, and"
        advice = f"{MOST_CELLS:,} are allowed. Choose fewer features by columns or fewer rows by max_rows."
        raise TableProblem(f"{message} {advice}", "max_rows")


def encode_frame(frame: pandas.DataFrame, categorical: Collection[str], fit_rows: Indices) -> Floats:
    """Return a tidy frame as a matrix: numbers first, then categories, each in the order of the frame.

    Numbers: a missing one becomes the median, then mean 0 and standard deviation 1. Categories: one column of 0 and 1
    each, minus its mean; missing is a category, one that ``fit_rows`` do not have is 0 in all of them (minus the
    mean). They are not divided by their standard deviation, which would make a rare category outweigh everything else:
    as it is they span 1, as much as one standard deviation of a number. Columns without any value in ``fit_rows`` are
    left out; those with only one become 0 in these rows.

    Args:
        frame: As :func:`tidy` leaves it, (n, n_columns).
        categorical: Names of its categories.
        fit_rows: Rows that medians, means, deviations and categories come from, at least one.

    Returns:
        Finite numbers, (n, n_features), C-contiguous.

    Raises:
        TableProblem: No column has a value in ``fit_rows``.
    """
    names = [name for name in frame.columns if frame[name].iloc[fit_rows].notna().any()]
    if not names:
        raise TableProblem("No feature has a value in the rows to learn from.", "columns")
    numbers = [name for name in names if name not in categorical]
    blocks = [numbers[start : start + BLOCK] for start in range(0, len(numbers), BLOCK)]
    blocks += [[name] for name in names if name in categorical]

    def values(block: list[str]) -> npt.NDArray[Any]:  # a copy, which transformers may overwrite
        dtype = object if block[0] in categorical else np.float64
        copy: npt.NDArray[Any] = frame[block].to_numpy(dtype=dtype, copy=True)
        return copy

    fitted = [_transformer(block[0] in categorical).fit(values(block)[fit_rows]) for block in blocks]
    stops = np.cumsum([pipeline[-1].n_features_in_ for pipeline in fitted])
    X = np.empty((len(frame), stops[-1]))
    for block, pipeline, stop in zip(blocks, fitted, stops, strict=True):
        X[:, stop - pipeline[-1].n_features_in_ : stop] = pipeline.transform(values(block))
    return X


def _transformer(is_text: bool) -> Any:
    """Return a pipeline of scikit-learn's for columns of one kind; it ends with a scaler."""
    from sklearn.impute import SimpleImputer  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import OneHotEncoder, StandardScaler  # noqa: PLC0415

    if not is_text:
        return make_pipeline(SimpleImputer(strategy="median", copy=False), StandardScaler(copy=False))
    return make_pipeline(
        SimpleImputer(strategy="constant", fill_value=MISSING, copy=False),
        OneHotEncoder(handle_unknown="ignore", max_categories=MOST_CATEGORIES, sparse_output=False),
        StandardScaler(with_std=False, copy=False),
    )
