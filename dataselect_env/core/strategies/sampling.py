"""Query strategies as pure functions: utilities and indices from arrays, randomness as an argument (SPEC section 6).

References:
    Settles, "Active Learning Literature Survey", 2009 (entropy as uncertainty).
    Brinker, "Incorporating Diversity in Active Learning with Support Vector Machines", 2003 (far from what is known).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from dataselect_env.core.arrays import Floats, Indices, Mask, total

try:
    import _dataselect_env_compiled as _compiled
except ImportError:  # the package was built where there was no C compiler
    _compiled = None

Pick = Callable[[Mask, int], Indices]
"""Returns the indices of the best samples among those left, (n,): so many, best first."""

STRATEGIES: Final = ("uncertainty", "diversity", "random")
"""Names of the strategies, in the order in which they pick."""


def trap_strength(flip_y: float) -> float:
    """Return by how much, in nats, the entropy of mislabelled pool samples is raised (SPEC section 6, noise trap)."""
    return min(0.1 + 2 * flip_y, 0.55)


def entropy(log_odds: Floats) -> Floats:
    """Return the binary entropy in nats, in [0, ln 2], of class probabilities given as log-odds, of the same shape."""
    # ln(1 + e^z) - z p(z) is the entropy without a logarithm of zero anywhere. A log1p would be right for the tiniest
    # entropies too, but those are never the highest.
    magnitude = np.abs(log_odds)
    shrunk = np.exp(-magnitude)
    nats: Floats = np.log(1 + shrunk) + magnitude * shrunk / (1 + shrunk)
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
    whole = total(scaled)
    exact = [batch_size * weight / whole for weight in scaled]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda place: counts[place] - exact[place])
    for place in by_remainder[: batch_size - sum(counts)]:
        counts[place] += 1
    return tuple(counts)


def entropy_of(probabilities: Floats) -> Floats:
    """Return the entropy in nats, in [0, ln n_classes], of class probabilities (n, n_classes): (n,)."""
    positive = np.where(probabilities > 0, probabilities, 1.0)
    nats: Floats = -(probabilities * np.log(positive)).sum(axis=1)
    return nats


def highest(utilities: Floats, count: int) -> Indices:
    """Return the indices of the ``count`` highest utilities, (count,), best first; ties go to the lower index.

    ``count`` is at least 1 and at most the number of utilities.
    """
    threshold = np.partition(utilities, -count)[-count]
    candidates = np.flatnonzero(utilities >= threshold)
    return candidates[np.argsort(-utilities[candidates], kind="stable")[:count]]


def squared_distance(products: Floats, squares: Floats, centroid_square: float) -> Floats:
    """Return the squared Euclidean distance of rows from the training centroid, (n,).

    Args:
        products: Inner products of the rows with the centroid, (n,).
        squares: Squared lengths of the rows, (n,), computed once for a pool.
        centroid_square: Squared length of the centroid.
    """
    distances: Floats = squares - 2 * products + centroid_square
    return distances


def most_uncertain(log_odds: Floats, mislabelled: Mask, trap: float, left: Mask, count: int) -> Indices:
    """Return the indices of the samples of highest entropy, (count,), best first; ties go to the lower index.

    Args:
        log_odds: Of the whole pool, (n,).
        mislabelled: Whose entropy is raised, (n,): the noise trap.
        trap: By how much, in nats.
        left: Which samples can be chosen, (n,).
        count: How many to choose, at least 1 and at most what is left.
    """
    if _compiled is None:
        return highest(np.where(left, entropy(log_odds) + trap * mislabelled, -np.inf), count)
    utilities, indices = np.empty(count), np.empty(count, dtype=np.intp)
    _compiled.most_uncertain(log_odds, mislabelled.view(np.uint8), trap, left.view(np.uint8), utilities, indices)
    return indices


def farthest(products: Floats, squares: Floats, centroid_square: float, left: Mask, count: int) -> Indices:
    """Return the indices of the samples farthest from the training centroid, as :func:`most_uncertain` does.

    Args:
        products: As of :func:`squared_distance`, and so on.
        squares: See there.
        centroid_square: See there.
        left: Which samples can be chosen, (n,).
        count: How many to choose, at least 1 and at most what is left.
    """
    if _compiled is None:
        return highest(np.where(left, squared_distance(products, squares, centroid_square), -np.inf), count)
    utilities, indices = np.empty(count), np.empty(count, dtype=np.intp)
    _compiled.farthest(products, squares, centroid_square, left.view(np.uint8), utilities, indices)
    return indices


def at_random(rng: np.random.Generator) -> Pick:
    """Return the pick that draws evenly among what is left."""
    return lambda left, count: rng.choice(np.flatnonzero(left), count, replace=False)


def select(*, picks: Sequence[Pick], available: Mask, counts: tuple[int, ...]) -> Indices:
    """Choose a batch from the pool: one strategy after the other, each among what is left.

    Args:
        picks: The strategies in their order; one that has nothing to choose is not called.
        available: Which samples can be bought, (n,); unchanged.
        counts: Samples to choose by each; together at most what is available.

    Returns:
        Distinct indices into the pool, (sum(counts),), in the order of choice.
    """
    left = available.copy()
    chosen = [np.empty(0, dtype=np.intp)]
    for pick, count in zip(picks, counts, strict=True):
        if count:
            chosen.append(pick(left, count))
            left[chosen[-1]] = False
    return np.concatenate(chosen)
