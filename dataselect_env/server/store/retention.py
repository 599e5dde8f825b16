"""Removal of expired episodes beside the event loop, a few at a time, so that no step has to wait for long.

Episodes are examined in the order in which they were started. A pass usually ends with the first that stays, since
later ones are younger; now and then it examines all, because the clock may have been wrong when one was started.

Ages are only as good as the clock. When it jumps ahead by more than ``JUMP``, or no server has run for as long, which
cannot be told apart, removal by age pauses: there is time to notice and to set the clock right.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dataselect_env.server.store.attempts import lapse
from dataselect_env.server.store.schema import read_mark, write_mark

logger = logging.getLogger(__name__)

MEMORY_EPISODES = 20_000
"""Most episodes in a store in memory: about 50 MB."""
EXAMINED_AT_ONCE = 1_000
REMOVED_AT_ONCE = 25
"""Limits of one transaction, which takes about a millisecond; steps may have to wait for it."""
THOROUGH_EVERY = 60
"""Passes, of which there is one a minute, between those that examine all episodes; the first one does."""
JUMP = timedelta(days=1)
"""Time between two passes that counts as a jump of the clock."""
PAUSE = timedelta(days=1)
"""Time after a jump in which no episode is removed by age."""
NOTED_EVERY = timedelta(hours=1)
"""Time after which a pass is noted in the store."""


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


@dataclass(slots=True)
class Pass:
    """One search through all episodes, in several calls.

    Args:
        number: Number of passes before; every ``THOROUGH_EVERY``-th is thorough.
        by_age: Whether episodes may expire by age.
    """

    number: int
    by_age: bool
    examined: int = 0
    """Number of the last episode that was examined."""

    def find_expired(self, connection: sqlite3.Connection, keep: Retention) -> tuple[list[int], bool]:
        """Return the numbers of the next expired episodes, oldest first, and whether there may be more.

        Args:
            connection: The database of a SQLiteStore.
            keep: Limits on stored episodes.
        """
        now = utc_now()
        finished_since = as_text(now - timedelta(days=keep.days)) if self.by_age else ""
        running_since = as_text(now - timedelta(seconds=keep.lifetime)) if self.by_age else ""
        youngest = max(finished_since, running_since)
        is_thorough = self.number % THOROUGH_EVERY == 0
        (newest,) = connection.execute("SELECT coalesce(max(number), 0) FROM episodes").fetchone()
        surplus = newest - keep.episodes  # episodes up to this number exceed the limit
        rows = connection.execute(
            "SELECT number, grade IS NULL, started_at FROM episodes WHERE number > ? ORDER BY number LIMIT ?",
            (self.examined, EXAMINED_AT_ONCE),
        )
        expired: list[int] = []
        with closing(rows):  # read one by one: usually the first episode has not expired, and the search ends there
            for examined, (number, is_running, started_at) in enumerate(rows, start=1):
                if number > surplus and started_at >= youngest and not is_thorough:
                    return expired, False
                if is_running:
                    has_expired = started_at < running_since or number <= surplus - keep.episodes
                else:
                    has_expired = started_at < finished_since or number <= surplus
                if has_expired:
                    expired.append(number)
                self.examined = number
                if len(expired) == REMOVED_AT_ONCE or examined == EXAMINED_AT_ONCE:
                    return expired, True
        return expired, False


def must_be_noted(now: datetime, last: datetime | None) -> bool:
    """Return whether a pass at this time should be noted in the store, where the last one was noted at ``last``."""
    return last is None or abs(now - last) >= NOTED_EVERY


def has_jumped(now: datetime, last: datetime | None) -> bool:
    """Return whether the clock has jumped since the last pass that was noted, and log it."""
    if last is not None and now - last <= JUMP:
        return False
    logger.warning(
        "It is %s by the clock that the store goes by, and the store was last looked after at %s: the clock was set, or"
        " no server has run. No episode is removed by age until %s; if the clock is wrong, set it right before.",
        as_text(now),
        "an unknown time" if last is None else as_text(last),
        as_text(now + PAUSE),
    )
    return True


def is_paused(now: datetime, jump: datetime | None) -> bool:
    """Return whether nothing is removed by age now, because the clock jumped at ``jump``."""
    return jump is not None and timedelta(0) <= now - jump < PAUSE


def may_remove_by_age(connection: sqlite3.Connection) -> bool:
    """Note this pass in a SQLite store, and a jump of the clock; return whether removal by age goes on.

    Runs inside the caller's transaction, and writes nothing in most calls.
    """
    now, last = utc_now(), _read_moment(connection, "pass")
    if must_be_noted(now, last):
        if has_jumped(now, last):
            write_mark(connection, "jump", as_text(now))
        write_mark(connection, "pass", as_text(now))
    return not is_paused(now, _read_moment(connection, "jump"))


def remove(connection: sqlite3.Connection, numbers: list[int]) -> None:
    """Delete episodes and their steps; attempts that were running count. Runs inside the caller's transaction."""
    lapse(connection, numbers)
    rows = [(number,) for number in numbers]
    connection.executemany("DELETE FROM steps WHERE episode = ?", rows)
    connection.executemany("DELETE FROM episodes WHERE number = ?", rows)


def utc_now() -> datetime:
    """Return the time of this machine's clock."""
    return datetime.now(UTC)


def as_text(moment: datetime) -> str:
    """Return a time as the store has it; in the order of the texts."""
    return moment.isoformat(timespec="milliseconds")


def _read_moment(connection: sqlite3.Connection, name: str) -> datetime | None:
    noted = read_mark(connection, name)
    return None if noted is None else datetime.fromisoformat(noted)
