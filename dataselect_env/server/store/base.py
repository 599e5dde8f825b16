"""The interface of episode stores, and the records that they hold.

Task, seed and actions determine an episode. Its results are stored as well, so that a grade outlives the dynamics under
which it was given, and a replay can be checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from dataselect_env.core.models import Action, Grade, RewardMode
from dataselect_env.server.store.retention import Retention

Transport = Literal["http", "websocket", "mcp"]
STORED_ACTION_FIELDS = {"action_type", "batch_size", "strategy_weights"}
"""Fields of an action that are stored."""


@dataclass(frozen=True, slots=True)
class EpisodeHeader:
    """Identity and conditions of an episode; only custom tasks have a ``task_digest``."""

    episode_id: str
    transport: Transport
    task_id: str
    seed: int
    reward_mode: RewardMode
    dynamics_version: int
    task_digest: str | None = None


@dataclass(frozen=True, slots=True)
class StoredStep:
    """An action and its results."""

    action: Action
    bought: int
    mislabelled: int
    performance: float
    reward: float


@dataclass(frozen=True, slots=True)
class StoredEpisode:
    """An episode up to its last step; ``grade`` is None while it is running."""

    header: EpisodeHeader
    steps: tuple[StoredStep, ...]
    grade: Grade | None


@dataclass(frozen=True, slots=True)
class EpisodeFilter:
    """Conditions on episodes in a list; None admits any."""

    task_id: str | None = None
    transport: Transport | None = None
    finished: bool | None = None


@dataclass(frozen=True, slots=True)
class ListedEpisode:
    """An episode in a list: samples bought so far, and the performance after each step."""

    header: EpisodeHeader
    bought: int
    performances: tuple[float, ...]
    grade: Grade | None


@dataclass(frozen=True, slots=True)
class EpisodePage:
    """A part of a list of episodes. ``following`` is the argument ``before`` for the next part; None at the end."""

    episodes: tuple[ListedEpisode, ...]
    following: int | None


EXAMINED = 5_000
"""Episodes that one call of ``EpisodeStore.recent`` may examine: a filter that few of them meet costs milliseconds."""


class EpisodeStore(Protocol):
    """An episode store. All methods raise StoreUnavailable when the store cannot be reached or is closed.

    A write that is cancelled is stored completely or not at all. Reads never wait for a writer.
    :func:`dataselect_env.testing.check_store` checks an implementation.
    """

    @property
    def url(self) -> str:
        """URL that opens the same store with ``open_store``, also in another process unless it is ``memory:``."""

    async def create(self, header: EpisodeHeader) -> None:
        """Add an episode; on return it is stored. Raises EpisodeExists if its id is in use."""

    async def append(self, episode_id: str, number: int, step: StoredStep, grade: Grade | None) -> None:
        """Add step ``number`` (from 1) and, with the last step, the grade; on return both are stored.

        Raises EpisodeConflict if the store already has that step, EpisodeNotFound if there is no such episode.
        """

    async def load(self, episode_id: str) -> StoredEpisode:
        """Return an episode. Raises EpisodeNotFound."""

    async def step_count(self, episode_id: str) -> int:
        """Return the number of stored steps of an episode. Raises EpisodeNotFound."""

    async def latest(self, transport: Transport) -> str | None:
        """Return the id of the episode most recently started over ``transport``; None if there is none."""

    async def recent(self, wanted: EpisodeFilter, limit: int, before: int | None = None) -> EpisodePage:
        """Return at most ``limit`` episodes that meet a filter, most recently created first.

        A page may be shorter, or empty, before the end of the list: a store examines at most ``EXAMINED`` episodes a
        call. Who asks again with ``before=page.following`` until it is None gets each episode once.
        """

    async def prune(self, keep: Retention) -> bool:
        """Remove a few expired episodes; return whether there may be more."""

    async def check(self) -> None:
        """Return if the store can be written, has what was written, and is what the next start opens."""

    async def size(self) -> int:
        """Return the size of the store in bytes."""

    def close(self) -> None:
        """Release the store; all methods raise StoreUnavailable afterwards."""
