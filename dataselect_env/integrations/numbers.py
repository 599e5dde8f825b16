"""Numbers of other libraries in JSON."""

from __future__ import annotations

import json
import operator
from typing import Any


def plain_number(number: Any) -> int | float:
    """Return a number of another library, such as numpy, as a number of Python.

    Raises:
        TypeError: It is not a number.
    """
    try:
        return operator.index(number)
    except TypeError:
        return float(number)


def to_json(data: object) -> str:
    """Return data as JSON; scalars of numpy become plain numbers.

    Raises:
        TypeError: ``data`` contains something that JSON cannot express.

    Example:
        >>> import numpy as np
        >>> to_json({"seed": np.int64(3), "random": np.float32(0.5)})
        '{"seed": 3, "random": 0.5}'
    """
    return json.dumps(data, default=plain_number)
