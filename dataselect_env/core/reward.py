"""The reward of a step as named terms that add up to it. Every coefficient stands here; a cost is negative.

docs/environment.md, the environment's card, explains the terms.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dataselect_env.core.arrays import Floats

PERFORMANCE_COEFFICIENT: Final = 5.0
DISTANCE_COEFFICIENT: Final = 0.05
REDUNDANCY_COEFFICIENT: Final = 0.3
COST_PER_SAMPLE: Final = 0.01
BASELINE: Final = 0.15
TERMINAL_COEFFICIENT: Final = 40.0
"""Terminal reward for a grade of 1 in mode ``shaped``; it makes return and grade rank policies alike."""

TERMS: Final = ("performance_gain", "diversity_bonus", "redundancy", "noise_penalty", "cost", "baseline", "terminal")
"""Names of the terms of a ``shaped`` reward, in the order in which they are added."""
GRADE_TERM: Final = "grade_change"
"""Name of the only term of a ``grade`` reward."""


def distance_and_redundancy(batch: Floats, centroid: Floats) -> tuple[float, float]:
    """Return the mean Euclidean distance of a batch from the training centroid, and its redundancy.

    Redundancy is (1 + mean cosine similarity to the centroid) / 2, in [0, 1]; a vector of length zero has cosine 0.

    Args:
        batch: Features of the batch, (n, n_features).
        centroid: Mean of everything trained on before the batch, (n_features,).
    """
    squares, products = np.einsum("ij,ij->i", batch, batch), batch @ centroid
    centroid_square = centroid @ centroid
    distances = np.sqrt(np.maximum(squares - 2 * products + centroid_square, 0.0))
    lengths = np.sqrt(squares * centroid_square)
    cosine = float((products / np.where(lengths > 0, lengths, np.inf)).sum()) / len(batch)
    return float(distances.sum()) / len(batch), min(max((1 + cosine) / 2, 0.0), 1.0)


def gain(performance_change: float, distance: float) -> float:
    """Return what a batch brought, before its costs."""
    return PERFORMANCE_COEFFICIENT * performance_change + DISTANCE_COEFFICIENT * distance


def selection_terms(
    *,
    performance_change: float,
    distance: float,
    redundancy: float,
    noise_ratio: float,
    batch_size: int,
    flip_y: float,
) -> dict[str, float]:
    """Return the ``shaped`` terms of a step that bought a batch; the terminal term is 0.

    Args:
        performance_change: Performance after training on the batch, less the performance before.
        distance: As of :func:`distance_and_redundancy`.
        redundancy: As of :func:`distance_and_redundancy`.
        noise_ratio: Share of mislabelled samples in the batch, in [0, 1].
        batch_size: Samples bought.
        flip_y: Declared noise rate of the task.
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
    """Return the ``shaped`` terms of a ``stop``: stopping itself pays nothing."""
    return dict.fromkeys(TERMS, 0.0)


def terminal(score: float) -> float:
    """Return the terminal term of an episode that ended with this score, in [0, TERMINAL_COEFFICIENT]."""
    return TERMINAL_COEFFICIENT * score
