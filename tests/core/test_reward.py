"""The reward: named terms that add up to the documented formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataselect_env.core.arrays import Floats
from dataselect_env.core.reward import distance_and_redundancy, gain, selection_terms, stop_terms, terminal

TERMS = {"performance_gain", "diversity_bonus", "redundancy", "noise_penalty", "cost", "baseline", "terminal"}
SHARE = st.floats(0, 1)


def vectors(*values: list[float]) -> Floats:
    return np.array(values, dtype=np.float64)


@given(
    change=st.floats(-1, 1),
    distance=st.floats(0, 100),
    redundancy=SHARE,
    noise_ratio=SHARE,
    batch_size=st.integers(1, 300),
    flip_y=st.floats(0, 0.5),
)
def test_terms_add_up_to_the_formula(
    *, change: float, distance: float, redundancy: float, noise_ratio: float, batch_size: int, flip_y: float
) -> None:
    terms = selection_terms(
        performance_change=change,
        distance=distance,
        redundancy=redundancy,
        noise_ratio=noise_ratio,
        batch_size=batch_size,
        flip_y=flip_y,
    )
    expected_gain = 5 * change + 0.05 * distance
    noise_penalty = (1 + 2 * flip_y) * noise_ratio
    expected = expected_gain - 0.01 * batch_size - 0.3 * redundancy - noise_penalty + 0.15
    assert sum(terms.values()) == pytest.approx(expected, abs=1e-12)
    assert gain(change, distance) == pytest.approx(expected_gain, abs=1e-12)


def test_each_term_of_a_known_step() -> None:
    terms = selection_terms(
        performance_change=0.02, distance=6.0, redundancy=0.5, noise_ratio=0.25, batch_size=20, flip_y=0.25
    )
    assert terms == pytest.approx(
        {
            "performance_gain": 0.1,
            "diversity_bonus": 0.3,
            "redundancy": -0.15,
            "noise_penalty": -0.375,
            "cost": -0.2,
            "baseline": 0.15,
            "terminal": 0.0,
        }
    )


def test_stopping_itself_pays_nothing() -> None:
    assert stop_terms() == dict.fromkeys(TERMS, 0.0)


def test_every_call_makes_new_terms() -> None:
    stop_terms()["terminal"] = 1.0
    assert stop_terms()["terminal"] == 0.0


def test_terminal_term_is_proportional_to_the_grade() -> None:
    assert terminal(0.0) == 0.0
    assert terminal(0.5) == pytest.approx(terminal(1.0) / 2)
    assert terminal(1.0) > 0


@pytest.mark.parametrize(
    ("batch", "centroid", "distance", "redundancy"),
    [
        (vectors([3, 4]), vectors([0, 0])[0], 5.0, 0.5),
        (vectors([0, 0]), vectors([3, 4])[0], 5.0, 0.5),
        (vectors([0, 0]), vectors([0, 0])[0], 0.0, 0.5),
        (vectors([2, 0]), vectors([1, 0])[0], 1.0, 1.0),
        (vectors([-2, 0]), vectors([1, 0])[0], 3.0, 0.0),
        (vectors([0, 1]), vectors([1, 0])[0], np.sqrt(2), 0.5),
        (vectors([2, 0], [-2, 0]), vectors([1, 0])[0], 2.0, 0.5),
        (vectors([2, 0], [0, 0]), vectors([1, 0])[0], 1.0, 0.75),
    ],
)
def test_distance_and_redundancy_of_known_vectors(
    batch: Floats, centroid: Floats, distance: float, redundancy: float
) -> None:
    assert distance_and_redundancy(batch, centroid) == pytest.approx((distance, redundancy))


def test_distance_and_redundancy_are_means_over_the_batch() -> None:
    rng = np.random.default_rng(0)
    batch, centroid = rng.standard_normal((9, 5)), rng.standard_normal(5)
    distances = [np.sqrt(((row - centroid) ** 2).sum()) for row in batch]
    cosines = [row @ centroid / np.sqrt((row @ row) * (centroid @ centroid)) for row in batch]
    distance, redundancy = distance_and_redundancy(batch, centroid)
    assert distance == pytest.approx(np.mean(distances))
    assert redundancy == pytest.approx((1 + np.mean(cosines)) / 2)


@given(
    rows=st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=1, max_size=6),
    centroid=st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3),
)
def test_redundancy_stays_in_range(rows: list[list[float]], centroid: list[float]) -> None:
    distance, redundancy = distance_and_redundancy(vectors(*rows), np.array(centroid))
    assert 0 <= redundancy <= 1
    assert 0 <= distance < np.inf
