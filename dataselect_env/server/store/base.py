"""What every episode store keeps and offers.

What an episode was is fully determined by its task, seed and actions; results are kept beside them so that a grade
outlives the dynamics that it was given by, and so that a replay can be checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from dataselect_env.core.models import Action, Grade, RewardMode
from dataselect_env.server.store.retention import Retention

Transport = Literal["http", "websocket", "mcp"]
STORED_ACTION_FIELDS = {"action_type", "batch_size", "strategy_weights"}
"""Fields of an action that a store keeps."""


@dataclass(frozen=True, slots=True)
class EpisodeHeader:
    """What an episode is played under; ``task_digest`` is that of a task of a user's own."""

    episode_id: str
    transport: Transport
    task_id: str
    seed: int
    reward_mode: RewardMode
    dynamics_version: int
    task_digest: str | None = None


@dataclass(frozen=True, slots=True)
class StoredStep:
    """One action and what came of it."""

    action: Action
    bought: int
    mislabelled: int
    performance: float
    reward: float


@dataclass(frozen=True, slots=True)
class StoredEpisode:
    """An episode as far as it was played; ``grade`` is there once it is over."""

    header: EpisodeHeader
    steps: tuple[StoredStep, ...]
    grade: Grade | None


class EpisodeStore(Protocol):
    """What every store offers. All methods raise StoreUnavailable when the store cannot be reached, or is closed.

    Writing is awaited, for as long as it takes; reading is a matter of microseconds and never waits for a writer. A
    write that is cancelled is done in full or not at all. :func:`dataselect_env.testing.check_store` checks all of it.
    """

    @property
    def url(self) -> str:
        """What ``open_store`` opens the same store with, in another process too unless it is ``memory:``."""

    async def create(self, header: EpisodeHeader) -> None:
        """Add an episode; on return it is in the store. Raises EpisodeExists when its id is in use."""

    async def append(self, episode_id: str, number: int, step: StoredStep, grade: Grade | None) -> None:
        """Add step ``number`` (from 1) and, with the last one, the grade; on return both are in the store.

        Raises EpisodeConflict when that step is there already, EpisodeNotFound when there is no such episode.
        """

    def load(self, episode_id: str) -> StoredEpisode:
        """Return an episode; raises EpisodeNotFound."""

    def step_count(self, episode_id: str) -> int:
        """Return how many steps of an episode there are; 0 when there is no such episode."""

    def latest(self, transport: Transport) -> str | None:
        """Return the id of the episode most recently started over ``transport``, or None."""

    async def prune(self, keep: Retention) -> bool:
        """Remove a few of the episodes that need not be kept; True when there may be more."""

    async def check(self) -> None:
        """Return when the store can be written."""

    def size(self) -> int:
        """Return how many bytes the episodes take."""

    def close(self) -> None:
        """Release the store; what is asked of it afterwards raises StoreUnavailable."""
