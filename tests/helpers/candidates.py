"""Pools for tests of query strategies."""

from __future__ import annotations

import numpy as np

from dataselect_env.core.arrays import Indices
from dataselect_env.core.strategies import Candidates, Strategy, registry


def make(
    seed: int,
    *,
    rows: int = 40,
    features: int = 3,
    classes: int = 3,
    acquired: int = 6,
    coarse: bool = False,
    left: float = 0.7,
    draws: int = 0,
) -> Candidates:
    """Return made-up candidates; coarse ones are small whole numbers, with many duplicates and zero rows."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows + acquired, features))
    if coarse:
        X = np.round(X)
    mask = rng.random(rows) < left
    mask[rng.integers(rows)] = True
    probabilities = rng.dirichlet(np.ones(classes), rows)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, max(acquired - classes, 0))])[:acquired]
    arrays = (X[:rows], probabilities, mask, X[rows:], labels)
    for array in arrays:
        array.setflags(write=False)
    given = rng.integers(0, classes, rows)
    given.setflags(write=False)
    return Candidates(*arrays, np.random.default_rng(draws), given, seed_size=acquired)


def pick(strategy: Strategy, candidates: Candidates, count: int) -> Indices:
    """Return the batch that a strategy chooses alone."""
    return registry.pick(strategy.utilities(candidates, count), candidates.left, count)
