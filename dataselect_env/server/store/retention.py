"""Removal of expired episodes, a few at a time, so that no step has to wait for it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MEMORY_EPISODES = 20_000
"""Most episodes in a store in memory: about 50 MB."""
EXAMINED_AT_ONCE = 1_000
REMOVED_AT_ONCE = 25
"""Limits of one call, which takes about a millisecond; steps may have to wait for it."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Limits on stored episodes.

    Args:
        episodes: Number of episodes, the newest; removed ones count too. The limit doubles for running episodes.
        days: Days after its start at which a finished episode expires.
        lifetime: Seconds after its start at which a running episode expires.
    """

    episodes: int
    days: float
    lifetime: float


def find_expired(connection: sqlite3.Connection, keep: Retention, after: int) -> tuple[list[int], int]:
    """Return some expired episodes, oldest first.

    Args:
        connection: The database of a SQLiteStore.
        keep: Limits on stored episodes.
        after: Number of the last episode that the previous call examined; 0 starts with the oldest.

    Returns:
        Numbers of episodes, and ``after`` of the next call; 0 if there are no more expired episodes.
    """
    now = datetime.now(UTC)
    finished_since = _text(now - timedelta(days=keep.days))
    running_since = _text(now - timedelta(seconds=keep.lifetime))
    (newest,) = connection.execute("SELECT coalesce(max(number), 0) FROM episodes").fetchone()
    surplus = newest - keep.episodes  # episodes up to this number exceed the limit
    rows = connection.execute(
        "SELECT number, grade IS NULL, started_at FROM episodes WHERE number > ? ORDER BY number LIMIT ?",
        (after, EXAMINED_AT_ONCE),
    )
    with closing(rows):  # read one by one: usually the first episode has not expired, and the search ends there
        expired: list[int] = []
        for examined, (number, is_running, started_at) in enumerate(rows, start=1):
            if number > surplus and started_at >= max(finished_since, running_since):
                return expired, 0
            if is_running:
                has_expired = started_at < running_since or number <= surplus - keep.episodes
            else:
                has_expired = started_at < finished_since or number <= surplus
            if has_expired:
                expired.append(number)
            if len(expired) == REMOVED_AT_ONCE or examined == EXAMINED_AT_ONCE:
                return expired, number
        return expired, 0


def remove(connection: sqlite3.Connection, numbers: list[int]) -> None:
    """Delete episodes and their steps; runs inside the caller's transaction."""
    rows = [(number,) for number in numbers]
    connection.executemany("DELETE FROM steps WHERE episode = ?", rows)
    connection.executemany("DELETE FROM episodes WHERE number = ?", rows)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
