"""The reward of a step: a sum of named terms. All coefficients are defined here; costs are negative.

docs/environment.md, the environment's card, explains the terms.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dataselect_env.core.arrays import Floats, Number

PERFORMANCE_COEFFICIENT: Final = 5.0
DISTANCE_COEFFICIENT: Final = 0.05
REDUNDANCY_COEFFICIENT: Final = 0.3
COST_PER_SAMPLE: Final = 0.01
BASELINE: Final = 0.15
TERMINAL_COEFFICIENT: Final = 40.0
"""Terminal term for a grade of 1; large enough that return and grade rank policies alike."""

TERMS: Final = ("performance_gain", "diversity_bonus", "redundancy", "noise_penalty", "cost", "baseline", "terminal")
"""Names of the terms of a ``shaped`` reward, in the order in which they are added."""
GRADE_TERM: Final = "grade_change"
"""Name of the only term of a ``grade`` reward."""


def distance_and_redundancy(batch: Floats, centroid: Floats) -> tuple[float, float]:
    """Return the mean Euclidean distance of a batch from the training centroid, and its redundancy.

    Redundancy is (1 + mean cosine similarity to the centroid) / 2, in [0, 1]; a vector of length zero has cosine 0.

    Args:
        batch: Features of the batch, (n, n_features).
        centroid: Mean of the training set before the batch, (n_features,).
    """
    squares, products = np.einsum("ij,ij->i", batch, batch), batch @ centroid
    centroid_square = centroid @ centroid
    distances = np.sqrt(np.maximum(squares - 2 * products + centroid_square, 0.0))
    lengths = np.sqrt(squares * centroid_square)
    cosine = float((products / np.where(lengths > 0, lengths, np.inf)).sum()) / len(batch)
    return float(distances.sum()) / len(batch), min(max((1 + cosine) / 2, 0.0), 1.0)


def gain(performance_change: Number, distance: Number) -> Number:
    """Return the gain of a batch, or of many, before any cost: the sum of its performance and diversity terms."""
    return PERFORMANCE_COEFFICIENT * performance_change + DISTANCE_COEFFICIENT * distance


def selection_terms(
    *,
    performance_change: Number,
    distance: Number,
    redundancy: Number,
    noise_ratio: Number,
    batch_size: Number,
    flip_y: Number,
) -> dict[str, Number | float]:
    """Return the ``shaped`` terms of a step that bought a batch; the terminal term is 0.

    Numbers give the terms of one step, arrays, (n,), those of the steps of n episodes.

    Args:
        performance_change: Performance after training on the batch minus performance before.
        distance: Mean distance, as :func:`distance_and_redundancy` returns it.
        redundancy: Redundancy, as :func:`distance_and_redundancy` returns it.
        noise_ratio: Share of mislabelled samples in the batch, in [0, 1].
        batch_size: Number of samples bought.
        flip_y: Declared noise rate of the task, in [0, 0.5).
    """
    return {
        "performance_gain": PERFORMANCE_COEFFICIENT * performance_change,
        "diversity_bonus": DISTANCE_COEFFICIENT * distance,
        "redundancy": -REDUNDANCY_COEFFICIENT * redundancy,
        "noise_penalty": -(1 + 2 * flip_y) * noise_ratio,
        "cost": -COST_PER_SAMPLE * batch_size,
        "baseline": BASELINE,
        "terminal": 0.0,
    }


def stop_terms() -> dict[str, float]:
    """Return the ``shaped`` terms of a ``stop``, all 0; the terminal term is added by the episode."""
    return dict.fromkeys(TERMS, 0.0)


def terminal(score: float) -> float:
    """Return the terminal term for a score in [0, 1]; in [0, TERMINAL_COEFFICIENT]."""
    return TERMINAL_COEFFICIENT * score
