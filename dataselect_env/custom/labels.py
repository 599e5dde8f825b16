"""Label columns of a table as class codes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import numpy as np

from dataselect_env.core.arrays import Labels
from dataselect_env.custom.columns import EMPTY_WORDS, TextColumn, cell_text, text_column
from dataselect_env.custom.definitions import Table
from dataselect_env.custom.errors import NAMES_SHOWN, TableError, quoted

if TYPE_CHECKING:
    import pandas

MAX_CLASSES = 100
MIN_CLASS_ROWS = 3
"""Fewest rows of each class: the seed set, the validation split and the pool need one each."""


def label_column(column: pandas.Series, field: str, declared: Collection[str | int]) -> TextColumn:
    """Return a column of labels or of annotators' names as text, as it is in the table but without outer blanks.

    Args:
        column: Any values, (n,).
        field: ``target``, ``true_target`` or ``annotator``.
        declared: Classes that the definition names.

    Raises:
        TableError: A cell is empty, or the values do not look like classes.
    """
    try:
        codes, texts = text_column(column)
    except TypeError:
        message = f'"{column.name}" holds lists or structs. Name a column with one text or number in each row.'
        raise TableError(message, field) from None
    names = [text.strip() for text in texts]
    empty = EMPTY_WORDS - {cell_text(name).strip() for name in declared}
    blank = np.array([*(name in empty for name in names), True])
    missing = np.flatnonzero(blank[codes])  # -1, a missing cell, takes the last
    if len(missing):
        words = sorted({f'"{name}"' for name in names if name in empty and name})
        hint = f" If {' or '.join(words)} is a class, name all classes in classes." if words else ""
        message = f'"{column.name}" is missing (empty, NA, None or the like) in {len(missing):,} of {len(codes):,} rows'
        first = f", first in row {column.index[missing[0]]}. Drop these rows."
        raise TableError(f"{message}{first}{hint if field != 'annotator' else ''}", field)
    if field == "annotator":
        return TextColumn(codes, names)
    numbers = _as_numbers(names)
    fractions = np.array([not number.is_integer() for number in numbers or ()])
    if fractions.any():
        row = column.index[fractions[codes].argmax()]
        message = f'"{column.name}" looks like a quantity, not a class: it has fractions, first in row {row}.'
        raise TableError(f"{message} Name a column of classes.", field)
    if len(set(names)) > MAX_CLASSES:
        message = f'"{column.name}" looks like a quantity, not a class: {len(set(names)):,} different values, where'
        raise TableError(f"{message} {MAX_CLASSES} are allowed. Name a column of classes.", field)
    return TextColumn(codes, names)


def sorted_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return the distinct names, sorted as numbers if all are numbers, else as text.

    >>> sorted_names(["10", "9", "9"]), sorted_names(["10", "9", "b"])
    (('9', '10'), ('10', '9', 'b'))
    """
    distinct = sorted(set(names))
    numbers = _as_numbers(distinct)
    finite = numbers is not None and np.isfinite(numbers).all()
    return tuple(sorted(distinct, key=float) if finite else distinct)


def _as_numbers(names: Iterable[str]) -> list[float] | None:
    """Return names as numbers, None unless all are numbers."""
    try:
        return [float(name) for name in names]
    except ValueError:
        return None


def label_codes(labels: TextColumn, names: Collection[str]) -> Labels:
    """Return each row's position in ``names``, (n,)."""
    code_of = {name: code for code, name in enumerate(names)}
    return np.array([code_of[name] for name in labels.values], dtype=np.int64)[labels.codes]


def check_classes(table: Table, classes: Collection[str], y: Labels) -> None:
    """Check the classes that labels ``y``, (n,), and given labels have.

    Raises:
        TableError: The classes are not the declared ones, there are fewer than 2, or one has too few rows.
    """
    if table.classes is not None:
        declared = sorted_names(cell_text(name).strip() for name in table.classes)
        lacking, others = [name for name in declared if name not in classes], set(classes) - set(declared)
        if lacking or others:
            unquoted = any(isinstance(name, int) for name in table.classes)
            hint = ' Labels are compared as text: put names such as "01" into quotes.' if unquoted else ""
            raise TableError(
                f"The labels have other classes than declared. Declared but not found: {quoted(lacking)}. Found but not"
                f" declared: {quoted(sorted_names(others))}.{hint}",
                "classes",
            )
    field = "target" if table.true_target is None else "true_target"
    if len(classes) < 2:
        raise TableError(f"There is only one class: {quoted(classes)}. At least 2 are needed.", field)
    counts = np.bincount(y, minlength=len(classes))
    few = [f'"{name}" has {count}' for name, count in zip(classes, counts, strict=True) if count < MIN_CLASS_ROWS]
    if few:
        message = f"Each class needs at least {MIN_CLASS_ROWS} rows; {', '.join(few[:NAMES_SHOWN])}."
        raise TableError(f"{message} Drop or merge such classes.", field)
