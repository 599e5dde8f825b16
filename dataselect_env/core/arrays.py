"""Array types of the numerical modules, ranks, and a sum whose order of addition is fixed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]


def ranks(values: Floats) -> Floats:
    """Return the ranks of values in [0, 1], (n,), the highest last; ties are ranked by index."""
    rank = np.empty(len(values))
    rank[np.argsort(values, kind="stable")] = np.linspace(0, 1, len(values))
    return rank


Number = TypeVar("Number", float, Floats)
"""A number, or an array of one number for each of many episodes."""


def total(values: Iterable[Number]) -> Number:
    """Add numbers, or arrays of one shape, from left to right, rounding after each addition.

    The built-in ``sum`` of floats compensates for rounding since Python 3.12, so its last bits depend on the version of
    Python. Use this function wherever a sum of floats is compared or stored.
    """
    result: Number | float = 0.0
    for value in values:
        result = result + value
    return result  # type: ignore[return-value]  # of no values, 0.0
