"""Writes a binary workbook of Excel, .xlsb, for which there is no library: one sheet of texts, numbers and booleans.

References:
    Microsoft, "[MS-XLSB]: Excel (.xlsb) Binary File Format": records in section 2.1.4, their numbers in section 2.3.2.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROW, BOOLEAN, NUMBER, TEXT, SHARED_TEXT = 0, 4, 5, 7, 19
BEGIN_SHEET, END_SHEET, BEGIN_BOOK, END_BOOK, BEGIN_SHEETS, END_SHEETS = 129, 130, 131, 132, 143, 144
BEGIN_ROWS, END_ROWS, DIMENSION, SHEET, BEGIN_TEXTS, END_TEXTS = 145, 146, 148, 156, 159, 160

_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def write_xlsb(path: Path, rows: Sequence[Sequence[str | float | bool]], sheet: str = "Data") -> None:
    """Write rows as the only sheet of a workbook."""
    texts = [*dict.fromkeys(value for row in rows for value in row if isinstance(value, str))]
    parts = {"worksheet": "worksheets/sheet1.bin", "sharedStrings": "sharedStrings.bin"}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        types = '<Default Extension="bin" ContentType="application/vnd.ms-excel.sheet.binary.macroEnabled.main"/>'
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{_PACKAGE}/content-types">{types}</Types>')
        archive.writestr("_rels/.rels", _relations({"officeDocument": "xl/workbook.bin"}))
        archive.writestr("xl/_rels/workbook.bin.rels", _relations(parts))
        archive.writestr("xl/workbook.bin", b"".join(_book(sheet)))
        archive.writestr("xl/worksheets/sheet1.bin", b"".join(_sheet(rows, texts)))
        archive.writestr("xl/sharedStrings.bin", b"".join(_shared(texts)))


def _relations(targets: Mapping[str, str]) -> str:
    """Return the list of a part's relations: files by kind."""
    entries = (
        f'<Relationship Id="rId{number}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets.items(), start=1)
    )
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{"".join(entries)}</Relationships>'


def _record(number: int, content: bytes = b"") -> bytes:
    """Return a record: its number and its length in groups of seven bits, then its content."""
    return b"".join((_groups(number), _groups(len(content)), content))


def _groups(value: int) -> bytes:
    low, high = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _groups(high) if high else bytes([low])


def _text(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def _book(sheet: str) -> Iterator[bytes]:
    yield from map(_record, (BEGIN_BOOK, BEGIN_SHEETS))
    yield _record(SHEET, struct.pack("<II", 0, 1) + _text("rId1") + _text(sheet))
    yield from map(_record, (END_SHEETS, END_BOOK))


def _shared(texts: Sequence[str]) -> Iterator[bytes]:
    yield _record(BEGIN_TEXTS, struct.pack("<II", len(texts), len(texts)))
    for text in texts:
        yield _record(SHARED_TEXT, b"\0" + _text(text))
    yield _record(END_TEXTS)


def _sheet(rows: Sequence[Sequence[str | float | bool]], texts: Sequence[str]) -> Iterator[bytes]:
    yield _record(BEGIN_SHEET)
    yield _record(DIMENSION, struct.pack("<IIII", 0, len(rows) - 1, 0, len(rows[0]) - 1))
    yield _record(BEGIN_ROWS)
    for number, row in enumerate(rows):
        yield _record(ROW, struct.pack("<IIHBBBI", number, 0, 300, 0, 0, 0, 0))
        for column, value in enumerate(row):
            place = struct.pack("<II", column, 0)
            if isinstance(value, bool):
                yield _record(BOOLEAN, place + bytes([value]))
            elif isinstance(value, str):
                yield _record(TEXT, place + struct.pack("<I", texts.index(value)))
            else:
                yield _record(NUMBER, place + struct.pack("<d", value))
    yield from map(_record, (END_ROWS, END_SHEET))
