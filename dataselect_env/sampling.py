"""Query strategies as pure functions: utilities and indices from arrays, randomness as an argument (SPEC section 6).

References:
    Settles, "Active Learning Literature Survey", 2009 (entropy as uncertainty).
    Park and Jun, "A simple and fast algorithm for K-medoids clustering", 2009 (medoids as representative choices).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dataselect_env.arrays import Floats, Indices, Mask

STRATEGIES: Final = ("uncertainty", "diversity", "random")
"""Names of the strategies, in the order in which they pick."""

CANDIDATES_MINIMUM = 200
CANDIDATES_PER_SAMPLE = 15
"""Diversity clusters a random subset: this many samples a medoid, never fewer than CANDIDATES_MINIMUM."""
CLUSTERING_PASSES = 5


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


def medoids(X: Floats, count: int, rng: np.random.Generator) -> Indices:
    """Return ``count`` distinct rows of ``X``, (count,), each near the centre of one k-means cluster.

    A few Lloyd passes from random rows are enough: the aim is to cover the pool, not to converge.
    """
    squares = np.einsum("ij,ij->i", X, X)

    def distances(centres: Floats) -> Floats:  # squared, (n, count)
        to_centres: Floats = squares[:, None] - 2 * X @ centres.T + np.einsum("ij,ij->i", centres, centres)
        return to_centres

    centres = X[rng.choice(len(X), count, replace=False)]
    for _ in range(CLUSTERING_PASSES):
        nearest = distances(centres).argmin(axis=1)
        sizes = np.bincount(nearest, minlength=count)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, X)
        filled = sizes > 0
        centres[filled] = sums[filled] / sizes[filled, None]
    remaining = distances(centres)
    chosen = np.empty(count, dtype=np.intp)
    for cluster in range(count):
        chosen[cluster] = remaining[:, cluster].argmin()
        remaining[chosen[cluster]] = np.inf
    return chosen


def select(
    X: Floats, log_odds: Floats, *, mislabelled: Mask, trap: float, counts: tuple[int, ...], rng: np.random.Generator
) -> Indices:
    """Choose a batch from the pool: first uncertainty, then diversity, then random, each among what is left.

    Args:
        X: Features of the available samples, (n, n_features).
        log_odds: The model's log-odds for them, (n,).
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
        size = min(len(left), max(CANDIDATES_MINIMUM, CANDIDATES_PER_SAMPLE * by_diversity))
        candidates = rng.choice(len(left), size, replace=False)
        picked = candidates[medoids(X[left[candidates]], by_diversity, rng)]
        chosen.append(left[picked])
        left = np.delete(left, picked)
    if by_random:
        chosen.append(left[rng.choice(len(left), by_random, replace=False)])
    return np.concatenate(chosen)
