"""A user's table: what can be read, what is refused and with which words, and the matrix that is made of it."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataselect_env.custom import encoding
from dataselect_env.custom.definitions import Table
from dataselect_env.custom.tables import RawTable, encode, read_table
from tests.helpers.tabling import N, every, frame, refusal, save

Read = Callable[..., RawTable]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Save columns as a file and read it again as a table."""

    def read(data: pd.DataFrame | None = None, name: str = "t.csv", **fields: Any) -> RawTable:
        data = frame() if data is None else data
        save(tmp_path / name, data)
        return read_table(Table(file=name, **{"target": "label", **fields}), tmp_path)

    return read


@pytest.mark.parametrize("name", ["t.csv", "T.CSV", "t.csv.gz", "t.tsv", "t.parquet"])
def test_a_file_is_read(read: Read, name: str) -> None:
    raw = read(name=name)
    assert list(raw.frame.columns) == ["a", "b", "colour"]
    assert (raw.categorical, raw.classes, raw.y.dtype.name) == (("colour",), ("no", "yes"), "int64")
    np.testing.assert_array_equal(raw.y, np.arange(N) % 3 == 0)
    np.testing.assert_allclose(raw.frame["a"], frame()["a"], rtol=1e-15)  # old pandas reads nearly exactly
    assert (raw.given, raw.annotators, raw.annotator) == (None, (), None)
    X = every(raw)
    assert (X.shape, X.dtype.name, X.flags.c_contiguous) == ((N, 5), "float64", True)


def test_too_many_cells_are_refused_after_rows_were_drawn(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "MAX_CELLS", 5 * 40)
    refusal(read, "max_rows", "60 rows x 5 encoded features make 300 cells", "200 are allowed", "columns", "max_rows")
    assert every(read(max_rows=40)).shape == (40, 5)


def cells(value: object, others: object, where: Any = 0) -> list[Any]:
    """Return a column of two values, the first one where told."""
    column: list[Any] = [others] * N
    for place in np.atleast_1d(where):
        column[place] = value
    return column


@pytest.mark.parametrize(("columns", "fields", "field", "words"), [
    ({}, {"target": "labels"}, "target", '"labels", which target names. Did you mean "label"? It has "a", "b",'),
    ({}, {"true_target": "q"}, "true_target", 'no column "q", which true_target names. It has "a"'),
    ({f"x{i}": 1 for i in range(30)}, {"columns": ["A"]}, "columns", '"A", which columns names. Did you mean "a"?'),
    ({f"x{i}": 1 for i in range(30)}, {"exclude": ["q"]}, "exclude", '"x15" and 14 more'),
    ({}, {"categorical": ["q"]}, "categorical", '"q", which categorical names'),
    ({}, {"annotator": "q"}, "annotator", '"q", which annotator names'),
    ({}, {"categorical": ["a"], "exclude": ["a"]}, "categorical", '"a" cannot be in categorical'),
    ({}, {"columns": ["a", "label"]}, "columns", '"label" cannot be both labels and features'),
    ({}, {"true_target": "label"}, "true_target", "another column than target"),
    ({"label": cells(None, "x", [3, 4])}, {}, "target", '"label" is missing (empty, NA, None or the like) in 2'),
    ({"t": cells(None, "no")}, {"true_target": "t"}, "true_target", '"t" is missing'),
    ({"w": cells(None, "ann")}, {"annotator": "w"}, "annotator", '"w" is missing'),
    ({"label": cells(0.5, 1.0)}, {}, "target", "looks like a quantity, not a class"),
    ({"c": ["25.12.2020", "3.1.2021"] * (N // 2)}, {}, "categorical", 'like dates, but "25.12.2020", in row 2, cannot'),
    ({"c": ["2020-02-29", "2021-02-29"] * (N // 2)}, {}, "categorical", '"2021-02-29", in row 3, cannot be read'),
    ({"c": ["2020-02-29", "soon", "2020-03-01"] * (N // 3)}, {}, "categorical", '"soon", in row 3, cannot be read'),
    ({"label": cells(np.inf, 1.0)}, {}, "target", "looks like a quantity, not a class"),
    ({"label": "same"}, {}, "target", 'only one class: "same"'),
    ({"label": cells("odd", "even", [0, 1])}, {}, "target", 'Each class needs at least 3 rows; "odd" has 2'),
    ({"t": cells("maybe", "no")}, {"target": "t", "true_target": "label"}, "true_target", '"maybe" has 0'),
    ({}, {"classes": ["no", "Yes"]}, "classes", 'not found: "Yes". Found but not declared: "yes"'),
    ({}, {"classes": ["no", "yes", 3]}, "classes", 'not found: "3". Found but not declared: none'),
    ({"c": cells(np.inf, 1.0, [5, 6])}, {}, "exclude", 'Column "c" is infinite, or beyond 1e+100, in 2 of 60 rows'),
    ({"c": cells(-1e200, 1.0)}, {"categorical": ["c"]}, "exclude", 'Column "c" is infinite'),
    ({"c": [f"id{i}" for i in range(N)]}, {}, "exclude", 'Column "c" has 60 different values in 60 rows'),
    ({"c": [*range(N - 1), "many"]}, {}, "categorical", 'Most values of column "c" look like numbers, but "many", in'),
    ({"c": ["12%", "5"] * (N // 2)}, {}, "categorical", '"12%", in row 2, cannot be read with the others. Write'),
    ({"c": ["1,5", "1.5"] * (N // 2)}, {}, "categorical", 'but "1,5", in row 2, cannot'),
    ({"c": ["5K", "3M", "7K"] * (N // 3)}, {}, "categorical", 'but "5K", in row 2, cannot'),
    ({"label": cells("None", "x", [3, 4])}, {}, "target", 'If "None" is a class, name all classes in classes.'),
    ({"label": cells(" ", "x", [3, 4])}, {}, "target", '"label" is missing'),
    ({"label": ["01", "02"] * (N // 2)}, {"classes": [1, 2]}, "classes", 'put names such as "01" into quotes'),
    ({"c": np.random.default_rng(0).permutation(N) + 7}, {}, "exclude", 'Column "c" numbers the rows'),
])  # fmt: skip
def test_a_table_is_refused(
    read: Read, columns: dict[str, Any], fields: dict[str, Any], field: str, words: str
) -> None:
    refusal(lambda: read(frame(**columns), **fields), field, words)


def test_long_columns_are_refused(read: Read) -> None:
    codes = np.arange(330)
    refusal(lambda: read(frame(330, label=codes // 3)), "target", "quantity, not a class: 110 different values")
    refusal(lambda: read(frame(330, c=[f"t{min(i, 200)}" for i in codes])), "exclude", "201 different", "encode it")
    assert read(frame(330, c=[f"t{i % 160}" for i in codes])).categorical == ("colour", "c")
    assert every(read(frame(330, c=[f"t{min(i, 200)}" for i in codes]), categorical=["c"])).shape == (330, 2 + 3 + 50)
    refusal(lambda: read(frame(90, label=np.arange(90) % 30), max_rows=80), "max_rows", "at least 90")
    assert read(frame(c=np.arange(N)), columns=["c"]).frame["c"].tolist() == list(range(N))
    refusal(lambda: read(frame(c=[[1]] * N), name="t.parquet"), "exclude", 'Column "c" holds neither')


def test_labels_are_compared_as_text_and_share_one_list(read: Read) -> None:
    true, noisy = np.arange(N) % 3 + 9, (np.arange(N) + 1) % 3 + 9
    data = frame(label=noisy, true=true, who=np.arange(N) % 2)
    raw = read(data, true_target="true", annotator="who", classes=["9", 10, "11"])
    floats = read(data.assign(label=noisy + 0.0), "t.parquet", true_target="true")
    assert (floats.classes, floats.given is not None and floats.given.tolist()) == (raw.classes, (noisy - 9).tolist())
    assert (raw.classes, raw.annotators) == (("9", "10", "11"), ("0", "1"))
    assert raw.given is not None
    np.testing.assert_array_equal(raw.y, true - 9)
    np.testing.assert_array_equal(raw.given, noisy - 9)
    assert list(raw.frame.columns) == ["a", "b", "colour"]
    assert read(frame(label=np.arange(N) % 2 == 0)).classes == ("False", "True")


@pytest.mark.parametrize("names", [
    ["01", "02"], ["1", "01", "1.0"], ["true", "false"], ["TRUE", "True"], ["1e3", "1000"], ["a b", "a  b"],
], ids=str)  # fmt: skip
def test_labels_stay_as_they_stand_in_the_file(tmp_path: Path, names: list[str]) -> None:
    labels = [names[row % len(names)] for row in range(N)]
    rows = "\n".join(f"{row / 2}, {label} , {label}" for row, label in enumerate(labels))
    (tmp_path / "t.csv").write_text(f"a,y,who\n{rows}\n", encoding="utf-8")
    raw = read_table(Table(file="t.csv", target="y", annotator="who", classes=sorted(names)), tmp_path)
    assert sorted(raw.classes) == sorted(raw.annotators) == sorted(names)
    assert [raw.classes[code] for code in raw.y] == labels


def test_words_for_nothing_are_labels_where_they_are_declared(read: Read) -> None:
    labels = ["None", "NA", "mild"] * (N // 3)
    assert read(frame(label=labels), classes=["None", "NA", "mild"]).classes == ("NA", "None", "mild")


@pytest.mark.parametrize("values", [[[1], [2]], [{"k": 1}, {"k": 2}], [[[1]], [[2]]]], ids=str)
@pytest.mark.parametrize("field", ["target", "true_target", "annotator"])
def test_labels_that_are_lists_or_structs_are_refused(read: Read, values: list[Any], field: str) -> None:
    data = frame(nested=values * (N // 2))
    refusal(lambda: read(data, "t.parquet", **{field: "nested"}), field, '"nested" holds lists or structs')


NUMBERS = [str(row % 9 + 1) for row in range(N)]


@pytest.mark.parametrize(("column", "values", "reading"), [
    ([number if row % 19 else "?" for row, number in enumerate(NUMBERS)], [np.nan, 2, 3], '"2" as 2, "?" as missing'),
    ([number if row % 19 else "-" for row, number in enumerate(NUMBERS)], [np.nan, 2, 3], '"2" as 2, "-" as missing'),
    ([f"{int(number) * 1250:,}" for number in NUMBERS], [1250, 2500, 3750], '"1,250" as 1250'),
    ([f"{int(number) / 2}".replace(".", ",") for number in NUMBERS], [0.5, 1, 1.5], '"0,5" as 0.5'),
    ([f"{number}%" for number in NUMBERS], [1, 2, 3], '"1%" as 1'),
    ([f"${number}.50" for number in NUMBERS], [1.5, 2.5, 3.5], '"$1.50" as 1.5'),
    ([f"{number},50 €" for number in NUMBERS], [1.5, 2.5, 3.5], '"1,50 €" as 1.5'),
    ([f"{number} kg" for number in NUMBERS], [1, 2, 3], '"1 kg" as 1'),
    ([f"1.00{number}.000" for number in NUMBERS], [1_001_000, 1_002_000, 1_003_000], '"1.001.000" as 1001000'),
])  # fmt: skip
@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_numbers_with_a_mark_are_read_and_reported(
    read: Read, name: str, column: list[str], values: list[float], reading: str
) -> None:
    raw = read(frame(c=column), name)
    assert raw.categorical == ("colour",)
    np.testing.assert_array_equal(raw.frame["c"][:3], values)
    assert f'"c": {reading}.' in raw.report.summary()
    assert read(frame(c=column), name, categorical=["c"]).categorical == ("colour", "c")


@pytest.mark.parametrize("column", [
    ["18-25", "26-35", "65+"], ["1st", "2nd", "3rd"], ["1.2.3", "1.2.4", "2.0.0"], ["T1", "T2", "T3"],
    ["10.0.0.1", "10.0.0.2", "10.0.0.3"], ["1", "a", "b"], ["?", "-", "."], ["1:a", "2:b", "3:c"],
    ["May", "June", "3"], ["USD 3", "EUR 4", "USD 5"],
], ids=str)  # fmt: skip
def test_texts_with_digits_that_are_no_numbers_are_categories(read: Read, column: list[str]) -> None:
    assert read(frame(c=column * (N // 3))).categorical == ("colour", "c")


@pytest.mark.parametrize(("column", "words"), [
    (["(3.50)", "4.00", "1"], 'look like numbers, but "(3.50)", in row 2, cannot'),
    (["3.50-", "4.00", "1"], 'look like numbers, but "3.50-", in row 2, cannot'),
    (["2 Jan 2020", "13 March 2021", "March 4, 2022"], 'look like dates, but "2 Jan 2020", in row 2, cannot'),
    (["12:30", "13:00", "1:15 pm"], 'look like times, but "12:30", in row 2, cannot be read with the others. Write'),
    (["1", "2", "9" * 10**5], f'look like numbers, but "{"9" * 60}...", in row 4, cannot'),
], ids=lambda one: str(one)[:40])  # fmt: skip
def test_numbers_dates_and_times_that_cannot_be_read_are_no_categories(
    read: Read, column: list[str], words: str
) -> None:
    refusal(lambda: read(frame(c=column * (N // 3))), "categorical", words)
    assert read(frame(c=column * (N // 3)), categorical=["c"]).categorical == ("colour", "c")


@pytest.mark.parametrize(("column", "why"), [
    ([10**18 + 1, 10**18 + 2, 10**18 + 3], "whole numbers, 1e+18 to 1e+18, whose last digits are lost; if they are"),
    ([20200131, 20210228, 19991231], "whole numbers, 1.99912e+07 to 2.02102e+07; if they are dates, write them as"),
    ([20200131, 20210228, 19991299], "whole numbers, 1.99913e+07 to 2.02102e+07, 3 different; if they are codes, name"),
    ([-0.0, 0.0, 1.5], "numbers, 0 to 1.5"),
], ids=str)  # fmt: skip
def test_what_whole_numbers_may_be_instead_is_told(read: Read, column: list[float], why: str) -> None:
    columns = {one.name: one for one in read(frame(c=column * (N // 3))).report.columns}
    assert columns["c"].why.startswith(why)


def test_rows_are_drawn_by_class_in_their_order(read: Read) -> None:
    data = frame(500, label=np.r_[np.zeros(397), np.ones(100), [2] * 3].astype(int), a=np.arange(500), who="x")
    raw, again = (read(data, max_rows=50, columns=["a"], annotator="who") for _ in range(2))
    assert np.bincount(raw.y).tolist() == [38, 9, 3] or np.bincount(raw.y).tolist() == [37, 10, 3]
    assert raw.frame["a"].is_monotonic_increasing
    assert raw.frame.index.tolist() == list(range(50))
    pd.testing.assert_frame_equal(raw.frame, again.frame)
    np.testing.assert_array_equal(raw.y, data["label"].to_numpy()[raw.frame["a"]])
    assert raw.annotator is not None
    assert len(raw.annotator) == 50


def test_kinds_of_columns(read: Read) -> None:
    day = datetime.date(1970, 1, 2)
    stamps = pd.date_range("1970-01-02", periods=N, freq="s", tz="Europe/Paris")
    data = frame(day=cells(None, day), stamp=stamps, span=pd.to_timedelta(np.arange(N), "s"), code=np.arange(N) % 4,
                 flag=pd.array(cells(None, True), "boolean"), count=pd.array(cells(None, 3), "Int64"),
                 cat=pd.Categorical(["x", "y"] * (N // 2)))  # fmt: skip
    raw = read(data, name="t.parquet", categorical=["code"])
    assert raw.categorical == ("colour", "code", "flag", "cat")
    np.testing.assert_array_equal(raw.frame["day"][:2], [np.nan, 86_400])
    assert (raw.frame["stamp"][2], raw.frame["span"][2]) == (86_400 - 3_600 + 2, 2)
    assert every(raw).shape == (N, 6 + 3 + 4 + 2 + 2)


def test_the_matrix(read: Read) -> None:
    data = frame(constant=4.0, void=np.nan, gap=[np.nan, 8.0, 2.0, 3.0] * 15, part=[np.nan] * 40 + [1.0] * 20)
    data.loc[[0, 50], "colour"] = [None, "violet"]
    raw = read(data)
    X = encode(raw, np.arange(40))
    assert X.shape == (N, 4 + 4)  # a, b, constant, gap; blue, green, missing, red
    assert np.isfinite(X).all()
    np.testing.assert_allclose(X[:40].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(X[:40, [0, 1, 3]].std(axis=0), 1)
    np.testing.assert_array_equal(X[:, 2], 0)
    np.testing.assert_allclose(X[0, 3], (3 - 4) / np.std([3, 8, 2, 3]))
    np.testing.assert_allclose(X[0, 4:] - X[50, 4:], [0, 0, 1, 0])
    np.testing.assert_array_equal(X, encode(raw, np.arange(40)))
    refusal(lambda: encode(read(data, columns=["void", "part"]), np.arange(40)), "columns", "No feature has a value")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.sets(st.integers(0, N - 1), min_size=2, max_size=N - 2), seed=st.integers(0, 99))
def test_rows_outside_of_the_fit_have_no_influence(read: Read, rows: set[int], seed: int) -> None:
    raw = read(frame(gap=[np.nan, 8.0, 2.0, 3.0] * 15))
    fit = np.array(sorted(rows))
    before = encode(raw, fit)
    rest, rng = np.setdiff1d(np.arange(N), fit)[: 1 + seed % 5], np.random.default_rng(seed)
    for name in raw.frame.columns:
        is_text = name in raw.categorical
        values = np.array(["new", np.nan, "red"], dtype=object) if is_text else np.array([1e90, np.nan, -3.0])
        raw.frame.loc[rest, name] = rng.choice(values, len(rest))
    after = encode(raw, fit)
    assert np.isfinite(after).all()
    np.testing.assert_array_equal(np.delete(after, rest, axis=0), np.delete(before, rest, axis=0))
