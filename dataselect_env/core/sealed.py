"""Sealed episodes: episodes whose seeds only a server with the secret can compute.

An agent that knows the seed of an episode can rebuild it, labels included, and try plans on its copy. On the open
splits nothing prevents that: seeds are 32-bit numbers and their data sets are pinned. A sealed seed is a keyed hash of
256 bits. Data set, label noise and all draws come from it, the data set is none of the pinned ones, and replies carry
an index in its place.

Reference: Krawczyk, Bellare and Canetti, HMAC: Keyed-Hashing for Message Authentication, RFC 2104, 1997.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dataselect_env.core.data import WARM_START_BAND
from dataselect_env.core.tasks import DYNAMICS_VERSION, SEED_LIMIT, Task
from dataselect_env.core.warm_start import make_warm_start

SEALED_BITS = 256
DIGITS = 6
"""Decimals of the numbers in replies of sealed episodes. Agents need three; the others could only identify data."""
NUMBERS_KEPT = 4_096
"""Data set numbers kept in memory; it takes some ten milliseconds to find one again."""


@dataclass(frozen=True, slots=True)
class SealedSeed:
    """The seed of a sealed episode, which no reply contains, and the index that stands in its place."""

    seed: int
    index: int


def sealed_seed(secret: bytes, task: Task, index: int) -> SealedSeed:
    """Return the seed at an index of a task's sealed split.

    Another dynamics version, or another definition of the task, gives other seeds.

    Args:
        secret: The key.
        task: The task as it stands in ``TASKS``.
        index: The index, at least 0.
    """
    place = json.dumps(["seed", DYNAMICS_VERSION, task.task_id, task.digest, index]).encode()
    return SealedSeed(_number(hmac.digest(secret, place, "sha256")), index)


def is_sealed(seed: int) -> bool:
    """Return whether a seed is that of a sealed episode."""
    return seed >= SEED_LIMIT


@lru_cache(maxsize=NUMBERS_KEPT)
def dataset_number(seed: int) -> int:
    """Return the number of the built-in data set of a sealed seed.

    Candidates come from a hash of the seed; the first whose warm start lies in the band of the pinned data sets counts.
    """
    low, high = WARM_START_BAND
    candidate, found = 0, -1
    while found < 0:
        number = _number(hashlib.sha256(f"data set {candidate} of {seed}".encode()).digest())
        if low <= make_warm_start(number).performance <= high:
            found = number
        candidate += 1
    return found


def rounded(value: Any) -> Any:
    """Return JSON-like data with its floats rounded to ``DIGITS``, those of grades as they are."""
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, dict):
        return {name: inner if name == "grade" else rounded(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    return value


def _number(digest: bytes) -> int:
    """Return a hash as a number that is no seed of an open split."""
    return 1 << SEALED_BITS | int.from_bytes(digest, "big")
