"""Episodes in a PostgreSQL database, which any number of servers may share."""

from __future__ import annotations

import logging
from secrets import randbits
from typing import Any

import psycopg

from dataselect_env.core.actions import stored_action
from dataselect_env.core.errors import EnvError, StoreOutcomeUnknown
from dataselect_env.core.models import Grade
from dataselect_env.server.store.base import STORED_ACTION_FIELDS, EpisodeHeader, StoredEpisode, StoredStep, Transport
from dataselect_env.server.store.faults import Faults, conflict, exists, not_found, unavailable
from dataselect_env.server.store.postgres_groups import GroupStatement
from dataselect_env.server.store.postgres_pool import Connection, Connections, OutcomeUnknown
from dataselect_env.server.store.postgres_retention import prune
from dataselect_env.server.store.postgres_schema import TABLES, connection_info, prepare
from dataselect_env.server.store.retention import Retention

logger = logging.getLogger(__name__)

CHECK_PATIENCE = 2.0
"""Seconds for which a check is tried: an orchestrator's probe usually waits for some seconds only."""

CREATE = """
WITH given AS (
    SELECT * FROM json_to_recordset(%s::json) AS g (
        episode_id text, transport text, task_id text, seed bigint, reward_mode text, dynamics_version integer,
        task_digest text, token bigint
    )
)
INSERT INTO episodes (
    episode_id, transport, task_id, seed, reward_mode, dynamics_version, task_digest, token
)
SELECT * FROM given
WHERE NOT EXISTS (  -- a refused one should take no number: retention counts them
    SELECT FROM episodes WHERE episodes.episode_id = given.episode_id AND episodes.token <> given.token
)
ORDER BY episode_id
ON CONFLICT (episode_id) DO UPDATE SET token = excluded.token WHERE episodes.token = excluded.token
RETURNING episode_id
"""
"""Returns those that are stored, now or by an execution whose answer was lost. The order prevents deadlocks."""
APPEND = """
WITH given AS (
    SELECT * FROM json_to_recordset(%s::json) AS g (
        episode_id text, step integer, action text, bought integer, mislabelled integer, performance double precision,
        reward double precision, grade text, token bigint
    )
), found AS (
    SELECT number, given.* FROM given, LATERAL (
        SELECT number FROM episodes WHERE episode_id = given.episode_id FOR KEY SHARE  -- nobody may remove it now
    ) AS episode
), stored AS (
    INSERT INTO steps
    SELECT number, step, action, bought, mislabelled, performance, reward, token FROM found ORDER BY number
    ON CONFLICT (episode, step) DO UPDATE SET token = excluded.token WHERE steps.token = excluded.token
    RETURNING episode
), graded AS (
    UPDATE episodes SET grade = found.grade FROM found, stored
    WHERE found.grade IS NOT NULL AND stored.episode = found.number AND episodes.number = found.number
)
SELECT episode_id, number IN (SELECT episode FROM stored) FROM found
"""
"""Returns for each episode that there is whether its step is stored, now or by an execution whose answer was lost."""
COUNT_STEPS = """
SELECT given.episode_id, (SELECT coalesce(max(step), 0) FROM steps WHERE episode = number)
FROM json_to_recordset(%s::json) AS given (episode_id text), LATERAL (
    SELECT number FROM episodes WHERE episodes.episode_id = given.episode_id OFFSET 0
) AS episode
"""
LOAD = """
SELECT episode_id, transport, task_id, seed, reward_mode, dynamics_version, task_digest,
    grade, action, bought, mislabelled, performance, reward
FROM episodes LEFT JOIN steps ON episode = number WHERE episode_id = %s ORDER BY step
"""
HEADER_FIELDS = 7
LATEST = "SELECT episode_id FROM episodes WHERE transport = %s ORDER BY number DESC LIMIT 1"
PROBE = "UPDATE marks SET value = value::bigint + 1 WHERE name = 'probes' RETURNING value::bigint"
READ_BACK = """
SELECT value::bigint, (SELECT count(*) FROM (SELECT FROM episodes LEFT JOIN steps ON episode = number LIMIT 1) AS any_)
FROM marks WHERE name = 'probes'
"""
SIZE = "SELECT sum(pg_total_relation_size(name::regclass)) FROM unnest(%s::text[]) AS name"


class PostgresStore:
    """An episode store in one PostgreSQL database. Any number of processes on any number of hosts may use it.

    Acknowledged writes are as durable as the database's commits. A write whose connection is lost is sent again, and
    finds out by a token whether the first one was committed.

    Args:
        url: ``postgresql://...`` as libpq reads it.

    Raises:
        SettingsError: The database cannot be used.
    """

    def __init__(self, url: str) -> None:
        prepare(url)
        self.url = url
        self._faults = Faults(psycopg.Error, psycopg.OperationalError, failure=_failure)
        self._connections = Connections(connection_info(url))
        self._create = GroupStatement(self._connections, CREATE, writes=True)
        self._append = GroupStatement(self._connections, APPEND, writes=True)
        self._count_steps = GroupStatement(self._connections, COUNT_STEPS)

    async def create(self, header: EpisodeHeader) -> None:
        """Add an episode; on return it is stored. Raises EpisodeExists if its id is in use."""
        row = {
            "episode_id": header.episode_id,
            "transport": header.transport,
            "task_id": header.task_id,
            "seed": header.seed,
            "reward_mode": header.reward_mode,
            "dynamics_version": header.dynamics_version,
            "task_digest": header.task_digest,
            "token": _token(),
        }
        with self._faults.converted(writes=True):
            if await self._create.execute(row) is None:
                raise exists()

    async def append(self, episode_id: str, number: int, step: StoredStep, grade: Grade | None) -> None:
        """Add step ``number`` (from 1) and, with the last step, the grade; on return both are stored.

        Raises EpisodeConflict if the store already has that step, EpisodeNotFound if there is no such episode.
        """
        row = {
            "episode_id": episode_id,
            "step": number,
            "action": step.action.model_dump_json(include=STORED_ACTION_FIELDS),
            "bought": step.bought,
            "mislabelled": step.mislabelled,
            "performance": step.performance,
            "reward": step.reward,
            "grade": None if grade is None else grade.model_dump_json(),
            "token": _token(),
        }
        with self._faults.converted(writes=True):
            stored = await self._append.execute(row)
        if stored is None:
            raise not_found()
        if stored == (False,):
            raise conflict()

    async def load(self, episode_id: str) -> StoredEpisode:
        """Return an episode. Raises EpisodeNotFound."""
        rows = await self._read(LOAD, episode_id, about=episode_id)
        if not rows:
            raise not_found()
        grade = rows[0][HEADER_FIELDS]
        steps = [row[HEADER_FIELDS + 1 :] for row in rows]
        return StoredEpisode(
            header=EpisodeHeader(*rows[0][:HEADER_FIELDS]),
            steps=tuple(StoredStep(stored_action(action), *results) for action, *results in steps if action),
            grade=None if grade is None else Grade.model_validate_json(grade),
        )

    async def step_count(self, episode_id: str) -> int:
        """Return the number of stored steps of an episode. Raises EpisodeNotFound."""
        with self._faults.converted():
            await self._settled(episode_id)
            found = await self._count_steps.execute({"episode_id": episode_id})
        if found is None:
            raise not_found()
        return int(found[0])

    async def latest(self, transport: Transport) -> str | None:
        """Return the id of the episode most recently started over ``transport``; None if there is none."""
        rows = await self._read(LATEST, transport)
        return str(rows[0][0]) if rows else None

    async def prune(self, keep: Retention) -> bool:
        """Remove a few expired episodes; return whether there may be more. Of several servers one does at a time."""
        with self._faults.converted():
            return await self._connections.run(lambda connection: prune(connection, keep))

    async def check(self) -> None:
        """Return if the store can be written, and has what was written; reads every table."""

        async def probe(connection: Connection) -> None:
            written = await (await connection.execute(PROBE)).fetchone()
            found = await (await connection.execute(READ_BACK)).fetchone()
            if written is None or found is None or found[0] < written[0]:  # higher where other servers probe too
                raise psycopg.DatabaseError(f"probe {written} was written, and {found} read back")

        with self._faults.converted(writes=True):
            await self._create.all_settled()
            await self._append.all_settled()
            await self._connections.run(probe, patience=CHECK_PATIENCE)

    async def size(self) -> int:
        """Return the size of the store in bytes."""
        rows = await self._read(SIZE, list(TABLES))
        return int(rows[0][0])

    async def close(self) -> None:
        """Finish the writes that are under way, and close all connections."""
        await self._create.all_settled()
        await self._append.all_settled()
        await self._connections.close()

    async def _settled(self, episode_id: str) -> None:
        """Return when what was written about an episode can be read, also by callers who were cancelled."""
        await self._create.settled(episode_id)
        await self._append.settled(episode_id)

    async def _read(self, query: str, *parameters: object, about: str | None = None) -> list[tuple[Any, ...]]:
        async def read(connection: Connection) -> list[tuple[Any, ...]]:
            return await (await connection.execute(query, parameters)).fetchall()

        with self._faults.converted():
            if about is not None:
                await self._settled(about)
            return await self._connections.run(read)


def _token() -> int:
    return randbits(63)


def _failure(error: Exception) -> EnvError:
    if isinstance(error, OutcomeUnknown):
        return StoreOutcomeUnknown(
            "The episode store cannot be reached right now, and it is not known whether it has this request; get the"
            " state and continue from there."
        )
    return unavailable()
