"""How rows are divided into validation split, seed sets and pool: sizes and stratified draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dataselect_env.core.arrays import Indices, Labels
from dataselect_env.core.strategies.sampling import quotas
from dataselect_env.core.tasks import POOL_SIZE
from dataselect_env.custom.definitions import TaskDefinition
from dataselect_env.custom.errors import TaskDefinitionError

MAX_VALIDATION, MAX_SEED_SET = 1_000, 100
"""Largest validation split and seed set by default, for a table."""
SEEDS_PER_CLASS = 3
"""Smallest seed set by default, for a table, in samples per class."""
_DIVISION_STREAM = 101


@dataclass(frozen=True, slots=True)
class SplitSizes:
    """Numbers of samples."""

    seed: int
    validation: int
    pool: int

    @property
    def total(self) -> int:
        """Samples in all."""
        return self.seed + self.validation + self.pool


GENERATOR_SIZES = SplitSizes(seed=100, validation=200, pool=POOL_SIZE)
"""Default sizes of a generator's data sets: those of the built-in tasks."""


def generator_sizes(definition: TaskDefinition) -> SplitSizes:
    """Return the sizes of a generator's data sets. The pool holds at least the budget."""
    split = definition.split
    return SplitSizes(
        split.seed or GENERATOR_SIZES.seed,
        split.validation or GENERATOR_SIZES.validation,
        split.pool or max(GENERATOR_SIZES.pool, definition.budget),
    )


def table_sizes(definition: TaskDefinition, rows: int, classes: int) -> SplitSizes:
    """Return the sizes for a table of ``rows`` rows.

    Raises:
        TaskDefinitionError: The table has too few rows, or the seed set is smaller than the number of classes.
    """
    split = definition.split
    validation = split.validation or min(MAX_VALIDATION, max(10, rows // 5))
    seed = split.seed or min(MAX_SEED_SET, max(SEEDS_PER_CLASS * classes, rows // 50))
    if seed < classes:
        message = f"{seed} is too small for {classes} classes; it should be at least {classes}"
        raise TaskDefinitionError(message, ("split", "seed"))
    left = rows - validation - seed
    if split.pool is not None and split.pool > left:
        message = (
            f"{split.pool} exceeds the {max(left, 0)} rows that are left of {rows} after {validation} for validation"
            f" and {seed} for the seed set"
        )
        raise TaskDefinitionError(message, ("split", "pool"))
    if left < definition.budget:
        message = (
            f"the table has {rows} rows: {validation} for validation, {seed} for the seed set, and so {max(left, 0)}"
            f" for the pool; that is less than the budget of {definition.budget}"
        )
        raise TaskDefinitionError(message, ("budget",))
    return SplitSizes(seed, validation, split.pool or left)


def divide(y: Labels, sizes: SplitSizes) -> tuple[Indices, Indices]:
    """Return the rows of the validation split, and the rows that seed sets and pools are drawn from.

    Both are stratified draws that depend on the arguments alone. Surplus rows are left out.

    Args:
        y: Labels, (n,).
        sizes: At most n samples in all.
    """
    rng = np.random.default_rng([_DIVISION_STREAM])
    validation = stratified(y, sizes.validation, rng)
    others = np.setdiff1d(np.arange(len(y)), validation)
    return validation, others[stratified(y[others], sizes.seed + sizes.pool, rng)]


def stratified(y: Labels, count: int, rng: np.random.Generator, *, min_per_class: int = 1) -> Indices:
    """Return ``count`` distinct indices into ``y``, (n,), in ascending order, with the class shares of ``y``.

    Args:
        y: Labels, (n,).
        count: At most n.
        rng: Stream of the draw.
        min_per_class: Fewest indices of each class, if ``count`` is large enough; every class must have as many.
    """
    labels, sizes = np.unique(y, return_counts=True)
    counts = list(quotas(count, tuple(map(float, sizes))))
    while count >= min_per_class * len(counts) and min(counts) < min_per_class:
        counts[counts.index(max(counts))] -= 1
        counts[counts.index(min(counts))] += 1
    drawn = [
        rng.choice(np.flatnonzero(y == label), share, replace=False)
        for label, share in zip(labels, counts, strict=True)
    ]
    return np.sort(np.concatenate(drawn))
