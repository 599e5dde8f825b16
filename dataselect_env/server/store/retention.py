"""Which episodes leave the store, a few at a time, so that nothing waits for it and nothing grows without bound."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MEMORY_EPISODES = 20_000
"""Episodes that a store in memory keeps at most: about 50 MB."""
LOOKED_AT_ONCE = 1_000
REMOVED_AT_ONCE = 25
"""Bounds of one call: it takes about a millisecond, during which a step may have to wait."""


@dataclass(frozen=True, slots=True)
class Retention:
    """What the store keeps.

    Args:
        episodes: Newest episodes that it keeps, counting all that were ever created. One that is being played has
            twice as many places.
        days: Days after its start that it keeps a finished episode.
        lifetime: Seconds after its start that it keeps an episode that is not over.
    """

    episodes: int
    days: float
    lifetime: float


def find_expired(
    connection: sqlite3.Connection, keep: Retention, after: int, now: datetime | None = None
) -> tuple[list[int], int]:
    """Return some episodes that may leave, oldest first.

    Args:
        connection: The database of a SQLiteStore.
        keep: What stays.
        after: Number of the episode that the last call ended at; 0 begins with the oldest one.
        now: The present moment; for tests.

    Returns:
        Numbers of episodes, and the number to call again with; 0 when the search has reached those that stay.
    """
    now = now or datetime.now(UTC)
    finished_since = _text(now - timedelta(days=keep.days))
    running_since = _text(now - timedelta(seconds=keep.lifetime))
    (newest,) = connection.execute("SELECT coalesce(max(number), 0) FROM episodes").fetchone()
    surplus = newest - keep.episodes  # up to this number there are too many
    rows = connection.execute(
        "SELECT number, grade IS NULL, started_at FROM episodes WHERE number > ? ORDER BY number LIMIT ?",
        (after, LOOKED_AT_ONCE),
    )
    with closing(rows):  # read one by one: usually the first one stays, and with it all
        expired: list[int] = []
        for looked_at, (number, is_running, started_at) in enumerate(rows, start=1):
            if number > surplus and started_at >= max(finished_since, running_since):
                return expired, 0
            if is_running:
                leaves = started_at < running_since or number <= surplus - keep.episodes
            else:
                leaves = started_at < finished_since or number <= surplus
            if leaves:
                expired.append(number)
            if len(expired) == REMOVED_AT_ONCE or looked_at == LOOKED_AT_ONCE:
                return expired, number
        return expired, 0


def remove(connection: sqlite3.Connection, numbers: list[int]) -> None:
    """Remove episodes with their steps; the caller holds the transaction."""
    rows = [(number,) for number in numbers]
    connection.executemany("DELETE FROM steps WHERE episode = ?", rows)
    connection.executemany("DELETE FROM episodes WHERE number = ?", rows)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
