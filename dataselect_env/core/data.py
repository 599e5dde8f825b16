"""Data sets and pools as plain arrays: generation, division into splits, and label noise.

The seed of an episode determines its data set, one of those pinned in ``datasets.json`` (made by
``bench/validity/pin_datasets.py``); its world, which decides where mislabelled samples lie; and the draw of these
samples. Data sets of different splits are disjoint. A seed outside every split uses the data sets of the train split.
docs/environment.md, the environment's card, describes the generator and the worlds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib import resources

import numpy as np

from dataselect_env.core import generator
from dataselect_env.core.arrays import Floats, Indices, Labels, Mask, ranks
from dataselect_env.core.tasks import DEFAULT_SPLIT, DYNAMICS_VERSION, POOL_SIZE, Task, split_of

SEED_ROWS = slice(0, 100)
VALIDATION_ROWS = slice(200, 400)
POOL_ROWS = slice(400, 400 + POOL_SIZE)
N_SAMPLES = POOL_ROWS.stop

N_FEATURES = 80
"""High enough that the 100 seed samples are too few to learn from, so that purchases matter."""
GENERATOR = {
    "n_samples": N_SAMPLES,
    "n_features": N_FEATURES,
    "n_informative": 16,
    "n_redundant": 0,
    "n_clusters_per_class": 1,
    "class_sep": generator.CLASS_SEP,
    "flip_y": 0.0,
}
WARM_START_BAND = (0.44, 0.51)
"""Performance of the warm start for which a data set is accepted: it neither knows the answer already nor is lost."""
WORLDS = ("core", "confident")
"""Hidden worlds: where mislabelled pool samples lie. An agent can infer the world of an episode only from replies.

- ``core``: near the centre of the pool. Diversity buys clean samples; uncertainty falls into the noise trap.
- ``confident``: where the warm-started model is confident. Uncertainty buys clean samples; diversity does not.
"""
SEEDS_A_BLOCK = 10
"""Seeds in a block: 0 to 9, 10 to 19, and so on."""
CONFIDENT_SEEDS_A_BLOCK = 4
"""Seeds of each block in the ``confident`` world; the others are in the ``core`` world."""
SHARPNESS = 30.0
"""Concentration of the label noise: weight of a sample's rank, in [0, 1], against a standard Gumbel draw."""
_WORLD_STREAM = 77


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A standardised data set. Its arrays are read-only because episodes share them.

    Attributes:
        number: Seed that the data set was generated or sampled with; identifies it among those of the task's source.
        X: Features, (n, n_features), C-contiguous.
        y: Labels, (n,), in 0 to n_classes - 1: the true labels, or the given labels without ground truth.
        n_classes: Number of classes.
        seed_rows: Rows of the seed set, (k,). A pool row that is also a seed row cannot be bought.
        validation_rows: Rows of the validation split, on which performance is measured; none of the seed set or
            the pool. Nothing is fitted on them.
        pool_rows: Rows of the pool.
        weights: Weights of the validation rows that give every class the same total, (n_validation,), sum 1. None
            weights all rows equally.
    """

    number: int
    X: Floats
    y: Labels
    n_classes: int = 2
    seed_rows: Indices = field(default_factory=lambda: np.arange(SEED_ROWS.start, SEED_ROWS.stop))
    validation_rows: slice = field(default_factory=lambda: VALIDATION_ROWS)
    pool_rows: slice = field(default_factory=lambda: POOL_ROWS)
    weights: Floats | None = None

    @property
    def X_seed(self) -> Floats:  # noqa: N802
        """Features of the seed set, (k, n_features)."""
        return self.X[self.seed_rows]

    @property
    def X_validation(self) -> Floats:  # noqa: N802
        """Features of the validation split, (n_validation, n_features); a view."""
        return self.X[self.validation_rows]

    @property
    def y_validation(self) -> Labels:
        """Labels of the validation split, (n_validation,); a view."""
        return self.y[self.validation_rows]

    @property
    def X_pool(self) -> Floats:  # noqa: N802
        """Features of the pool, (n_pool, n_features); a view."""
        return self.X[self.pool_rows]

    @property
    def y_pool(self) -> Labels:
        """Labels of the pool before label noise, (n_pool,); a view."""
        return self.y[self.pool_rows]

    @property
    def available(self) -> Mask:
        """Mask of the pool samples that can be bought at the start, (n_pool,); a new array."""
        available = np.ones(self.pool_rows.stop - self.pool_rows.start, dtype=np.bool_)
        inside = self.seed_rows[(self.seed_rows >= self.pool_rows.start) & (self.seed_rows < self.pool_rows.stop)]
        available[inside - self.pool_rows.start] = False
        return available


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """The labels of one episode after label noise.

    Attributes:
        labels: Given labels of all rows of the data set, (n,), which the learner is trained on. Those of the pool are
            wrong where ``mislabelled``.
        mislabelled: The hidden noise mask, (n_pool,); all False without ground truth.
    """

    labels: Labels
    mislabelled: Mask


@cache
def accepted_datasets() -> dict[str, list[int]]:
    """Return the pinned data set numbers by name of the split.

    Raises:
        RuntimeError: ``datasets.json`` was made for another dynamics version.
    """
    text = resources.files("dataselect_env.core").joinpath("datasets.json").read_text(encoding="utf-8")
    pinned = json.loads(text)
    if pinned["dynamics_version"] != DYNAMICS_VERSION:
        raise RuntimeError("datasets.json was made for other dynamics; run python -m bench.validity.pin_datasets")
    return {split: [int(number) for number in numbers] for split, numbers in pinned["datasets"].items()}


def dataset_number(seed: int) -> int:
    """Return the number of the data set that ``seed`` uses."""
    numbers = accepted_datasets()[split_of(seed) or DEFAULT_SPLIT]
    return numbers[seed % len(numbers)]


def make_dataset(number: int) -> Dataset:
    """Generate data set ``number`` and standardise its features.

    Mean and standard deviation are those of the seed set and the pool; the validation split has no part in them.
    """
    n_samples, n_features, n_informative = (
        int(GENERATOR[name]) for name in ("n_samples", "n_features", "n_informative")
    )
    known = np.zeros(n_samples, dtype=np.bool_)
    known[SEED_ROWS] = known[POOL_ROWS] = True
    size = generator.Size(n_samples=n_samples, n_features=n_features, n_informative=n_informative)
    X, y = generator.generate_standardised(number, size, known)
    X.flags.writeable = y.flags.writeable = False
    return Dataset(number, X, y)


def world_of(seed: int) -> str:
    """Return the world of a seed, one of ``WORLDS``."""
    block, position = divmod(seed, SEEDS_A_BLOCK)
    return "confident" if _order_of(block)[position] < CONFIDENT_SEEDS_A_BLOCK else "core"


@lru_cache(maxsize=1_024)
def _order_of(block: int) -> Indices:
    """Return the random order in which the seeds of a block, (SEEDS_A_BLOCK,), are in the ``confident`` world."""
    return np.random.default_rng([block, _WORLD_STREAM]).permutation(SEEDS_A_BLOCK)


def placement(dataset: Dataset, world: str, margins: Floats, squares: Floats) -> Floats:
    """Return the rank of each pool sample in a world, (1100,), in [0, 1]; high ranks are likely to be mislabelled.

    Args:
        dataset: The data set of the pool.
        world: ``core`` ranks by nearness to the pool's centroid, ``confident`` by margin.
        margins: Absolute log-odds of the warm-started model on the pool, (1100,).
        squares: Squared Euclidean norms of the pool samples, (1100,).
    """
    if world == "confident":
        return ranks(margins)
    X = dataset.X_pool
    return ranks(2 * np.einsum("ij,j->i", X, X.mean(axis=0)) - squares)  # the squared centroid orders nothing


def make_pool(task: Task, dataset: Dataset, rank: Floats, rng: np.random.Generator) -> Pool:
    """Return the pool with a share ``flip_y`` of its labels flipped, exact up to rounding to whole samples.

    The samples with the highest ``SHARPNESS x rank + Gumbel draw`` are mislabelled. This draws without replacement
    with probabilities proportional to exp(SHARPNESS x rank) (Gumbel-top-k; Efraimidis and Spirakis, "Weighted Random
    Sampling with a Reservoir", 2006).

    Args:
        task: Task whose ``flip_y`` is the share.
        dataset: The data set of the pool.
        rank: Ranks of the pool samples, (1100,), as :func:`placement` returns them.
        rng: Random stream of the label noise.
    """
    count = round(task.flip_y * len(rank))
    priority = SHARPNESS * rank + rng.gumbel(size=len(rank))
    mislabelled = np.zeros(len(rank), dtype=np.bool_)
    mislabelled[np.argpartition(-priority, count)[:count]] = True
    labels = dataset.y.copy()
    labels[POOL_ROWS] ^= mislabelled
    return Pool(labels, mislabelled)
