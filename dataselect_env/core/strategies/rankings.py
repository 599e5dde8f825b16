"""Rankings: which samples of a pool are worth most, regardless of their labels.

Each is a pure function from :class:`~dataselect_env.core.strategies.candidates.Candidates` and a batch size to
utilities. The costly ones consider a random subset of what is left, of at most ``MOST_CANDIDATES`` samples; a larger
batch is filled up at random.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from dataselect_env.core.arrays import Floats, Indices
from dataselect_env.core.strategies import sampling
from dataselect_env.core.strategies.candidates import Candidates, Utilities, once
from dataselect_env.core.strategies.clustering import farthest_first, k_means, nearest_distances

MOST_CANDIDATES: Final = 2_000
"""Most samples that ``k_center`` and ``cluster_medoid`` consider, because their cost is quadratic in the batch."""

Choice = Callable[[Indices, int], tuple[Indices, Floats]]
"""Returns the places of the chosen ones among some samples, best first, and the utilities of all these samples."""


def uncertainty(candidates: Candidates, _count: int) -> Floats:
    """Return the entropy of the class probabilities in nats (Settles 2009)."""
    return np.where(candidates.left, sampling.entropy_of(candidates.probabilities), -np.inf)


def diversity(candidates: Candidates, _count: int) -> Floats:
    """Return the squared Euclidean distance from the mean of the training set."""
    X = candidates.X_acquired
    centroid = X.mean(axis=0) if len(X) else np.zeros(X.shape[1])
    squares = np.einsum("ij,ij->i", candidates.X, candidates.X)
    distances = sampling.squared_distance(candidates.X @ centroid, squares, float(centroid @ centroid))
    return np.where(candidates.left, distances, -np.inf)


def random(candidates: Candidates, _count: int) -> Floats:
    """Return uniform draws."""
    return np.where(candidates.left, candidates.rng.random(len(candidates.left)), -np.inf)


BASE: Final[dict[str, Utilities]] = {"uncertainty": uncertainty, "diversity": diversity, "random": random}
"""The rankings of the three strategies that every task offers, by name."""


def among_some(candidates: Candidates, count: int, choose: Choice, most: int = MOST_CANDIDATES) -> Floats:
    """Return the utilities of a batch that is chosen from at most ``most`` samples, which are drawn at random.

    Chosen samples come first, then the others that were considered. A batch of more than ``most`` samples ends with
    others, drawn at random.

    Args:
        candidates: The samples.
        count: Size of the batch.
        choose: Chooses from samples, of which it gets the indices, ascending, and how many to choose. Its utilities are
            not NaN; those of chosen samples are not used.
        most: Most samples that it gets.
    """
    left, size = np.flatnonzero(candidates.left), max(most, count)
    rows = left if len(left) <= size else np.sort(candidates.rng.choice(left, size, replace=False))
    seen = np.arange(len(rows))
    if len(rows) > most:
        seen = np.sort(candidates.rng.choice(len(rows), most, replace=False))
    chosen, found = choose(rows[seen], min(count, len(seen)))
    others = np.full(len(rows), -np.inf)
    others[seen] = found
    ordered = np.unique(others, return_inverse=True)[1].reshape(-1).astype(np.float64)  # places, from 0
    ordered[seen[chosen]] = len(rows) + np.arange(len(chosen), 0, -1)
    utilities = np.full(len(candidates.X), -np.inf)
    utilities[rows] = ordered
    return utilities


def margin(candidates: Candidates, _count: int) -> Floats:
    """Return the negative difference between the two highest class probabilities, in [-1, 0] (Scheffer et al. 2001)."""
    probabilities = candidates.probabilities
    if probabilities.shape[1] == 2:
        return np.where(candidates.left, -np.abs(probabilities[:, 1] - probabilities[:, 0]), -np.inf)
    highest = np.partition(probabilities, -2, axis=1)[:, -2:]
    return np.where(candidates.left, highest[:, 0] - highest[:, 1], -np.inf)


def density_weighted(candidates: Candidates, _count: int) -> Floats:
    """Return entropy in nats times density, both at least 0 (information density, Settles and Craven 2008, beta 1).

    The density is (1 + s) / 2, where s is the mean cosine similarity to the samples left, itself included. It is exact:
    a mean of inner products is the inner product with the mean. A row of length zero is similar to nothing (s = 0).
    """
    X, left = candidates.X, candidates.left
    entropy = sampling.entropy_of(candidates.probabilities)
    lengths = np.sqrt(np.einsum("ij,ij->i", X, X))
    inverse = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    mean = (left * inverse) @ X / np.count_nonzero(left)
    similarity = (X @ mean) * inverse
    return np.where(left, np.maximum(entropy * (1 + similarity) / 2, 0), -np.inf)


def k_center(candidates: Candidates, count: int) -> Floats:
    """Choose samples one after the other, each farthest from all acquired and chosen ones (Sener and Savarese 2018).

    Considers at most ``MOST_CANDIDATES`` samples, drawn at random. Samples not chosen follow in order of their distance
    from the nearest acquired or chosen one. Ties go to the lower index; with an empty training set the first choice is
    the lowest index.
    """

    def choose(rows: Indices, size: int) -> tuple[Indices, Floats]:
        if len(candidates.X) <= MOST_CANDIDATES:
            chosen, nearest = _farthest_among(candidates, rows, size)
            return np.searchsorted(rows, chosen), nearest[rows]
        X = candidates.X[rows]
        squares = np.einsum("ij,ij->i", X, X)
        nearest = nearest_distances(X, squares, candidates.X_acquired)
        return farthest_first(X, squares, nearest, np.ones(len(rows), dtype=np.bool_), size)

    return among_some(candidates, count, choose)


class _Covered(NamedTuple):
    """The distances that ``k_center`` keeps for the next step.

    Attributes:
        size: Number of acquired samples.
        nearest: Squared distance of each pool sample from the nearest of them, (n,).
        chosen: Features of the samples that it then chose, (count, n_features).
        after: Squared distance of each pool sample from the nearest acquired or chosen one, (n,).
    """

    size: int
    nearest: Floats
    chosen: Floats
    after: Floats


def _farthest_among(candidates: Candidates, rows: Indices, count: int) -> tuple[Indices, Floats]:
    """Return the result of :func:`.farthest_first` among rows of a pool, from distances that earlier steps computed.

    A training set only grows, so the distances from the samples that an earlier step knew still hold. Those after its
    choice hold if exactly these samples were bought next.
    """
    X, known, memory = candidates.X, candidates.X_acquired, candidates.memory
    squares = once(candidates.data_memory, "squares", lambda: np.einsum("ij,ij->i", X, X))
    seed = known[: candidates.seed_size]
    from_seed = once(candidates.data_memory, "nearest_seed", lambda: nearest_distances(X, squares, seed))
    size, nearest, chosen, after = memory.get("k_center", _Covered(len(seed), from_seed, X[:0], from_seed))
    new, bought = known[size:], len(chosen)
    if np.array_equal(new[:bought], chosen):
        new, nearest = new[bought:], after
    nearest = nearest_distances(X, squares, new, nearest)
    left = np.zeros(len(X), dtype=np.bool_)
    left[rows] = True
    found, after = farthest_first(X, squares, nearest, left, count)
    memory["k_center"] = _Covered(len(known), nearest, X[found], after)
    return found, after


def cluster_medoid(candidates: Candidates, count: int) -> Floats:
    """Choose the sample nearest to the centre of each of ``count`` k-means clusters, larger clusters first.

    Considers at most ``MOST_CANDIDATES`` samples, drawn at random, which is also the largest number of clusters. Other
    samples follow, those nearest to their centre first. Duplicated rows can leave fewer clusters than ``count`` (Xu et
    al. 2003).
    """

    def choose(rows: Indices, size: int) -> tuple[Indices, Floats]:
        clusters, distances = k_means(candidates.X[rows], size, candidates.rng)
        nearest_first = np.lexsort((distances, clusters))
        found, firsts, sizes = np.unique(clusters[nearest_first], return_index=True, return_counts=True)
        return nearest_first[firsts][np.lexsort((found, -sizes))], -distances

    return among_some(candidates, count, choose)
