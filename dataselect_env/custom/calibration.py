"""What is measured for a custom task whose definition leaves it open: the L2 penalty and the performance range."""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean

import numpy as np

from dataselect_env.core.arrays import Indices
from dataselect_env.core.learner import MOST_PASSES
from dataselect_env.core.warm_start import WarmStart, performance_on
from dataselect_env.custom.definitions import LearnerSettings, TaskDefinition
from dataselect_env.custom.errors import TaskDefinitionError
from dataselect_env.custom.sources import WARM_UP_STREAM, CustomSource

ALPHAS = (0.002, 0.006, 0.02, 0.06, 0.2, 0.6)
"""Candidate penalties; the built-in tasks have the second."""
MEASURED_SEEDS = (0, 1, 2)
"""Seeds of the train split on which penalties and ranges are measured."""
MIN_RISE = 0.02
"""Smallest difference in performance between warm start and whole pool for which buying samples makes sense."""
DECIMALS = 3
"""Decimals of measured thresholds."""
_TRIAL_STREAM = 104


def best_alpha(
    make_source: Callable[[LearnerSettings], CustomSource], settings: LearnerSettings, budget: int
) -> LearnerSettings:
    """Return ``settings`` with the best of ``ALPHAS``: highest mean performance after a random purchase.

    Labels are the right ones, as far as they are known, so that tasks that differ only in their noise get the same
    classifier.

    Args:
        make_source: Returns the source for given settings of the learner.
        settings: Settings whose ``alpha`` is open.
        budget: Samples to buy.
    """
    performance = {}
    for alpha in ALPHAS:
        source = make_source(settings.model_copy(update={"alpha": alpha}))
        performance[alpha] = fmean(_after_random_purchase(source, seed, budget) for seed in MEASURED_SEEDS)
    return settings.model_copy(update={"alpha": max(ALPHAS, key=lambda alpha: performance[alpha])})


def performance_range(definition: TaskDefinition, source: CustomSource) -> tuple[float, float]:
    """Return the performances that score 0 and 1: the definition's, or else measured and rounded.

    Raises:
        TaskDefinitionError: The measured range is narrower than ``MIN_RISE``.
    """
    declared = definition.score.performance_range
    if declared is not None:
        return declared[0], declared[1]
    low, high = measured_range(source)
    if high - low < MIN_RISE:
        raise TaskDefinitionError(
            f"buying does not help here: performance is {low:.3f} at the start and {high:.3f} with the whole pool. A"
            " linear model may not be able to separate these classes, or the seed set may be enough for it: choose"
            " other features, make split.seed smaller, or set score.performance_range. If classes differ much in size,"
            " try score.metric: balanced_log_loss",
            ("split",) if definition.split.seed is not None else (),
        )
    return round(low, DECIMALS), round(high, DECIMALS)


def measured_range(source: CustomSource, seeds: tuple[int, ...] = MEASURED_SEEDS) -> tuple[float, float]:
    """Return mean performances: after the warm start, and after training on the whole pool with right labels."""
    first, last = [], []
    for seed in seeds:
        start = source.start(seed)
        first.append(start.performance)
        pool = np.flatnonzero(start.dataset.available)
        last.append(_performance_with(start, pool, np.random.default_rng([seed, WARM_UP_STREAM])))
    return fmean(first), fmean(last)


def _after_random_purchase(source: CustomSource, seed: int, budget: int) -> float:
    """Return the performance after a random purchase of the whole budget at once."""
    rng = np.random.default_rng([seed, _TRIAL_STREAM])
    start = source.start(seed)
    available = np.flatnonzero(start.dataset.available)
    return _performance_with(start, rng.choice(available, min(budget, len(available)), replace=False), rng)


def _performance_with(start: WarmStart, bought: Indices, rng: np.random.Generator) -> float:
    """Return the performance of a copy of the model after training on the seed set and some pool samples."""
    dataset, learner = start.dataset, start.learner.copy()
    rows = np.concatenate([dataset.seed_rows, dataset.pool_rows.start + bought])
    learner.train(dataset.X, dataset.y, rows, MOST_PASSES, rng)
    return performance_on(dataset, learner, dataset.y, rows)
