"""Query strategies that a task may offer beside the three of :mod:`dataselect_env.core.strategies.sampling`.

Each is a pure function from :class:`Candidates` and a batch size to utilities. The costly ones consider a random subset
of what is left, of at most ``MOST_CANDIDATES`` samples or the batch where it is larger.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from dataselect_env.core.arrays import Floats, Indices, Labels, Mask
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.strategies import sampling, scikit_activeml
from dataselect_env.core.strategies.clustering import farthest_first, k_means

MOST_CANDIDATES: Final = 2_000
"""So many samples at most are looked at by ``k_center`` and ``cluster_medoid``, unless the batch is larger."""
SKACTIVEML: Final = "skactiveml:"
"""A name that begins so is a class of scikit-activeml."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What a strategy may see; all of it is read-only.

    Attributes:
        X: Features of the pool, (n, n_features).
        probabilities: The model's class probabilities on the pool, (n, n_classes), rows add up to 1; n_classes >= 2.
        left: Which samples can be chosen, (n,).
        X_acquired: Features of the training set, (m, n_features).
        y_acquired: Labels that the model was trained on, (m,), in 0..n_classes-1.
        rng: Stream of selection draws.
    """

    X: Floats
    probabilities: Floats
    left: Mask
    X_acquired: Floats
    y_acquired: Labels
    rng: np.random.Generator


Utilities = Callable[[Candidates, int], Floats]
"""Returns the utilities of the pool's samples for a batch of so many, (n,): higher is better and only their order
matters; -inf for samples that are not left or not considered, finite for at least as many as the batch holds. The batch
size is at least 1 and at most what is left. Pure: equal candidates, with the stream in the same state, give equal
utilities. :func:`dataselect_env.testing.check_strategy` checks all of it."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """A query strategy under its name.

    Attributes:
        name: Name in actions: a letter, then letters, digits and underscores, all lower case, at most 64 characters.
        description: One sentence, for agents.
        source: Where it was published.
        utilities: The strategy itself.
    """

    name: str
    description: str
    source: str
    utilities: Utilities


def _considered(candidates: Candidates, count: int, most: int = MOST_CANDIDATES) -> Indices:
    """Return the samples to look at, ascending: all that are left, or a random max(``most``, ``count``) of them."""
    left = np.flatnonzero(candidates.left)
    size = max(most, count)
    return left if len(left) <= size else np.sort(candidates.rng.choice(left, size, replace=False))


def _in_order(chosen: Indices, others: Floats, rows: Indices, pool_size: int) -> Floats:
    """Return utilities of the pool, (pool_size,): chosen samples first, then the other considered ones.

    Args:
        chosen: Places in ``rows``, best first, distinct.
        others: Utilities of ``rows``, (len(rows),), not NaN; those of chosen samples are not used.
        rows: Indices of the considered samples; the rest of the pool gets -inf.
        pool_size: Number of samples in the pool.
    """
    ordered = np.unique(others, return_inverse=True)[1].reshape(-1).astype(np.float64) - len(rows)  # all below zero
    ordered[chosen] = np.arange(len(chosen), 0, -1)
    utilities = np.full(pool_size, -np.inf)
    utilities[rows] = ordered
    return utilities


def margin(candidates: Candidates, _count: int) -> Floats:
    """Return the negative difference between the two highest class probabilities, in [-1, 0] (Scheffer et al. 2001)."""
    highest = np.partition(candidates.probabilities, -2, axis=1)[:, -2:]
    return np.where(candidates.left, highest[:, 0] - highest[:, 1], -np.inf)


def density_weighted(candidates: Candidates, _count: int) -> Floats:
    """Return entropy in nats times density, both at least 0 (information density, Settles and Craven 2008, beta 1).

    The density is (1 + s) / 2, where s is the mean cosine similarity to the samples left, itself included. It is exact:
    a mean of inner products is the inner product with the mean. A row of length zero is similar to nothing (s = 0).
    """
    X, left = candidates.X, candidates.left
    entropy = sampling.entropy_of(candidates.probabilities)
    lengths = np.sqrt(np.einsum("ij,ij->i", X, X))
    inverse = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    mean = (left * inverse) @ X / np.count_nonzero(left)
    similarity = (X @ mean) * inverse
    return np.where(left, np.maximum(entropy * (1 + similarity) / 2, 0), -np.inf)


def k_center(candidates: Candidates, count: int) -> Floats:
    """Choose again and again the sample farthest from all acquired and chosen ones (Sener and Savarese 2018).

    Considers at most ``MOST_CANDIDATES`` samples, or ``count``, drawn at random. Those not chosen follow by their
    distance from what was. Ties go to the lower index; with an empty training set the first choice is the lowest index.
    """
    rows = _considered(candidates, count)
    chosen, nearest = farthest_first(candidates.X[rows], candidates.X_acquired, count)
    return _in_order(chosen, nearest, rows, len(candidates.X))


def cluster_medoid(candidates: Candidates, count: int) -> Floats:
    """Choose of each of ``count`` k-means clusters the sample nearest to its centre, larger clusters first.

    Considers at most ``MOST_CANDIDATES`` samples, or ``count``, drawn at random. Those that are no medoids follow, the
    nearer to their centre the better; duplicated rows can make fewer clusters than asked for (Xu et al. 2003).
    """
    rows = _considered(candidates, count)
    clusters, distances = k_means(candidates.X[rows], count, candidates.rng)
    nearest_first = np.lexsort((distances, clusters))
    found, firsts, sizes = np.unique(clusters[nearest_first], return_index=True, return_counts=True)
    medoids = nearest_first[firsts][np.lexsort((found, -sizes))]
    return _in_order(medoids, -distances, rows, len(candidates.X))


STRATEGIES: Final[dict[str, Strategy]] = {
    strategy.name: strategy
    for strategy in (
        Strategy(
            "margin",
            "The samples between whose two most probable classes the model decides most narrowly.",
            "Scheffer, Decomain, Wrobel, Active Hidden Markov Models for Information Extraction, 2001",
            margin,
        ),
        Strategy(
            "k_center",
            "One after the other, the sample farthest from all that was acquired and chosen so far.",
            "Sener, Savarese, Active Learning for Convolutional Neural Networks: A Core-Set Approach, 2018",
            k_center,
        ),
        Strategy(
            "density_weighted",
            "Uncertain samples that resemble much of the pool, and so are no outliers.",
            "Settles, Craven, An Analysis of Active Learning Strategies for Sequence Labeling Tasks, 2008",
            density_weighted,
        ),
        Strategy(
            "cluster_medoid",
            "The most typical sample of each of as many clusters as the batch has samples, large clusters first.",
            "Xu et al., Representative Sampling for Text Classification Using Support Vector Machines, 2003",
            cluster_medoid,
        ),
    )
}
"""The strategies of this module and those that were registered, by name; add to them with :func:`register`."""
NATIVE: Final = tuple(STRATEGIES)
"""Names of the strategies of this module."""


_SKACTIVEML: dict[str, Strategy] = {}


@cache
def _skactiveml_strategy(class_name: str) -> Strategy:
    """Return the strategy that asks this class of scikit-activeml; errors as of :func:`get_strategy`."""
    kind = scikit_activeml.find(class_name)

    def utilities(candidates: Candidates, count: int) -> Floats:
        rows = _considered(candidates, count, scikit_activeml.MOST_CANDIDATES)
        chosen, others = scikit_activeml.query(
            kind,
            candidates.X[rows],
            candidates.X_acquired,
            candidates.y_acquired,
            classes=candidates.probabilities.shape[1],
            count=count,
            seed=int(candidates.rng.integers(2**31)),
        )
        return _in_order(chosen, others, rows, len(candidates.X))

    title, source = scikit_activeml.title_and_source(kind)
    strategy = Strategy(scikit_activeml.action_name(class_name), title, source, utilities)
    _SKACTIVEML[strategy.name] = strategy
    return strategy


def get_strategy(name: str) -> Strategy:
    """Return the strategy of this name: one of ``STRATEGIES``, or "skactiveml:" and a class of ``skactiveml.pool``.

    One of scikit-activeml that was asked for before has its name in actions too.

    Raises:
        InvalidInput: There is none, scikit-activeml is not installed, or its class needs what no task can give.
    """
    if name.startswith(SKACTIVEML):
        return _skactiveml_strategy(name.removeprefix(SKACTIVEML))
    if name in _SKACTIVEML:
        return _SKACTIVEML[name]
    if name not in STRATEGIES:
        raise InvalidInput(
            f"there is no such strategy; choose one of {', '.join(STRATEGIES)}, or {SKACTIVEML} and a class of"
            " scikit-activeml, as in skactiveml:QueryByCommittee"
        )
    return STRATEGIES[name]


def register(strategy: Strategy) -> None:
    """Add a strategy of a user's own, in this process.

    Raises:
        InvalidInput: The name is in use, begins with "skactiveml_", or is not one as :class:`Strategy` describes it.
    """
    name = strategy.name
    if not _NAME.fullmatch(name):
        raise InvalidInput("name: a letter, then letters, digits and underscores; lower case, at most 64 characters")
    if name in STRATEGIES or name in sampling.STRATEGIES or name.startswith(scikit_activeml.PREFIX):
        raise InvalidInput(f"name: {name} is in use or reserved; choose another one")
    STRATEGIES[name] = strategy


def pick(strategy: Strategy, candidates: Candidates, count: int) -> Indices:
    """Return the indices of the ``count`` best samples left, (count,), best first; ties go to the lower index.

    Args:
        strategy: Whose utilities decide. Samples that it did not consider come last.
        candidates: As they are now.
        count: How many to choose, at least 1 and at most what is left.

    Raises:
        ValueError: The strategy returned utilities of a wrong shape, or NaN among those left.
    """
    left = np.flatnonzero(candidates.left)
    return left[sampling.highest(checked_utilities(strategy, candidates, count)[left], count)]


def checked_utilities(strategy: Strategy, candidates: Candidates, count: int) -> Floats:
    """Return the utilities of a strategy, (n,), which may be a user's own.

    Raises:
        ValueError: As of :func:`pick`.
    """
    utilities = strategy.utilities(candidates, count)
    if utilities.shape != candidates.left.shape or np.isnan(utilities[candidates.left]).any():
        raise ValueError(f"{strategy.name}: utilities must be numbers, one for each sample of the pool")
    return utilities


def ranks(utilities: Floats, left: Mask) -> Floats:
    """Return utilities as ranks among the samples left, (n,), in [0, 1], so that several strategies can be mixed.

    The highest has rank 1, the lowest 0, equal ones the mean of their ranks; a single one left has rank 1. Those left
    with utility -inf have rank 0, those not left -inf.

    Args:
        utilities: As a strategy returns them, (n,), not NaN among those left.
        left: Which samples can be chosen, (n,).
    """
    result = np.full(len(left), -np.inf)
    among = utilities[left]
    if len(among) == 1:
        result[left] = 1
    elif len(among):
        _, places, sizes = np.unique(among, return_inverse=True, return_counts=True)
        mean_rank = np.cumsum(sizes) - (sizes + 1) / 2  # counted from 0
        result[left] = np.where(among == -np.inf, 0, mean_rank[places.reshape(-1)] / (len(among) - 1))
    return result
