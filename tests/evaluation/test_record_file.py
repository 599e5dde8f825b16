"""Files of records: written and read back, and refused with the line where something is wrong."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dataselect_env.evaluation.record_file import LONGEST_LINE, RecordError, RecordFile, printable
from tests.helpers.recording import played, served, write


def read(path: Path) -> tuple[RecordFile, list[object]]:
    file = RecordFile(path)
    return file, [one for _, one in file.episodes()]


@pytest.mark.parametrize("name", ["runs.jsonl", "runs.jsonl.gz"])
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    header, records = served("probing")
    path = write(tmp_path, header, records, name)
    file, found = read(path)
    assert (file.header, found, file.changed) == (header, records, "")
    assert [line for line, _ in file.episodes()] == [2, 3, 4]
    assert path.read_bytes().startswith(b"\x1f\x8b") == name.endswith(".gz")


def test_equal_records_give_equal_files(tmp_path: Path) -> None:
    first, second = (write(tmp_path, *played("random"), f"{number}.jsonl.gz").read_bytes() for number in (1, 2))
    assert first == second


def test_a_record_may_be_empty(tmp_path: Path) -> None:
    header, _ = played("random")
    assert read(write(tmp_path, header, []))[1] == []


def edited(tmp_path: Path, edit: Callable[[list[bytes]], list[bytes]]) -> Path:
    """Write a record of three episodes, with its lines changed."""
    path = write(tmp_path, *played("random"))
    path.write_bytes(b"".join(edit(path.read_bytes().splitlines(keepends=True))))
    return path


def in_line(number: int, field: str, value: object) -> Callable[[list[bytes]], list[bytes]]:
    def edit(lines: list[bytes]) -> list[bytes]:
        changed = {**json.loads(lines[number - 1]), field: value}
        return [*lines[: number - 1], json.dumps(changed).encode() + b"\n", *lines[number:]]

    return edit


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda _: [], r"runs.jsonl, line 1: the file is cut off in this line"),
        (lambda lines: lines[1:], r"line 1: not the header of a record \(format_version: Field required\)"),
        (lambda lines: lines[:1], r"line 1: the file ends here, without its closing line; it was cut off"),
        (lambda lines: lines[:-1], r"line 4: the file ends here, without its closing line; it was cut off"),
        (lambda lines: [*lines[:2], lines[2][:50]], r"line 3: the file is cut off in this line"),
        (lambda lines: [*lines[:2], b"{}\n", *lines[3:]], r"line 3: not an episode \(policy: Field required\)"),
        (lambda lines: [*lines[:2], b"\n", *lines[3:]], r"line 3: not JSON"),
        (lambda lines: [*lines[:2], b"\xff\xfe\n", *lines[3:]], r"line 3: not JSON"),
        (lambda lines: [*lines[:2], b"x" * LONGEST_LINE + b"\n", *lines[3:]], r"line 3: longer than 1,048,576 bytes"),
        (lambda lines: [*lines[:2], b"[" * 100_000 + b"\n", *lines[3:]], r"line 3: not JSON"),
        (lambda lines: [*lines, lines[1]], r"line 5: not an episode"),
        (in_line(1, "format_version", 2), r"line 1: not a record of format version 1, which can be read here"),
        (in_line(1, "versions", 2), r"line 1: not the header of a record \(versions: "),
        (in_line(3, "score", 1e300), r"line 3: not an episode \(score: Input should be less than or equal to 1\)"),
        (in_line(3, "score", float("nan")), r"line 3: not JSON|line 3: not an episode \(score: "),
        (in_line(3, "seed", 10**40), r"line 3: not an episode \(seed: "),
        (in_line(3, "\x1b[31m", 1), r"line 3: not an episode \(\?\[31m: Extra inputs"),
        (in_line(3, "rewards", []), r"line 3: .*actions, rewards and curve should have the same number of steps"),
        (in_line(5, "sha256", "zero"), r"line 5: not a closing line \(sha256: "),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, edit: Callable[[list[bytes]], list[bytes]], words: str) -> None:
    with pytest.raises(RecordError, match=words):
        read(edited(tmp_path, edit))


@pytest.mark.parametrize(
    "edit",
    [
        lambda lines: [*lines[:2], *lines[3:]],
        lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
        in_line(2, "policy", "another"),
        in_line(5, "episodes", 4),
        in_line(5, "sha256", "0" * 64),
    ],
)
def test_a_file_that_was_changed_says_so(tmp_path: Path, edit: Callable[[list[bytes]], list[bytes]]) -> None:
    file, _ = read(edited(tmp_path, edit))
    assert "the file was changed after it was written" in file.changed


def test_every_byte_counts(tmp_path: Path) -> None:
    """A file with one byte altered is refused, or known to be changed."""
    path = write(tmp_path, *played("stop"))
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        problem = ""
        try:
            file, _ = read(path)
            problem = file.changed
        except RecordError as error:
            problem = error.message
        assert re.search(r"[Ll]ine \d: ", problem), place


@pytest.mark.parametrize("place", [15, 100, -6, -1])
def test_compressed_files_that_are_cut_off(tmp_path: Path, place: int) -> None:
    path = write(tmp_path, *played("random"), "runs.jsonl.gz")
    path.write_bytes(path.read_bytes()[:place])
    with pytest.raises(RecordError, match=r"runs.jsonl.gz, line \d: the compressed file is cut off here"):
        read(path)


@pytest.mark.parametrize("place", [-2, -6, 40, 200])
def test_compressed_files_that_are_damaged(tmp_path: Path, place: int) -> None:
    path = write(tmp_path, *played("random"), "runs.jsonl.gz")
    data = bytearray(path.read_bytes())
    data[place] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(RecordError, match=r"runs.jsonl.gz, line \d: "):
        read(path)


def test_a_small_file_may_hold_a_huge_line(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl.gz"
    path.write_bytes(gzip.compress(b" " * (LONGEST_LINE * 200)))
    with pytest.raises(RecordError, match="line 1: longer than"):
        RecordFile(path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot be read: Is a directory"):
        RecordFile(tmp_path)


def test_texts_of_a_record_are_printable_and_short() -> None:
    assert printable("a\x1b[31mb\n\u202e") == "a?[31mb??"
    assert len(printable("x" * 1_000)) == 80
