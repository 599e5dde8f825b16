"""Data sets and pools as plain arrays: what is generated, how it is split, which labels are wrong (SPEC section 6).

A seed determines everything. It picks one of the accepted data sets that ``datasets.json`` pins (see
``bench/validity/pin_datasets.py``), the world that decides where mislabelled samples sit, and the draw of them. Data
sets of different splits are disjoint; a seed outside of every split uses those of the train split.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

import numpy as np

from dataselect_env.core.arrays import Floats, Indices, Labels, Mask
from dataselect_env.core.tasks import DEFAULT_SPLIT, DYNAMICS_VERSION, POOL_SIZE, Task, split_of

SEED_ROWS = slice(0, 100)
VALIDATION_ROWS = slice(200, 400)
POOL_ROWS = slice(400, 400 + POOL_SIZE)
N_SAMPLES = POOL_ROWS.stop

N_FEATURES = 80
"""So many that 100 seed samples are not enough to learn from: what is bought matters."""
GENERATOR = {
    "n_samples": N_SAMPLES,
    "n_features": N_FEATURES,
    "n_informative": 16,
    "n_redundant": 0,
    "n_clusters_per_class": 1,
    "class_sep": 1.0,
    "flip_y": 0.0,
}
WORLDS = ("core", "confident")
"""Where mislabelled pool samples sit. Which world it is an agent must find out from the replies.

- ``core``: near the centre of the pool. Diversity buys clean, uncertainty falls into the noise trap.
- ``confident``: where the warm-started model is sure of itself. Uncertainty buys clean, diversity does not.
"""
SEEDS_A_BLOCK = 10
CONFIDENT_SEEDS_A_BLOCK = 4
"""So many of every ten consecutive seeds are ``confident``, the others ``core``: any run of seeds has both."""
SHARPNESS = 30.0
"""How strictly the worlds place the noise: the rank, in [0, 1], weighs this much against a Gumbel draw."""
_WORLD_STREAM = 77


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """One data set, standardised; its arrays are read-only, for episodes share them.

    Attributes:
        number: What it was made from; with the task's origin it says which data set this is.
        X: Features, (n, n_features), C-contiguous.
        y: Labels by row, right as far as that is known, (n,), in 0 to n_classes - 1.
        n_classes: Number of classes.
        seed_rows: Rows of the seed set, (k,). They may lie among the pool's, and then cannot be bought.
        validation_rows: Rows that performance is measured on, apart from seed set and pool; nothing is fitted on them.
        pool_rows: Rows of the pool.
        weights: How much each validation row counts where every class counts the same, (n_validation,), adding up to 1;
            None is all alike.
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
    def y_seed(self) -> Labels:
        """Labels of the seed set, (k,)."""
        return self.y[self.seed_rows]

    @property
    def X_validation(self) -> Floats:  # noqa: N802
        """Features of the validation split, (n_validation, n_features); a view, as all that follow."""
        return self.X[self.validation_rows]

    @property
    def y_validation(self) -> Labels:
        """Labels of the validation split, (n_validation,)."""
        return self.y[self.validation_rows]

    @property
    def X_pool(self) -> Floats:  # noqa: N802
        """Features of the pool, (n_pool, n_features)."""
        return self.X[self.pool_rows]

    @property
    def y_pool(self) -> Labels:
        """Labels of the pool as of ``y``, (n_pool,)."""
        return self.y[self.pool_rows]

    @property
    def available(self) -> Mask:
        """Which pool rows can be bought at the start, (n_pool,); a new array."""
        available = np.ones(self.pool_rows.stop - self.pool_rows.start, dtype=np.bool_)
        inside = self.seed_rows[(self.seed_rows >= self.pool_rows.start) & (self.seed_rows < self.pool_rows.stop)]
        available[inside - self.pool_rows.start] = False
        return available


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """What an episode's seed makes of the pool of its data set.

    Attributes:
        labels: Labels to train on, by row of the data set, (n,): in the pool wrong where ``mislabelled``.
        mislabelled: The hidden noise mask, (n_pool,); nowhere true where the truth is unknown.
    """

    labels: Labels
    mislabelled: Mask


@cache
def accepted_datasets() -> dict[str, list[int]]:
    """Return the pinned data set numbers by split.

    Raises:
        RuntimeError: The list in the package was made for other dynamics.
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
    """Generate and standardise data set ``number``.

    Mean and standard deviation come from the seed set and the pool; the validation split is never looked at.
    """
    from sklearn.datasets import make_classification  # noqa: PLC0415  (a second of imports, at the first episode)

    X, y = make_classification(**GENERATOR, random_state=number)
    known = np.concatenate([X[SEED_ROWS], X[POOL_ROWS]])
    X = (X - known.mean(axis=0)) / known.std(axis=0)
    X.flags.writeable = y.flags.writeable = False
    return Dataset(number, X, y)


def world_of(seed: int) -> str:
    """Return the world of a seed, one of ``WORLDS``."""
    block, position = divmod(seed, SEEDS_A_BLOCK)
    order = np.random.default_rng([block, _WORLD_STREAM]).permutation(SEEDS_A_BLOCK)
    return "confident" if order[position] < CONFIDENT_SEEDS_A_BLOCK else "core"


def placement(dataset: Dataset, world: str, margins: Floats) -> Floats:
    """Return how much a world favours each pool sample for a wrong label: ranks in [0, 1], (1100,).

    Args:
        dataset: Whose pool it is.
        world: ``core`` ranks by nearness to the pool's centroid, ``confident`` by margin.
        margins: Absolute log-odds of the warm-started model on the pool, (1100,).
    """
    X = dataset.X_pool
    by = margins if world == "confident" else -((X - X.mean(axis=0)) ** 2).sum(axis=1)
    rank = np.empty(len(by))
    rank[np.argsort(by, kind="stable")] = np.linspace(0, 1, len(by))
    return rank


def make_pool(task: Task, dataset: Dataset, rank: Floats, rng: np.random.Generator) -> Pool:
    """Mislabel an exact share ``flip_y`` of a data set's pool.

    The samples with the highest ``SHARPNESS x rank + Gumbel draw`` are mislabelled, which is a draw without replacement
    with probabilities proportional to exp(SHARPNESS x rank) (Efraimidis and Spirakis, 2006).

    Args:
        task: Says how many.
        dataset: Whose pool it is.
        rank: From :func:`placement`, (1100,).
        rng: Stream of the draw.
    """
    count = round(task.flip_y * len(rank))
    priority = SHARPNESS * rank + rng.gumbel(size=len(rank))
    mislabelled = np.zeros(len(rank), dtype=np.bool_)
    mislabelled[np.argpartition(-priority, count)[:count]] = True
    labels = dataset.y.copy()
    labels[POOL_ROWS] ^= mislabelled
    return Pool(labels, mislabelled)
