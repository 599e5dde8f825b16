"""Rebuild a stored episode by replaying its actions, and compare the result with the record."""

from __future__ import annotations

from dataselect_env.core.episode import Episode, replay
from dataselect_env.core.errors import DynamicsMismatch
from dataselect_env.core.results import TOLERANCE, StepResult
from dataselect_env.core.sealed import DIGITS, SealedSeed
from dataselect_env.core.tasks import DYNAMICS_VERSION, get_task
from dataselect_env.server.store.base import EpisodeHeader, StoredEpisode, StoredStep

SEALED_TOLERANCE = 10**-DIGITS
"""Like ``TOLERANCE``, for sealed episodes, of which the rounded rewards are stored."""
_CONSEQUENCE = "; it can be graded, but not continued or shown."


def rebuild(stored: StoredEpisode, sealed: SealedSeed | None = None) -> tuple[Episode, list[StepResult]]:
    """Replay a stored episode; return the episode after its last step and the result of each step.

    Args:
        stored: The episode.
        sealed: Its seed, if it is sealed.

    Raises:
        DynamicsMismatch: The episode was recorded under other dynamics or another definition of its task, or the replay
            differs from the record.
    """
    check_header(stored.header)
    header = stored.header
    actions = [step.action for step in stored.steps]
    seed, tolerance = (header.seed, TOLERANCE) if sealed is None else (sealed.seed, SEALED_TOLERANCE)
    episode, results = replay(get_task(header.task_id), seed, actions, header.reward_mode)
    if not all(_agrees(*pair, tolerance) for pair in zip(results, stored.steps, strict=True)):
        raise DynamicsMismatch(f"The episode was recorded with other versions of the numerical libraries{_CONSEQUENCE}")
    return episode, results


def check_header(header: EpisodeHeader) -> None:
    """Raise DynamicsMismatch if the dynamics or the task have changed since the episode was started."""
    if header.dynamics_version != DYNAMICS_VERSION:
        raise DynamicsMismatch(
            f"The episode was played under dynamics version {header.dynamics_version} and this server has version"
            f" {DYNAMICS_VERSION}{_CONSEQUENCE}"
        )
    if get_task(header.task_id).digest != header.task_digest:
        raise DynamicsMismatch(
            f"The episode was played under another definition of its task, or on other data{_CONSEQUENCE}"
        )


def _agrees(result: StepResult, step: StoredStep, tolerance: float) -> bool:
    counts = result.info.batch_size, result.info.mislabelled or 0
    return counts == (step.bought, step.mislabelled) and abs(result.reward - step.reward) <= tolerance
