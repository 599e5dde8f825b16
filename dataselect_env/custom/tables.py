"""A user's table as arrays: features, right labels and given labels.

:func:`read_table` reads files, scikit-learn's bundled data sets and data sets of OpenML
(:mod:`~dataselect_env.custom.readers`); :func:`encode` turns the features into a matrix.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dataselect_env.core.arrays import Floats, Indices, Labels
from dataselect_env.custom.definitions import Table
from dataselect_env.custom.encoding import check_cells, fit_encoding
from dataselect_env.custom.errors import TableError, check_known, quoted
from dataselect_env.custom.features import prepare_features
from dataselect_env.custom.labels import MIN_CLASS_ROWS, check_classes, label_codes, label_column, sorted_names
from dataselect_env.custom.readers import TableReader, open_reader
from dataselect_env.custom.report import ColumnReport, Role, TableReport
from dataselect_env.custom.splitting import stratified

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False)
class RawTable:
    """A table that was read and checked, but is not encoded: encoding needs the rows to fit on.

    Attributes:
        frame: The features, one row per sample, (n, n_columns): numbers, NaN where missing, and categories as text.
        categorical: Names of the columns that are categories.
        y: Right labels as far as known, (n,), codes 0..K-1.
        given: Labels in ``target``, (n,), if the table has a ``true_target``; else None.
        classes: Names of the K classes by code, sorted; as numbers if all are numbers.
        annotators: Names of the annotators by code; empty if the table does not name them.
        annotator: Annotator of each row, (n,), codes; None if the table does not name them.
        report: What the table and its columns were taken for.
    """

    frame: pandas.DataFrame
    categorical: tuple[str, ...]
    y: Labels
    given: Labels | None
    classes: tuple[str, ...]
    annotators: tuple[str, ...]
    annotator: Labels | None
    report: TableReport


def read_table(table: Table, folder: Path) -> RawTable:
    """Read a table and check everything that does not depend on how it will be split.

    Args:
        table: The table to read.
        folder: Folder that a relative file name starts at.

    Raises:
        TableError: The table cannot be read or used; the message says what to change.
    """
    reader = open_reader(table, folder)
    fields = {"target": reader.target, "true_target": table.true_target, "annotator": table.annotator}
    label_names = {field: name for field, name in fields.items() if name is not None}
    wanted = {*_feature_names(table, reader, label_names), *label_names.values()}
    frame = reader.opened.load([name for name in reader.opened.names if name in wanted])
    if frame.empty:
        raise TableError(f"{reader.title} has no rows.", reader.field)
    with _named(reader.title):
        return _checked(table, reader, label_names, frame)


@contextmanager
def _named(title: str) -> Iterator[None]:
    """Put the name of the table before messages about its columns."""
    try:
        yield
    except TableError as error:
        raise TableError(f"{title}: {error.message}", error.field) from error


def _checked(table: Table, reader: TableReader, label_names: dict[str, str], frame: pandas.DataFrame) -> RawTable:
    """Return the table of loaded columns."""
    columns = {field: label_column(frame[name], field, table.classes or ()) for field, name in label_names.items()}
    for name in set(label_names.values()):
        del frame[name]  # selecting the others would copy them
    annotators = sorted_names(columns["annotator"].values) if "annotator" in columns else ()
    annotator = label_codes(columns.pop("annotator"), annotators) if annotators else None
    classes = sorted_names(name for column in columns.values() for name in column.values)
    y, *others = (label_codes(columns[field], classes) for field in ("true_target", "target") if field in columns)
    given = others[0] if others else None
    check_classes(table, classes, y)
    features = prepare_features(frame, table.categorical, table.columns or ())
    categorical = tuple(feature.name for feature in features if feature.role == "category")
    found = (feature.rewritten(reader.opened.rewritten) for feature in features)
    reports = {report.name: report for report in (*_label_reports(label_names, classes, annotators), *found)}
    report = TableReport(
        title=reader.title,
        note=reader.opened.note,
        rows=len(frame),
        classes=classes,
        columns=tuple(reports.get(name) or _unused(table, name) for name in reader.opened.names),
    )
    frame.index = range(len(frame))
    if table.max_rows is not None and table.max_rows < len(y):
        rows = _sampled_rows(y, table.max_rows)
        frame, y = frame.iloc[rows].reset_index(drop=True), y[rows]
        given, annotator = (None if codes is None else codes[rows] for codes in (given, annotator))
    check_cells(frame, categorical)
    return RawTable(frame, categorical, y, given, classes, annotators, annotator, report)


def encode(raw: RawTable, fit_rows: Indices) -> Floats:
    """Return the features as a matrix, (n, n_features), C-contiguous, fitted on ``fit_rows`` only.

    See :class:`~dataselect_env.custom.encoding.Encoding`.

    Raises:
        TableError: No feature has a value in ``fit_rows``.
    """
    return fit_encoding(raw.frame, raw.categorical, fit_rows).transform(raw.frame)


def _sampled_rows(y: Labels, count: int) -> Indices:
    """Return ``count`` rows in ascending order, a stratified draw with at least ``MIN_CLASS_ROWS`` of each class.

    Raises:
        TableError: ``count`` is too small for the number of classes.
    """
    fewest = MIN_CLASS_ROWS * (int(y.max()) + 1)
    if count < fewest:
        raise TableError(f"max_rows should be at least {fewest}: {MIN_CLASS_ROWS} rows of each class.", "max_rows")
    return stratified(y, count, np.random.default_rng(0), min_per_class=MIN_CLASS_ROWS)


def _label_reports(
    label_names: dict[str, str], classes: Collection[str], annotators: Collection[str]
) -> Iterator[ColumnReport]:
    """Yield what the columns of labels and annotators were taken for."""
    values = f"{len(classes)} classes: {quoted(classes)}"
    for field, name in label_names.items():
        if field == "annotator":
            yield ColumnReport(name, "annotators", f"{field} names it; {len(annotators)}: {quoted(annotators)}")
        else:
            role: Role = "labels" if field == "target" else "right labels"
            yield ColumnReport(name, role, f"{field} names it; {values}")


def _unused(table: Table, name: str) -> ColumnReport:
    why = "exclude names it" if name in table.exclude else "columns does not name it"
    return ColumnReport(name, "not used", why)


def _is_number(name: str) -> bool:
    try:
        return isinstance(float(name), float)
    except ValueError:
        return False


def _feature_names(table: Table, reader: TableReader, label_names: dict[str, str]) -> list[str]:
    """Return the names of the features, after checking all names that the definition uses."""
    used = {"columns": table.columns or [], "exclude": table.exclude, "categorical": table.categorical}
    for field, names in {**{field: [name] for field, name in label_names.items()}, **used}.items():
        for name in names:
            try:
                check_known(reader.title, "column", field, name, reader.opened.names)
            except TableError as error:
                if sum(map(_is_number, reader.opened.names)) * 2 < max(len(reader.opened.names), 1):
                    raise
                message = f"{error.message} The first row should have the names of the columns; it looks like values."
                raise TableError(message, field) from None
    if label_names.get("true_target") == label_names["target"]:
        raise TableError("true_target should be another column than target, or be left out.", "true_target")
    leaks = [name for name in table.columns or () if name in label_names.values()]
    if leaks:
        raise TableError(f"{quoted(leaks)} cannot be both labels and features.", "columns")
    unwanted = {*label_names.values(), *table.exclude}
    features = [name for name in table.columns or reader.opened.names if name not in unwanted]
    if not features:
        raise TableError(f"{reader.title} has no column left to be a feature.", "exclude")
    strays = [name for name in table.categorical if name not in features]
    if strays:
        raise TableError(f"{quoted(strays)} cannot be in categorical, because they are not features.", "categorical")
    return features
