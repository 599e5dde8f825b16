"""The pool view: positions of pool samples, purchases and wrong labels, for a picture of an episode.

The samples of a batch reveal more than the counts in a reply. Uncertainty sampling is drawn to wrong labels, and the
positions of wrong labels reveal the hidden world. What is shown therefore depends on the phase of the episode:

- Positions depend on features, and in the layout ``certainty`` on the model before the first purchase. They are shown
  at any time.
- Purchases and wrong labels are shown once the episode is over. An agent that then plays the same seed again knows no
  more than one that has played it before: seeds are public, and episodes are deterministic.
- Where batches are not audited, wrong labels are never shown.
- While an episode runs, purchases and their wrong labels are shown for demonstrations only; nothing is shown of samples
  that were not bought. A demonstration is an episode whose id starts with ``DEMONSTRATION_PREFIX``. The id marks it in
  the store, in every reply and in every grade, and its results must not be compared with those of agents.
"""

from __future__ import annotations

from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np
from pydantic import Field

from dataselect_env.core.arrays import Floats, Indices
from dataselect_env.core.data import Dataset
from dataselect_env.core.episode import Episode
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
MOST_POINTS = 2_000
"""Largest pool of which all positions are sent, about 30 kB; of a larger one, those of a fixed sample of this size."""
CERTAIN = 1e-4
"""Probabilities closer than this to 1 count as this close."""

Layout = Literal["components", "certainty"]
Point = tuple[float, float]


class PurchaseView(WireModel):
    """The purchase of one step."""

    samples: list[int] = Field(
        description="Indices into the pool, in the order of choice: by uncertainty, by diversity, at random."
    )
    mislabelled: list[int] = Field(
        description="The samples among them with a wrong label; empty if batches are not audited."
    )
    points: list[Point] | None = Field(description="Their positions, if only a sample of the pool has positions.")


class PoolView(WireModel):
    """The pool of an episode after its last step, as far as it may be shown."""

    episode_id: str = Field(description="Id of the episode.")
    done: bool = Field(description="Whether the episode is over.")
    points: list[Point] | None = Field(
        description="Position of each pool sample, or of those in `sample`; null if not requested. In the layout"
        " `components`, on the first two principal components of the features; in `certainty`, distance from the centre"
        " of the pool and log-odds that the model before the first purchase gives its most probable class."
    )
    sample: list[int] | None = Field(
        description=f"Indices of the samples in `points`, in a pool of more than {MOST_POINTS:,}; null otherwise."
    )
    purchases: list[PurchaseView] | None = Field(
        description=f"One entry a step; null while the episode runs, unless its id starts with {DEMONSTRATION_PREFIX}."
    )
    mislabelled: list[int] | None = Field(
        description="All pool samples with a wrong label, in a large pool those in `sample`; null while the episode"
        " runs, and if batches are not audited."
    )
    accuracies: list[float] | None = Field(
        description="Accuracy of the model on the validation split after the reset and after each step; null while the"
        " episode runs."
    )


def view(stored: StoredEpisode, *, points: bool, layout: Layout = "components") -> PoolView:
    """Return what may be shown of the pool of a stored episode.

    Args:
        stored: The episode with its steps so far.
        points: Whether to include positions.
        layout: What the positions are.

    Raises:
        DynamicsMismatch: The episode was recorded under other dynamics or another definition of its task, or the replay
            differs from the record.
    """
    header, done = stored.header, stored.grade is not None
    check_header(header)
    placed = positions(header.task_id, header.seed, layout)
    sample = _sample(len(placed))
    purchases = mislabelled = accuracies = None
    if done or header.episode_id.startswith(DEMONSTRATION_PREFIX):
        episode, results = rebuild(stored)
        audited = episode.task.audited
        wrong = episode.mislabelled & audited
        purchases = [
            PurchaseView(
                samples=result.samples.tolist(),
                mislabelled=result.samples[wrong[result.samples]].tolist(),
                points=None if sample is None else _as_points(placed[result.samples]),
            )
            for result in results
        ]
        if done:
            shown = np.flatnonzero(wrong) if sample is None else sample[wrong[sample]]
            mislabelled = shown.tolist() if audited else None
            accuracies = _accuracies(stored)
    return PoolView(
        episode_id=header.episode_id,
        done=done,
        points=_as_points(placed if sample is None else placed[sample]) if points else None,
        sample=None if sample is None or not points else sample.tolist(),
        purchases=purchases,
        mislabelled=mislabelled,
        accuracies=accuracies,
    )


def _as_points(placed: Floats) -> list[Point]:
    return [(x, y) for x, y in placed.tolist()]


def _sample(size: int) -> Indices | None:
    """Return the indices of the samples that a picture shows, ascending, which depend on the pool's size alone."""
    if size <= MOST_POINTS:
        return None
    return np.sort(np.random.default_rng(size).choice(size, MOST_POINTS, replace=False))


def _accuracies(stored: StoredEpisode) -> list[float]:
    """Return the accuracy on the validation split after the reset and after each step."""
    header = stored.header
    task = get_task(header.task_id)
    dataset = source_of(task).start(header.seed).dataset
    episode = Episode(task, header.seed)
    found = [_accuracy(episode, dataset)]
    for step in stored.steps:
        episode.step(step.action)
        found.append(_accuracy(episode, dataset))
    return found


def _accuracy(episode: Episode, dataset: Dataset) -> float:
    learner, X = episode.learner, dataset.X_validation
    predicted = learner.log_odds(X) > 0 if learner.n_classes == 2 else learner.probabilities(X).argmax(axis=1)
    return round(float(np.average(predicted == dataset.y_validation, weights=dataset.weights)), 4)


_positions: WeakKeyDictionary[WarmStart, dict[Layout, Floats]] = WeakKeyDictionary()
"""Positions by warm start, cached as long as the warm start is in use."""


def positions(task_id: str, seed: int, layout: Layout = "components") -> Floats:
    """Return the positions of the pool samples, (n_pool, 2), rounded; see ``PoolView.points``."""
    start = source_of(get_task(task_id)).start(seed)
    cached = _positions.setdefault(start, {})
    if layout not in cached:
        placed = _principal_components(start.dataset.X_pool) if layout == "components" else _certainty(start)
        cached[layout] = np.round(placed, DECIMALS) + 0.0  # no negative zero
    return cached[layout]


def _certainty(start: WarmStart) -> Floats:
    X = start.dataset.X_pool
    probability = np.minimum(start.learner.probabilities(X).max(axis=1), 1 - CERTAIN)
    distance = np.linalg.norm(X - X.mean(axis=0), axis=1)
    return np.column_stack([distance, np.log(probability / (1 - probability))])


def _principal_components(X: Floats) -> Floats:
    """Return features projected on their first two principal components.

    The sign of a principal component is arbitrary; here its entry of largest magnitude is positive.
    """
    X = X - X.mean(axis=0)
    _, directions = np.linalg.eigh(X.T @ X)
    first_two = directions[:, :-3:-1]  # eigenvalues ascend
    largest = np.abs(first_two).argmax(axis=0)
    projected: Floats = X @ (first_two * np.sign(first_two[largest, np.arange(first_two.shape[1])]))
    return projected
