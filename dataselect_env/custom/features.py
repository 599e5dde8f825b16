"""Feature columns of a table as a matrix that a classifier can learn from.

Every column becomes numbers or categories (:func:`prepare_features`), and all columns together a matrix
(:mod:`~dataselect_env.custom.encoding`). The kind of a column follows from the whole table, its scale only from the
rows to fit on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from dataselect_env.core.arrays import Floats
from dataselect_env.custom.columns import (
    FREE_TEXT_KINDS,
    NUMBER_KINDS,
    TEXT_KINDS,
    TIME_KINDS,
    TextColumn,
    inferred_kind,
    text_column,
)
from dataselect_env.custom.errors import TableError, quoted
from dataselect_env.custom.numerals import Notation, Numbers, nearly_numbers, read_numbers

if TYPE_CHECKING:
    import pandas

MAX_NUMBER = 1e100
"""Largest magnitude of a number: its square must be finite, too."""
MANY_TEXTS = 100
"""A text column with more distinct values than this may be free text."""


class Feature(NamedTuple):
    """What a column was taken for.

    Attributes:
        name: Name of the column.
        kind: ``number``, ``date`` or ``category``.
        reading: How its texts were read as numbers, such as ``"1,250" as 1250``; empty if there was nothing to decide.
        missing: Number of missing cells.
        categories: Number of categories; 0 for other kinds.
        notation: How its texts write numbers; None if they are no numbers, or the column has none.
    """

    name: str
    kind: Literal["number", "date", "category"]
    reading: str
    missing: int
    categories: int
    notation: Notation | None = None

    def __str__(self) -> str:
        remarks = [f"{self.categories:,} different"] if self.kind == "category" else [self.reading] * bool(self.reading)
        remarks += [f"{self.missing:,} missing"] * bool(self.missing)
        return f'"{self.name}"' + f" ({'; '.join(remarks)})" * bool(remarks)


def prepare_features(
    frame: pandas.DataFrame, categorical: Collection[str], columns: Collection[str]
) -> tuple[Feature, ...]:
    """Make every column numbers or text, in place, and return what each was taken for.

    Texts become numbers if one notation fits all of them (:mod:`~dataselect_env.custom.numerals`). Categories are other
    texts, booleans, pandas categories and the columns in ``categorical``; they stay text. Dates become seconds since
    1970 (UTC unless they have a time zone), durations seconds. Missing cells become NaN.

    Args:
        frame: The features, (n, n_columns).
        categorical: Columns that are categories whatever their values.
        columns: Columns that the user named as features; row numbers are refused among the others.

    Raises:
        TableError: A column has infinite or huge numbers, free text, row numbers, values of another kind, or texts of
            which most but not all are numbers.
    """
    return tuple(
        _prepare(frame, name, is_category=name in categorical, is_named=name in columns) for name in frame.columns
    )


def _prepare(frame: pandas.DataFrame, name: str, *, is_category: bool, is_named: bool) -> Feature:
    kind, reading, notation = inferred_kind(frame[name]), "", None
    if kind in FREE_TEXT_KINDS and not is_category:
        reading, notation = _read_texts(frame, name)
        kind = inferred_kind(frame[name])
    if kind in NUMBER_KINDS:
        _prepare_numbers(frame, name, kind, row_numbers_allowed=is_named or is_category)
    elif kind in TIME_KINDS:
        _prepare_times(frame, name, kind)
    elif kind not in TEXT_KINDS:
        message = f'Column "{name}" holds neither numbers nor text nor dates. Put it into exclude, or encode it.'
        raise TableError(message, "exclude")
    missing = int(frame[name].isna().sum())
    if is_category or kind in TEXT_KINDS:
        _prepare_texts(frame, name, free_text_allowed=is_category)
        return Feature(name, "category", "", missing, int(frame[name].nunique()))
    return Feature(name, "date" if kind in TIME_KINDS else "number", reading, missing, 0, notation)


def _read_texts(frame: pandas.DataFrame, name: str) -> tuple[str, Notation | None]:
    """Turn the texts of a column into numbers, if they are numbers, and return how they were read.

    Raises:
        TableError: Most texts look like numbers, but one notation does not fit all of them.
    """
    texts = text_column(frame[name])
    distinct = list(dict.fromkeys(texts.values))
    numbers = read_numbers(distinct)
    if numbers is None:
        odd = nearly_numbers(distinct)
        if odd is None:
            return "", None
        raise TableError(
            f'Most values of column "{name}" look like numbers, but "{odd}" cannot be read with the others. Write plain'
            " numbers, such as 1250.5, and leave missing ones empty. If the values are categories, name the column in"
            " categorical.",
            "categorical",
        )
    values = _values(texts, distinct, numbers)
    whole = np.isfinite(values).all() and (values == np.floor(values)).all() and np.abs(values).max() < 2**53
    frame[name] = values.astype(np.int64) if whole else values
    readings = [f'"{numbers.example[0]}" as {numbers.example[1]:.17g}'] if numbers.example is not None else []
    readings += [f'"{mark}" as missing' for mark in numbers.marks if mark.strip()]
    return ", ".join(readings), numbers.notation


def _values(texts: TextColumn, distinct: list[str], numbers: Numbers) -> Floats:
    """Return a column of texts as numbers, (n,); NaN where a cell is missing."""
    value_of = dict(zip(distinct, numbers.values.tolist(), strict=True))
    return np.array([*map(value_of.__getitem__, texts.values), np.nan])[texts.codes]  # -1, missing, takes the last


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
            f'Column "{name}" has {distinct:,} different values in {rows:,} rows: free text or an identifier, not a'
            " category. Put it into exclude, or encode it as numbers.",
            "exclude",
        )
    texts = np.array([*names, np.nan], dtype=object)[codes]  # -1, a missing cell, takes the last
    frame[name] = pandas.Series(texts, index=frame.index, dtype=object)


def prepare_like(frame: pandas.DataFrame, features: Sequence[Feature]) -> pandas.DataFrame:
    """Return further rows of a table, prepared as :func:`prepare_features` prepared the table.

    Args:
        frame: The rows, (n, n_columns); columns that are no features are left out.
        features: What the columns of the table were taken for.

    Returns:
        The features, in their order, (n, len(features)).

    Raises:
        TableError: A column is missing, or its values are of another kind than in the table.
    """
    missing = [feature.name for feature in features if feature.name not in frame.columns]
    if missing:
        raise TableError(f"The rows lack columns that are features: {quoted(missing)}.", "columns")
    prepared = frame[[feature.name for feature in features]].copy()
    for feature in features:
        kind = inferred_kind(prepared[feature.name])
        if feature.kind == "category":
            _prepare_texts(prepared, feature.name, free_text_allowed=True)
        elif feature.kind == "number" and kind in FREE_TEXT_KINDS:
            _read_texts_like(prepared, feature)
        elif feature.kind == "number" and kind in NUMBER_KINDS:
            _prepare_numbers(prepared, feature.name, kind, row_numbers_allowed=True)
        elif feature.kind == "date" and kind in {*TIME_KINDS, "empty"}:
            _prepare_times(prepared, feature.name, kind)
        else:
            raise _other_kind(feature, str(prepared[feature.name].dropna().iloc[0]))
    return prepared


def _read_texts_like(frame: pandas.DataFrame, feature: Feature) -> None:
    """Turn texts into numbers, in the notation of the table."""
    texts = text_column(frame[feature.name])
    distinct = list(dict.fromkeys(texts.values))
    notation = feature.notation or Notation("", ".")
    numbers = read_numbers(distinct, [notation])
    if numbers is None:
        raise _other_kind(feature, next((one for one in distinct if not read_numbers([one], [notation])), distinct[0]))
    frame[feature.name] = _values(texts, distinct, numbers)


def _other_kind(feature: Feature, value: str) -> TableError:
    message = f'Column "{feature.name}" holds {feature.kind}s in the table, but "{value}" in these rows.'
    return TableError(message, "columns")
