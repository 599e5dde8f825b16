"""What all checks share: rules that raise a sentence when they are broken, and guards around calls of a plug-in."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import numpy as np

from dataselect_env.core.tasks import TASKS, Task, register

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a contract.

    Attributes:
        text: The rule, one sentence.
        documented: Full name of the class or function whose docstring documents it.
    """

    text: str
    documented: str

    def broken(self, found: str, cause: Exception | None = None) -> NoReturn:
        """Raise the AssertionError that says what was found, which rule that breaks, and where it is documented.

        Args:
            found: What was found, with the input that shows it: a clause.
            cause: The plug-in's exception, where there is one.
        """
        sentence = found.rstrip(".")
        raise AssertionError(f"{sentence}. Rule: {self.text} Documented in {self.documented}.") from cause

    def require(self, holds: object, found: str) -> None:
        """Raise the AssertionError of :meth:`broken` unless the rule holds."""
        if not holds:
            self.broken(found)

    def raised(self, what: str, error: Exception) -> NoReturn:
        """Raise the AssertionError for an exception of the plug-in; ``what`` is the call that raised it."""
        self.broken(f"{what} raised {described(error)}", error)

    def call(self, function: Callable[[], ResultT], what: str) -> ResultT:
        """Return what a function returns; its exceptions break the rule, as :meth:`raised` says."""
        try:
            return function()
        except Exception as error:
            self.raised(what, error)


def described(error: Exception) -> str:
    """Return an exception as text, with its class, on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


@contextmanager
def global_generators(rule: Rule, what: str) -> Iterator[None]:
    """Require that a block leaves the global generators of numpy and of ``random`` alone; restores them in any case.

    Args:
        rule: The rule that is broken otherwise.
        what: The call in the block and its input, as the subject of "used".
    """
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
        used = ["random"] * (random.getstate() != of_python)
        used += ["numpy.random"] * (_comparable(np.random.get_state()) != _comparable(of_numpy))  # noqa: NPY002
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)  # noqa: NPY002
    rule.require(not used, f"{what} used the global generator of {' and of '.join(used)}")


def _comparable(state: Any) -> tuple[object, ...]:
    """Return a state of numpy's global generator as values that can be compared."""
    name, keys, *others = state
    return name, keys.tobytes(), *others


@contextmanager
def offered(task: Task) -> Iterator[None]:
    """Offer a task under its name, which no other task may have, until the block ends."""
    register(task)
    try:
        yield
    finally:
        TASKS.pop(task.task_id, None)


def form(value: object) -> str:
    """Return the type of a value, of an array its dtype and shape."""
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__


def is_array(value: object, kind: type[np.generic], *shape: int | None) -> bool:
    """Return whether a value is an array of this dtype and shape; None is any length."""
    if not isinstance(value, np.ndarray) or value.dtype != kind or value.ndim != len(shape):
        return False
    return all(wanted in (None, length) for wanted, length in zip(shape, value.shape, strict=True))
