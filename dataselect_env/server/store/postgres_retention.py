"""Removal of expired episodes from PostgreSQL, a few at a time, by one server at a time.

A search that finds nothing in a hundred thousand episodes takes some milliseconds of the database's time.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from dataselect_env.server.store.postgres_boards import COUNT
from dataselect_env.server.store.postgres_pool import Connection
from dataselect_env.server.store.retention import Retention, as_text, has_jumped, is_paused, must_be_noted

REMOVED_AT_ONCE = 100
"""Episodes that one transaction removes, which takes some milliseconds; steps of other episodes need not wait."""

LOCK = "SELECT pg_try_advisory_xact_lock(hashtext('dataselect-env prune'), hashtext(current_schema()))"
MARKS = "SELECT now(), (SELECT value FROM marks WHERE name = 'pass'), (SELECT value FROM marks WHERE name = 'jump')"
NOTE = "INSERT INTO marks VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
REMOVE = f"""
WITH limits AS (
    SELECT coalesce(max(number), 0) - %(episodes)s AS surplus FROM episodes
), expired AS (
    SELECT number, episode_id FROM episodes WHERE
        (number <= (SELECT surplus FROM limits) AND grade IS NOT NULL)
        OR number <= (SELECT surplus - %(episodes)s FROM limits)
        OR (started_at < %(finished_since)s AND grade IS NOT NULL)
        OR (started_at < %(running_since)s AND grade IS NULL)
    ORDER BY number LIMIT %(most)s FOR UPDATE SKIP LOCKED
), scored AS (
    UPDATE attempts SET state = 'lapsed'
    WHERE episode_id = ANY (ARRAY(SELECT episode_id FROM expired)) AND state = 'running' RETURNING *
), counted AS ({COUNT})
DELETE FROM episodes WHERE number = ANY (ARRAY(SELECT number FROM expired))
"""  # noqa: S608  (of constants)
"""Attempts of episodes that were running count with their scores so far."""


async def prune(connection: Connection, keep: Retention) -> bool:
    """Remove a few expired episodes with their steps; return whether there may be more.

    Args:
        connection: In autocommit mode.
        keep: Limits on stored episodes.
    """
    async with connection.transaction():
        locked = await (await connection.execute(LOCK)).fetchone()
        if locked != (True,):
            return False  # another server does this
        now = await _time_for_ages(connection)
        limits = {
            "episodes": keep.episodes,
            "finished_since": now and as_text(now - timedelta(days=keep.days)),
            "running_since": now and as_text(now - timedelta(seconds=keep.lifetime)),
            "most": REMOVED_AT_ONCE,
        }
        removed = await connection.execute(REMOVE.encode(), limits)
        return removed.rowcount == REMOVED_AT_ONCE


async def _time_for_ages(connection: Connection) -> datetime | None:
    """Note this pass, and a jump of the database's clock since the last one.

    Returns:
        The time by the database's clock; None while no episode is removed by age.
    """
    row = await (await connection.execute(MARKS)).fetchone()
    assert row is not None  # noqa: S101  (the query has one row)
    now: datetime = row[0]
    last, jump = (None if value is None else datetime.fromisoformat(value) for value in row[1:])
    if must_be_noted(now, last):
        if has_jumped(now, last):
            jump = now
            await connection.execute(NOTE, ("jump", now.isoformat()))
        await connection.execute(NOTE, ("pass", now.isoformat()))
    return None if is_paused(now, jump) else now
