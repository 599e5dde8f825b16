"""Rewards as named terms made from plain numbers (SPEC section 6); the terms of a step add up to its reward.

All coefficients stand here. A term carries its sign: a cost is negative.
"""

from __future__ import annotations

import numpy as np

from dataselect_env.arrays import Floats, Number

PERFORMANCE_COEFFICIENT = 5.0
DISTANCE_COEFFICIENT = 0.05
REDUNDANCY_COEFFICIENT = 0.3
COST_PER_SAMPLE = 0.01
BASELINE = 0.15
TERMINAL_COEFFICIENT = 40.0
"""Reward for a grade of 1 at the end of a shaped episode: what makes return and grade rank policies alike."""

TERMS = ("performance_gain", "diversity_bonus", "redundancy", "noise_penalty", "cost", "baseline", "terminal")
"""Names of the terms of a ``shaped`` reward, in the order in which they are told."""


def distances_and_cosines(batch: Floats, centroid: Floats) -> tuple[Floats, Floats]:
    """Return Euclidean distance and cosine similarity, (n,) each, of rows (n, n_features) to the training centroid.

    Args:
        batch: Rows.
        centroid: One for all rows, (n_features,), or one for each, (n, n_features). A vector of length zero counts as
            similar to nothing.
    """
    differences = batch - centroid
    squares = np.einsum("...j,...j->...", batch, batch) * np.einsum("...j,...j->...", centroid, centroid)
    products = np.einsum("...j,...j->...", batch, centroid)
    cosines = np.divide(products, np.sqrt(squares), out=np.zeros(len(batch)), where=squares > 0)
    return np.sqrt(np.einsum("...j,...j->...", differences, differences)), cosines


def redundancy_of(cosine: Number) -> Number:
    """Return the redundancy, in [0, 1], of a batch with this mean cosine similarity to the training centroid."""
    redundancy: Number = np.clip((1 + cosine) / 2, 0.0, 1.0)
    return redundancy


def distance_and_redundancy(batch: Floats, centroid: Floats) -> tuple[float, float]:
    """Return the mean distance of a batch, (n, n_features), from the training centroid, and its redundancy."""
    distances, cosines = distances_and_cosines(batch, centroid)
    return float(distances.sum()) / len(batch), float(redundancy_of(cosines.sum() / len(batch)))


def gain(performance_change: Number, distance: Number) -> Number:
    """Return SPEC's ``gain``: what a batch brought, before its costs."""
    return PERFORMANCE_COEFFICIENT * performance_change + DISTANCE_COEFFICIENT * distance


def selection_terms(
    *,
    performance_change: Number,
    distance: Number,
    redundancy: Number,
    noise_ratio: Number,
    batch_size: Number,
    flip_y: Number,
) -> dict[str, Number]:
    """Return the terms of a step that bought ``batch_size`` samples, under the ``shaped`` mode."""
    return {
        "performance_gain": PERFORMANCE_COEFFICIENT * performance_change,
        "diversity_bonus": DISTANCE_COEFFICIENT * distance,
        "redundancy": -REDUNDANCY_COEFFICIENT * redundancy,
        "noise_penalty": -(1 + 2 * flip_y) * noise_ratio,
        "cost": -COST_PER_SAMPLE * batch_size,
        "baseline": BASELINE + 0.0 * batch_size,
        "terminal": 0.0 * batch_size,
    }


def stop_terms() -> dict[str, float]:
    """Return the terms of a ``stop`` under the ``shaped`` mode: stopping itself pays nothing."""
    return dict.fromkeys(TERMS, 0.0)


def terminal(score: float) -> float:
    """Return the ``terminal`` term of an episode that ended with this grade, in [0, TERMINAL_COEFFICIENT]."""
    return TERMINAL_COEFFICIENT * score
