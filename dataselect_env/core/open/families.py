"""Families of synthetic tables: how the rows and the right labels of a problem come about.

The families in ``TRAINING`` make the problems of the train and validation splits, those in ``TESTING`` the problems of
the test split. Each is a function of a random stream and a :class:`Shape`, and vary as much as real tables do: from
overlapping to cleanly separable classes, with clusters, skewed and heavy-tailed columns, and few or many directions in
which the classes differ.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from dataselect_env.core.arrays import Floats, Labels

HEAVY_TAIL = 3.0
"""Degrees of freedom of Student's t where tails are heavy."""
DEEPEST_TREE = 5
"""Most questions on the way to a leaf of the family ``boxes``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Numbers that describe a table.

    Attributes:
        rows: Number of rows.
        features: Number of columns that carry what the family makes.
        rank: Number of directions in which the rows vary by more than small noise; at most ``features``.
        separation: From 0, where classes overlap almost completely, to about 1, where they hardly do.
        clusters: Clusters, leaves or styles of a class.
        shares: Share of each class, (n_classes,); adds up to 1.
    """

    rows: int
    features: int
    rank: int
    separation: float
    clusters: int
    shares: Floats

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.shares)


Family = Callable[[np.random.Generator, Shape], tuple[Floats, Labels]]
"""Returns features, (rows, features), and right labels, (rows,), in 0 to n_classes - 1."""


def clusters(rng: np.random.Generator, shape: Shape) -> tuple[Floats, Labels]:
    """Normal or heavy-tailed clusters, several to a class, of different widths."""
    y = _classes(rng, shape)
    which = rng.integers(shape.clusters, size=shape.rows)
    distance = 0.5 + 4.5 * shape.separation
    centres = distance * rng.standard_normal((shape.n_classes, shape.clusters, shape.rank))
    widths = np.exp(0.4 * rng.standard_normal((shape.n_classes, shape.clusters, shape.rank)))
    latent = centres[y, which] / np.sqrt(shape.rank) * 1.5 + widths[y, which] * _noise(rng, (shape.rows, shape.rank))
    return _embed(rng, latent, shape), y


def linear(rng: np.random.Generator, shape: Shape) -> tuple[Floats, Labels]:
    """Classes by linear scores of correlated columns, with label overlap: multinomial logistic regression."""
    latent = _noise(rng, (shape.rows, shape.rank)) * _decay(rng, shape.rank)
    scores = _standard(latent @ rng.standard_normal((shape.rank, shape.n_classes)))
    return _embed(rng, latent, shape), _by_scores(rng, scores, shape)


def network(rng: np.random.Generator, shape: Shape) -> tuple[Floats, Labels]:
    """Columns and classes are both outputs of a random network of latent causes."""
    latent = rng.standard_normal((shape.rows, shape.rank))
    width = 2 * shape.rank + 4
    hidden = np.tanh(
        latent @ rng.standard_normal((shape.rank, width)) / np.sqrt(shape.rank) * rng.uniform(0.5, 2.0)
        + 0.5 * rng.standard_normal(width)
    )
    scores = _standard(hidden @ rng.standard_normal((width, shape.n_classes)))
    mixed = hidden @ rng.standard_normal((width, shape.rank)) / np.sqrt(width)
    return _embed(rng, mixed, shape), _by_scores(rng, scores, shape)


def boxes(rng: np.random.Generator, shape: Shape) -> tuple[Floats, Labels]:
    """Classes by a random decision tree on skewed columns."""
    latent = _noise(rng, (shape.rows, shape.rank))
    leaf = np.zeros(shape.rows, dtype=np.intp)
    depth = int(np.clip(np.ceil(np.log2(shape.n_classes * shape.clusters)), 1, DEEPEST_TREE))
    for _ in range(depth):
        column = rng.integers(shape.rank, size=2**depth)
        threshold = 0.6 * rng.standard_normal(2**depth)
        node = leaf
        leaf = 2 * node + (latent[np.arange(shape.rows), column[node % 2**depth]] > threshold[node % 2**depth])
    _, leaf = np.unique(leaf, return_inverse=True)
    names = rng.permutation(np.arange(leaf.max() + 1) % shape.n_classes)
    y = names[leaf.reshape(-1)].astype(np.int64)
    overlap = rng.random(shape.rows) < 0.35 * (1 - shape.separation)
    y[overlap] = rng.choice(shape.n_classes, int(overlap.sum()), p=shape.shares)
    return _embed(rng, latent, shape), y


def rings(rng: np.random.Generator, shape: Shape) -> tuple[Floats, Labels]:
    """Classes by distance from a point beside the centre, which a linear model sees only in part."""
    latent = _noise(rng, (shape.rows, shape.rank))
    centre = rng.standard_normal(shape.rank) * 1.5
    radius = np.sqrt(((latent - centre) ** 2).sum(axis=1))
    radius = _standard(radius[:, None])[:, 0] + (1.1 - shape.separation) * 0.6 * rng.standard_normal(shape.rows)
    limits = np.quantile(radius, np.cumsum(rng.permutation(shape.shares))[:-1])
    y = np.searchsorted(limits, radius).astype(np.int64)
    return _embed(rng, latent, shape), y


def topics(rng: np.random.Generator, shape: Shape) -> tuple[Floats, Labels]:
    """Counts of words in short texts, logarithms of one more; each class has topics of its own."""
    y = _classes(rng, shape)
    which = rng.integers(shape.clusters, size=shape.rows)
    common = rng.dirichlet(np.full(shape.features, 0.5))
    special = rng.dirichlet(np.full(shape.features, 0.15), (shape.n_classes, shape.clusters))
    weight = 0.1 + 0.5 * shape.separation
    words = (1 - weight) * common + weight * special
    counts = rng.multinomial(rng.integers(10, 120, shape.rows), words[y, which])
    return np.log1p(counts), y


def prototypes(rng: np.random.Generator, shape: Shape) -> tuple[Floats, Labels]:
    """Patterns of zeros and ones, a few for each class, with some entries inverted and some blurred."""
    y = _classes(rng, shape)
    which = rng.integers(shape.clusters, size=shape.rows)
    patterns = rng.random((shape.n_classes, shape.clusters, shape.features)) < 0.5
    inverted = rng.random((shape.rows, shape.features)) < 0.42 - 0.32 * shape.separation
    X = (patterns[y, which] ^ inverted).astype(np.float64)
    return X + rng.uniform(0, 0.5) * rng.standard_normal(X.shape), y


TRAINING: Final[dict[str, Family]] = {family.__name__: family for family in (clusters, linear, network, boxes)}
"""Families of the train and validation splits, by name."""
TESTING: Final[dict[str, Family]] = {family.__name__: family for family in (rings, topics, prototypes)}
"""Families of the test split, by name."""


# --- what families share --------------------------------------------------------------------------------------------


def _classes(rng: np.random.Generator, shape: Shape) -> Labels:
    y: Labels = rng.choice(shape.n_classes, shape.rows, p=shape.shares)
    return y


def _noise(rng: np.random.Generator, size: tuple[int, int]) -> Floats:
    """Return standard normal numbers or, in one of three tables, Student's t of unit variance."""
    if rng.random() < 1 / 3:
        heavy: Floats = rng.standard_t(HEAVY_TAIL, size) / math.sqrt(HEAVY_TAIL / (HEAVY_TAIL - 2))
        return heavy
    normal: Floats = rng.standard_normal(size)
    return normal


def _decay(rng: np.random.Generator, rank: int) -> Floats:
    """Return the standard deviations of the directions, (rank,): equal, or falling by a power law."""
    falling: Floats = np.arange(1, rank + 1, dtype=np.float64) ** -rng.uniform(0, 1.2)
    return falling


def _standard(values: Floats) -> Floats:
    """Return the columns with mean 0 and standard deviation 1."""
    standard: Floats = (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-12)
    return standard


def _by_scores(rng: np.random.Generator, scores: Floats, shape: Shape) -> Labels:
    """Draw labels by the softmax of scores, (rows, n_classes), which is sharper the better classes are separated."""
    temperature = np.exp(-0.5 + 4.0 * shape.separation)
    y: Labels = (temperature * scores + np.log(shape.shares) + rng.gumbel(size=scores.shape)).argmax(axis=1)
    return y


def _embed(rng: np.random.Generator, latent: Floats, shape: Shape) -> Floats:
    """Return columns that are the latent ones themselves, or random combinations of them, with small noise."""
    rank = latent.shape[1]
    if rank == shape.features and rng.random() < 0.5:
        return latent
    mixing = rng.standard_normal((rank, shape.features))
    if rng.random() < 0.5:  # each column depends on few directions
        mixing *= rng.random(mixing.shape) < max(0.3, 1.5 / rank)
    X = latent @ mixing / np.sqrt(rank)
    noisy: Floats = X + np.exp(rng.uniform(np.log(0.03), np.log(0.8))) * rng.standard_normal(X.shape)
    return noisy
