"""What every episode on a data set starts from: the warmed-up learner, and where each world puts its noise.

None of it depends on the seed beyond the data set, so it is made once and shared.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from weakref import WeakValueDictionary

import numpy as np

from dataselect_env.arrays import Floats
from dataselect_env.data import SEED_ROWS, WORLDS, Dataset, make_dataset, placement
from dataselect_env.learner import WARM_UP_PASSES, Learner

SEED_SET = np.arange(SEED_ROWS.start, SEED_ROWS.stop)
"""Rows of the seed set; their labels are right."""

CACHE_SIZE = 64
"""Warm starts kept in memory, 1 MB each; an episode on another data set makes it anew at every step, 5 ms."""


@dataclass(frozen=True, eq=False)
class WarmStart:
    """A data set with what was learned from its seed set; shared, so nothing here may be changed.

    Attributes:
        dataset: The data set.
        learner: After the warm-up; an episode trains a copy.
        performance: Of that learner on the validation split.
        squares: Squared lengths of the pool's rows, (1100,).
        placements: For each world, how much it favours each pool sample for a wrong label, (1100,).
    """

    dataset: Dataset
    learner: Learner
    performance: float
    squares: Floats
    placements: dict[str, Floats]


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
    """Make data set ``number`` and warm a learner up with passes over its seed set.

    The order of the rows is drawn from the data set's number and not from an episode's seed: every episode starts from
    exactly the performance that the data set was accepted for.
    """
    dataset = make_dataset(number)
    learner = Learner()
    learner.train(dataset.X, dataset.y, SEED_SET, WARM_UP_PASSES, np.random.default_rng(number))
    margins = np.abs(learner.log_odds(dataset.X_pool))
    return WarmStart(
        dataset=dataset,
        learner=learner,
        performance=learner.performance(dataset.X_validation, dataset.y_validation),
        squares=np.einsum("ij,ij->i", dataset.X_pool, dataset.X_pool),
        placements={world: placement(dataset, world, margins) for world in WORLDS},
    )
