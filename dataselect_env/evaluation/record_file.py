"""Files of records: JSON lines, compressed with gzip if the name ends in .gz."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, cast

from pydantic import ValidationError

from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.validation import ModelT
from dataselect_env.evaluation.records import FORMAT_VERSION, End, EpisodeRecord, Header

LONGEST_LINE = 1 << 20
"""Bytes of a line; the longest episode of a built-in task has about 10,000."""
LONGEST_NAME = 80
"""Characters of a text from a record that a message repeats."""
_GZIP = b"\x1f\x8b"


class RecordError(InvalidInput):
    """The file cannot be read or written, or is not a record; the message names the line."""


def printable(text: str) -> str:
    """Return a text from a record so that a terminal can show it: short, and without control characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:LONGEST_NAME])


def write_records(path: Path, header: Header, records: Sequence[EpisodeRecord]) -> None:
    """Write a record file, in the order of ``records``. Equal records give equal files.

    Raises:
        OSError: The file cannot be written.
    """
    digest = hashlib.sha256()
    with ExitStack() as stack:
        file = cast("IO[bytes]", stack.enter_context(path.open("wb")))
        if path.suffix == ".gz":
            file = cast("IO[bytes]", stack.enter_context(gzip.GzipFile("", "wb", fileobj=file, mtime=0)))
        for line in (header, *records):
            data = f"{line.model_dump_json()}\n".encode()
            digest.update(data)
            file.write(data)
        file.write(f"{End(episodes=len(records), sha256=digest.hexdigest()).model_dump_json()}\n".encode())


class RecordFile:
    """A record file to read. Only a line at a time is in memory.

    Args:
        path: The file; it is compressed if it begins like a gzip file.

    Attributes:
        header: Its first line.
        changed: A sentence if the file does not agree with its last line; known when all episodes were read.

    Raises:
        RecordError: The file cannot be read, or its first line is not a header of this format.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.changed = path, ""
        self.header = self.parse(Header, *next(self._lines(), (1, b"")))

    def episodes(self) -> Iterator[tuple[int, EpisodeRecord]]:
        """Yield the episodes with the numbers of their lines.

        Raises:
            RecordError: A line is not that of an episode, or the file is cut off.
        """
        digest, lines = hashlib.sha256(), self._lines()
        number, line = next(lines, (1, b""))
        for following, after in lines:
            digest.update(line)
            if number > 1:
                yield number, self.parse(EpisodeRecord, number, line)
            number, line = following, after
        if number == 1 or not line.startswith(b'{"episodes":'):
            if number > 1:
                self.parse(EpisodeRecord, number, line)
            raise self.error(number, "the file ends here, without its closing line; it was cut off")
        end = self.parse(End, number, line)
        if (end.episodes, end.sha256) != (number - 2, digest.hexdigest()):
            self.changed = f"Line {number}: the file was changed after it was written; its SHA-256 is another one."

    def parse(self, model: type[ModelT], number: int, line: bytes) -> ModelT:
        """Return a line as a model.

        Raises:
            RecordError: It is not one.
        """
        try:
            return model.model_validate_json(line)
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
        field = printable(".".join(map(str, problem["loc"])))
        if problem["type"] == "json_invalid":
            raise self.error(number, "not JSON" if line.endswith(b"\n") else "the file is cut off in this line")
        if field == "format_version" and problem["type"] != "missing":
            raise self.error(number, f"not a record of format version {FORMAT_VERSION}, which can be read here")
        kind = {Header: "the header of a record", EpisodeRecord: "an episode", End: "a closing line"}[model]
        raise self.error(number, f"not {kind} ({field}: {problem['msg']})" if field else problem["msg"])

    def error(self, number: int, problem: str) -> RecordError:
        """Return the error about a line."""
        return RecordError(f"{self.path.name}, line {number}: {problem}")

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        number = 0
        try:
            with ExitStack() as stack:
                file = cast("IO[bytes]", stack.enter_context(self.path.open("rb")))
                if file.read(2) == _GZIP:
                    file.seek(0)
                    file = cast("IO[bytes]", stack.enter_context(gzip.GzipFile(fileobj=file)))
                else:
                    file.seek(0)
                while line := file.readline(LONGEST_LINE + 1):
                    number += 1
                    if len(line) > LONGEST_LINE:
                        raise self.error(number, f"longer than {LONGEST_LINE:,} bytes")
                    yield number, line
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            problem = "is cut off" if isinstance(error, EOFError) else "is damaged"
            raise self.error(number + 1, f"the compressed file {problem} here") from error
        except OSError as error:
            raise RecordError(f"{self.path} cannot be read: {error.strerror or error}") from error
