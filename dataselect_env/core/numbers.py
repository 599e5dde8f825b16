"""Validation of numbers: every numeric type is accepted, numpy's included; booleans and strings are not numbers."""

from __future__ import annotations

import math
import numbers
import operator
from typing import Annotated, SupportsIndex, SupportsInt, cast

import numpy as np
from pydantic import BeforeValidator, Field


def as_integer(value: object) -> object:
    """Return an integer of any type as an ``int``, and any other value unchanged.

    A real number without a fractional part counts as an integer, as in JSON Schema.
    """
    if type(value) in (int, bool):  # at once: the checks below take microseconds
        return value
    try:
        if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
            whole = int(cast("SupportsInt", value)) if math.isfinite(value) else None
            return whole if whole == value else value
        return operator.index(value) if isinstance(value, SupportsIndex) else value
    except (TypeError, OverflowError):  # an array of numbers, a fraction beyond the range of a float
        return value


def as_float(value: object) -> object:
    """Return a real number of any type as a ``float``, and any other value unchanged."""
    if type(value) in (float, bool):
        return value
    if isinstance(value, np.bool_):
        return bool(value)  # which is refused; pydantic takes numpy's for a number
    if not isinstance(value, numbers.Real):
        return value
    try:
        return float(value)
    except OverflowError:  # an integer beyond the range of a float
        return value


Integer = Annotated[int, BeforeValidator(as_integer)]
Count = Annotated[int, Field(ge=0), BeforeValidator(as_integer)]
"""An integer of at least 0. Bounds stand before the validator, or JSON schemas lose them."""
Weight = Annotated[float, Field(ge=0), BeforeValidator(as_float)]
"""Weight of a query strategy, at least 0."""
