"""Numbers of other libraries in JSON."""

from __future__ import annotations

import json

from dataselect_env.core.numbers import as_float, as_integer


def to_json(data: object) -> str:
    """Return data as JSON; numbers of other libraries become plain numbers.

    Raises:
        TypeError: ``data`` contains something that JSON cannot express.

    Example:
        >>> import numpy as np
        >>> to_json({"seed": np.int64(3), "random": np.float32(0.5)})
        '{"seed": 3, "random": 0.5}'
    """
    return json.dumps(data, default=_plain)


def _plain(value: object) -> object:
    number = as_integer(value)
    number = as_float(value) if number is value else number
    if not isinstance(number, int | float):
        raise TypeError(f"{type(value).__name__} cannot be sent as JSON")
    return number
