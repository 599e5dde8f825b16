"""Farthest-first traversal and k-means in plain numpy, deterministic to the last bit.

scikit-learn's k-means adds up in an order that depends on its threads, so two runs may differ in the last digit. It
also warns about duplicated rows.

References:
    Gonzalez, "Clustering to Minimize the Maximum Intercluster Distance", 1985 (farthest-first traversal).
    Lloyd, "Least Squares Quantization in PCM", 1982 (k-means).
    Arthur and Vassilvitskii, "k-means++: The Advantages of Careful Seeding", 2007 (initial centres).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dataselect_env.core.arrays import Floats, Indices, Mask

LLOYD_STEPS: Final = 8
"""Iterations of k-means. The number is fixed: a batch needs centres that are spread out, not converged ones."""


def squared_distances(X: Floats, squares: Floats, Z: Floats) -> Floats:
    """Return squared Euclidean distances between rows of ``X`` (squared norms ``squares``) and ``Z``: (n, len(Z))."""
    distances: Floats = squares[:, None] - 2 * (X @ Z.T) + np.einsum("ij,ij->i", Z, Z)
    return np.maximum(distances, 0, out=distances)  # rounding can make one negative


def nearest_distances(X: Floats, squares: Floats, known: Floats, nearest: Floats | None = None) -> Floats:
    """Return squared Euclidean distances of rows of ``X`` from the nearest known row, (n,); inf without known rows.

    Known rows are compared one at a time, so that the result has the same bits however they are divided among calls.

    Args:
        X: Rows, (n, n_features).
        squares: Their squared norms, (n,).
        known: Known rows, (m, n_features).
        nearest: The distances from other known rows, (n,), which are taken into account and not changed.
    """
    found = np.full(len(X), np.inf) if nearest is None else nearest.copy()
    for row in known:
        np.minimum(found, _distances_from(row, X, squares), out=found)
    return found


def _distances_from(row: Floats, X: Floats, squares: Floats) -> Floats:
    """Return the squared Euclidean distances of rows of ``X`` (squared norms ``squares``) from one row, (n,)."""
    distances: Floats = X @ row
    distances *= -2
    distances += squares
    distances += row @ row
    return np.maximum(distances, 0, out=distances)  # rounding can make one negative


def farthest_first(X: Floats, squares: Floats, nearest: Floats, left: Mask, count: int) -> tuple[Indices, Floats]:
    """Choose rows one after the other, each farthest from all known and chosen rows; ties go to the lower index.

    Args:
        X: Rows, (n, n_features).
        squares: Their squared norms, (n,).
        nearest: Squared distance of each row from the nearest known one, (n,); inf if none is known.
        left: Which rows can be chosen, (n,).
        count: Number of rows to choose, at least 1 and at most what is left.

    Returns:
        Indices of the chosen rows, (count,), distinct, in the order of choice; and the squared Euclidean distance of
        each row from the nearest known or chosen row, (n,).
    """
    nearest, left = nearest.copy(), left.copy()
    chosen = np.empty(count, dtype=np.intp)
    for turn in range(count):
        chosen[turn] = farthest = np.where(left, nearest, -np.inf).argmax()
        left[farthest] = False  # never twice, even if all other rows duplicate known ones
        np.minimum(nearest, _distances_from(X[farthest], X, squares), out=nearest)
    return chosen, nearest


def _first_centres(X: Floats, squares: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Draw ``count`` initial centres by k-means++: with probabilities proportional to the squared distance."""
    chosen = [int(rng.integers(len(X)))]
    nearest = np.full(len(X), np.inf)
    for threshold in rng.random(count - 1):
        last = chosen[-1]
        np.minimum(nearest, squared_distances(X, squares, X[last : last + 1])[:, 0], out=nearest)
        total = np.cumsum(nearest)
        # If every row is a centre or a duplicate of one, this is the last row, whose cluster stays empty.
        chosen.append(min(int(np.searchsorted(total, threshold * total[-1], side="right")), len(X) - 1))
    return X[chosen]


def k_means(X: Floats, count: int, rng: np.random.Generator) -> tuple[Indices, Floats]:
    """Cluster rows by ``LLOYD_STEPS`` iterations of Lloyd's algorithm, starting from k-means++ centres.

    Args:
        X: Rows, (n, n_features).
        count: Number of clusters, in 1 to n; duplicated rows can leave clusters empty.
        rng: Random stream of the initial centres.

    Returns:
        The cluster of each row, (n,), in 0 to count - 1; and its squared distance from the centre, (n,).
    """
    squares = np.einsum("ij,ij->i", X, X)
    centres = _first_centres(X, squares, count, rng)
    for step in range(LLOYD_STEPS + 1):
        distances = squared_distances(X, squares, centres)
        own = distances.argmin(axis=1)
        if step < LLOYD_STEPS:
            members = (own == np.arange(count)[:, None]).astype(np.float64)
            sizes = members.sum(axis=1, keepdims=True)
            centres = np.where(sizes > 0, members @ X / np.maximum(sizes, 1), centres)
    return own, distances[np.arange(len(X)), own]
