"""Data sets and pools as plain arrays: what is generated, how it is split, which labels are wrong (SPEC section 6).

A seed determines everything. It picks one of the accepted data sets that ``datasets.json`` pins (see
``bench/validity/pin_datasets.py``) and drives the noise that is laid over its pool. Data sets of different splits are
disjoint; a seed outside of every split uses those of the train split.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources

import numpy as np
from sklearn.datasets import make_classification

from dataselect_env.arrays import Floats, Labels, Mask
from dataselect_env.tasks import DEFAULT_SPLIT, DYNAMICS_VERSION, Task, split_of

N_SAMPLES = 1_500
SEED_ROWS = slice(None, 100)
VALIDATION_ROWS = slice(200, 400)
POOL_ROWS = slice(400, None)

N_FEATURES = 40
"""Generator setting S1: 100 seed samples are not enough to learn this, so bought data matter."""
GENERATOR = {
    "n_samples": N_SAMPLES,
    "n_features": N_FEATURES,
    "n_informative": 8,
    "n_redundant": 5,
    "n_clusters_per_class": 2,
    "class_sep": 1.5,
    "flip_y": 0.05,
}
POOL_JITTER = 0.1
"""Standard deviation of the noise on every feature of every pool sample, in units of the feature's own."""
MISLABELLED_JITTER = 0.5
"""The same for mislabelled samples alone, on top: what makes them look a little out of place."""
DATASET_CACHE_SIZE = 32
"""Data sets kept in memory, 0.5 MB each."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """One generated data set, standardised; read-only arrays that episodes share.

    Attributes:
        number: What it was generated from.
        X_seed, y_seed: The seed set, (100, N_FEATURES) and (100,); labels are right.
        X_validation, y_validation: The validation split, (200, N_FEATURES) and (200,); nothing is fitted on it.
        X_pool, y_pool: The pool before jitter and flips, (1100, N_FEATURES) and (1100,).
    """

    number: int
    X_seed: Floats
    y_seed: Labels
    X_validation: Floats
    y_validation: Labels
    X_pool: Floats
    y_pool: Labels


@dataclass(frozen=True, slots=True)
class Pool:
    """The pool of one episode.

    Attributes:
        X: Features, (1100, N_FEATURES), jittered.
        y: Labels as an agent's purchase is trained on, (1100,), flipped where ``mislabelled``.
        mislabelled: The hidden noise mask, (1100,).
    """

    X: Floats
    y: Labels
    mislabelled: Mask


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


@lru_cache(maxsize=DATASET_CACHE_SIZE)
def make_dataset(number: int) -> Dataset:
    """Generate and standardise data set ``number``.

    Mean and standard deviation come from the seed set and the pool; the validation split is never looked at.
    """
    X, y = make_classification(**GENERATOR, random_state=number)
    known = np.concatenate([X[SEED_ROWS], X[POOL_ROWS]])
    X = (X - known.mean(axis=0)) / known.std(axis=0)
    X.flags.writeable = y.flags.writeable = False
    return Dataset(
        number,
        X[SEED_ROWS],
        y[SEED_ROWS],
        X[VALIDATION_ROWS],
        y[VALIDATION_ROWS],
        X[POOL_ROWS],
        y[POOL_ROWS],
    )


def make_pool(task: Task, dataset: Dataset, rng: np.random.Generator) -> Pool:
    """Lay the task's noise over a data set's pool: flip ``flip_y`` of the labels, jitter all features."""
    size = len(dataset.y_pool)
    mislabelled = np.zeros(size, dtype=np.bool_)
    mislabelled[rng.choice(size, round(task.flip_y * size), replace=False)] = True
    jitter = POOL_JITTER * rng.standard_normal(dataset.X_pool.shape)
    jitter[mislabelled] += MISLABELLED_JITTER * rng.standard_normal((int(mislabelled.sum()), N_FEATURES))
    return Pool(dataset.X_pool + jitter, np.where(mislabelled, 1 - dataset.y_pool, dataset.y_pool), mislabelled)
