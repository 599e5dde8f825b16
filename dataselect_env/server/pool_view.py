"""The pool view: positions of pool samples, purchases and wrong labels, for a picture of an episode.

The samples of a batch reveal more than the counts in a reply. Uncertainty sampling is drawn to wrong labels, and the
positions of wrong labels reveal the hidden world. What is shown therefore depends on the phase of the episode:

- Positions depend on features only and are shown at any time.
- Purchases and wrong labels are shown once the episode is over. An agent that then plays the same seed again knows no
  more than one that has played it before: seeds are public, and episodes are deterministic.
- Where batches are not audited, wrong labels are never shown.
- While an episode runs, purchases and their wrong labels are shown for demonstrations only; nothing is shown of samples
  that were not bought. A demonstration is an episode whose id starts with ``DEMONSTRATION_PREFIX``. The id marks it in
  the store, in every reply and in every grade, and its results must not be compared with those of agents.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
from pydantic import Field

from dataselect_env.core.arrays import Floats
from dataselect_env.core.source import source_of
from dataselect_env.core.tasks import get_task
from dataselect_env.core.validation import WireModel
from dataselect_env.core.warm_start import WarmStart
from dataselect_env.server.replay import check_header, rebuild
from dataselect_env.server.store.base import StoredEpisode

DEMONSTRATION_PREFIX = "demonstration-"
"""Prefix of the ids of demonstrations, which show their purchases while they run."""
DECIMALS = 2
"""Decimals of positions, which lie between about -6 and 6: finer than a screen resolves."""
MOST_POINTS = 5_000
"""Largest pool whose positions are sent, about 80 kB; a picture cannot show more points."""


class PurchaseView(WireModel):
    """The purchase of one step."""

    samples: list[int] = Field(
        description="Indices into the pool, in the order of choice: by uncertainty, by diversity, at random."
    )
    mislabelled: list[int] = Field(
        description="The samples among them with a wrong label; empty if batches are not audited."
    )


class PoolView(WireModel):
    """The pool of an episode after its last step, as far as it may be shown."""

    episode_id: str = Field(description="Id of the episode.")
    done: bool = Field(description="Whether the episode is over.")
    points: list[tuple[float, float]] | None = Field(
        description="Position of each pool sample on the first two principal components of the features; null if not "
        f"requested, and for pools of more than {MOST_POINTS:,} samples."
    )
    purchases: list[PurchaseView] | None = Field(
        description=f"One entry a step; null while the episode runs, unless its id starts with {DEMONSTRATION_PREFIX}."
    )
    mislabelled: list[int] | None = Field(
        description="All pool samples with a wrong label; null while the episode runs, and if batches are not audited."
    )


def view(stored: StoredEpisode, *, points: bool) -> PoolView:
    """Return what may be shown of the pool of a stored episode.

    Args:
        stored: The episode with its steps so far.
        points: Whether to include positions.

    Raises:
        DynamicsMismatch: The episode was recorded under other dynamics or another definition of its task, or the replay
            differs from the record.
    """
    header, done = stored.header, stored.grade is not None
    check_header(header)
    purchases = mislabelled = None
    if done or header.episode_id.startswith(DEMONSTRATION_PREFIX):
        episode, results = rebuild(stored)
        wrong, audited = episode.mislabelled, episode.task.audited
        batches = [result.samples for result in results]
        purchases = [
            PurchaseView(samples=batch.tolist(), mislabelled=batch[wrong[batch]].tolist() if audited else [])
            for batch in batches
        ]
        mislabelled = np.flatnonzero(wrong).tolist() if done and audited else None
    return PoolView(
        episode_id=header.episode_id,
        done=done,
        points=_points(header.task_id, header.seed) if points else None,
        purchases=purchases,
        mislabelled=mislabelled,
    )


def _points(task_id: str, seed: int) -> list[tuple[float, float]] | None:
    if get_task(task_id).pool_size > MOST_POINTS:
        return None
    return [(x, y) for x, y in positions(task_id, seed).tolist()]


_positions: WeakKeyDictionary[WarmStart, Floats] = WeakKeyDictionary()
"""Positions by warm start, cached as long as the warm start is in use."""


def positions(task_id: str, seed: int) -> Floats:
    """Return the positions of the pool samples on the first two principal components, (n_pool, 2), rounded.

    The sign of a principal component is arbitrary; here its entry of largest magnitude is positive.
    """
    start = source_of(get_task(task_id)).start(seed)
    cached = _positions.get(start)
    if cached is None:
        cached = _positions[start] = _principal_components(start.dataset.X_pool)
    return cached


def _principal_components(X: Floats) -> Floats:
    X = X - X.mean(axis=0)
    _, directions = np.linalg.eigh(X.T @ X)
    first_two = directions[:, :-3:-1]  # eigenvalues ascend
    largest = np.abs(first_two).argmax(axis=0)
    first_two = first_two * np.sign(first_two[largest, np.arange(first_two.shape[1])])
    projected: Floats = np.round(X @ first_two, DECIMALS) + 0.0  # no negative zero
    return projected
