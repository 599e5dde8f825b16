"""Query strategies as pure functions: utilities and indices from arrays, randomness as an argument (SPEC section 6).

References:
    Settles, "Active Learning Literature Survey", 2009 (entropy as uncertainty).
    Brinker, "Incorporating Diversity in Active Learning with Support Vector Machines", 2003 (far from what is known).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dataselect_env.arrays import Floats, Indices, Mask

STRATEGIES: Final = ("uncertainty", "diversity", "random")
"""Names of the strategies, in the order in which they pick."""


def trap_strength(flip_y: float) -> float:
    """Return by how much, in nats, the entropy of mislabelled pool samples is raised (SPEC section 6, noise trap)."""
    return min(0.1 + 2 * flip_y, 0.55)


def entropy(log_odds: Floats) -> Floats:
    """Return the binary entropy in nats, (n,), of class probabilities given as log-odds, (n,); in [0, ln 2]."""
    # ln(1 + e^z) - z p(z) is the entropy without a logarithm of zero anywhere.
    magnitude = np.abs(log_odds)
    shrunk = np.exp(-magnitude)
    nats: Floats = np.log1p(shrunk) + magnitude * shrunk / (1 + shrunk)
    return nats


def quotas(batch_size: int, weights: tuple[float, ...]) -> tuple[int, ...]:
    """Split ``batch_size`` by ``weights`` with the largest-remainder method.

    Args:
        batch_size: Samples to distribute.
        weights: Finite, non-negative, not all zero; any scale.

    Returns:
        Integers that add up to ``batch_size``; each differs from its exact share by less than 1, a weight of zero gets
        none. Ties go to the earlier weight.
    """
    largest = max(weights)
    scaled = [weight / largest for weight in weights]  # first by the largest, so that no sum overflows
    total = sum(scaled)
    exact = [batch_size * weight / total for weight in scaled]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda place: counts[place] - exact[place])
    for place in by_remainder[: batch_size - sum(counts)]:
        counts[place] += 1
    return tuple(counts)


def highest(utilities: Floats, count: int) -> Indices:
    """Return the indices of the ``count`` highest utilities, (count,), best first; ties go to the lower index."""
    return np.argsort(-utilities, kind="stable")[:count]


def distance(X: Floats, centroid: Floats) -> Floats:
    """Return the squared Euclidean distance, (n,), of rows (n, n_features) from the training centroid."""
    offsets = X - centroid
    squares: Floats = np.einsum("ij,ij->i", offsets, offsets)
    return squares


def select(
    X: Floats,
    log_odds: Floats,
    *,
    centroid: Floats,
    mislabelled: Mask,
    trap: float,
    counts: tuple[int, ...],
    rng: np.random.Generator,
) -> Indices:
    """Choose a batch from the pool: first uncertainty, then diversity, then random, each among what is left.

    Args:
        X: Features of the available samples, (n, n_features).
        log_odds: The model's log-odds for them, (n,).
        centroid: Mean of everything trained on so far, (n_features,); diversity buys what is farthest from it.
        mislabelled: Their noise mask, (n,); read for the noise trap alone.
        trap: Nats added to the entropy of mislabelled samples.
        counts: Samples to choose by uncertainty, diversity and random; at most n together.
        rng: Stream of selection draws.

    Returns:
        Distinct indices into the available samples, (sum(counts),), in the order of choice.
    """
    by_uncertainty, by_diversity, by_random = counts
    left = np.arange(len(X))
    chosen = []
    if by_uncertainty:
        picked = highest(entropy(log_odds) + trap * mislabelled, by_uncertainty)
        chosen.append(left[picked])
        left = np.delete(left, picked)
    if by_diversity:
        picked = highest(distance(X[left], centroid), by_diversity)
        chosen.append(left[picked])
        left = np.delete(left, picked)
    if by_random:
        chosen.append(left[rng.choice(len(left), by_random, replace=False)])
    return np.concatenate(chosen)
