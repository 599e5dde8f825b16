"""Query strategies that a task may offer beside uncertainty, diversity and random: by name, and how to add to them.

A strategy is a ranking, or a ranking behind a filter on given labels: ``margin``, ``confident_uncertainty``,
``neighbours_random``. The names of the pairs follow from the two lists.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import numpy as np

from dataselect_env.core.arrays import Floats, Indices, Mask
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.strategies import rankings, sampling, scikit_activeml
from dataselect_env.core.strategies.candidates import Candidates, Utilities
from dataselect_env.core.strategies.filters import FILTERS, LabelFilter, filtered
from dataselect_env.core.strategies.plugins import guarded

SKACTIVEML: Final = "skactiveml:"
"""A name that begins so is a class of scikit-activeml."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Strategy:
    """A query strategy under its name.

    Attributes:
        name: Name in actions: a letter, then lower-case letters, digits and underscores, at most 64 characters.
        description: One sentence, for agents.
        source: Where it was published.
        utilities: The strategy itself.
        label_filter: The filter on labels before the ranking, if there is one.
        ranking: Name of the ranking behind the filter; of a strategy without a filter its own name.
    """

    name: str
    description: str
    source: str
    utilities: Utilities
    label_filter: LabelFilter | None = None
    ranking: str = ""


STRATEGIES: Final[dict[str, Strategy]] = {
    strategy.name: strategy
    for strategy in (
        Strategy(
            "margin",
            "Samples with the smallest difference between their two highest class probabilities.",
            "Scheffer, Decomain, Wrobel, Active Hidden Markov Models for Information Extraction, 2001",
            rankings.margin,
        ),
        Strategy(
            "k_center",
            "Repeatedly the sample farthest from all samples acquired and chosen so far.",
            "Sener, Savarese, Active Learning for Convolutional Neural Networks: A Core-Set Approach, 2018",
            rankings.k_center,
        ),
        Strategy(
            "density_weighted",
            "Uncertain samples in dense regions of the pool, which excludes outliers.",
            "Settles, Craven, An Analysis of Active Learning Strategies for Sequence Labeling Tasks, 2008",
            rankings.density_weighted,
        ),
        Strategy(
            "cluster_medoid",
            "The sample nearest to the centre of each k-means cluster, one per sample of the batch, large ones first.",
            "Xu et al., Representative Sampling for Text Classification Using Support Vector Machines, 2003",
            rankings.cluster_medoid,
        ),
    )
}
"""Rankings that a task may offer as strategies, by name; add to them with :func:`register`."""
NATIVE: Final = tuple(STRATEGIES)
"""Names of the package's own rankings among them."""


NATIVE_FILTERS: Final = tuple(FILTERS)
"""Names of the package's own filters."""

_SKACTIVEML: dict[str, Strategy] = {}


@cache
def _skactiveml_strategy(class_name: str) -> Strategy:
    """Return the strategy that asks this class of scikit-activeml; errors as of :func:`get_strategy`."""
    kind = scikit_activeml.find(class_name)

    def utilities(candidates: Candidates, count: int) -> Floats:
        def choose(rows: Indices, size: int) -> tuple[Indices, Floats]:
            return scikit_activeml.query(
                kind,
                candidates.X[rows],
                candidates.X_acquired,
                candidates.y_acquired,
                classes=candidates.probabilities.shape[1],
                count=size,
                seed=int(candidates.rng.integers(2**31)),
            )

        return rankings.among_some(candidates, count, choose, scikit_activeml.MOST_CANDIDATES)

    title, source = scikit_activeml.title_and_source(kind)
    name = scikit_activeml.action_name(class_name)
    strategy = Strategy(name, title, source, guarded(f"strategy {name}", utilities))
    _SKACTIVEML[strategy.name] = strategy
    return strategy


def get_strategy(name: str) -> Strategy:
    """Return the strategy of this name.

    Args:
        name: One of ``STRATEGIES``; "skactiveml:" and a class of ``skactiveml.pool``; or a filter, an underscore, and
            one of these or of the three base strategies, as in ``confident_uncertainty``. A class of scikit-activeml
            that was asked for before is also known by its name in actions.

    Raises:
        InvalidInput: There is none, scikit-activeml is not installed, or its class needs what no task can give.
    """
    if name.startswith(SKACTIVEML):
        return _skactiveml_strategy(name.removeprefix(SKACTIVEML))
    found = _SKACTIVEML.get(name) or STRATEGIES.get(name) or _pair(name)
    if found is None:
        raise InvalidInput(
            f"there is no such strategy; choose one of {', '.join(STRATEGIES)}; or {SKACTIVEML} and a class of"
            " scikit-activeml, as in skactiveml:QueryByCommittee; or put a filter on labels before one of these or of"
            f" {', '.join(rankings.BASE)}: {', '.join(FILTERS)}, as in confident_uncertainty"
        )
    return found


def is_native(strategy: Strategy) -> bool:
    """Return whether a strategy consists of the package's own parts, which work on every task."""
    own_filter = strategy.label_filter is None or strategy.label_filter.name in NATIVE_FILTERS
    return own_filter and (strategy.ranking or strategy.name) in (*NATIVE, *rankings.BASE)


def _pair(name: str) -> Strategy | None:
    """Return the strategy of a filter and a ranking, or None if the name is not that of a pair."""
    for label_filter in FILTERS.values():
        prefix = f"{label_filter.name}_"
        if not name.startswith(prefix):
            continue
        ranking = name.removeprefix(prefix)
        if ranking in rankings.BASE:
            utilities, description, source = rankings.BASE[ranking], f"by {ranking}.", ""
        else:
            behind = get_strategy(ranking)
            if behind.label_filter is not None:
                return None
            ranking, utilities, source = behind.name, behind.utilities, f"; {behind.source}"
            description = f"by {ranking}: {behind.description[0].lower()}{behind.description[1:]}"
        return Strategy(
            f"{prefix}{ranking}",
            f"Samples {label_filter.description} first, {description}",
            f"{label_filter.source}{source}",
            filtered(label_filter, utilities),
            label_filter,
            ranking,
        )
    return None


def register(strategy: Strategy) -> None:
    """Add a strategy of one's own, in this process; filters can be put before it too.

    What it raises or returns wrongly in an episode refuses the step, with a message that names the strategy.

    Raises:
        InvalidInput: The name is in use, reserved, or not of the form that :class:`Strategy` describes.
    """
    name = strategy.name
    if not _NAME.fullmatch(name):
        raise InvalidInput("name: a letter, then letters, digits and underscores; lower case, at most 64 characters")
    if name in STRATEGIES or name in rankings.BASE or name.startswith(_reserved()):
        raise InvalidInput(f"name: {name} is in use or reserved; choose another one")
    STRATEGIES[name] = replace(strategy, utilities=guarded(f"strategy {name}", strategy.utilities))


def register_filter(label_filter: LabelFilter) -> None:
    """Add a filter on labels of one's own, in this process; it can be put before every ranking.

    What it raises or returns wrongly in an episode refuses the step, with a message that names the filter.

    Raises:
        InvalidInput: The name is in use, or not of the form that :class:`LabelFilter` describes.
    """
    name = label_filter.name
    if not _NAME.fullmatch(name):
        raise InvalidInput("name: a letter, then letters, digits and underscores; lower case, at most 64 characters")
    taken = (*STRATEGIES, *rankings.BASE)
    if name in FILTERS or any(other == name or other.startswith(f"{name}_") for other in taken):
        raise InvalidInput(f"name: {name} is in use, or begins the name of a strategy; choose another one")
    FILTERS[name] = replace(label_filter, credibility=guarded(f"filter {name}", label_filter.credibility))


def _reserved() -> tuple[str, ...]:
    """Return how no name of a strategy may begin."""
    return (scikit_activeml.PREFIX, *(f"{name}_" for name in FILTERS))


def pick(utilities: Floats, left: Mask, count: int) -> Indices:
    """Return the indices of the ``count`` best samples left, (count,), best first; ties go to the lower index.

    Args:
        utilities: As a strategy returns them, (n,). Samples that it did not consider come last.
        left: Which samples can be chosen, (n,).
        count: How many to choose, at least 1 and at most what is left.
    """
    found = sampling.highest(np.where(left, utilities, -np.inf), count)
    if left[found].all():
        return found
    rows = np.flatnonzero(left)  # some of those left have the utility -inf, as all others have
    return rows[sampling.highest(utilities[rows], count)]


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
