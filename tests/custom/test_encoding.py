"""Encodings of prepared features, and further rows that are prepared like the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dataselect_env.custom.encoding import Encoding, fit_encoding
from dataselect_env.custom.features import prepare_features, prepare_like
from dataselect_env.custom.report import ColumnReport
from tests.helpers.tabling import refusal

TABLE = pd.DataFrame(
    {
        "price": ["1.250,75", "0,5", "12", "?"],
        "size": [1.0, 2.0, np.nan, 4.0],
        "colour": ["red", "blue", "red", None],
        "day": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03", None]),
        "hour": ["2026-01-01 10:00", "2026-01-01 11:00", "?", "2026-01-02"],
    }
)


def fitted(table: pd.DataFrame = TABLE) -> tuple[tuple[ColumnReport, ...], Encoding]:
    frame = table.copy()
    features = prepare_features(frame, (), ())
    categories = [feature.name for feature in features if feature.role == "category"]
    return features, fit_encoding(frame, categories, np.arange(len(frame)))


def encoded(rows: pd.DataFrame) -> Any:
    features, encoding = fitted()
    return encoding.transform(prepare_like(rows, features))


def test_rows_of_the_table_are_encoded_as_the_table_is() -> None:
    frame = TABLE.copy()
    prepare_features(frame, (), ())
    np.testing.assert_array_equal(encoded(TABLE), fitted()[1].transform(frame))
    np.testing.assert_array_equal(encoded(TABLE.iloc[[2]]), encoded(TABLE)[[2]])


def test_the_columns_may_come_in_any_order_and_with_others() -> None:
    shuffled = TABLE[["day", "colour", "hour", "size", "price"]].assign(note="anything")
    np.testing.assert_array_equal(encoded(shuffled), encoded(TABLE))


def test_numbers_in_text_are_read_in_the_notation_of_the_table() -> None:
    row = TABLE.iloc[[0]].assign(price="1.250")  # alone it could be one and a quarter
    whole = TABLE.iloc[[0]].assign(price=1250.0)
    np.testing.assert_array_equal(encoded(row), encoded(whole))


@pytest.mark.parametrize("value", ["?", None, np.nan])
def test_rows_without_a_number_take_the_median(value: object) -> None:
    rows = TABLE.iloc[[0, 1]].assign(price=[value, value])
    median = float(np.median([1250.75, 0.5, 12]))
    np.testing.assert_array_equal(encoded(rows), encoded(TABLE.iloc[[0, 1]].assign(price=median)))


def test_dates_may_be_text_or_times() -> None:
    row = TABLE.iloc[[0]]
    np.testing.assert_array_equal(encoded(row.assign(day="2026-01-01")), encoded(row))
    np.testing.assert_array_equal(encoded(row.assign(hour=pd.Timestamp("2026-01-01 10:00"))), encoded(row))


def test_an_unknown_category_is_none_of_the_known_ones() -> None:
    _, encoding = fitted()
    assert encoding.names == ("price", "size", "day", "hour", "colour_blue", "colour_missing", "colour_red")
    columns = [place for place, name in enumerate(encoding.names) if name.startswith("colour")]
    unknown, known = (encoded(TABLE.iloc[[0]].assign(colour=name))[0, columns] for name in ("green", "red"))
    np.testing.assert_allclose(known - unknown, [0, 0, 1])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"price": "cheap"}, ['"price"', "numbers", '"cheap"']),
        ({"price": "1,250.75"}, ['"price"', '"1,250.75"']),
        ({"size": True}, ['"size"', "numbers", '"True"']),
        ({"day": "yesterday"}, ['"day"', "dates", '"yesterday"']),
        ({"hour": "11 o'clock"}, ['"hour"', "dates", '"11 o\'clock"']),
        ({"hour": 11}, ['"hour"', "dates", '"11"']),
    ],
)
def test_values_of_another_kind_are_refused(changes: dict[str, object], words: Sequence[str]) -> None:
    refusal(lambda: encoded(TABLE.iloc[[0]].assign(**changes)), "columns", *words)


def test_missing_columns_are_refused() -> None:
    refusal(lambda: encoded(TABLE[["price", "colour", "hour"]]), "columns", '"size", "day"')
