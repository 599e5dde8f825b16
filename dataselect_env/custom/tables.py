"""A user's table as arrays: features, right labels and given labels, or one sentence that says what to change.

:func:`read_table` reads files (.csv, .csv.gz, .tsv, .parquet, .npz), data sets that scikit-learn brings along and those
of OpenML; :func:`encode` makes a matrix of the features.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dataselect_env.core.arrays import Floats, Indices, Labels
from dataselect_env.custom import encoding
from dataselect_env.custom.definitions import Table
from dataselect_env.custom.encoding import MOST_CELLS, TableProblem, listed
from dataselect_env.custom.readers import MOST_BYTES, Reader, check_known, open_reader

if TYPE_CHECKING:
    import pandas

__all__ = ["MOST_BYTES", "MOST_CELLS", "RawTable", "TableProblem", "encode", "read_table"]


@dataclass(frozen=True, eq=False)
class RawTable:
    """A table that was read and checked. It is not encoded yet, for that needs to know the rows to fit on.

    Attributes:
        frame: The features, one row a sample, (n, n_columns): numbers, NaN where missing, and categories as text.
        categorical: Names of the columns that are categories.
        y: Right labels as far as known, (n,), codes 0..K-1.
        given: Labels as the table has them, (n,), where ``true_target`` was given; else None.
        classes: Names of the K classes by code: sorted, as numbers where all are.
        annotators: Names of those who labelled, by code; empty when the table does not say.
        annotator: Who labelled what, (n,), codes; None when the table does not say.
    """

    frame: pandas.DataFrame
    categorical: tuple[str, ...]
    y: Labels
    given: Labels | None
    classes: tuple[str, ...]
    annotators: tuple[str, ...]
    annotator: Labels | None


def read_table(table: Table, folder: Path) -> RawTable:
    """Read a table and check all that can be checked without knowing how it will be split.

    Args:
        table: Says what to read.
        folder: What the name of a file is relative to.

    Raises:
        TableProblem: The table cannot be read or used; the message says what to change.
    """
    reader = open_reader(table, folder)
    fields = {"target": reader.target, "true_target": table.true_target, "annotator": table.annotator}
    labels = {field: name for field, name in fields.items() if name is not None}
    wanted = {*_features(table, reader, labels), *labels.values()}
    frame = reader.load([name for name in reader.names if name in wanted])
    if frame.empty:
        raise TableProblem(f"{reader.title} has no rows.", reader.field)
    texts = {field: encoding.label_texts(frame[name], field) for field, name in labels.items()}
    for name in set(labels.values()):
        del frame[name]  # a selection of the others would copy them
    annotators = encoding.ordered(texts["annotator"][1]) if "annotator" in texts else ()
    annotator = encoding.coded(texts.pop("annotator"), annotators) if annotators else None
    classes = encoding.ordered(name for _, names in texts.values() for name in names)
    y, *others = (encoding.coded(texts[field], classes) for field in ("true_target", "target") if field in texts)
    given = others[0] if others else None
    encoding.check_classes(table, classes, y)
    categorical = encoding.tidy(frame, table.categorical, table.columns or ())
    if table.max_rows is not None and table.max_rows < len(y):
        rows = encoding.drawn(y, table.max_rows)
        frame, y = frame.iloc[rows].reset_index(drop=True), y[rows]
        given, annotator = (None if codes is None else codes[rows] for codes in (given, annotator))
    encoding.check_cells(frame, categorical, reader.title)
    return RawTable(frame, categorical, y, given, classes, annotators, annotator)


def encode(raw: RawTable, fit_rows: Indices) -> Floats:
    """Return the features as a matrix, (n, n_features), C-contiguous, fitted on ``fit_rows`` only.

    :func:`encoding.encode_frame` says how.

    Raises:
        TableProblem: No feature has a value in ``fit_rows``.
    """
    return encoding.encode_frame(raw.frame, raw.categorical, fit_rows)


def _features(table: Table, reader: Reader, labels: dict[str, str]) -> list[str]:
    """Return the names of the features, after all names that the table uses were found."""
    used = {"columns": table.columns or [], "exclude": table.exclude, "categorical": table.categorical}
    for field, names in {**{field: [name] for field, name in labels.items()}, **used}.items():
        for name in names:
            check_known(reader.title, "column", field, name, reader.names)
    if labels.get("true_target") == labels["target"]:
        raise TableProblem("true_target should be another column than target, or be left out.", "true_target")
    leaks = [name for name in table.columns or () if name in labels.values()]
    if leaks:
        raise TableProblem(f"{listed(leaks)} cannot be both labels and features.", "columns")
    unwanted = {*labels.values(), *table.exclude}
    features = [name for name in table.columns or reader.names if name not in unwanted]
    if not features:
        raise TableProblem(f"{reader.title} has no column left to be a feature.", "exclude")
    strays = [name for name in table.categorical if name not in features]
    if strays:
        raise TableProblem(f"{listed(strays)} cannot be in categorical: no features.", "categorical")
    return features
