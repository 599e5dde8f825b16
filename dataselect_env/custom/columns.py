"""Single columns of a table: the kind of their values, and their values as text."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dataselect_env.core.arrays import Indices

if TYPE_CHECKING:
    import pandas

NUMBER_KINDS = {"integer", "floating", "mixed-integer-float", "decimal", "empty"}
FREE_TEXT_KINDS = {"string", "mixed-integer"}
TEXT_KINDS = {*FREE_TEXT_KINDS, "boolean", "categorical"}
EMPTY_WORDS = frozenset(
    {
        "",
        "NA",
        "N/A",
        "n/a",
        "#NA",
        "#N/A",
        "#N/A N/A",
        "<NA>",
        "NULL",
        "null",
        "None",
        "NaN",
        "nan",
        "-NaN",
        "-nan",
        "1.#IND",
        "-1.#IND",
        "1.#QNAN",
        "-1.#QNAN",
    }
)
"""Texts of empty cells, those of pandas; among labels unless they are declared as classes."""
TIME_KINDS = {"datetime64", "datetime", "date", "timedelta64", "timedelta"}


class TextColumn(NamedTuple):
    """A column as text.

    Attributes:
        codes: Position in ``values`` for each row, (n,); -1 where the cell is missing.
        values: Texts in order of first appearance. Cells of different types may have the same text.
    """

    codes: Indices
    values: list[str]


def inferred_kind(column: pandas.Series) -> str:
    """Return the kind of a column's values as pandas infers it, such as ``floating``; missing cells do not count.

    ``mixed-integer`` stands for text and numbers together, ``mixed`` for everything else that is mixed or nested.
    """
    from pandas.api.types import infer_dtype  # noqa: PLC0415

    kind = str(infer_dtype(column, skipna=True))
    if not kind.startswith("mixed") or kind == "mixed-integer-float":
        return kind
    cells = column.dropna()
    plain = all(isinstance(cell, str | int | float | np.number | Decimal) for cell in cells)
    return "mixed-integer" if plain and not any(isinstance(cell, bool) for cell in cells) else "mixed"


def cell_text(value: object) -> str:
    """Return a cell as text. Whole numbers have the same text whatever their type.

    >>> [cell_text(value) for value in (1, 1.0, "1", 0.5, True, b"cat")]
    ['1', '1', '1', '0.5', 'True', 'cat']

    Raises:
        TypeError: The cell holds several values.
    """
    if isinstance(value, list | dict | set | tuple | np.ndarray):
        raise TypeError("a cell holds several values")
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def text_column(column: pandas.Series) -> TextColumn:
    """Return a column, (n,), as text.

    Raises:
        TypeError: A cell holds several values.
    """
    import pandas  # noqa: PLC0415

    if column.dtype == object:  # in which 1 and True are equal
        column = column.map(cell_text, na_action="ignore")
    codes, values = pandas.factorize(column, use_na_sentinel=True)
    return TextColumn(codes.astype(np.intp), [cell_text(value) for value in values])
