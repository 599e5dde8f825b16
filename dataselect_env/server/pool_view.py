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

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from pydantic import Field

from dataselect_env.core.actions import weights_of
from dataselect_env.core.arrays import Floats, Indices, Mask
from dataselect_env.core.episode import Episode
from dataselect_env.core.errors import DynamicsMismatch
from dataselect_env.core.models import WireModel
from dataselect_env.core.source import Source, source_of
from dataselect_env.core.tasks import DYNAMICS_VERSION, get_task
from dataselect_env.server.session import check_definition
from dataselect_env.server.store.base import StoredEpisode

DEMONSTRATION_PREFIX = "demonstration-"
"""Episodes whose id starts with this show their purchases while they run."""
DECIMALS = 2
"""Of positions, which reach from about -6 to 6: finer than a screen shows."""
MOST_POINTS = 5_000
"""Of a larger pool no positions are told: about 80 kB, and more than a picture can show."""
CACHE_SIZE = 64
"""Positions kept in memory, 18 kB for each data set."""


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
    if header.dynamics_version != DYNAMICS_VERSION:
        raise DynamicsMismatch(
            f"The episode was played under dynamics version {header.dynamics_version} and this server has version"
            f" {DYNAMICS_VERSION}; it can be graded but not shown.",
        )
    check_definition(header)
    purchases = mislabelled = None
    if done or header.episode_id.startswith(DEMONSTRATION_PREFIX):
        wrong, batches = _replay(stored)
        purchases = [
            PurchaseView(samples=batch.tolist(), mislabelled=batch[wrong[batch]].tolist()) for batch in batches
        ]
        known = get_task(header.task_id).has_ground_truth
        mislabelled = np.flatnonzero(wrong).tolist() if done and known else None
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


@dataclass(frozen=True, slots=True)
class _DataOf:
    """A data set, with one of the seeds that use it."""

    source: Source
    number: int
    seed: int = field(compare=False)


def positions(task_id: str, seed: int) -> Floats:
    """Return where the pool samples of an episode lie on two principal components, (n_pool, 2), rounded.

    The sign of a component is arbitrary; here its largest entry is positive.
    """
    source = source_of(get_task(task_id))
    return _positions(_DataOf(source, source.start(seed).dataset.number, seed))


@lru_cache(maxsize=CACHE_SIZE)
def _positions(data: _DataOf) -> Floats:
    X = data.source.start(data.seed).dataset.X_pool
    X = X - X.mean(axis=0)
    _, directions = np.linalg.eigh(X.T @ X)
    first_two = directions[:, :-3:-1]  # eigenvalues ascend
    largest = np.abs(first_two).argmax(axis=0)
    first_two = first_two * np.sign(first_two[largest, np.arange(first_two.shape[1])])
    places: Floats = np.round(X @ first_two, DECIMALS) + 0.0  # no negative zero
    return places


def _replay(stored: StoredEpisode) -> tuple[Mask, list[Indices]]:
    """Play a stored episode again; return the noise mask of its pool and the batch of each step."""
    episode = Episode(get_task(stored.header.task_id), stored.header.seed)
    wrong = episode.mislabelled
    batches: list[Indices] = []
    for step in stored.steps:
        if step.action.action_type == "stop":
            episode.stop()
            batches.append(np.empty(0, dtype=np.intp))
            continue
        purchase = episode.select_batch(step.action.batch_size, weights_of(step.action, episode.strategies))
        if (purchase.bought, purchase.mislabelled) != (step.bought, step.mislabelled):
            raise DynamicsMismatch(
                "The episode was recorded with other versions of the numerical libraries; it can be graded but not"
                " shown.",
            )
        batches.append(purchase.samples)
    return wrong, batches
