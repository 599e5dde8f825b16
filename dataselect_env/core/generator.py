"""The rows of the built-in data sets: the numbers of scikit-learn's ``make_classification`` in a sixth of its time.

With the parameters in ``data.GENERATOR``, most steps of ``make_classification`` change nothing. Draws come from the
same stream, numpy's ``RandomState``, in the same order, so the numbers are equal to the last bit. They do not depend on
the version of scikit-learn.

There are two implementations of the draws: ``by_numpy``, and ``compiled``, in ``native/generator.c``. At first use both
make a small table. The compiled one is not used if it is missing or if any bit differs, which another library of
mathematical functions can cause.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from dataselect_env.core.arrays import Floats, Indices, Labels, Mask

try:
    import _dataselect_env_generator as _compiled
except ImportError:  # built without a C compiler
    _compiled = None

CLASS_SEP: Final = 1.0
"""The clusters of the two classes lie around corners of a hypercube with sides of twice this length."""
WORD: Final = 32
"""Bits of a number that seeds a stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Size of a table.

    Attributes:
        n_samples: Number of rows, even.
        n_features: Number of columns, more than ``n_informative``.
        n_informative: Number of columns in which the classes differ, from 8 to 30; the others are noise.
    """

    n_samples: int
    n_features: int
    n_informative: int


class Draws(NamedTuple):
    """All that is random in a table.

    Attributes:
        corners: Corner of each class as a binary number, (2,); the highest bit belongs to the first column.
        normals: Standard normal numbers, (n_samples, n_features); the informative columns come first.
        mixing: Numbers in [0, 1) from which each class gets the covariance of its cluster, (2, n_informative,
            n_informative).
        rows: Order of the rows, (n_samples,).
        columns: Order of the columns, (n_features,).
    """

    corners: Indices
    normals: Floats
    mixing: Floats
    rows: Indices
    columns: Indices


def stream(number: int) -> np.random.RandomState:
    """Return the random stream of table ``number``: that of ``make_classification`` for ``random_state=number``.

    Args:
        number: At least 0. From 2^32 on, it is divided into words of 32 bits, the lowest first.
    """
    return np.random.RandomState(number if number < 2**WORD else _words(number))


def _words(number: int) -> npt.NDArray[np.uint32]:
    """Return a number in words of 32 bits, the lowest first; at least one."""
    shifts = range(0, max(number.bit_length(), 1), WORD)
    return np.array([number >> shift & 2**WORD - 1 for shift in shifts], dtype=np.uint32)


def by_numpy(number: int, size: Size) -> Draws:
    """Return the draws of table ``number``."""
    n, d, k = size.n_samples, size.n_features, size.n_informative
    rng = stream(number)
    first = second = rng.randint(2**k)
    while second == first:
        second = rng.randint(2**k)
    informative, mixing = rng.standard_normal((n, k)), rng.uniform(size=(2, k, k))
    normals = np.hstack([informative, rng.standard_normal((n, d - k))])
    rng.uniform(size=n)  # decides which labels are flipped: none
    rows, columns = np.arange(n), np.arange(d)
    rng.shuffle(rows)
    rng.shuffle(columns)
    return Draws(np.array([first, second]), normals, mixing, rows, columns)


def compiled(number: int, size: Size) -> Draws:
    """Return the draws of table ``number`` from compiled code."""
    n, d, k = size.n_samples, size.n_features, size.n_informative
    corners, rows, columns = (np.empty(count, dtype=np.intp) for count in (2, n, d))
    draws = Draws(corners, np.empty((n, d)), np.empty((2, k, k)), rows, columns)
    _compiled.draw(_words(number), *draws)
    return draws


@cache
def fastest() -> Callable[[int, Size], Draws]:
    """Return ``compiled`` if it gives the bits of numpy on small tables, otherwise ``by_numpy``."""
    size = Size(n_samples=600, n_features=20, n_informative=9)
    try:
        agree = [
            np.array_equal(ours, theirs)
            for number in (12_345, 12_345 << 9 * WORD)  # seeded by one word, and by several
            for ours, theirs in zip(compiled(number, size), by_numpy(number, size), strict=True)
        ]
    except (AttributeError, TypeError, ValueError):  # missing, or of another version
        return by_numpy
    return compiled if all(agree) else by_numpy


def generate(number: int, size: Size) -> tuple[Floats, Labels]:
    """Return the features and labels that ``make_classification`` returns for ``random_state=number``.

    Args:
        number: Seed of the table; see :func:`stream`.
        size: Size of the table.

    Returns:
        Features, (n_samples, n_features), and labels, (n_samples,), 0 or 1.
    """
    draws = fastest()(number, size)
    X, y = _clusters(draws)
    return X[draws.rows].take(draws.columns, axis=1), y


def generate_standardised(number: int, size: Size, known: Mask) -> tuple[Floats, Labels]:
    """Return :func:`generate` with features that have mean 0 and standard deviation 1 over the known rows.

    Compiled code adds up in another order than numpy, so values agree to 1e-12 and not to the last bit.

    Args:
        number: Seed of the table; see :func:`stream`.
        size: Size of the table.
        known: Mask of the known rows, (n_samples,).
    """
    draws = fastest()(number, size)
    X, y = _clusters(draws)
    if fastest() is compiled:
        _compiled.standardise(X, draws.rows, draws.columns, known.view(np.uint8), np.zeros(len(X), dtype=np.uint8))
        return X, y
    part = X[draws.rows[known]]
    X = (X - part.mean(axis=0)) / part.std(axis=0)
    return X[draws.rows].take(draws.columns, axis=1), y


def _clusters(draws: Draws) -> tuple[Floats, Labels]:
    """Return features before rows and columns are shuffled, in the memory of the draws, and labels after that."""
    X, n, k = draws.normals, len(draws.rows), draws.mixing.shape[1]
    for label, part in enumerate((slice(0, n // 2), slice(n // 2, n))):
        corner = (draws.corners[label] >> np.arange(k - 1, -1, -1)) & 1
        cluster = X[part, :k] @ (2 * draws.mixing[label] - 1)
        cluster += corner * (2 * CLASS_SEP) - CLASS_SEP
        X[part, :k] = cluster
    return X, (draws.rows >= n // 2).astype(np.int64)
