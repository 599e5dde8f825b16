"""Numbers in text: which notations are read, what a mark means, and what is left alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataselect_env.custom.numerals import nearly_numbers, read_numbers


@pytest.mark.parametrize(("texts", "values"), [
    (["1", " 2.5", "-3 ", "1e3", ".5", "4."], [1, 2.5, -3, 1000, 0.5, 4]),
    (["1,250", "980", "1,250.75", "12,000,000"], [1250, 980, 1250.75, 12_000_000]),
    (["1,25,000", "5,000"], [125_000, 5_000]),  # lakh
    (["0,5", "12", "1.250,75"], [0.5, 12, 1250.75]),
    (["1,250", "0,5"], [1.25, 0.5]),  # the second one decides
    (["0,500", "0,250"], [0.5, 0.25]),
    (["2.100.000", "950"], [2_100_000, 950]),
    (["1 250", "1\u202f250,5", "7"], [1250, 1250.5, 7]),
    (["1'250.5", "1\u2019250"], [1250.5, 1250]),
    (["\u22125", "+5"], [-5, 5]),
    (["$3.50", "$1,250.00"], [3.5, 1250]),
    (["-$3.50", "$-4"], [-3.5, -4]),
    (["3,50 €", "1.250,00 €"], [3.5, 1250]),
    (["12 %", "-5%"], [12, -5]),
    (["20 °C", "-3 °C"], [20, -3]),
    (["5kg", "7 kg"], [5, 7]),
    (["1", "?", "-", "--", ".", "\u2013", "*", "\\N", "  "], [1, *[np.nan] * 8]),
], ids=str)  # fmt: skip
def test_one_notation_for_all(texts: list[str], values: list[float]) -> None:
    numbers = read_numbers(texts)
    assert numbers is not None
    np.testing.assert_array_equal(numbers.values, values)


@pytest.mark.parametrize(("texts", "odd"), [
    (["1", "2", "many"], "many"),
    (["12%", "5"], "12%"),
    (["$5", "€5"], "$5"),
    (["5K", "3M"], "5K"),
    (["1,5", "1.5"], "1,5"),
    (["(3.50)", "4", "5"], "(3.50)"),
    (["<5", "6", "7"], "<5"),
    (["1", "many"], None),
    (["a", "b"], None),
    (["1st", "2nd"], None),
    (["1.2.3", "1.2.4"], None),
    (["18-25", "26-35"], None),
    (["2020-01-05", "12:30", "1/2"], None),
    (["?", "-"], None),
    (["1" * 41, "2" * 41], None),
    ([], None),
], ids=str)  # fmt: skip
def test_what_is_not_read_and_what_nearly_is(texts: list[str], odd: str | None) -> None:
    assert read_numbers(texts) is None
    assert nearly_numbers(texts) == odd


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=9), st.sampled_from([",", "_", " ", "'"]))
def test_numbers_are_read_as_they_were_written(values: list[float], grouping: str) -> None:
    texts = [f"{value:,.2f}".replace(",", "" if grouping == "_" else grouping) for value in values]
    numbers = read_numbers(texts)
    assert numbers is not None
    np.testing.assert_array_equal(numbers.values, [round(value, 2) for value in values])
    with_commas = [text.replace(",", ";").replace(".", ",").replace(";", ".") for text in texts]
    swapped = read_numbers(with_commas)
    assert swapped is not None
    np.testing.assert_array_equal(swapped.values, numbers.values)


@given(st.lists(st.text(max_size=50), max_size=9))
def test_any_texts_are_read_or_left_alone(texts: list[str]) -> None:
    numbers = read_numbers(texts)
    assert numbers is None or len(numbers.values) == len(texts)
    assert nearly_numbers(texts) in (*texts, None)
