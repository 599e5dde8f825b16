"""The distribution of the task ``open`` in words: what is drawn, and from what range."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dataselect_env.core.open import columns, families, noise, problems
from dataselect_env.core.tasks import MIN_BATCH


def rows() -> Iterator[tuple[str, str]]:
    """Yield what is drawn, and how, in the order of the draws."""
    yield "classes", f"2 in {problems.TWO_CLASSES:.0%} of problems, else 3 to {problems.CLASSES[1]}"
    yield (
        "class shares",
        f"equal in {problems.EQUAL_SHARES:.0%}, else Dirichlet with all parameters {problems.CONCENTRATION:g}",
    )
    yield "columns", f"{_between(problems.FEATURES)}, logarithmically, before categories and nuisance columns"
    yield "directions in which rows vary", f"{_between(problems.RANK)}, logarithmically, at most the columns"
    yield "separation of the classes", f"1 - u^{problems.SEPARATION_POWER:g} for uniform u"
    yield "clusters of a class", _between(problems.CLUSTERS)
    yield "skewed, cubed or squashed columns", f"in {columns.WARPED:.0%} of tables"
    yield "columns rounded to a few steps", f"in {columns.STEPPED:.0%} of tables"
    yield (
        "categories as one-hot blocks",
        f"in {columns.CATEGORISED:.0%} of tables, {columns.CATEGORISED:.0%} of the columns, "
        f"2 to {columns.MOST_CATEGORIES} categories",
    )
    yield (
        "nuisance columns",
        f"in {columns.WITH_NUISANCE:.0%} of tables, {_between(columns.NUISANCE)} times the other columns",
    )
    yield (
        "outliers",
        f"in {columns.WITH_OUTLIERS:.0%} of tables, {columns.OUTLIERS:.0%} of the cells, "
        f"{_between(columns.OUTLYING)} times as large",
    )
    yield "duplicate rows", f"in {columns.WITH_COPIES:.0%} of tables, {_shares(columns.COPIES)} of the rows"
    yield (
        "seed set",
        f"{_between(problems.SEED_SAMPLES_PER_CLASS)} times the classes, at least {problems.LEAST_SEED}; "
        "at least two of each class",
    )
    yield "validation split", f"{_between(problems.VALIDATION)} samples, logarithmically; at least two of each class"
    yield "pool", f"{_between(problems.POOL)} samples, logarithmically; at least {MIN_BATCH} of each class"
    yield (
        "budget",
        f"{_between(problems.BUDGET)} samples, logarithmically; at most {problems.LARGEST_SHARE:.0%} of the pool",
    )
    yield "steps", f"{_between(problems.STEPS)}; at most the budget over the minimum batch"
    yield "share of wrong labels", f"{_shares(problems.RATE)}; 0 with noise of kind none"
    yield "sharpness of the place of wrong labels", f"{_between(problems.SHARPNESS)}, logarithmically"
    yield (
        "class that a wrong label names",
        "any other one, the next one, or the wrong one that the warm-started model finds likeliest; "
        "always the last with noise of kind boundary",
    )
    other = (1 - problems.AS_DECLARED) / 2
    yield (
        "declared rate",
        f"right in {problems.AS_DECLARED:.0%}; {_between(problems.TOO_LOW)} times the right one in {other:.0%}; "
        f"{_between(problems.TOO_HIGH)} times the right one and {problems.MARGIN:g} more in {other:.0%}, "
        f"at most {problems.LARGEST_RATE:.0%}",
    )
    yield (
        "noise trap",
        f"in {problems.TRAPPED[True]:.0%} with noise of kind confident or core, else in {problems.TRAPPED[False]:.0%}",
    )
    yield "audit", f"in {problems.AUDITED:.0%}"
    yield "rise of the performance over the range that is scored", f"at least {problems.LEAST_RISE:g}"


def family_rows() -> Iterator[tuple[str, str, str]]:
    """Yield each family of tables, the splits that it belongs to, and what it is."""
    for name, splits, family in _by_split(families.TRAINING, families.TESTING):
        yield name, splits, " ".join((family.__doc__ or "").split())


def noise_rows() -> Iterator[tuple[str, str, str]]:
    """Yield each kind of label noise, the splits that it belongs to, and where its wrong labels are."""
    kinds = ({name: noise.KINDS[name] for name in names} for names in (noise.TRAINING, noise.TESTING))
    yield from _by_split(*kinds)


def _by_split(training: Mapping[str, Any], testing: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    yield from ((name, "train, validation", value) for name, value in training.items())
    yield from ((name, "test", value) for name, value in testing.items())


def _between(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:g} to {bounds[1]:,g}"


def _shares(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:.0%} to {bounds[1]:.0%}"
