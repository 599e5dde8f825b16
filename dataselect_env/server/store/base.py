"""The interface of episode stores, and the records that they hold.

Task, seed and actions determine an episode. Its results are stored as well, so that a grade outlives the dynamics under
which it was given, and a replay can be checked.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal, Protocol

from dataselect_env.core.models import Action, Grade, RewardMode
from dataselect_env.core.tasks import SEALED, split_of
from dataselect_env.server.store.boards import COUNTING_SPLIT, Agent, Attempt, Board, Standing, points_of
from dataselect_env.server.store.retention import Retention, as_text, utc_now

Transport = Literal["http", "websocket", "mcp"]
STORED_ACTION_FIELDS = {"action_type", "batch_size", "strategy_weights"}
"""Fields of an action that are stored."""


def _now() -> str:
    return as_text(utc_now())


@dataclass(frozen=True, slots=True)
class EpisodeHeader:
    """Identity and conditions of an episode.

    Attributes:
        seed: The seed; of a sealed episode the index in its split.
        task_digest: Fingerprint of a custom task; None for a built-in one.
        agent: Name under which the episode counts; None if it has none.
        key_id: Of a sealed episode, id of the secret that its seed comes from.
        started_at: Start in UTC, ISO 8601 with milliseconds; does not count when headers are compared.
    """

    episode_id: str
    transport: Transport
    task_id: str
    seed: int
    reward_mode: RewardMode
    dynamics_version: int
    task_digest: str | None = None
    agent: str | None = None
    key_id: str | None = None
    started_at: str = field(default_factory=_now, compare=False)

    @property
    def split(self) -> str | None:
        """Name of the split; None if the seed belongs to none."""
        return split_of(self.seed) if self.key_id is None else SEALED

    @property
    def board(self) -> Board | None:
        """The leaderboard on which the episode counts; None if it counts on none."""
        split = self.split
        if self.agent is None or split not in (SEALED, COUNTING_SPLIT):
            return None
        return Board(self.task_id, split, self.key_id, self.dynamics_version, self.task_digest)

    def attempt(self, so_far: Grade | None) -> tuple[Board, Attempt] | None:
        """Return the board and the attempt that the episode starts; None if it counts on no board.

        Args:
            so_far: Grade as if the episode ended now; needed where it counts.
        """
        board, agent = self.board, self.agent
        if board is None or agent is None or so_far is None:
            return None
        points, passed = points_of(so_far), so_far.passed
        return board, Attempt(agent, self.seed, self.episode_id, self.started_at, points, passed, "running")


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
    agent: str | None = None


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
    """An episode store. All methods are coroutines, and raise StoreUnavailable when it cannot be reached or is closed.

    A write that is cancelled is stored completely or not at all. Reads never wait for a writer.
    :func:`dataselect_env.testing.check_store` checks an implementation.
    """

    @property
    def url(self) -> str:
        """URL that opens the same store with ``open_store``, also in another process unless it is ``memory:``."""

    async def create(self, header: EpisodeHeader, so_far: Grade | None = None) -> None:
        """Add an episode; on return it is stored.

        If the header has a board, the first episode of agent and seed or index becomes an attempt on it.

        Args:
            header: The header.
            so_far: Grade as if the episode ended now; needed where the header has a board.

        Raises:
            EpisodeExists: The id is in use.
            AttemptUsed: The episode is sealed, and the agent has started it before.
        """

    async def append(
        self, episode_id: str, number: int, step: StoredStep, grade: Grade | None, so_far: Grade | None = None
    ) -> None:
        """Add step ``number`` (from 1) and, with the last step, the grade; on return both are stored.

        Args:
            episode_id: The episode.
            number: Number of the step.
            step: The step.
            grade: The grade, if this is the last step. An attempt then counts on its board.
            so_far: Otherwise, grade as if the episode ended now; needed where the header has a board.

        Raises:
            EpisodeConflict: The store already has that step.
            EpisodeNotFound: There is no such episode.
        """

    async def load(self, episode_id: str) -> StoredEpisode:
        """Return an episode. Raises EpisodeNotFound."""

    async def step_count(self, episode_id: str) -> int:
        """Return the number of stored steps of an episode. Raises EpisodeNotFound."""

    async def latest(self, transport: Transport) -> str | None:
        """Return the id of the episode most recently started over ``transport``; None if there is none.

        Sealed episodes do not count: their ids are known to their players alone.
        """

    async def agent(self, name: str) -> Agent | None:
        """Return an agent that has played or is registered; None if there is none of this name."""

    async def agents(self) -> list[Agent]:
        """Return all agents, ordered by name."""

    async def register(self, name: str, token_hash: str) -> None:
        """Set the hash of an agent's token; adds the agent if there is none of this name."""

    async def attempts(self, board: Board, agents: Collection[str]) -> list[Attempt]:
        """Return the attempts of some agents on a board, ordered by agent and place. They outlive their episodes."""

    async def standings(self, board: Board) -> list[Standing]:
        """Return the sums of all attempts on a board that count, one entry for each agent, ordered by agent."""

    async def counted(self, board: Board) -> int:
        """Return the number of attempts on a board that count; it rises with each, so it tells whether any is new."""

    async def boards(self) -> list[Board]:
        """Return the boards with attempts that count, in the order of their names."""

    async def recent(self, wanted: EpisodeFilter, limit: int, before: int | None = None) -> EpisodePage:
        """Return at most ``limit`` episodes that meet a filter and are not sealed, most recently created first.

        A page may be shorter, or empty, before the end of the list: a store examines at most ``EXAMINED`` episodes a
        call. Who asks again with ``before=page.following`` until it is None gets each episode once.
        """

    async def prune(self, keep: Retention) -> bool:
        """Remove a few expired episodes; return whether there may be more.

        The attempt of an unfinished episode that is removed counts with its grade so far.
        """

    async def check(self) -> None:
        """Return if the store can be written, has what was written, and is what the next start opens."""

    async def size(self) -> int:
        """Return the size of the store in bytes."""

    async def close(self) -> None:
        """Release the store; all methods raise StoreUnavailable afterwards."""
