"""Data sets and pools as plain arrays: what is generated, how it is split, which labels are wrong (SPEC section 6).

A seed determines everything. It picks one of the accepted data sets that ``datasets.json`` pins (see
``bench/validity/pin_datasets.py``), the world that decides where mislabelled samples sit, and the draw of them. Data
sets of different splits are disjoint; a seed outside of every split uses those of the train split.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from dataselect_env.arrays import Floats, Labels, Mask
from dataselect_env.tasks import DEFAULT_SPLIT, DYNAMICS_VERSION, Task, split_of

N_SAMPLES = 1_500
SEED_ROWS = slice(0, 100)
VALIDATION_ROWS = slice(200, 400)
POOL_ROWS = slice(400, N_SAMPLES)

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


@dataclass(frozen=True, slots=True)
class Dataset:
    """One generated data set, standardised; its arrays are read-only, for episodes share them.

    Attributes:
        number: What it was generated from.
        X: Features, (1500, N_FEATURES).
        y: True labels, (1500,).
    """

    number: int
    X: Floats
    y: Labels

    @property
    def X_seed(self) -> Floats:  # noqa: N802
        """Features of the seed set, (100, N_FEATURES); a view, as all of these."""
        return self.X[SEED_ROWS]

    @property
    def y_seed(self) -> Labels:
        """Labels of the seed set, (100,); they are right."""
        return self.y[SEED_ROWS]

    @property
    def X_validation(self) -> Floats:  # noqa: N802
        """Features of the validation split, (200, N_FEATURES); nothing is fitted on it."""
        return self.X[VALIDATION_ROWS]

    @property
    def y_validation(self) -> Labels:
        """Labels of the validation split, (200,)."""
        return self.y[VALIDATION_ROWS]

    @property
    def X_pool(self) -> Floats:  # noqa: N802
        """Features of the pool, (1100, N_FEATURES)."""
        return self.X[POOL_ROWS]

    @property
    def y_pool(self) -> Labels:
        """True labels of the pool, (1100,)."""
        return self.y[POOL_ROWS]


@dataclass(frozen=True, slots=True)
class Pool:
    """What an episode's seed makes of the pool of its data set.

    Attributes:
        labels: Labels to train on, by row of the data set, (1500,): in the pool flipped where ``mislabelled``.
        mislabelled: The hidden noise mask, (1100,).
    """

    labels: Labels
    mislabelled: Mask

    @property
    def y(self) -> Labels:
        """Labels as an agent's purchase is trained on, (1100,)."""
        return self.labels[POOL_ROWS]


@cache
def accepted_datasets() -> dict[str, list[int]]:
    """Return the pinned data set numbers by split.

    Raises:
        RuntimeError: The list in the package was made for other dynamics.
    """
    text = resources.files("dataselect_env").joinpath("datasets.json").read_text(encoding="utf-8")
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
