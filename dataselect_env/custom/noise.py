"""Noise models for data of a user's own: which labels of a pool are wrong, and what they say instead.

Labels of the seed set and of the validation split stay as the data set has them. Each model is a pure function of the
warm start, the seed and a random stream.

References:
    Natarajan et al., "Learning with Noisy Labels", 2013 (uniform flips and flips by class).
    Menon, van Rooyen and Natarajan, "Learning from Binary Labels with Instance-Dependent Noise", 2018.
    Dawid and Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm", 1979 (annotators).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dataselect_env.core.arrays import Floats, Indices, Labels
from dataselect_env.core.data import Dataset, Pool, world_of
from dataselect_env.core.warm_start import WarmStart
from dataselect_env.custom.definitions import Where


class NoiseModel(Protocol):
    """Which labels of a pool are wrong."""

    def rate(self, dataset: Dataset) -> float:
        """Return the share of wrong labels to expect in the pool, in [0, 1]; what the task declares."""

    def draw(self, start: WarmStart, seed: int, rng: np.random.Generator) -> Pool:
        """Return the pool of a seed with its labels."""


@dataclass(frozen=True, slots=True)
class Uniform:
    """An exact share of the pool is wrong, and any other class is as likely."""

    share: float

    def rate(self, dataset: Dataset) -> float:  # noqa: ARG002
        """Return the share."""
        return self.share

    def draw(self, start: WarmStart, seed: int, rng: np.random.Generator) -> Pool:  # noqa: ARG002
        """Draw the wrong ones evenly."""
        samples = np.flatnonzero(start.dataset.available)
        wrong = rng.choice(samples, round(self.share * len(samples)), replace=False)
        return mislabel(start.dataset, wrong, other_class(start.dataset, wrong, rng))


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """Each label is drawn from the row of its true class.

    Attributes:
        matrix: Probabilities of the given classes for each true one, (n_classes, n_classes); rows add up to 1.
    """

    matrix: Floats

    def rate(self, dataset: Dataset) -> float:
        """Return the mean probability of a wrong label over the pool."""
        return float((1 - np.diag(self.matrix))[dataset.y_pool[dataset.available]].mean())

    def draw(self, start: WarmStart, seed: int, rng: np.random.Generator) -> Pool:  # noqa: ARG002
        """Draw each label by itself."""
        samples = np.flatnonzero(start.dataset.available)
        truth = start.dataset.y_pool[samples]
        limits = self.matrix.cumsum(axis=1)[truth]
        given = (rng.random(len(samples))[:, None] >= limits[:, :-1]).sum(axis=1)
        changed = given != truth
        return mislabel(start.dataset, samples[changed], given[changed])


@dataclass(frozen=True, slots=True)
class Instance:
    """An exact share of the pool is wrong, drawn where samples are of a kind.

    Attributes:
        share: Of the available samples.
        where: See :class:`dataselect_env.custom.definitions.InstanceNoise`. At the boundary a wrong label is the class
        that
            the warmed-up model finds most likely among the wrong ones, elsewhere any other class.
        sharpness: How much the rank, in [0, 1], weighs against a Gumbel draw.
    """

    share: float
    where: Where
    sharpness: float

    def rate(self, dataset: Dataset) -> float:  # noqa: ARG002
        """Return the share."""
        return self.share

    def draw(self, start: WarmStart, seed: int, rng: np.random.Generator) -> Pool:
        """Draw without replacement, with probabilities proportional to exp(sharpness x rank)."""
        dataset = start.dataset
        samples = np.flatnonzero(dataset.available)
        probabilities = start.learner.probabilities(dataset.X_pool[samples])
        where = world_of(seed) if self.where == "worlds" else self.where
        rank = ranks(_towards(where, dataset.X_pool[samples], probabilities))
        priority = self.sharpness * rank + rng.gumbel(size=len(samples))
        chosen = np.argsort(-priority, kind="stable")[: round(self.share * len(samples))]
        wrong = samples[chosen]
        if where != "boundary":
            return mislabel(dataset, wrong, other_class(dataset, wrong, rng))
        likely = probabilities[chosen]
        likely[np.arange(len(wrong)), dataset.y_pool[wrong]] = -1.0
        return mislabel(dataset, wrong, likely.argmax(axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class Annotators:
    """Each sample is labelled by one annotator, who errs with a probability of his own; any other class is as likely.

    Attributes:
        rates: Probability of a wrong label, by annotator, (a,).
        shares: Probability that an annotator gets a sample, (a,); not looked at where ``who`` is given.
        who: Annotator of each row of the data set, (n,), where the table says so.
    """

    rates: Floats
    shares: Floats
    who: Labels | None = None

    def rate(self, dataset: Dataset) -> float:
        """Return the mean probability of a wrong label over the pool."""
        if self.who is None:
            return float(self.rates @ self.shares)
        return float(self.rates[self.who[dataset.pool_rows][dataset.available]].mean())

    def draw(self, start: WarmStart, seed: int, rng: np.random.Generator) -> Pool:  # noqa: ARG002
        """Draw who labels what, then who errs where."""
        dataset = start.dataset
        samples = np.flatnonzero(dataset.available)
        if self.who is None:
            who = rng.choice(len(self.rates), len(samples), p=self.shares)
        else:
            who = self.who[dataset.pool_rows][samples]
        wrong = samples[rng.random(len(samples)) < self.rates[who]]
        return mislabel(dataset, wrong, other_class(dataset, wrong, rng))


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """Real noise: the table has both the given and the right labels.

    Attributes:
        labels: Given labels by row of the data set, (n,).
    """

    labels: Labels

    def rate(self, dataset: Dataset) -> float:
        """Return the share of the pool whose given label is wrong."""
        return float((self.labels != dataset.y)[dataset.pool_rows][dataset.available].mean())

    def draw(self, start: WarmStart, seed: int, rng: np.random.Generator) -> Pool:  # noqa: ARG002
        """Return the given labels; nothing is drawn."""
        given = self.labels[start.dataset.pool_rows]
        wrong = np.flatnonzero((given != start.dataset.y_pool) & start.dataset.available)
        return mislabel(start.dataset, wrong, given[wrong])


@dataclass(frozen=True, slots=True)
class Unknown:
    """The labels are taken as they are; which of them are wrong nobody knows.

    Attributes:
        guess: Share of wrong labels that the user expects.
    """

    guess: float

    def rate(self, dataset: Dataset) -> float:  # noqa: ARG002
        """Return the guess."""
        return self.guess

    def draw(self, start: WarmStart, seed: int, rng: np.random.Generator) -> Pool:  # noqa: ARG002
        """Return the labels as they are, and an empty mask."""
        return Pool(start.dataset.y, np.zeros(len(start.dataset.y_pool), dtype=np.bool_))


def mislabel(dataset: Dataset, wrong: Indices, given: Labels) -> Pool:
    """Return the pool in which the samples ``wrong``, (m,), carry the labels ``given``, (m,)."""
    labels, mask = dataset.y.copy(), np.zeros(len(dataset.y_pool), dtype=np.bool_)
    labels[dataset.pool_rows][wrong] = given
    mask[wrong] = True
    return Pool(labels, mask)


def other_class(dataset: Dataset, samples: Indices, rng: np.random.Generator) -> Labels:
    """Return for each of some pool samples, (m,), a class that is not its own, (m,), each as likely."""
    offsets = rng.integers(1, dataset.n_classes, len(samples))
    other: Labels = (dataset.y_pool[samples] + offsets) % dataset.n_classes
    return other


def ranks(values: Floats) -> Floats:
    """Return ranks in [0, 1], (n,), ties in the order of their indices."""
    rank = np.empty(len(values))
    rank[np.argsort(values, kind="stable")] = np.linspace(0, 1, len(values))
    return rank


def _towards(where: str, X: Floats, probabilities: Floats) -> Floats:
    """Return what is highest where wrong labels are most likely, (n,)."""
    if where in ("boundary", "confident"):
        two = np.partition(probabilities, -2, axis=1)[:, -2:]
        margin: Floats = two[:, 1] - two[:, 0]
        return margin if where == "confident" else -margin
    distance: Floats = ((X - X.mean(axis=0)) ** 2).sum(axis=1)
    return distance if where == "fringe" else -distance
