"""Choosing in two rounds chooses what one round in double precision would."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataselect_env.sampling import entropy, highest
from dataselect_env.shortlist import Utilities, distance_error, entropy_error, product_error


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), error=st.sampled_from([0.0, 1e-3, 0.5]), coarse=st.booleans())
def test_the_best_are_the_highest_of_the_exact_utilities(seed: int, error: float, coarse: bool) -> None:
    rng = np.random.default_rng(seed)
    k, n = int(rng.integers(1, 5)), int(rng.integers(6, 60))
    exact = rng.standard_normal((k, n))
    if coarse:  # many ties
        exact = np.round(exact)
    left = rng.random((k, n)) < 0.8
    left[:, :3] = True
    counts = np.array([rng.integers(1, available + 1) for available in left.sum(axis=1)])
    approximate = exact + rng.uniform(-error, error, (k, n))
    utilities = Utilities(approximate, np.full(k, error), lambda pool, index: exact[pool, index])
    pool, index = utilities.best(left, counts)
    for row in range(k):
        expected = highest(np.where(left[row], exact[row], -np.inf), int(counts[row]))
        assert index[pool == row].tolist() == expected.tolist()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
@pytest.mark.parametrize("n_features", [1, 80, 500])
def test_errors_of_single_precision_stay_within_their_bounds(n_features: int, scale: float) -> None:
    rng = np.random.default_rng(n_features)
    X, vector = rng.standard_normal((2_000, n_features)), scale * rng.standard_normal(n_features)
    squares = (X**2).sum(axis=1)
    longest = float(np.sqrt(squares.max()))
    exact, single = X @ vector, X.astype(np.float32) @ vector.astype(np.float32)
    assert np.abs(exact - single).max() <= product_error(longest, vector)
    assert np.abs(entropy(exact) - entropy(single)).max() <= entropy_error(longest, vector)
    assert np.abs((squares - 2 * exact) - (squares - 2 * single)).max() <= distance_error(longest, vector)
    assert entropy(single).dtype == np.float32
