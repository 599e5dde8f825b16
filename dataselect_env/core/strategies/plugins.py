"""Guards for the strategies and filters of other authors: their failures become errors that name them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

import numpy as np

from dataselect_env.core.arrays import Floats, Mask
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.strategies.candidates import Candidates

LONGEST_REASON = 200
"""Characters of an exception's text that the error repeats."""


def guarded(title: str, function: Callable[..., object]) -> Callable[..., Floats]:
    """Return a function from candidates to one number for each sample of the pool, (n,), with its answers checked.

    Args:
        title: Names the function in errors, such as ``strategy margin``.
        function: Takes the candidates, and perhaps the size of the batch.

    Raises:
        InvalidInput: When called, if ``function`` raises an exception of any type, returns something else than n
            numbers, or NaN for a sample that is left.
    """

    def call(candidates: Candidates, *count: int) -> Floats:
        try:
            answer = function(candidates, *count)
        except InvalidInput:
            raise
        except Exception as error:  # of any type: the function may be anybody's
            reason = textwrap.shorten(f"{type(error).__name__}: {error}", LONGEST_REASON)
            raise InvalidInput(f"{title} failed: {reason}") from error
        return _numbers(title, answer, candidates.left)

    return call


def _numbers(title: str, answer: object, left: Mask) -> Floats:
    try:
        found = np.asarray(answer, dtype=np.float64)
    except (TypeError, ValueError):  # text, rows of different lengths
        found = np.empty(0)
    if found.shape == left.shape and not np.isnan(found[left]).any():
        return found
    form = f"an array of shape {answer.shape}" if isinstance(answer, np.ndarray) else type(answer).__name__
    returned = "NaN for a sample that is left" if found.shape == left.shape else "None" if answer is None else form
    raise InvalidInput(f"{title} returned {returned}; it should return a number for each of {len(left):,} samples")
