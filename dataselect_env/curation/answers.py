"""The right labels that a person has given, in a file that an interrupted curation goes on with.

The same arguments choose the same rows, so a curation that starts again finds the answers that it got before, and asks
for the others only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from dataselect_env.core.validation import ModelT, WireModel
from dataselect_env.evaluation.line_file import JournalError, LineFile


class Header(WireModel):
    """The first line: everything that the choice of rows depends on."""

    curation: dict[str, str] = Field(description="Facts about the curation, by name.")


class Answer(WireModel):
    """The right label of a row."""

    row: int = Field(ge=0, description="Row of the table, from 0.")
    label: str = Field(description="Its right label.")


class Answers(LineFile):
    """The answers of a curation; a context manager.

    Args:
        path: The file; it is made if it does not exist.
        facts: Everything that the choice of rows depends on, by the name that a message gives it.

    Raises:
        JournalError: The file cannot be read or written, or belongs to another curation; the message says what differs.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        super().__init__(path, "a curation")
        header = Header(curation={name: str(value) for name, value in facts.items()})
        try:
            if self.lines:
                _check(path.name, _parse(Header, path.name, 1, self.lines[0]).curation, header.curation)
            found = (_parse(Answer, path.name, number, line) for number, line in enumerate(self.lines[1:], 2))
            self._labels = {one.row: one.label for one in found}
            if not self.lines:
                self.add([header])
        except JournalError:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._labels)

    def get(self, row: int) -> str | None:
        """Return the right label of a row, None if it has not been given."""
        return self._labels.get(row)

    def keep(self, row: int, label: str) -> None:
        """Keep the right label of a row; it is on disk when the call returns."""
        self.add([Answer(row=row, label=label)])
        self._labels[row] = label


def _parse(model: type[ModelT], name: str, number: int, line: str) -> ModelT:
    try:
        return model.model_validate_json(line)
    except ValidationError as error:
        raise JournalError(f"{name}, line {number}: not a line of a curation") from error


def _check(name: str, theirs: Mapping[str, str], ours: Mapping[str, str]) -> None:
    differing = [fact for fact in dict.fromkeys([*theirs, *ours]) if theirs.get(fact) != ours.get(fact)]
    if differing:
        raise JournalError(f"{name} is of another curation: other {', '.join(differing)}. Choose another file")
