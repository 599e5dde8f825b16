"""Label noise of the task ``open``: which samples are mislabelled, and which class their label names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from dataselect_env.core.arrays import Floats, Indices, Labels, ranks
from dataselect_env.core.data import Dataset, Pool

KINDS: Final = {
    "none": "every label is right",
    "uniform": "anywhere",
    "class-conditional": "in some classes more than in others",
    "boundary": "where the warm-started model is least sure",
    "confident": "where the warm-started model is surest",
    "core": "near the pool's centre",
    "fringe": "far from the pool's centre",
    "cluster": "around a few samples of the pool",
    "annotators": "among the samples of some of the annotators, who divide the pool at random",
}
"""Where wrong labels are, by kind of noise."""
TRAINING: Final = ("none", "uniform", "class-conditional", "boundary", "confident", "core", "fringe")
"""Kinds of noise in the train and validation splits."""
TESTING: Final = ("cluster", "annotators")
"""Kinds of noise in the test split."""
Confusion = Literal["any", "next", "likely"]
"""Which class a wrong label names: any other one, always the next one, or the wrong one that the model finds likely."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseDraw:
    """The label noise of a problem.

    Attributes:
        kind: One of ``TRAINING`` or ``TESTING``.
        rate: Share of wrong labels in the pool, in [0, 0.5).
        sharpness: Concentration of the noise: weight of a sample's rank, in [0, 1], against a standard Gumbel draw.
        confusion: Which class a wrong label names.
        groups: Number of clusters or annotators.
    """

    kind: str
    rate: float
    sharpness: float
    confusion: Confusion
    groups: int = 1


def mislabel(noise: NoiseDraw, dataset: Dataset, probabilities: Floats, rng: np.random.Generator) -> Pool:
    """Return the pool with an exact share of wrong labels, up to rounding to whole samples.

    The samples with the highest ``sharpness x rank + Gumbel draw`` are mislabelled, as in
    :func:`dataselect_env.core.data.make_pool`.

    Args:
        noise: Kind, rate and place of the noise.
        dataset: The data set of the pool.
        probabilities: Class probabilities of the warm-started model on the pool, (n_pool, n_classes).
        rng: Random stream of the label noise.
    """
    truth = dataset.y_pool
    count = 0 if noise.kind == "none" else round(noise.rate * len(truth))
    priority = noise.sharpness * _rank(noise, dataset, probabilities, rng) + rng.gumbel(size=len(truth))
    wrong = np.argsort(-priority, kind="stable")[:count]
    labels, mislabelled = dataset.y.copy(), np.zeros(len(truth), dtype=np.bool_)
    labels[dataset.pool_rows.start + wrong] = _given(noise, dataset, wrong, probabilities, rng)
    mislabelled[wrong] = True
    return Pool(labels, mislabelled)


def _rank(noise: NoiseDraw, dataset: Dataset, probabilities: Floats, rng: np.random.Generator) -> Floats:
    """Return how likely each sample of the pool is to be mislabelled, (n_pool,), in [0, 1]."""
    X, truth = dataset.X_pool, dataset.y_pool
    if noise.kind == "class-conditional":
        return rng.random(dataset.n_classes)[truth]
    if noise.kind == "annotators":
        return rng.random(noise.groups)[rng.integers(noise.groups, size=len(X))]
    if noise.kind == "cluster":
        centres = X[rng.choice(len(X), noise.groups, replace=False)]
        return ranks(-((X[:, None, :] - centres) ** 2).sum(axis=2).min(axis=1))
    if noise.kind in ("boundary", "confident"):
        two = np.partition(probabilities, -2, axis=1)[:, -2:]
        margin = two[:, 1] - two[:, 0]
        return ranks(margin if noise.kind == "confident" else -margin)
    if noise.kind in ("core", "fringe"):
        distance = ((X - X.mean(axis=0)) ** 2).sum(axis=1)
        return ranks(distance if noise.kind == "fringe" else -distance)
    return np.zeros(len(X))


def _given(
    noise: NoiseDraw, dataset: Dataset, wrong: Indices, probabilities: Floats, rng: np.random.Generator
) -> Labels:
    """Return the wrong labels of some samples of the pool, (m,)."""
    truth, k = dataset.y_pool[wrong], dataset.n_classes
    given: Labels
    if noise.confusion == "next":
        given = (truth + 1) % k
    elif noise.confusion == "any":
        given = (truth + rng.integers(1, k, len(wrong))) % k
    else:
        likely = probabilities[wrong]
        likely[np.arange(len(wrong)), truth] = -1.0
        given = likely.argmax(axis=1)
    return given
