"""Filters on given labels: which samples of a pool have a credible label.

A filter precedes a ranking. Samples that pass come first, in the order of the ranking; the others follow, the most
credible first. The pair is a query strategy whose name joins both, as in ``confident_uncertainty``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from dataselect_env.core.arrays import Floats, Labels, Mask
from dataselect_env.core.strategies.candidates import Candidates, Utilities

AGREEING: Final = 0.7
"""Share of the nearest neighbours that must have a sample's label."""

Credibility = Callable[[Candidates], Floats]
"""Returns the credibility of each given label, (n,), not NaN; a sample passes if it is at least 0."""


@dataclass(frozen=True, slots=True)
class LabelFilter:
    """A filter on labels under its name.

    Attributes:
        name: First part of the names of its strategies: lower-case letters, digits and underscores.
        description: Which samples pass, as a relative clause: "whose given label ...".
        source: Where it was published.
        credibility: The filter itself.
    """

    name: str
    description: str
    source: str
    credibility: Credibility


def _margin(scores: Floats, labels: Labels) -> Floats:
    """Return the score of the given label less the highest score of another, (n,)."""
    if scores.shape[1] == 2:
        difference = scores[:, 1] - scores[:, 0]
        return np.where(labels == 1, difference, -difference)
    rows = np.arange(len(scores))
    given = scores[rows, labels]
    others = scores.copy()
    others[rows, labels] = -np.inf
    margins: Floats = given - others.max(axis=1)
    return margins


def agree(candidates: Candidates) -> Floats:
    """Return the current model's margin for the given label: it passes if the model predicts it (small loss)."""
    return _margin(candidates.probabilities, candidates.labels)


def held_out(candidates: Candidates) -> Floats:
    """Return the margin for the given label of a model that was trained on all other labels of the pool."""
    return candidates.once("held_out_margin", lambda: _margin(candidates.held_out, candidates.labels))


def neighbours(candidates: Candidates) -> Floats:
    """Return the share of the nearest neighbours that have the given label, less ``AGREEING``."""
    # Shares are tenths; the small margin lets 0.7 pass despite rounding.
    return candidates.neighbour_agreement - AGREEING + 1e-9


def confident(candidates: Candidates) -> Floats:
    """Return the held-out probability of the given label, less 2 where confident learning finds a label issue.

    A sample counts as the class of highest probability among those that reach their thresholds; the threshold of a
    class is the mean probability of the class over the samples with its label. An issue is a sample that counts as
    another class than the given one.
    """
    return candidates.once("confident", lambda: _confident(candidates))


def _confident(candidates: Candidates) -> Floats:
    probabilities, labels = candidates.held_out, candidates.labels
    classes = range(probabilities.shape[1])
    thresholds = np.array(
        [probabilities[labels == label, label].mean() if (labels == label).any() else np.inf for label in classes]
    )
    counted = np.where(probabilities >= thresholds, probabilities, -1.0)
    issue = (counted.max(axis=1) >= 0) & (counted.argmax(axis=1) != labels)
    credibility: Floats = probabilities[np.arange(len(labels)), labels] - 2.0 * issue
    return credibility


FILTERS: Final[dict[str, LabelFilter]] = {
    one.name: one
    for one in (
        LabelFilter(
            "agree",
            "whose given label the current model predicts",
            "Han et al., Co-teaching: Robust Training of Deep Neural Networks with Extremely Noisy Labels, 2018",
            agree,
        ),
        LabelFilter(
            "neighbours",
            f"whose given label at least {AGREEING:.0%} of the nearest neighbours have",
            "Wilson, Asymptotic Properties of Nearest Neighbor Rules Using Edited Data, 1972; Bahri, Jiang, Gupta, Deep"
            " k-NN for Noisy Labels, 2020",
            neighbours,
        ),
        LabelFilter(
            "confident",
            "in whose given label confident learning finds no issue",
            "Northcutt, Jiang, Chuang, Confident Learning: Estimating Uncertainty in Dataset Labels, 2021",
            confident,
        ),
        LabelFilter(
            "held_out",
            "whose given label is predicted by a model trained on all other labels",
            "Brodley, Friedl, Identifying Mislabeled Training Data, 1999",
            held_out,
        ),
    )
}
"""The filters by name; add to them with :func:`~dataselect_env.core.strategies.registry.register_filter`."""


def filtered(label_filter: LabelFilter, ranking: Utilities) -> Utilities:
    """Return the utilities of a ranking behind a filter.

    Samples that pass come first, in the order of the ranking; the other samples left follow by their credibility.

    Args:
        label_filter: Decides which samples pass.
        ranking: Ranks those that pass; it sees no other sample as left.
    """

    def utilities(candidates: Candidates, count: int) -> Floats:
        credibility = label_filter.credibility(candidates)
        passing = candidates.left & (credibility >= 0)
        some = int(np.count_nonzero(passing))
        ranked = ranking(candidates.among(passing), min(count, some)) if some else credibility
        if _need_no_places(ranked, passing, some, credibility):
            return np.where(candidates.left, np.where(passing, ranked, credibility), -np.inf)
        others = candidates.left & ~passing
        result = np.full(len(passing), -np.inf)
        result[others] = _ordinal(credibility[others]) - len(passing)
        result[passing] = _ordinal(ranked[passing])
        return result

    return utilities


def _need_no_places(ranked: Floats, passing: Mask, some: int, credibility: Floats) -> bool:
    """Return whether all utilities are finite and those of what passes at least 0, above any credibility that fails.

    They can then stand as they are. Otherwise their places in an order do, which takes a sort.
    """
    fine = np.count_nonzero((ranked >= 0) & passing) == some and ranked.max() < np.inf
    return bool(fine and credibility.min() > -np.inf)


def _ordinal(values: Floats) -> Floats:
    """Return the places of values in their ascending order, from 0; equal values share a place."""
    return np.unique(values, return_inverse=True)[1].reshape(-1).astype(np.float64)
