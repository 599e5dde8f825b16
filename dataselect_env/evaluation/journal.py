"""The file that an interrupted evaluation resumes from: lines of a record, in the order in which episodes finish."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from dataselect_env.core.validation import ModelT
from dataselect_env.evaluation.line_file import JournalError, LineFile
from dataselect_env.evaluation.records import EpisodeRecord, Header


class Journal(LineFile):
    """The file of a run, open for more records; a context manager.

    Attributes:
        records: The records that were in the file when it was opened, by key.

    Raises:
        JournalError: The file cannot be read or written, holds something else, or episodes of another header.
    """

    def __init__(self, path: Path, header: Header) -> None:
        super().__init__(path, "an evaluation")
        try:
            if self.lines:
                _check(path.name, _parse(Header, path.name, 1, self.lines[0]), header)
            found = (_parse(EpisodeRecord, path.name, number, line) for number, line in enumerate(self.lines[1:], 2))
            self.records = {one.key: one for one in found}
            if not self.lines:
                self.add([header])
        except JournalError:
            self.close()
            raise


def _parse(model: type[ModelT], name: str, number: int, line: str) -> ModelT:
    try:
        return model.model_validate_json(line)
    except ValidationError as error:
        raise JournalError(f"{name}, line {number}: not a line of an evaluation") from error


def _check(name: str, found: Header, wanted: Header) -> None:
    theirs, ours = found.facts(), wanted.facts()
    parts = [
        f"{fact} {theirs.get(fact, 'missing')} (now {ours.get(fact, 'missing')})"
        for fact in dict.fromkeys([*theirs, *ours])
        if theirs.get(fact) != ours.get(fact)
    ]
    if parts:
        raise JournalError(f"{name} is of another run: {', '.join(parts)}. Choose another file")
