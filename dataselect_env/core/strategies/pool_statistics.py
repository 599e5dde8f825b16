"""Statistics of a pool that a curator can see before buying: how far the evidence supports the given labels.

Like strategies, they use features, given labels, the seed set and the model, never the noise mask or the validation
split. Large pools are described by at most ``MOST_SAMPLES`` evenly spaced samples.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Final

import numpy as np

from dataselect_env.core.arrays import Floats, Indices, Mask
from dataselect_env.core.strategies import evidence, filters, sampling
from dataselect_env.core.strategies.candidates import Candidates
from dataselect_env.core.threads import on_one_thread

MOST_SAMPLES: Final = 1_200
"""Most samples of the pool that the statistics describe."""
MOST_NEIGHBOURHOODS: Final = 128
"""Most samples whose neighbours are searched."""
MOST_REFERENCES: Final = 600
"""Most samples among which they are searched."""
FAR_SHARE: Final = 0.2
"""Share of the pool that counts as most uncertain, or farthest from the centre."""

_COMPARED: Final = ("agree", "neighbours", "confident", "held_out")

STATISTICS: Final[dict[str, str]] = {
    **{f"passes_{name}": f"share of the pool that passes the filter {name}" for name in _COMPARED},
    **{
        f"uncertain_{name}": f"share of the most uncertain fifth that passes the filter {name}, less passes_{name}"
        for name in _COMPARED
    },
    **{
        f"far_{name}": f"share of the fifth farthest from the centre that passes the filter {name}, less passes_{name}"
        for name in _COMPARED
    },
    **{
        f"same_{one}_{other}": f"share of the pool on which the filters {one} and {other} decide alike"
        for one, other in combinations(_COMPARED, 2)
    },
    "confidence": "mean of the model's highest class probability",
    "entropy": "mean entropy of the model's class probabilities, as a share of its maximum",
    "held_out_label": "mean held-out probability of the given label",
    "held_out_confidence": "mean of the highest held-out class probability",
    "label_correlation": "correlation of neighbour agreement and held-out probability of the given label",
    "seed_neighbours": "mean share of a seed sample's nearest pool samples with its label",
    "seed_label": "mean probability that the model gives the labels of the seed set",
    "smallest_class": "share of the rarest given label, times the number of classes",
    "effective_rank": "effective rank of the pool's features, as a share of their number",
}
"""Names and meanings of the statistics, in order. All but the differences and the correlation lie in [0, 1]."""


@on_one_thread
def pool_statistics(candidates: Candidates, seed_label: float) -> dict[str, float]:
    """Return the statistics of a pool by name, in the order of ``STATISTICS``, rounded to six decimals.

    Args:
        candidates: The candidates before the first batch. Held-out predictions of pools of at most ``MOST_SAMPLES``
            samples are kept in its memory, where strategies find them.
        seed_label: Mean probability that the model gives the labels of the seed set, in [0, 1].
    """
    sample = _spaced(np.flatnonzero(candidates.left), MOST_SAMPLES)
    if len(sample) < len(candidates.left):
        candidates = _part(candidates, sample)
    rows = _spaced(np.arange(len(candidates.X)), MOST_NEIGHBOURHOODS)
    labels, k = candidates.labels, candidates.probabilities.shape[1]
    around = evidence.neighbour_agreement(candidates.X, labels, rows, MOST_REFERENCES)
    passing: dict[str, Mask] = {
        "agree": filters.agree(candidates) >= 0,
        "confident": filters.confident(candidates) >= 0,
        "held_out": filters.held_out(candidates) >= 0,
    }
    passed = {name: passing[name][rows] if name in passing else around >= filters.AGREEING - 1e-9 for name in _COMPARED}
    entropy = sampling.entropy_of(candidates.probabilities)
    centred = candidates.X - candidates.X.mean(axis=0)
    distance = np.einsum("ij,ij->i", centred, centred)
    held_out_label = candidates.held_out[np.arange(len(labels)), labels]
    shares = {name: float(passing.get(name, passed[name]).mean()) for name in _COMPARED}
    values = [
        *shares.values(),
        *(share - shares[name] for name, share in _among_highest(entropy, passing, passed, rows).items()),
        *(share - shares[name] for name, share in _among_highest(distance, passing, passed, rows).items()),
        *((passed[one] == passed[other]).mean() for one, other in combinations(_COMPARED, 2)),
        candidates.probabilities.max(axis=1).mean(),
        entropy.mean() / np.log(k),
        held_out_label.mean(),
        candidates.held_out.max(axis=1).mean(),
        _correlation(around, held_out_label[rows]),
        _seed_neighbours(candidates),
        seed_label,
        np.bincount(labels, minlength=k).min() / len(labels) * k,
        _effective_rank(centred),
    ]
    return {name: round(float(value), 6) for name, value in zip(STATISTICS, values, strict=True)}


def _spaced(rows: Indices, most: int) -> Indices:
    """Return at most ``most`` evenly spaced elements."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).round().astype(np.intp)]


def _part(candidates: Candidates, rows: Indices) -> Candidates:
    """Return candidates for some samples of the pool alone, with a memory of their own."""
    return replace(
        candidates,
        X=candidates.X[rows],
        probabilities=candidates.probabilities[rows],
        left=candidates.left[rows],
        labels=candidates.labels[rows],
        memory={},
    )


def _among_highest(
    values: Floats, passing: dict[str, Mask], passed: dict[str, Mask], rows: Indices
) -> dict[str, float]:
    """Return the share that passes each filter among the samples with the highest values.

    Args:
        values: One value for each sample of the pool, (n,).
        passing: Samples that pass, (n,), by filter; the shares of other filters are taken among ``rows``.
        passed: The same for ``rows`` alone, (m,), for all filters in ``_COMPARED``.
        rows: Some samples of the pool, (m,).
    """
    highest, among_rows = _highest(values), _highest(values[rows])
    return {
        name: float((passing[name][highest] if name in passing else passed[name][among_rows]).mean())
        for name in _COMPARED
    }


def _highest(values: Floats) -> Indices:
    """Return the indices of the highest ``FAR_SHARE`` of values."""
    return np.argsort(-values, kind="stable")[: max(1, round(FAR_SHARE * len(values)))]


def _correlation(one: Floats, other: Floats) -> float:
    """Return Pearson's correlation, 0 where one of both is constant."""
    one, other = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / scale if scale > 1e-12 else 0.0


def _seed_neighbours(candidates: Candidates) -> float:
    """Return the mean share of a seed sample's nearest pool samples that have its label."""
    seed = slice(0, candidates.seed_size)
    X, y = candidates.X_acquired[seed], candidates.y_acquired[seed]
    reference = _spaced(np.arange(len(candidates.X)), MOST_REFERENCES)
    Z = candidates.X[reference]
    distances = np.einsum("ij,ij->i", Z, Z) - 2 * (X @ Z.T)
    k = min(evidence.NEIGHBOURS, len(reference))
    nearest = reference[np.argpartition(distances, k - 1, axis=1)[:, :k]]
    return float((candidates.labels[nearest] == y[:, None]).mean())


def _effective_rank(centred: Floats) -> float:
    """Return the participation ratio of the covariance's eigenvalues over the number of features, in (0, 1]."""
    covariance = centred.T @ centred
    squares = float(np.vdot(covariance, covariance))
    return float(np.trace(covariance)) ** 2 / squares / centred.shape[1] if squares > 0 else 1.0
