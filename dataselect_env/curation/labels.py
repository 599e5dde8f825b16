"""Labels of any type as class codes, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dataselect_env.core.arrays import Labels
from dataselect_env.core.errors import InvalidInput
from dataselect_env.custom.columns import TextColumn, cell_text
from dataselect_env.custom.errors import TableError, quoted
from dataselect_env.custom.labels import label_codes, label_column, sorted_names

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False)
class Classes:
    """The classes of a curation.

    Labels are compared as text, so that ``1``, ``1.0`` and ``"1"`` are the same class.

    Attributes:
        names: Names of the K classes by code, sorted; as numbers if all are numbers.
        values: The labels themselves by code, (K,), of the type that they had.
    """

    names: tuple[str, ...]
    values: npt.NDArray[Any]

    def code(self, label: object) -> int:
        """Return the code of a label.

        Raises:
            InvalidInput: It is none of the classes.
        """
        name = cell_text(label).strip()
        if name not in self.names:
            raise InvalidInput(f'"{name}" is none of the classes {quoted(self.names)}', field="label")
        return self.names.index(name)


def code_labels(columns: Mapping[str, Any], classes: Sequence[Any] | None = None) -> tuple[Classes, dict[str, Labels]]:
    """Return the classes of several columns of labels, and the columns as codes, each (n,).

    Args:
        columns: Labels by name of the argument, each (n,), of any type. The first column decides the type of a label.
        classes: All classes that may occur; None allows any.

    Raises:
        InvalidInput: A label is missing, the labels are quantities, or a label is none of ``classes``.
    """
    declared = [cell_text(label).strip() for label in classes or ()]
    series = {name: _series(column, name) for name, column in columns.items()}
    texts = {name: _texts(one, name, declared) for name, one in series.items()}
    names = sorted_names(value for one in texts.values() for value in one.values)
    others = [name for name in names if name not in declared]
    if classes is not None and others:
        raise InvalidInput(f"classes: the labels {quoted(others)} are none of the classes", field="classes")
    found: dict[str, Any] = {}
    for name, one in texts.items():
        _collect(found, series[name], one)
    values = np.array([found[name] for name in names])
    return Classes(names, values), {name: label_codes(one, names) for name, one in texts.items()}


def _series(column: Any, name: str) -> pandas.Series:
    import pandas  # noqa: PLC0415  (an extra; the features have needed it before)

    if not isinstance(column, pandas.Series):
        array = np.asarray(column)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim != 1:
            raise InvalidInput(
                f"{name}: should be one label for each row, (n,), not of shape {array.shape}", field=name
            )
        column = pandas.Series(array)
    return column.rename(name) if column.name is None else column


def _texts(series: pandas.Series, name: str, declared: Sequence[str]) -> TextColumn:
    """Return a column as text.

    Raises:
        InvalidInput: A label is missing, or the labels are quantities.
    """
    try:
        return label_column(series, "target", declared)
    except TableError as error:
        raise InvalidInput(f"{name}: {error.message}", field=name) from None


def _collect(found: dict[str, Any], series: pandas.Series, texts: TextColumn) -> None:
    """Add the labels of a column by name; the first cell of a class decides its type."""
    _, places = np.unique(texts.codes, return_index=True)
    for code, place in zip(texts.codes[places], places, strict=True):
        value = series.iloc[int(place)]
        name = texts.values[code]
        found.setdefault(name, name if isinstance(value, str) else value)
