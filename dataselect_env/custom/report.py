"""What a table was taken for: how it was read, and for each column what it is and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

from dataselect_env.custom.errors import NAMES_SHOWN, quoted
from dataselect_env.custom.numerals import Notation

Role = Literal["labels", "right labels", "annotators", "number", "date", "category", "not used"]
PLURALS: dict[Role, tuple[str, str]] = {
    "number": ("number", "numbers"),
    "date": ("date", "dates"),
    "category": ("category", "categories"),
    "not used": ("column not used", "columns not used"),
}
"""What columns are called in the summary, one of a kind and several."""


class ColumnReport(NamedTuple):
    """What a column was taken for.

    Attributes:
        name: Name of the column.
        role: What it was taken for.
        why: The reason, from its values or from the definition.
        missing: Number of missing cells; 0 if all are missing.
        reading: How cells were read that are not plain values, such as ``"1,250" as 1250``; empty if all are.
        notation: How texts that are numbers write them; None for other columns.
    """

    name: str
    role: Role
    why: str
    missing: int = 0
    reading: str = ""
    notation: Notation | None = None

    def rewritten(self, by_reader: Mapping[str, str]) -> Self:
        """Return the report with what the reader of the file has made of cells, by column, before they were read."""
        reading = ", ".join(filter(None, (self.reading, by_reader.get(self.name))))
        return self._replace(reading=reading)

    def reason(self) -> str:
        """Return everything that is known about the column besides its role."""
        fate = {"number": "replaced by the median", "date": "replaced by the median", "category": "a category"}
        gaps = f"{self.missing:,} missing, {fate.get(self.role, 'refused')}" if self.missing else ""
        return "; ".join(filter(None, (self.why, self.reading and f"read {self.reading}", gaps)))


@dataclass(frozen=True)
class TableReport:
    """What a table was taken for.

    Attributes:
        title: Name of the table.
        note: How the file was read, such as ``separated by commas``; empty if there was nothing to decide.
        rows: Number of rows.
        classes: Names of the classes.
        columns: All columns, in the order of the table.
    """

    title: str
    note: str
    rows: int
    classes: tuple[str, ...]
    columns: tuple[ColumnReport, ...]

    def summary(self) -> str:
        """Return the report as one sentence, with the names of the categories and every reading that was guessed."""
        names = {role: [column.name for column in self.columns if column.role == role] for role in PLURALS}
        kinds = [f"{len(found):,} {PLURALS[role][len(found) > 1]}" for role, found in names.items() if found]
        target = next(column.name for column in self.columns if column.role == "labels")
        guesses = [f'"{column.name}": {column.reading}' for column in self.columns if column.reading]
        more = f" and {len(guesses) - NAMES_SHOWN:,} more" if len(guesses) > NAMES_SHOWN else ""
        told = f"; read {'; '.join(guesses[:NAMES_SHOWN])}{more}" if guesses else ""
        text = f"; categories are {quoted(names['category'])}" if names["category"] else ""
        shape = f"{self.rows:,} rows, {len(self.classes)} classes in {quoted([target])}"
        return f"{self._name()}: {', '.join([shape, *kinds])}{text}{told}."

    def lines(self) -> Iterator[str]:
        """Yield the report as a table with one line for each column."""
        yield f"{self._name()}: {self.rows:,} rows, {len(self.classes)} classes: {quoted(self.classes)}"
        rows = [("column", "taken for", "why"), *((one.name, one.role, one.reason()) for one in self.columns)]
        widths = [max(len(row[place]) for row in rows) for place in (0, 1)]
        for row in rows:
            yield f"{row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]}".rstrip()

    def _name(self) -> str:
        return f"{self.title} ({self.note})" if self.note else self.title
