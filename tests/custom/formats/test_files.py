"""Files of tables: which are read, and the sentence for every other one."""

from __future__ import annotations

import gzip
import os
import sys
import zipfile
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataselect_env.custom.definitions import Table
from dataselect_env.custom.errors import TableError
from dataselect_env.custom.formats import opened
from dataselect_env.custom.tables import read_table
from tests.helpers.tabling import N, every, frame, refusal, save
from tests.helpers.xlsb import write_xlsb

FILES = (
    *("t.csv", "T.CSV", "t.csv.gz", "t.csv.zip", "t.tsv", "t.tsv.gz", "t.jsonl", "t.json", "t.ndjson.gz", "t.json.zip"),
    *("t.parquet", "t.feather", "t.orc", "t.xlsx"),
)


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read(tmp_path: Path, name: str) -> None:
    save(tmp_path / name, frame(day=pd.date_range("2020-01-01", periods=N)))
    raw = read_table(Table(file=name, target="label"), tmp_path)
    assert list(raw.frame.columns) == ["a", "b", "colour", "day"]
    assert (raw.categorical, raw.classes, raw.y.dtype.name) == (("colour",), ("no", "yes"), "int64")
    np.testing.assert_array_equal(raw.y, np.arange(N) % 3 == 0)
    np.testing.assert_allclose(raw.frame["a"], frame()["a"], rtol=1e-14)
    np.testing.assert_array_equal(raw.frame["day"], 1577836800 + 86400 * np.arange(N))
    assert raw.frame.index.tolist() == list(range(N))
    X = every(raw)
    assert (X.shape, X.dtype.name, X.flags.c_contiguous) == ((N, 6), "float64", True)


def test_a_file_may_be_absolute_and_its_folder_is_not_told(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "t.csv", index=False)
    assert len(read_table(Table(file=str(tmp_path / "t.csv"), target="label"), Path("elsewhere")).y) == N
    with pytest.raises(TableError, match=r"^There is no file no\.csv\.$"):
        read_table(Table(file=str(tmp_path / "no.csv"), target="x"), tmp_path)


CSV = "a,label\n" + "".join(f"{row / 2},{row % 2}\n" for row in range(9))


@pytest.mark.parametrize(("name", "content", "words"), [
    ("t.doc", b"a", "t.doc has an unknown suffix. Names end with .csv, .tsv, .jsonl"),
    ("t.parquet.gz", b"a", "t.parquet.gz has an unknown suffix."),
    ("t.doc", None, "There is no file t.doc"),
    ("none.csv", None, "There is no file none.csv"),
    ("t.csv", b"", "t.csv is empty"),
    ("t.csv.gz", b"a,label\n1,2\n", "t.csv.gz cannot be read: it is damaged"),
    ("t.csv.gz", gzip.compress(CSV.encode() * 99, mtime=0)[:-9], "t.csv.gz is damaged after row "),
    ("t.zip", b"PK or not", "t.zip cannot be read: it is damaged"),
    ("t.parquet", b"PAR1 or not", "t.parquet cannot be read: it is damaged"),
    ("t.feather", b"ARROW1", "t.feather cannot be read: it is damaged"),
    ("t.orc", b"ORC", "t.orc cannot be read: it is damaged"),
    ("t.xlsx", b"PK or not", "t.xlsx cannot be read: it is damaged"),
    ("t.npz", b"PK or not", "t.npz cannot be read: it is damaged"),
])  # fmt: skip
def test_a_bad_file_is_refused(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    refusal(lambda: read_table(Table(file=name, target="label"), tmp_path), "file", words)


@pytest.mark.parametrize(("members", "words"), [
    ({}, "t.zip has no file, and one is read"),
    ({"a.csv": CSV, "b.csv": CSV}, 't.zip has 2 files ("a.csv", "b.csv"), and one is read. Unpack it'),
    ({"a.parquet": "PAR1"}, 't.zip has the file "a.parquet", which cannot be read from a .zip file. Unpack it.'),
    ({"a.txt": CSV}, 'the file "a.txt"'),
    ({"a.csv.gz": CSV}, 'the file "a.csv.gz", which cannot be read from a .zip file. Unpack it.'),
    ({"a.csv": f"{CSV}5\n"}, "Row 11 of t.zip has 1 values"),
    ({"folder__a.csv": CSV, "__MACOSX__._a.csv": "junk", ".DS_Store": "junk"}, ""),
])  # fmt: skip
def test_a_zip_file_has_one_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, members: dict[str, str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    members = {name.replace("__MACOSX__", "__MACOSX/"): text for name, text in members.items()}
    with zipfile.ZipFile("t.zip", "w") as archive:
        for name, text in members.items():
            archive.writestr(name.replace("folder__", "folder/"), text)
    table = Table(file="t.zip", target="label")
    if words:
        refusal(lambda: read_table(table, tmp_path), "file", words)
    else:
        assert read_table(table, tmp_path).report.note == '"a.csv", separated by commas'


def test_an_encrypted_zip_file_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("t.csv", CSV)
    content = bytearray((tmp_path / "t.zip").read_bytes())
    for signature, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        content[content.index(signature) + offset] |= 1
    (tmp_path / "t.zip").write_bytes(content)
    refusal(lambda: read_table(Table(file="t.zip", target="label"), tmp_path), "file", "t.zip is encrypted. Unpack it")


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").touch()
    os.truncate(tmp_path / "t.csv", opened.MAX_BYTES + 10**8)
    refusal(
        lambda: read_table(Table(file="t.csv", target="y"), tmp_path), "file", "1,100 MB, and at most 1,000 MB can be"
    )


@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "t.csv.gz", "t.jsonl.gz", "t.csv.zip", "t.npz"])
def test_what_unpacks_to_a_large_table_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    data = pd.DataFrame({"x": np.zeros(50_000), "y": np.zeros(50_000)})
    if name == "t.npz":
        np.savez_compressed(tmp_path / name, x=data["x"], y=data["y"])
    else:
        save(tmp_path / name, data)
    monkeypatch.setattr(opened, "MAX_BYTES", 300_000)
    refusal(lambda: read_table(Table(file=name, target="y"), tmp_path), "file", "too large")


@pytest.mark.parametrize(("module", "name", "extra"), [
    ("pandas", "t.csv", "data"), ("pyarrow.dataset", "t.parquet", "data"), ("python_calamine", "t.xlsx", "excel"),
])  # fmt: skip
def test_a_missing_library_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, name: str, extra: str
) -> None:
    save(tmp_path / name, frame())
    monkeypatch.setitem(sys.modules, module, None)
    advice = f"pip install 'dataselect-env[{extra}]'"
    refusal(lambda: read_table(Table(file=name, target="label"), tmp_path), "file", advice)


def test_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.csv").mkdir()
    (tmp_path / "t").mkdir()
    for table in (Table(file=name, target="y") for name in ("t.csv", "t", ".")):
        refusal(partial(read_table, table, tmp_path), "file", "is a folder, not a file")


def test_a_pipe_is_told_and_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "t.csv")
    refusal(lambda: read_table(Table(file="t.csv", target="y"), tmp_path), "file", "t.csv is a pipe or a device")


def sample(folder: Path, name: str) -> bytes:
    data = frame(day=pd.date_range("2020-01-01", periods=N), size=["1,250", "?"] * (N // 2))
    if name.endswith(".npz"):
        np.savez(folder / name, X=np.eye(N, 3), label=np.arange(N) % 2)
    elif name in ("t.xls", "t.ods"):
        return (Path(__file__).parent / "sheets" / name).read_bytes()
    elif name.endswith(".xlsb"):
        write_xlsb(folder / name, [["a", "label"], *([row / 2, row % 2] for row in range(N))])
    else:
        save(folder / name, data)
    return (folder / name).read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    name=st.sampled_from([*FILES, "t.npz", "t.xls", "t.ods", "t.xlsb"]),
    damage=st.lists(st.tuples(st.floats(0, 0.999), st.binary(max_size=8), st.integers(0, 30)), max_size=9),
)
def test_any_damage_is_told_in_a_sentence(tmp_path: Path, name: str, damage: list[tuple[float, bytes, int]]) -> None:
    content = sample(tmp_path, name)
    for place, inserted, removed in damage:
        start = int(place * len(content))
        content = content[:start] + inserted + content[start + removed :]
    (tmp_path / name).write_bytes(content)
    with suppress(TableError):
        every(read_table(Table(file=name, target="label"), tmp_path))
