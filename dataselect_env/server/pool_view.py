"""What a picture of an episode's pool may show: where samples lie, which were bought, which labels were wrong.

Which samples a batch consists of tells more than the counts in a reply: uncertainty is drawn to wrong labels, and
where the wrong ones of a batch lie gives the hidden world away. So an agent is not told:

- where samples lie comes from their features alone; anyone may see it at any time;
- what was bought and which labels were wrong is told once the episode is over. Whoever then plays the same seed again
  knows no more than one who had learned from playing it before: seeds are public, and episodes repeat;
- while it runs it is told of demonstrations only, and of them what a sample-by-sample audit of the bought batches
  finds; of samples that were not bought, nothing. A demonstration is an episode whose id says so from the reset on: the
  mark stands in the store, in every reply and in every grade, and its results are not to be compared with an agent's.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
from pydantic import Field

from dataselect_env.core.arrays import Floats
from dataselect_env.core.models import WireModel
from dataselect_env.core.source import source_of
from dataselect_env.core.tasks import get_task
from dataselect_env.core.warm_start import WarmStart
from dataselect_env.server.replay import check_header, rebuild
from dataselect_env.server.store.base import StoredEpisode

DEMONSTRATION_PREFIX = "demonstration-"
"""Episodes whose id starts with this show their purchases while they run."""
DECIMALS = 2
"""Of positions, which reach from about -6 to 6: finer than a screen shows."""
MOST_POINTS = 5_000
"""Of a larger pool no positions are told: about 80 kB, and more than a picture can show."""


class PurchaseView(WireModel):
    """What one step bought."""

    samples: list[int] = Field(
        description="Indices into the pool, in the order bought: by uncertainty, by diversity, at random."
    )
    mislabelled: list[int] = Field(description="Those of them that carry a wrong label.")


class PoolView(WireModel):
    """What may be shown of an episode's pool, as of the last step."""

    episode_id: str = Field(description="Id of the episode.")
    done: bool = Field(description="Whether the episode is over.")
    points: list[tuple[float, float]] | None = Field(
        description="Where each pool sample lies on the first two principal components of the features; null when not "
        f"asked for, and of more than {MOST_POINTS:,} samples."
    )
    purchases: list[PurchaseView] | None = Field(
        description=f"One entry a step; null while the episode runs, unless its id starts with {DEMONSTRATION_PREFIX}."
    )
    mislabelled: list[int] | None = Field(
        description="All pool samples with a wrong label; null until it is over, and where the right ones are unknown."
    )


def view(stored: StoredEpisode, *, points: bool) -> PoolView:
    """Return what may be shown of a stored episode.

    Args:
        stored: The episode as far as it was played.
        points: Whether to tell where samples lie.

    Raises:
        DynamicsMismatch: It was recorded under other dynamics, or the replay differs from the record.
    """
    header, done = stored.header, stored.grade is not None
    check_header(header)
    purchases = mislabelled = None
    if done or header.episode_id.startswith(DEMONSTRATION_PREFIX):
        episode, results = rebuild(stored)
        wrong = episode.mislabelled
        batches = [result.samples for result in results]
        purchases = [
            PurchaseView(samples=batch.tolist(), mislabelled=batch[wrong[batch]].tolist()) for batch in batches
        ]
        mislabelled = np.flatnonzero(wrong).tolist() if done and episode.task.has_ground_truth else None
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
"""Positions of each data set, kept as long as the data set is."""


def positions(task_id: str, seed: int) -> Floats:
    """Return where the pool samples of an episode lie on two principal components, (n_pool, 2), rounded.

    The sign of a component is arbitrary; here its largest entry is positive.
    """
    start = source_of(get_task(task_id)).start(seed)
    found = _positions.get(start)
    if found is None:
        found = _positions[start] = _principal_components(start.dataset.X_pool)
    return found


def _principal_components(X: Floats) -> Floats:
    X = X - X.mean(axis=0)
    _, directions = np.linalg.eigh(X.T @ X)
    first_two = directions[:, :-3:-1]  # eigenvalues ascend
    largest = np.abs(first_two).argmax(axis=0)
    first_two = first_two * np.sign(first_two[largest, np.arange(first_two.shape[1])])
    places: Floats = np.round(X @ first_two, DECIMALS) + 0.0  # no negative zero
    return places
