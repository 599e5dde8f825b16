"""Leaderboards in a store: agents, their attempts, and the sums that rank them.

Points are millionths of a score, as integers: their sums do not depend on the order of summation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from dataselect_env.core.models import Grade

COUNTING_SPLIT = "test"
"""The open split whose episodes count on a leaderboard."""
POINTS = 1_000_000
"""Points of the score 1."""
AttemptState = Literal["running", "finished", "lapsed"]
"""``lapsed``: the episode was removed before it was over, and counts as if it had been stopped."""


@dataclass(frozen=True, slots=True)
class Board:
    """What a leaderboard compares: grades on one task and split, under the same secret, dynamics and data."""

    task_id: str
    split: str
    key_id: str | None
    dynamics_version: int
    task_digest: str | None

    @property
    def name(self) -> str:
        """The board as text."""
        return "/".join(
            (self.task_id, self.split, self.key_id or "", str(self.dynamics_version), self.task_digest or "")
        )

    @classmethod
    def of_name(cls, name: str) -> Self:
        """Return the board of a name."""
        task_id, split, key_id, version, digest = name.split("/")
        return cls(task_id, split, key_id or None, int(version), digest or None)


@dataclass(frozen=True, slots=True)
class Agent:
    """A name under which episodes count.

    Attributes:
        name: The name.
        token_hash: SHA-256 of its token in hexadecimal; "" if it was revoked, None if the agent is not registered.
        added_at: Time of its first episode, or when it was registered, in UTC, ISO 8601.
    """

    name: str
    token_hash: str | None
    added_at: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """The first episode of an agent at one place of a board.

    Attributes:
        agent: Name of the agent.
        place: Index in the sealed split, or seed.
        episode_id: Id of the episode.
        started_at: Its start in UTC, ISO 8601.
        points: Score so far, in millionths.
        passed: Whether the episode passes so far.
        state: Only attempts that are not running count.
    """

    agent: str
    place: int
    episode_id: str
    started_at: str
    points: int
    passed: bool
    state: AttemptState


@dataclass(frozen=True, slots=True)
class Standing:
    """Sums of an agent's attempts that count.

    Attributes:
        agent: Name of the agent.
        episodes: Their number.
        points: Sum of the points.
        squares: Sum of the squared points.
        passed: How many passed.
        first_at, last_at: Earliest and latest start of an episode in UTC, ISO 8601.
    """

    agent: str
    episodes: int
    points: int
    squares: int
    passed: int
    first_at: str
    last_at: str


def points_of(grade: Grade) -> int:
    """Return the points of a grade."""
    return round(grade.score * POINTS)
