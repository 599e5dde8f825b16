"""Array types that the numerical modules share."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
Number = TypeVar("Number", float, Floats)
"""One number, or one for each of several episodes."""
