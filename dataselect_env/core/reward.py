"""Rewards as named terms made from plain numbers (SPEC section 6); the terms of a step add up to its reward.

All coefficients stand here. A term carries its sign: a cost is negative.
"""

from __future__ import annotations

import numpy as np

from dataselect_env.core.arrays import Floats, Number

PERFORMANCE_COEFFICIENT = 5.0
DISTANCE_COEFFICIENT = 0.05
REDUNDANCY_COEFFICIENT = 0.3
COST_PER_SAMPLE = 0.01
BASELINE = 0.15
TERMINAL_COEFFICIENT = 40.0
"""Reward for a grade of 1 at the end of a shaped episode: what makes return and grade rank policies alike."""

TERMS = ("performance_gain", "diversity_bonus", "redundancy", "noise_penalty", "cost", "baseline", "terminal")
"""Names of the terms of a ``shaped`` reward, in the order in which they are told."""


def distance_and_redundancy(batch: Floats, centroid: Floats) -> tuple[float, float]:
    """Return the mean Euclidean distance of a batch, (n, n_features), from the training centroid, and its redundancy.

    That is (1 + mean cosine similarity to the centroid) / 2, in [0, 1]; a vector of length zero is similar to nothing.
    """
    squares, products = np.einsum("ij,ij->i", batch, batch), batch @ centroid
    centroid_square = centroid @ centroid
    distances = np.sqrt(np.maximum(squares - 2 * products + centroid_square, 0.0))
    lengths = np.sqrt(squares * centroid_square)
    cosine = float((products / np.where(lengths > 0, lengths, np.inf)).sum()) / len(batch)
    return float(distances.sum()) / len(batch), min(max((1 + cosine) / 2, 0.0), 1.0)


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
