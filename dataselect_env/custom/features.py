"""Feature columns of a table as a matrix that a classifier can learn from.

Every column becomes numbers or categories (:func:`prepare_features`), and all columns together a matrix
(:mod:`~dataselect_env.custom.encoding`). The kind of a column follows from the whole table, its scale only from the
rows to fit on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

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
from dataselect_env.custom.dates import nearly_date, nearly_time, read_dates, seconds_since_1970
from dataselect_env.custom.encoding import MAX_CATEGORIES
from dataselect_env.custom.errors import TableError, quoted
from dataselect_env.custom.numerals import MISSING_MARKS, Notation, nearly_numbers, read_numbers
from dataselect_env.custom.report import ColumnReport

if TYPE_CHECKING:
    import pandas

MAX_NUMBER = 1e100
"""Largest magnitude of a number: its square must be finite, too."""
MANY_TEXTS = 100
"""A text column with more distinct values than this may be free text."""
MAX_EXACT = 2**53
"""Largest whole number up to which a float has all digits."""
FEW_CODES = 20
"""Whole numbers with at most as many different values may be codes; the report says so."""
VALUES_SHOWN = 5
"""Categories that the report lists."""


def prepare_features(
    frame: pandas.DataFrame,
    categorical: Collection[str],
    columns: Collection[str],
) -> tuple[ColumnReport, ...]:
    """Make every column numbers or text, in place, and return what each was taken for.

    Texts become numbers if one notation fits all of them (:mod:`~dataselect_env.custom.numerals`), or dates if all are
    in ISO 8601 (:mod:`~dataselect_env.custom.dates`). Categories are other texts, booleans, pandas categories and the
    columns in ``categorical``; they stay text. Dates become seconds since 1970 (UTC unless they have a time zone),
    durations seconds. Missing cells become NaN.

    Args:
        frame: The features, (n, n_columns); its index has the numbers of the rows in messages.
        categorical: Columns that are categories whatever their values.
        columns: Columns that the user named as features; row numbers are refused among the others.

    Raises:
        TableError: A column has infinite or huge numbers, free text, row numbers, values of another kind, or texts of
            which most but not all are numbers or dates.
    """
    return tuple(
        _prepare(
            frame,
            name,
            is_category=name in categorical,
            is_named=name in columns,
        )
        for name in frame.columns
    )


def _prepare(frame: pandas.DataFrame, name: str, *, is_category: bool, is_named: bool) -> ColumnReport:
    kind, reading, notation = inferred_kind(frame[name]), "", None
    if kind in FREE_TEXT_KINDS and not is_category:
        kind, reading, notation = _read_texts(frame, name, kind)
    if kind in NUMBER_KINDS:
        _prepare_numbers(frame, name, kind, row_numbers_allowed=is_named or is_category)
    elif kind in TIME_KINDS:
        if frame[name].dtype != np.float64:  # as texts are by now
            _prepare_times(frame, name, kind)
    elif kind not in TEXT_KINDS:
        odd = ((row, cell) for row, cell in frame[name].dropna().items() if type(cell) not in (str, float, int))
        place = "".join(f": row {row} has {quoted([str(cell)])}" for row, cell in itertools.islice(odd, 1))
        message = f'Column "{name}" holds neither just numbers nor just text nor just dates{place}.'
        raise TableError(f"{message} Put it into exclude, or encode it.", "exclude")
    missing = int(frame[name].isna().sum()) % len(frame)
    if is_category or kind in TEXT_KINDS:
        _prepare_texts(frame, name, free_text_allowed=is_category)
        return ColumnReport(name, "category", _why_category(frame[name], kind, is_named=is_category), missing, reading)
    if frame[name].isna().all():
        return ColumnReport(name, "not used", "no values", missing, reading)
    why = _why_number(frame[name], kind)
    return ColumnReport(name, "date" if kind in TIME_KINDS else "number", why, missing, reading, notation)


def _why_number(column: pandas.Series, kind: str) -> str:
    """Return why a prepared column with values is a number or date: its range, or that it tells nothing."""
    low, high = float(column.min()) + 0.0, float(column.max()) + 0.0  # no -0
    if kind in TIME_KINDS:
        return "durations in seconds" if kind.startswith("timedelta") else "dates as seconds since 1970"
    if low == high and abs(low) <= MAX_EXACT:
        return f"always {low:.6g}, which tells nothing"
    if kind == "integer":
        return f"whole numbers, {low:.6g} to {high:.6g}{_doubt(column.unique(), low, high)}"
    return f"numbers, {low:.6g} to {high:.6g}"


def _doubt(distinct: npt.NDArray[Any], low: float, high: float) -> str:
    """Return what distinct whole numbers may be instead, as the end of a sentence."""
    codes = "; if they are codes, name the column in categorical"
    if max(-low, high) > MAX_EXACT:
        return f", whose last digits are lost{codes}"
    if low > 10**7 and high < 10**8:  # eight digits
        days = [f"{day[:4]}-{day[4:6]}-{day[6:]}" for day in map(str, distinct)]
        if read_dates(days) is not None:
            return "; if they are dates, write them as 2026-03-31"
    return f", {len(distinct)} different{codes}" if len(distinct) <= FEW_CODES else ""


def _why_category(column: pandas.Series, kind: str, *, is_named: bool) -> str:
    """Return why a prepared column is a category, and which values it has."""
    cause = "named in categorical" if is_named else "true or false" if kind == "boolean" else "text"
    values = column.dropna().unique()
    shared = f"; all but the {MAX_CATEGORIES - 1} most frequent share one" if len(values) > MAX_CATEGORIES else ""
    shown = ", ".join(f'"{value}"' for value in sorted(values)[:VALUES_SHOWN])
    more = ", ..." if len(values) > VALUES_SHOWN else ""
    return f"{cause}, {len(values):,} different: {shown}{more}{shared}" if shown else f"{cause}, no values"


def _read_texts(frame: pandas.DataFrame, name: str, kind: str) -> tuple[str, str, Notation | None]:
    """Turn the texts of a column into numbers or dates, if they are; return its kind then, and how they were read.

    Raises:
        TableError: Most texts look like numbers or dates, but not all can be read in one way.
    """
    texts = text_column(frame[name])
    distinct = list(dict.fromkeys(texts.values))
    numbers = read_numbers(distinct)
    values = read_dates(distinct) if numbers is None else numbers.values
    if values is None:
        _refuse_nearly(name, distinct, lambda odd: frame.index[texts.codes == texts.values.index(odd)][0])
        return kind, "", None
    value_of = dict(zip(distinct, values.tolist(), strict=True))
    cells = _cells(texts, value_of)
    marks = ", ".join(f'"{text}" as missing' for text in distinct if text.strip() and np.isnan(value_of[text]))
    if numbers is None:
        frame[name] = cells
        example = next(text for text in distinct if not np.isnan(value_of[text]))
        return "datetime", ", ".join(filter(None, (f'"{example}" as a date', marks))), None
    whole = np.isfinite(cells).all() and (cells == np.floor(cells)).all() and np.abs(cells).max() < MAX_EXACT
    frame[name] = cells.astype(np.int64) if whole else cells
    text, value = numbers.example
    example = f'"{text}" as {repr(value).removesuffix(".0")}'
    return inferred_kind(frame[name]), ", ".join(filter(None, (example, marks))), numbers.notation


def _cells(texts: TextColumn, value_of: Mapping[str, float]) -> Floats:
    """Return a column of texts as numbers, (n,); NaN where a cell is missing."""
    return np.array([*map(value_of.__getitem__, texts.values), np.nan])[texts.codes]  # -1, missing, takes the last


def _refuse_nearly(name: str, distinct: list[str], row_of: Callable[[str], object]) -> None:
    """Raise TableError if most of the distinct texts of a column look like numbers or dates."""
    for odd, kind, advice in (
        (nearly_numbers(distinct), "numbers", "Write plain numbers, such as 1250.5"),
        (nearly_date(distinct), "dates", "Write dates as 2026-03-31"),
        (nearly_time(distinct), "times", "Write them as numbers, such as minutes"),
    ):
        if odd is not None:
            raise TableError(
                f'Most values of column "{name}" look like {kind}, but {quoted([odd])}, in row {row_of(odd)}, cannot be'
                f" read with the others. {advice}, and leave missing ones empty. If the values are categories, name the"
                " column in categorical.",
                "categorical",
            )


def _prepare_numbers(frame: pandas.DataFrame, name: str, kind: str, *, row_numbers_allowed: bool) -> None:
    column, dtype = frame[name], frame[name].dtype
    if dtype.kind == "O":  # in which integers may be beyond the range of a float
        column = column.map(lambda cell: cell if abs(cell) <= MAX_NUMBER else np.inf, na_action="ignore")
    with np.errstate(over="ignore"):  # of long doubles, which become infinite
        values: npt.NDArray[Any] = column.to_numpy(dtype=np.float64, na_value=np.nan)
    if not isinstance(dtype, np.dtype) or dtype.kind == "O":
        frame[name] = values
    huge = np.flatnonzero(np.abs(values) > MAX_NUMBER)  # NaN is not
    if len(huge):
        raise TableError(
            f'Column "{name}" is infinite, or beyond {MAX_NUMBER:g}, in {len(huge):,} of {len(values):,} rows, first in'
            f" row {column.index[huge[0]]}. Leave these cells empty, or put the column into exclude.",
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
            seconds = pandas.to_timedelta(frame[name]).dt.total_seconds()
        else:
            seconds = seconds_since_1970(pandas.to_datetime(frame[name], utc=True))
    except (ValueError, TypeError, OverflowError):
        message = f'The dates of column "{name}" cannot be converted to numbers. Put it into exclude, or encode it.'
        raise TableError(message, "exclude") from None
    frame[name] = seconds.astype(np.float64)


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


def prepare_like(frame: pandas.DataFrame, features: Sequence[ColumnReport]) -> pandas.DataFrame:
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
        if feature.role == "category":
            _prepare_texts(prepared, feature.name, free_text_allowed=True)
        elif kind in FREE_TEXT_KINDS:
            _read_texts_like(prepared, feature)
        elif kind in NUMBER_KINDS and (feature.role == "number" or kind == "empty"):
            _prepare_numbers(prepared, feature.name, kind, row_numbers_allowed=True)
        elif kind in TIME_KINDS and feature.role == "date":
            _prepare_times(prepared, feature.name, kind)
        else:
            raise _other_kind(feature, prepared[feature.name].dropna().iloc[0])
    return prepared


def _read_texts_like(frame: pandas.DataFrame, feature: ColumnReport) -> None:
    """Turn texts into numbers or dates, as in the table."""

    def values_of(distinct: list[str]) -> Floats | None:
        if feature.role == "date":
            return read_dates(distinct)
        numbers = read_numbers(distinct, [feature.notation or Notation("", ".")])
        return None if numbers is None else numbers.values

    texts = text_column(frame[feature.name])
    present = [text for text in dict.fromkeys(texts.values) if text.strip() not in MISSING_MARKS]
    values = values_of(present) if present else np.empty(0)
    if values is None:
        raise _other_kind(feature, next((text for text in present if values_of([text]) is None), present[0]))
    value_of = dict.fromkeys(texts.values, np.nan) | dict(zip(present, values.tolist(), strict=True))
    frame[feature.name] = _cells(texts, value_of)


def _other_kind(feature: ColumnReport, value: object) -> TableError:
    message = f'Column "{feature.name}" holds {feature.role}s in the table, but "{value}" in these rows.'
    return TableError(message, "columns")
