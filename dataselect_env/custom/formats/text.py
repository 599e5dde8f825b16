"""Text files, plain or packed as .gz or .zip."""

from __future__ import annotations

import codecs
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, TextIO, cast

from dataselect_env.custom.errors import TableError, quoted
from dataselect_env.custom.formats.opened import check_bytes

PACKINGS = (".gz", ".zip")
"""Suffixes of packed files."""
_DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile)
SNIPPET = 20
"""Characters around a byte that is not UTF-8 that the message shows."""


class TextFile(NamedTuple):
    """A text file.

    Attributes:
        path: The file.
        title: Its name in messages.
        packing: One of ``PACKINGS``; empty if it is not packed.
        member: The file inside a .zip file.
    """

    path: Path
    title: str
    packing: str = ""
    member: str = ""

    @contextmanager
    def open(self) -> Iterator[TextIO]:
        """Open the file: UTF-16 if it begins with its byte order mark, else UTF-8."""
        with self._bytes() as binary:
            mark = binary.read(2)
        encoding = "utf-16" if mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
        with self._bytes() as binary, io.TextIOWrapper(binary, encoding=encoding, newline="") as text:
            yield text

    def lines(self) -> Iterator[str]:
        """Yield the lines.

        Raises:
            TableError: The file unpacks to more than ``MAX_BYTES``, is damaged behind its first row, is not encoded in
                UTF-8, or has a NUL character, as binary files have.
        """
        size = row = 0
        try:
            with self.open() as text:
                for row, line in enumerate(text, start=1):
                    size += len(line)
                    if "\0" in line:
                        raise self._binary(row)
                    yield line
                    check_bytes(self.title, size)
        except UnicodeDecodeError:
            raise self._undecodable() from None
        except _DAMAGE:
            if not row:
                raise  # perhaps it is not packed at all
            raise TableError(
                f"{self.title} is damaged after row {row:,}. Pack it again, or copy it again.", "file"
            ) from None

    def _undecodable(self) -> TableError:
        """Return the error for the first line that is not UTF-8."""
        advice = "Save the file as UTF-8."
        with self._bytes() as binary:
            for row, line in enumerate(binary, start=1):
                if b"\0" in line:
                    return self._binary(row)
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError as error:
                    snippet = line[max(0, error.start - SNIPPET) : error.start + SNIPPET].decode("latin-1").strip()
                    place = f'Row {row:,} of {self.title} is not encoded in UTF-8, near "{snippet}".'
                    return TableError(f"{place} {advice}", "file")
        return TableError(f"{self.title} is not encoded in UTF-8. {advice}", "file")

    def _binary(self, row: int) -> TableError:
        """Return the error for a row with a NUL character."""
        message = f"Row {row:,} of {self.title} has a NUL character, which no text has. Its suffix is wrong, or it is"
        return TableError(f"{message} in UTF-16 or UTF-32 without a byte order mark: save it as UTF-8.", "file")

    @contextmanager
    def _bytes(self) -> Iterator[IO[bytes]]:
        with ExitStack() as stack:
            if self.packing == ".zip":
                archive = stack.enter_context(zipfile.ZipFile(self.path))
                yield stack.enter_context(archive.open(self.member))
            elif self.packing == ".gz":
                yield cast("IO[bytes]", stack.enter_context(gzip.open(self.path)))
            else:
                yield stack.enter_context(self.path.open("rb"))


def only_member(path: Path, title: str) -> str:
    """Return the name of the only file in a .zip file, without those that systems put beside it.

    Raises:
        TableError: There is none, there are several, it is encrypted or too large.
    """
    with zipfile.ZipFile(path) as archive:
        members = [
            member
            for member in archive.infolist()
            if not member.is_dir() and not member.filename.startswith("__MACOSX/")
            if not PurePosixPath(member.filename).name.startswith(".")
        ]
    if len(members) != 1:
        found = f"{len(members):,} files ({quoted([member.filename for member in members])})" if members else "no file"
        raise TableError(f"{title} has {found}, and one is read. Unpack it, and name the table itself.", "file")
    if members[0].flag_bits & 1:
        raise TableError(f"{title} is encrypted. Unpack it first.", "file")
    check_bytes(title, members[0].file_size)
    return members[0].filename
