"""Rows that are far apart, and k-means clusters of rows, in plain numpy.

scikit-learn's k-means adds up in an order that depends on its threads, so that two runs may differ in the last digit,
and it warns of duplicated rows.

References:
    Gonzalez, "Clustering to Minimize the Maximum Intercluster Distance", 1985 (farthest first).
    Lloyd, "Least Squares Quantization in PCM", 1982.
    Arthur, Vassilvitskii, "k-means++: The Advantages of Careful Seeding", 2007 (the first centres).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dataselect_env.core.arrays import Floats, Indices

LLOYD_STEPS: Final = 8
"""Steps of k-means; a fixed number, because a batch needs centres that are spread out and not converged ones."""
ROWS_AT_ONCE: Final = 512
"""Known rows whose distances are held at once: a large training set must not need much memory."""


def squared_distances(X: Floats, squares: Floats, Z: Floats) -> Floats:
    """Return squared distances of the rows of ``X``, squared lengths ``squares``, from those of ``Z``: (n, len(Z))."""
    distances: Floats = squares[:, None] - 2 * (X @ Z.T) + np.einsum("ij,ij->i", Z, Z)
    return np.maximum(distances, 0, out=distances)  # rounding must not make one negative


def farthest_first(X: Floats, known: Floats, count: int) -> tuple[Indices, Floats]:
    """Choose again and again the row farthest from all known and chosen ones; ties go to the lower index.

    Args:
        X: The rows, (n, n_features).
        known: Rows that are there already, (m, n_features); with none, the first choice is the first row.
        count: How many to choose, 1 to n.

    Returns:
        Indices of the chosen rows, (count,), distinct, in the order of choice, and the squared distance of each row
        from the nearest known or chosen one, (n,), -inf for the chosen.
    """
    squares = np.einsum("ij,ij->i", X, X)
    nearest = np.full(len(X), np.inf)
    for begin in range(0, len(known), ROWS_AT_ONCE):
        some = known[begin : begin + ROWS_AT_ONCE]
        np.minimum(nearest, squared_distances(X, squares, some).min(axis=1), out=nearest)
    chosen = np.empty(count, dtype=np.intp)
    for turn in range(count):
        chosen[turn] = here = nearest.argmax()
        np.minimum(nearest, squared_distances(X, squares, X[here : here + 1])[:, 0], out=nearest)
        nearest[here] = -np.inf  # not again, even where every other one is a duplicate of something known
    return chosen, nearest


def _first_centres(X: Floats, squares: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Return ``count`` rows of ``X`` drawn as k-means++ does: with chances that grow with the squared distance."""
    chosen = [int(rng.integers(len(X)))]
    nearest = np.full(len(X), np.inf)
    for threshold in rng.random(count - 1):
        last = chosen[-1]
        np.minimum(nearest, squared_distances(X, squares, X[last : last + 1])[:, 0], out=nearest)
        total = np.cumsum(nearest)
        # Where all rows are centres already, or duplicates of one, this is the last row: a cluster that stays empty.
        chosen.append(min(int(np.searchsorted(total, threshold * total[-1], side="right")), len(X) - 1))
    return X[chosen]


def k_means(X: Floats, count: int, rng: np.random.Generator) -> tuple[Indices, Floats]:
    """Return the cluster of each row, (n,), in 0..count-1, and its squared distance from the cluster's centre, (n,).

    Lloyd's algorithm, from centres of k-means++; duplicated rows can leave clusters empty.

    Args:
        X: The rows, (n, n_features).
        count: Number of clusters, 1 to n.
        rng: Draws the first centres.
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
