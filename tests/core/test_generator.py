"""The numbers of ``make_classification``, to the last bit, and what happens where the compiled loop cannot be used."""

from __future__ import annotations

from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_classification

from dataselect_env.core import generator
from dataselect_env.core.arrays import Floats, Labels
from dataselect_env.core.data import GENERATOR, accepted_datasets
from dataselect_env.core.generator import Size, by_numpy, compiled, fastest, generate, generate_standardised, stream

SIZE = Size(n_samples=1_500, n_features=80, n_informative=16)
NUMBERS = st.integers(0, 2**32 - 1) | st.integers(2**32, 2**257)
SIZES = st.builds(
    lambda half, more, informative: Size(n_samples=2 * half, n_features=informative + more, n_informative=informative),
    st.integers(5, 400),
    st.integers(1, 40),
    st.integers(8, 30),
)
COMPILED = pytest.mark.skipif(find_spec("_dataselect_env_generator") is None, reason="built without a C compiler")
WAYS = [
    by_numpy,
    pytest.param(compiled, marks=COMPILED),
]


def of_scikit_learn(number: int, size: Size) -> tuple[Floats, Labels]:
    sizes = {"n_samples": size.n_samples, "n_features": size.n_features, "n_informative": size.n_informative}
    X, y = make_classification(**{**GENERATOR, **sizes}, random_state=generator.stream(number))
    return X, y


def test_the_pinned_data_sets_have_this_size() -> None:
    assert (GENERATOR["n_samples"], GENERATOR["n_features"], GENERATOR["n_informative"]) == (1_500, 80, 16)
    assert GENERATOR["class_sep"] == generator.CLASS_SEP


@pytest.mark.parametrize("way", WAYS)
@given(number=NUMBERS, size=SIZES)
@settings(max_examples=60, deadline=None)
def test_tables_of_any_size_are_those_of_scikit_learn(way: Any, number: int, size: Size) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generator, "fastest", lambda: way)
        X, y = generate(number, size)
    expected, labels = of_scikit_learn(number, size)
    assert np.array_equal(X, expected)
    assert np.array_equal(y, labels)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_pinned_data_sets_are_those_of_scikit_learn(split: str) -> None:
    for number in accepted_datasets()[split][:8]:
        X, y = generate(number, SIZE)
        expected, labels = of_scikit_learn(number, SIZE)
        assert np.array_equal(X, expected)
        assert np.array_equal(y, labels)


@pytest.mark.parametrize("way", WAYS)
@given(number=NUMBERS, size=SIZES, seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_known_rows_are_standardised(way: Any, number: int, size: Size, seed: int) -> None:
    known = np.random.default_rng(seed).permutation(size.n_samples) % 3 > 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generator, "fastest", lambda: way)
        X, y = generate_standardised(number, size, known)
    raw, labels = of_scikit_learn(number, size)
    expected = (raw - raw[known].mean(axis=0)) / raw[known].std(axis=0)
    assert pytest.approx(expected, abs=1e-12, rel=1e-12) == X
    assert np.array_equal(y, labels)


def test_small_numbers_seed_the_stream_as_in_scikit_learn_and_large_ones_differ() -> None:
    assert stream(7).randint(2**30) == np.random.RandomState(7).randint(2**30)
    first = {stream(number).randint(2**62) for number in (7, 2**32 + 7, 2**64 + 7, 2**256 + 7)}
    assert len(first) == 4


def test_the_global_stream_has_no_part_in_it() -> None:
    before = np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    generate(3, SIZE)
    by_numpy(3, SIZE)
    assert np.array_equal(np.random.get_state()[1], before)  # type: ignore[index]  # noqa: NPY002


# --- the choice of an implementation --------------------------------------------------------------------------------


def rounded_otherwise(_words: Any, *arrays: Any) -> None:
    draws = by_numpy(12_345, Size(n_samples=len(arrays[3]), n_features=len(arrays[4]), n_informative=len(arrays[2][0])))
    for array, values in zip(arrays, draws, strict=True):
        array[...] = values
    arrays[1][7, 3] = np.nextafter(arrays[1][7, 3], 9)


def of_another_version(words: Any, corners: Any) -> None:
    raise AssertionError


@pytest.mark.parametrize(
    "module",
    [None, SimpleNamespace(), SimpleNamespace(draw=of_another_version), SimpleNamespace(draw=rounded_otherwise)],
)
def test_numpy_draws_where_the_compiled_loop_cannot(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "_compiled", module)
    assert fastest.__wrapped__() is by_numpy


@COMPILED
def test_the_compiled_loop_is_used_where_it_gives_the_same_bits() -> None:
    assert fastest.__wrapped__() is compiled


@COMPILED
@pytest.mark.parametrize(
    ("place", "shape"), [(0, (3,)), (1, (39, 20)), (1, (40, 9)), (2, (2, 7, 7)), (2, (3, 9, 9)), (3, (41,)), (4, (19,))]
)
def test_arrays_that_the_draws_do_not_fit_are_refused(place: int, shape: tuple[int, ...]) -> None:
    draw = pytest.importorskip("_dataselect_env_generator").draw
    words = np.zeros(1, dtype=np.uint32)
    arrays: list[Any] = [
        np.empty_like(array) for array in by_numpy(0, Size(n_samples=40, n_features=20, n_informative=9))
    ]
    draw(words, *arrays)
    with pytest.raises(ValueError, match="shapes do not fit"):
        draw(words[1:], *arrays)
    arrays[place] = np.empty(shape, dtype=arrays[place].dtype)
    with pytest.raises(ValueError, match=r"shapes do not fit|even number of rows"):
        draw(words, *arrays)


@COMPILED
@pytest.mark.parametrize(
    ("rows", "columns", "known", "message"),
    [(3, 5, 4, "do not fit"), (4, 6, 4, "do not fit"), (4, 5, 3, "do not fit"), (4, 1_025, 4, "at most 1024 columns")],
)
def test_arrays_that_cannot_be_standardised_are_refused(rows: int, columns: int, known: int, message: str) -> None:
    standardise = pytest.importorskip("_dataselect_env_generator").standardise
    X = np.ones((4, columns if columns > 1_000 else 5))
    with pytest.raises(ValueError, match=message):
        standardise(X, np.arange(rows), np.arange(columns), np.ones(known, np.uint8), np.zeros(4, np.uint8))
