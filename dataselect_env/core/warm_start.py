"""What every episode on a data set starts from: the warmed-up learner, and where each world puts its noise.

None of it depends on the seed beyond the data set, so it is made once and shared.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from weakref import WeakValueDictionary

import numpy as np

from dataselect_env.core.arrays import Floats, Indices, Labels
from dataselect_env.core.data import WORLDS, Dataset, make_dataset, placement
from dataselect_env.core.learner import ALPHA, WARM_UP_PASSES, Learner

CACHE_SIZE = 64
"""Warm starts kept in memory, 1 MB each; an episode on another data set makes it anew at every step, 5 ms."""


@dataclass(frozen=True, eq=False)
class WarmStart:
    """A data set with what was learned from its seed set; shared, so nothing here may be changed.

    Attributes:
        dataset: The data set.
        learner: After the warm-up; an episode trains a copy.
        performance: Of that learner on the validation split.
        squares: Squared lengths of the pool's rows, (n_pool,).
        placements: Of a built-in task, for each world how much it favours each pool sample for a wrong label, (1100,).
    """

    dataset: Dataset
    learner: Learner
    performance: float
    squares: Floats
    placements: dict[str, Floats] = field(default_factory=dict)


@cache
def load_libraries() -> None:
    """Load what making episodes needs and has not been imported until now: scikit-learn, above all."""
    make_warm_start(0)


_in_use: WeakValueDictionary[int, WarmStart] = WeakValueDictionary()


@lru_cache(maxsize=CACHE_SIZE)
def warm_start(number: int) -> WarmStart:
    """Return the warm start of data set ``number``: one object, as long as an episode or the cache holds it."""
    start = _in_use.get(number)
    if start is None:
        start = _in_use[number] = make_warm_start(number)
    return start


def make_warm_start(number: int) -> WarmStart:
    """Make data set ``number`` and warm a learner up on it.

    The order of the rows is drawn from the data set's number and not from an episode's seed: every episode starts from
    exactly the performance that the data set was accepted for.
    """
    start = warm_up(make_dataset(number), np.random.default_rng(number))
    margins = np.abs(start.learner.log_odds(start.dataset.X_pool))
    return replace(start, placements={world: placement(start.dataset, world, margins) for world in WORLDS})


def performance_on(dataset: Dataset, learner: Learner, labels: Labels, rows: Indices) -> float:
    """Return the performance of a learner on the validation split of a data set.

    Args:
        dataset: Says also whether every class counts the same.
        learner: Trained on it.
        labels: By row of the data set, as it was trained on them, (n,).
        rows: Which rows it was trained on, (m,).
    """
    X, y = dataset.X_validation, dataset.y_validation
    if dataset.weights is None:
        return learner.performance(X, y)
    counts = np.bincount(labels[rows], minlength=dataset.n_classes)
    return learner.balanced_performance(X, y, dataset.weights, counts)


def warm_up(
    dataset: Dataset,
    rng: np.random.Generator,
    *,
    alpha: float = ALPHA,
    passes: int = WARM_UP_PASSES,
    squares: Floats | None = None,
) -> WarmStart:
    """Train a learner with passes over the seed set of a data set.

    Args:
        dataset: Whose seed set it is.
        rng: Stream of the orders.
        alpha: As of :class:`~dataselect_env.core.learner.Learner`.
        passes: At least 1.
        squares: Squared lengths of the pool's rows, (n_pool,), where they are known.
    """
    learner = Learner(dataset.n_classes, alpha)
    learner.train(dataset.X, dataset.y, dataset.seed_rows, passes, rng)
    return WarmStart(
        dataset=dataset,
        learner=learner,
        performance=performance_on(dataset, learner, dataset.y, dataset.seed_rows),
        squares=np.einsum("ij,ij->i", dataset.X_pool, dataset.X_pool) if squares is None else squares,
    )
