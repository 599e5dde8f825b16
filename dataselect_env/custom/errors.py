"""Errors in tables and task definitions, and how their messages list names."""

from __future__ import annotations

import difflib
from collections.abc import Collection

NAMES_SHOWN = 20
"""Largest number of names that a message lists."""

LONGEST_NAME = 60
"""Characters of a name or cell that a message repeats."""


class TableError(Exception):
    """A table cannot be used as described.

    Args:
        message: A sentence that says what is wrong and what to change, without absolute paths.
        field: Field of :class:`~dataselect_env.custom.definitions.Table` to change.
    """

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class TaskDefinitionError(Exception):
    """A task cannot be built from its definition.

    Args:
        message: A sentence that says what is wrong and what to change, without absolute paths.
        path: Field of :class:`~dataselect_env.custom.definitions.TaskDefinition` to change, such as
            ``("split", "seed")``; empty for the task as a whole.
    """

    def __init__(self, message: str, path: tuple[str, ...]) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


def shortened(text: str) -> str:
    """Return the first ``LONGEST_NAME`` characters of a text on one line, with three dots if there are more."""
    line = text[: LONGEST_NAME + 1].replace("\n", " ").replace("\r", " ")
    return line if len(line) <= LONGEST_NAME else f"{line[:LONGEST_NAME]}..."


def quoted(names: Collection[str]) -> str:
    """Return names in quotes, joined by commas, for a message; ``none`` if there are none.

    >>> quoted(["a", "b"]), quoted([]), len(quoted(["a" * 10**6]))
    ('"a", "b"', 'none', 65)
    """
    shown = ", ".join(f'"{shortened(name)}"' for name in list(names)[:NAMES_SHOWN]) or "none"
    return shown if len(names) <= NAMES_SHOWN else f"{shown} and {len(names) - NAMES_SHOWN:,} more"


def check_known(title: str, what: str, field: str, name: str, names: Collection[str]) -> None:
    """Check that a name in a field of the table is among ``names``.

    Raises:
        TableError: It is not; the message lists ``names``.
    """
    if name in names:
        return
    lowered = {known.lower(): known for known in names}
    near = difflib.get_close_matches(name.lower(), lowered, n=1)
    guess = f' Did you mean "{lowered[near[0]]}"?' if near else ""
    raise TableError(f'{title} has no {what} "{name}", which {field} names.{guess} It has {quoted(names)}.', field)
