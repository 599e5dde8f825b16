"""What makes clean columns untidy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataselect_env.core.open import columns


@given(seed=st.integers(0, 10_000), features=st.integers(1, 64))
def test_roughened_tables_stay_finite_and_within_the_number_of_columns(seed: int, features: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.standard_t(3, (120, features)) * rng.uniform(0.01, 100)
    rough = columns.roughen(rng, X.copy())
    assert len(rough) == 120
    assert 1 <= rough.shape[1] <= 2 * columns.MOST_CATEGORIES * features
    assert np.isfinite(rough).all()


def test_every_change_happens_and_none_always() -> None:
    X = np.random.default_rng(0).standard_normal((200, 8))
    tables = [columns.roughen(np.random.default_rng(seed), X.copy()) for seed in range(120)]
    steps = [np.mean([len(np.unique(column)) < 20 for column in table.T]) for table in tables]
    wider = [table.shape[1] > 8 for table in tables]
    farthest = [np.abs(table).max() > 12 for table in tables]
    for seen in (np.array(steps) > 0, wider, farthest):
        assert 0 < np.mean(seen) < 1


def test_standardised_columns_ignore_the_rows_that_are_not_known() -> None:
    rng = np.random.default_rng(1)
    X = np.column_stack([rng.normal(5, 3, 90), np.full(90, 7.0), rng.integers(0, 2, 90)])
    X[60:] *= 100
    found = columns.standardise(X, X[:60])
    assert found.shape == (90, 2)
    assert found[:60].mean(axis=0) == pytest.approx(0, abs=1e-6)
    assert found[:60].std(axis=0) == pytest.approx(1, abs=1e-6)
    assert found.flags["C_CONTIGUOUS"]


def test_copies_are_made_in_a_quarter_of_the_tables() -> None:
    shares = [1 - len(np.unique(columns.duplicated(np.random.default_rng(seed), 500))) / 500 for seed in range(200)]
    assert 0.15 < np.mean(np.array(shares) > 0) < 0.35
    assert max(shares) <= 0.35
