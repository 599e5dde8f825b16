"""The fixed order of summation."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dataselect_env.core.arrays import total


@given(st.lists(st.floats(-1e9, 1e9)))
def test_a_total_is_added_from_left_to_right(values: list[float]) -> None:
    assert total(values) == (np.cumsum([0.0, *values])[-1])


def test_a_total_does_not_compensate() -> None:
    assert total([1.0, 1e100, 1.0, -1e100]) == 0.0  # the built-in sum gives 2.0 since Python 3.12
