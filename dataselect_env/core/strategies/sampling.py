"""The three query strategies of every task, as pure functions of arrays and a random stream.

- Uncertainty sampling takes the samples of highest predictive entropy (Settles 2009). The noise trap raises the entropy
  of mislabelled samples.
- Diversity sampling takes the samples farthest, by Euclidean distance, from the training centroid, the mean of the
  training set. It is a cheap variant of greedy sampling in the feature space (Yu and Kim 2010; GSx in Wu et al. 2019),
  which takes one sample at a time, the one farthest from its nearest labelled neighbour. Here the distance is from the
  centroid, and it does not change within a batch, so a batch may contain samples close to each other.
- Random sampling draws uniformly without replacement.

References:
    Settles, "Active Learning Literature Survey", 2009.
    Yu and Kim, "Passive Sampling for Regression", ICDM 2010.
    Wu, Lin and Huang, "Active Learning for Regression Using Greedy Sampling", Information Sciences 474, 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from dataselect_env.core.arrays import Floats, Indices, Mask, total

Pick = Callable[[Mask, int], Indices]
"""``pick(available, n)`` returns the indices of the n best available samples, (n,), best first; ``available`` is a mask
over the pool, (n_pool,)."""

STRATEGIES: Final = ("uncertainty", "diversity", "random")
"""Names of the strategies, in the order in which they pick."""


def trap_strength(flip_y: float) -> float:
    """Return the strength of the noise trap: nats added to the entropy of mislabelled pool samples, in [0.1, 0.55]."""
    return min(0.1 + 2 * flip_y, 0.55)


def entropy(log_odds: Floats) -> Floats:
    """Return the entropy of two-class probabilities given as log-odds: nats in [0, ln 2], in the same shape."""
    # ln(1 + e^z) - z p(z) is the entropy without any logarithm of zero. log1p would be more exact for the smallest
    # entropies, but these are never the highest.
    magnitude = np.abs(log_odds)
    shrunk = np.exp(-magnitude)
    nats: Floats = np.log(1 + shrunk) + magnitude * shrunk / (1 + shrunk)
    return nats


def quotas(batch_size: int, weights: tuple[float, ...]) -> tuple[int, ...]:
    """Divide a batch among strategies by the largest-remainder method.

    Args:
        batch_size: Number of samples to divide.
        weights: Weights of the strategies: finite, non-negative, not all zero; any scale.

    Returns:
        Numbers of samples with sum ``batch_size``. Each differs from its exact share by less than 1; a weight of zero
        gets none; ties go to the earlier weight.
    """
    largest = max(weights)
    scaled = [weight / largest for weight in weights]  # the sum cannot overflow
    whole = total(scaled)
    exact = [batch_size * weight / whole for weight in scaled]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda place: counts[place] - exact[place])
    for place in by_remainder[: batch_size - sum(counts)]:
        counts[place] += 1
    return tuple(counts)


def quotas_of_many(batch_sizes: Indices, weights: Floats) -> Indices:
    """Return :func:`quotas` for many batches, (n, s), given their sizes, (n,), and weights, (n, s)."""
    scaled = weights / weights.max(axis=1, keepdims=True)
    exact = batch_sizes[:, None] * scaled / total(scaled.T)[:, None]
    counts: Indices = exact.astype(np.intp)
    by_remainder = np.argsort(counts - exact, axis=1, kind="stable")
    places = np.arange(weights.shape[1]) < (batch_sizes - counts.sum(axis=1))[:, None]
    np.put_along_axis(counts, by_remainder, np.take_along_axis(counts, by_remainder, axis=1) + places, axis=1)
    return counts


def entropy_of(probabilities: Floats) -> Floats:
    """Return the entropy of class probabilities (n, n_classes): nats in [0, ln n_classes], (n,)."""
    positive = np.where(probabilities > 0, probabilities, 1.0)
    terms = probabilities * np.log(positive)
    two = terms.shape[1] == 2  # then the same sum takes no loop over rows
    nats: Floats = -(terms[:, 0] + terms[:, 1] if two else terms.sum(axis=1))
    return nats


def highest(utilities: Floats, count: int) -> Indices:
    """Return the indices of the ``count`` highest utilities, (count,), best first; ties go to the lower index.

    Args:
        utilities: Utilities, (n,), without NaN.
        count: Number of indices, in 1 to n.
    """
    threshold = np.partition(utilities, -count)[-count]
    candidates = np.flatnonzero(utilities >= threshold)
    return candidates[np.argsort(-utilities[candidates], kind="stable")[:count]]


def squared_distance(products: Floats, squares: Floats, centroid_square: float) -> Floats:
    """Return the squared Euclidean distances of pool samples from the training centroid, (n,).

    Args:
        products: Inner products of the samples with the centroid, (n,).
        squares: Squared Euclidean norms of the samples, (n,), computed once for a pool.
        centroid_square: Squared Euclidean norm of the centroid.
    """
    distances: Floats = squares - 2 * products + centroid_square
    return distances


def at_random(rng: np.random.Generator) -> Pick:
    """Return a pick that draws uniformly, without replacement, from the samples left."""
    return lambda left, count: rng.choice(np.flatnonzero(left), count, replace=False)


def select(*, picks: Sequence[Pick], available: Mask, counts: tuple[int, ...]) -> Indices:
    """Choose a batch from the pool: the strategies pick one after the other, each from the samples still left.

    Args:
        picks: Picks of the strategies, in the order in which they pick; one with a count of 0 is not called.
        available: Mask of the samples that can be bought, (n,); not modified.
        counts: Number of samples that each strategy picks; their sum is at most the number of available samples.

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
