"""Noise models of custom tasks: which labels of a pool are wrong, and which classes they name instead.

The labels of the seed set and of the validation split stay as the data set has them. Each model is a pure function of
the warm start, the seed and a random stream. A new model is a class with the methods of :class:`NoiseModel`, a field of
:class:`~dataselect_env.custom.definitions.Noise`, and a line of :func:`noise_model`. The built-in tasks place their
label errors in :mod:`dataselect_env.core.data`.

References:
    Natarajan et al., "Learning with Noisy Labels", 2013 (uniform and class-conditional noise).
    Menon, van Rooyen and Natarajan, "Learning from Binary Labels with Instance-Dependent Noise", 2018.
    Dawid and Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm", 1979 (annotators).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dataselect_env.core.arrays import Floats, Indices, Labels, ranks
from dataselect_env.core.data import Dataset, Pool, world_of
from dataselect_env.core.warm_start import WarmStart
from dataselect_env.custom.definitions import Annotator, Noise, NoiseRegion
from dataselect_env.custom.errors import NAMES_SHOWN, TaskDefinitionError


class NoiseModel(Protocol):
    """Decides which labels of a pool are wrong."""

    def rate(self, dataset: Dataset) -> float:
        """Return the expected share of wrong labels in the pool, in [0, 1]: the rate that the task declares."""

    def draw(self, start: WarmStart, seed: int, rng: np.random.Generator) -> Pool:
        """Return the pool of a seed with its labels."""


@dataclass(frozen=True, slots=True)
class UniformNoise:
    """Mislabels an exact share of the pool, with any other class equally likely."""

    share: float

    def rate(self, dataset: Dataset) -> float:  # noqa: ARG002
        """Return the share."""
        return self.share

    def draw(self, start: WarmStart, seed: int, rng: np.random.Generator) -> Pool:  # noqa: ARG002
        """Draw the mislabelled samples uniformly."""
        samples = np.flatnonzero(start.dataset.available)
        wrong = rng.choice(samples, round(self.share * len(samples)), replace=False)
        return mislabel(start.dataset, wrong, other_class(start.dataset, wrong, rng))


@dataclass(frozen=True, slots=True, eq=False)
class ConfusionNoise:
    """Draws each label from the row of its true class in a confusion matrix (class-conditional noise).

    Attributes:
        matrix: Probability of each given class (column) for each true class (row), (n_classes, n_classes); rows add up
            to 1.
    """

    matrix: Floats

    def rate(self, dataset: Dataset) -> float:
        """Return the mean probability of a wrong label over the pool."""
        return float((1 - np.diag(self.matrix))[dataset.y_pool[dataset.available]].mean())

    def draw(self, start: WarmStart, seed: int, rng: np.random.Generator) -> Pool:  # noqa: ARG002
        """Draw each label independently."""
        samples = np.flatnonzero(start.dataset.available)
        truth = start.dataset.y_pool[samples]
        limits = self.matrix.cumsum(axis=1)[truth]
        given = (rng.random(len(samples))[:, None] >= limits[:, :-1]).sum(axis=1)
        changed = given != truth
        return mislabel(start.dataset, samples[changed], given[changed])


@dataclass(frozen=True, slots=True)
class InstanceDependentNoise:
    """Mislabels an exact share of the pool, mostly in one region of it.

    At the boundary a wrong label is the wrong class that the warm-started model finds most likely; elsewhere it is any
    other class.

    Attributes:
        share: Share of the available samples.
        region: Where label errors are most likely; see :class:`~dataselect_env.custom.definitions.InstanceNoise`.
        sharpness: Weight of a sample's rank, in [0, 1], against a Gumbel draw.
    """

    share: float
    region: NoiseRegion
    sharpness: float

    def rate(self, dataset: Dataset) -> float:  # noqa: ARG002
        """Return the share."""
        return self.share

    def draw(self, start: WarmStart, seed: int, rng: np.random.Generator) -> Pool:
        """Draw without replacement, with probabilities proportional to exp(sharpness x rank)."""
        dataset = start.dataset
        samples = np.flatnonzero(dataset.available)
        probabilities = start.learner.probabilities(dataset.X_pool[samples])
        region = world_of(seed) if self.region == "worlds" else self.region
        rank = ranks(_closeness(region, dataset.X_pool[samples], probabilities))
        priority = self.sharpness * rank + rng.gumbel(size=len(samples))
        chosen = np.argsort(-priority, kind="stable")[: round(self.share * len(samples))]
        wrong = samples[chosen]
        if region != "boundary":
            return mislabel(dataset, wrong, other_class(dataset, wrong, rng))
        likely = probabilities[chosen]
        likely[np.arange(len(wrong)), dataset.y_pool[wrong]] = -1.0
        return mislabel(dataset, wrong, likely.argmax(axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatorNoise:
    """Lets one annotator label each sample, each with an error rate; any other class is equally likely.

    Attributes:
        rates: Error rate of each annotator, (a,).
        shares: Share of the samples that each annotator labels, (a,); not used if ``annotator`` is given.
        annotator: Annotator of each row of the data set, (n,), if the table names them.
    """

    rates: Floats
    shares: Floats
    annotator: Labels | None = None

    def rate(self, dataset: Dataset) -> float:
        """Return the mean probability of a wrong label over the pool."""
        if self.annotator is None:
            return float(self.rates @ self.shares)
        return float(self.rates[self.annotator[dataset.pool_rows][dataset.available]].mean())

    def draw(self, start: WarmStart, seed: int, rng: np.random.Generator) -> Pool:  # noqa: ARG002
        """Draw an annotator for each sample, unless the table names them, then the errors."""
        dataset = start.dataset
        samples = np.flatnonzero(dataset.available)
        if self.annotator is None:
            annotator = rng.choice(len(self.rates), len(samples), p=self.shares)
        else:
            annotator = self.annotator[dataset.pool_rows][samples]
        wrong = samples[rng.random(len(samples)) < self.rates[annotator]]
        return mislabel(dataset, wrong, other_class(dataset, wrong, rng))


@dataclass(frozen=True, slots=True, eq=False)
class RecordedNoise:
    """Takes the label errors of the table, which has both the given and the right labels.

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
class UnknownNoise:
    """Leaves the labels unchanged, without ground truth.

    Attributes:
        guess: Share of wrong labels that the user expects.
    """

    guess: float

    def rate(self, dataset: Dataset) -> float:  # noqa: ARG002
        """Return the guess."""
        return self.guess

    def draw(self, start: WarmStart, seed: int, rng: np.random.Generator) -> Pool:  # noqa: ARG002
        """Return the labels unchanged, and an empty mask."""
        return Pool(start.dataset.y, np.zeros(len(start.dataset.y_pool), dtype=np.bool_))


# --- from a definition ----------------------------------------------------------------------------------------------


def noise_model(
    noise: Noise | None, classes: tuple[str, ...], annotators: tuple[str, ...] = (), annotator: Labels | None = None
) -> NoiseModel:
    """Return the noise model of a definition.

    Args:
        noise: The definition; None is no noise.
        classes: Names of the classes, by code.
        annotators: Names of the annotators, by code, if the table names them.
        annotator: Code of each row's annotator, (n,), in the order of the data set, if the table names them.

    Raises:
        TaskDefinitionError: The definition names a class or an annotator that does not exist, or lacks a rate or share.
    """
    if noise is None:
        return UniformNoise(0.0)
    if noise.uniform is not None:
        return UniformNoise(noise.uniform)
    if noise.unknown is not None:
        return UnknownNoise(noise.unknown)
    if noise.instance is not None:
        return InstanceDependentNoise(noise.instance.rate, noise.instance.where, noise.instance.sharpness)
    if noise.confusion is not None:
        return ConfusionNoise(_confusion_matrix(noise.confusion, classes))
    return _annotator_noise(noise.annotators or {}, annotators, annotator)


def _confusion_matrix(confusion: Mapping[str, Mapping[str, float]], classes: tuple[str, ...]) -> Floats:
    matrix = np.eye(len(classes))
    for true, row in confusion.items():
        for wrong, probability in row.items():
            for name in (true, wrong):
                if name not in classes:
                    path = ("noise", "confusion", true, *([wrong] if name == wrong else []))
                    message = f"there is no class {name}; there are {', '.join(classes[:NAMES_SHOWN])}"
                    raise TaskDefinitionError(message, path)
            matrix[classes.index(true), classes.index(wrong)] = probability
            matrix[classes.index(true), classes.index(true)] -= probability
    return matrix


def _annotator_noise(
    settings: Mapping[str, Annotator], names: tuple[str, ...], annotator: Labels | None
) -> AnnotatorNoise:
    path = ("noise", "annotators")
    if annotator is None:
        shares = np.array([one.share or 0.0 for one in settings.values()])
        if not shares.all():
            message = "each annotator needs a share, unless table.annotator names the column of annotators"
            raise TaskDefinitionError(message, path)
        return AnnotatorNoise(np.array([one.rate for one in settings.values()]), shares / shares.sum())
    missing = [name for name in names if name not in settings]
    if missing:
        message = f"the column has annotators without a rate: {', '.join(missing[:NAMES_SHOWN])}"
        raise TaskDefinitionError(message, path)
    rates = np.array([settings[name].rate for name in names])
    return AnnotatorNoise(rates, np.full(len(rates), 1 / len(rates)), annotator)


# --- what models share ----------------------------------------------------------------------------------------------


def mislabel(dataset: Dataset, wrong: Indices, given: Labels) -> Pool:
    """Return the pool in which the samples ``wrong``, (m,), carry the labels ``given``, (m,)."""
    labels, mask = dataset.y.copy(), np.zeros(len(dataset.y_pool), dtype=np.bool_)
    labels[dataset.pool_rows][wrong] = given
    mask[wrong] = True
    return Pool(labels, mask)


def other_class(dataset: Dataset, samples: Indices, rng: np.random.Generator) -> Labels:
    """Return a wrong class for each of some pool samples, (m,), all wrong classes equally likely: (m,)."""
    offsets = rng.integers(1, dataset.n_classes, len(samples))
    other: Labels = (dataset.y_pool[samples] + offsets) % dataset.n_classes
    return other


def _closeness(region: str, X: Floats, probabilities: Floats) -> Floats:
    """Return a value that is higher the closer a sample is to a region, (n,)."""
    if region in ("boundary", "confident"):
        two = np.partition(probabilities, -2, axis=1)[:, -2:]
        margin: Floats = two[:, 1] - two[:, 0]
        return margin if region == "confident" else -margin
    distance: Floats = ((X - X.mean(axis=0)) ** 2).sum(axis=1)
    return distance if region == "fringe" else -distance
