"""A file of JSON lines that an interrupted run goes on with.

Only complete lines count, so a run that is killed in mid-write loses one line.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.validation import WireModel


class JournalError(InvalidInput):
    """The file cannot be read or written, or is not the journal of such a run; the message says which."""


class LineFile:
    """A file of JSON lines, open for more; a context manager.

    Args:
        path: The file; it is made if it does not exist.
        run: What the file belongs to, for messages: "an evaluation".

    Attributes:
        lines: The complete lines that were in the file when it was opened.

    Raises:
        JournalError: The file cannot be read or written, or has no complete line although it is not empty.
    """

    def __init__(self, path: Path, run: str) -> None:
        self._path = path
        with _file_errors(path):
            content = path.read_bytes() if path.exists() else b""
        complete = content[: content.rfind(b"\n") + 1]
        self.lines = complete.decode(errors="replace").split("\n")[:-1]
        if content and not self.lines:
            raise JournalError(f"{path.name} is not a file of {run}")
        with _file_errors(path):
            self._file = path.open("ab")
            self._complete = len(complete)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def add(self, lines: Iterable[WireModel]) -> None:
        """Write lines, in place of an incomplete one at the end; they are on disk when the call returns."""
        with _file_errors(self._path):
            if self._file.tell() > self._complete:
                self._file.truncate(self._complete)
            self._file.write("".join(f"{line.model_dump_json()}\n" for line in lines).encode())
            self._file.flush()
            os.fsync(self._file.fileno())
            self._complete = self._file.tell()


@contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise JournalError(f"{path} cannot be read or written: {error.strerror or error}") from error
