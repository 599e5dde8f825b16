"""What libraries raise for a file, and the sentence for it."""

from __future__ import annotations

import errno
from pathlib import Path

import pandas as pd
import pytest

from dataselect_env.custom.definitions import Table
from dataselect_env.custom.formats import files
from dataselect_env.custom.formats.opened import selected
from dataselect_env.custom.tables import read_table
from tests.helpers.tabling import frame, refusal, save

PANIC = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})
TABLE = Table(file="t.csv", target="label")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path / "t.csv", frame())
    return tmp_path


@pytest.mark.parametrize(("error", "words"), [
    (PermissionError(errno.EACCES, "Permission denied"), "t.csv cannot be opened: permission denied."),
    (OSError(errno.EIO, "Input/output error"), "t.csv cannot be read: Input/output error. Save it in another place"),
    (MemoryError(), "t.csv does not fit into memory. Save fewer columns or rows"),
    (ModuleNotFoundError("No module named 'x'", name="x"), "pip install 'dataselect-env[data]'"),
    (ImportError("libx.so.2: cannot open"), "installed but cannot be imported: libx.so.2: cannot open. Tables need"),
    (NotImplementedError("no LZ99"), "t.csv cannot be read: no LZ99. Save it with the default settings"),
    (RuntimeError("File X.npy is encrypted, password required"), "t.csv is encrypted. Save it without a password."),
    (OSError("Couldn't deserialize thrift"), "t.csv cannot be read: it is damaged, or its suffix is wrong. Save it"),
    (ValueError("odd bytes"), "t.csv cannot be read: it is damaged"),
    (PANIC("index out of bounds"), "t.csv cannot be read: it is damaged"),
])  # fmt: skip
def test_each_cause_has_its_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, words: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(files, "open_delimited", refuse)
    refusal(lambda: read_table(TABLE, folder), "file", words)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ImportError("no name x", name="dataselect_env.custom")])
def test_what_the_file_did_not_cause_is_passed_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(files, "open_delimited", refuse)
    with pytest.raises(type(error)):
        read_table(TABLE, folder)


def test_a_mistake_of_the_package_is_not_told_as_damage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "open_delimited", lambda *_: selected(None, []))
    with pytest.raises(AttributeError):
        read_table(TABLE, folder)


def test_the_same_from_a_library_is_damage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "open_delimited", lambda *_: pd.DataFrame({"a": [1]})["b"])
    refusal(lambda: read_table(TABLE, folder), "file", "t.csv cannot be read: it is damaged")
