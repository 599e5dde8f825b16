"""Checks of the arguments of a curation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dataselect_env.core.arrays import Floats, Labels
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.numbers import as_integer
from dataselect_env.core.tasks import SEED_LIMIT
from dataselect_env.curation.labels import Classes
from dataselect_env.curation.problem import Settings
from dataselect_env.custom.errors import quoted

MIN_TRUSTED = 12
"""Fewest trusted rows: half of them warm-start the learner, and the other half judge it."""
MIN_TRUSTED_PER_CLASS = 3
"""Fewest trusted rows of each class: seed part, validation part and a fold of the comparison need one each."""


def checked_settings(*, budget: object, steps: object, noise_rate: float | None, seed: object, rows: int) -> Settings:
    """Return how rows are bought.

    Raises:
        InvalidInput: A number is out of range; ``rows`` is the number of rows of the table.
    """
    if noise_rate is not None and not 0 <= noise_rate < 0.5:
        raise InvalidInput(f"noise_rate: should lie in [0, 0.5), not {noise_rate}", field="noise_rate")
    limit = f"the {rows:,} rows of the table"
    return Settings(
        budget=_integer("budget", budget, 1, rows, limit),
        steps=_integer("steps", steps, 1, rows, limit),
        noise_rate=noise_rate,
        seed=_integer("seed", seed, 0, SEED_LIMIT - 1, f"{SEED_LIMIT - 1}"),
    )


def _integer(name: str, value: object, low: int, high: int, limit: str) -> int:
    number = as_integer(value)
    if not isinstance(number, int) or isinstance(number, bool) or number < low:
        raise InvalidInput(f"{name}: should be an integer of at least {low}, not {value}", field=name)
    if number > high:
        raise InvalidInput(f"{name}: {number:,} exceeds {limit}", field=name)
    return number


def check_columns(X: Any, X_trusted: Any) -> None:
    """Check that two arrays have the same number of columns; columns of DataFrames are found by name.

    Raises:
        InvalidInput: They do not.
    """
    if hasattr(X, "columns") or hasattr(X_trusted, "columns"):
        return
    ours, theirs = np.shape(X)[1], np.shape(X_trusted)[1]
    if ours != theirs:
        message = f"X_trusted: has {theirs:,} columns, and the table has {ours:,}"
        raise InvalidInput(message, field="X_trusted")


def check_lengths(codes: Mapping[str, Labels], rows: Mapping[str, int]) -> None:
    """Check that there is a label for each row, by name of the argument.

    Raises:
        InvalidInput: There are more or fewer.
    """
    for name, labels in codes.items():
        if len(labels) != rows[name]:
            raise InvalidInput(f"{name}: has {len(labels):,} labels for {rows[name]:,} rows", field=name)


def check_trusted(codes: Mapping[str, Labels], classes: Classes) -> None:
    """Check that there are enough trusted rows of each class.

    Raises:
        InvalidInput: There are not, or there is only one class.
    """
    counts = np.bincount(codes["y_trusted"], minlength=len(classes.names))
    used = np.unique(np.concatenate(list(codes.values())))
    names = [classes.names[code] for code in used]
    if len(names) < 2:
        raise InvalidInput(f"y: there is only one class, {quoted(names)}; at least 2 are needed", field="y")
    missing = [name for name, code in zip(names, used, strict=True) if not counts[code]]
    if missing:
        raise InvalidInput(
            f"y_trusted: has no row of {quoted(missing)}, which the table has. Add trusted rows of these classes, or"
            " drop their rows from the table",
            field="y_trusted",
        )
    few = [f'"{classes.names[code]}" has {counts[code]}' for code in used if counts[code] < MIN_TRUSTED_PER_CLASS]
    if few:
        message = f"y_trusted: each class needs at least {MIN_TRUSTED_PER_CLASS} trusted rows; {', '.join(few)}"
        raise InvalidInput(message, field="y_trusted")
    if counts.sum() < MIN_TRUSTED:
        message = f"y_trusted: {counts.sum()} trusted rows are too few; at least {MIN_TRUSTED} are needed"
        raise InvalidInput(message, field="y_trusted")


def repeated_rows(X: Floats, X_trusted: Floats) -> int:
    """Return how many trusted rows, (m, n_features), equal a row of the table, (n, n_features)."""
    known = {row.tobytes() for row in X}
    return sum(row.tobytes() in known for row in X_trusted)
