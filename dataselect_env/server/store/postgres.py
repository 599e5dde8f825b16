"""Episodes in a PostgreSQL database, which any number of servers may share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import asdict, fields
from functools import partial
from secrets import randbits
from typing import Any, TypeVar

import psycopg

from dataselect_env.core.actions import stored_action
from dataselect_env.core.errors import EnvError, StoreOutcomeUnknown
from dataselect_env.core.models import Grade
from dataselect_env.server.store import postgres_boards as boards
from dataselect_env.server.store.base import (
    EXAMINED,
    STORED_ACTION_FIELDS,
    EpisodeFilter,
    EpisodeHeader,
    EpisodePage,
    ListedEpisode,
    StoredEpisode,
    StoredStep,
    Transport,
)
from dataselect_env.server.store.boards import Agent, Attempt, Board, Standing, points_of
from dataselect_env.server.store.faults import Faults, conflict, exists, not_found, unavailable
from dataselect_env.server.store.postgres_boards import COUNT
from dataselect_env.server.store.postgres_groups import GroupStatement
from dataselect_env.server.store.postgres_pool import Connection, Connections, OutcomeUnknown, rows_of
from dataselect_env.server.store.postgres_retention import prune
from dataselect_env.server.store.postgres_schema import TABLES, connection_info, prepare
from dataselect_env.server.store.retention import Retention, as_text, utc_now

T = TypeVar("T")
TOKEN_BITS = 63
"""Random bits by which a write knows its own row; they fit a signed number of 64 bits."""
CHECK_PATIENCE = 2.0
"""Seconds for which a check is tried: an orchestrator's probe usually waits for some seconds only."""

HEADER = ", ".join(field.name for field in fields(EpisodeHeader))
"""Columns of a header, in the order of its fields."""
CREATE = f"""
WITH given AS (
    SELECT * FROM json_to_recordset(%s::json) AS g (
        episode_id text, transport text, task_id text, seed bigint, reward_mode text, dynamics_version integer,
        task_digest text, agent text, key_id text, started_at text, token bigint
    )
)
INSERT INTO episodes ({HEADER}, token)
SELECT * FROM given
WHERE NOT EXISTS (  -- a refused one should take no number: retention counts them
    SELECT FROM episodes WHERE episodes.episode_id = given.episode_id AND episodes.token <> given.token
)
ORDER BY episode_id
ON CONFLICT (episode_id) DO UPDATE SET token = excluded.token WHERE episodes.token = excluded.token
RETURNING episode_id
"""  # noqa: S608  (of constants)
"""Returns those that are stored, now or by an execution whose answer was lost. The order prevents deadlocks."""
_APPEND = """
WITH given AS (
    SELECT * FROM json_to_recordset(%s::json) AS g (
        episode_id text, step integer, action text, bought integer, mislabelled integer, performance double precision,
        reward double precision, grade text, points bigint, passed boolean, token bigint
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
    UPDATE episodes SET grade = found.grade FROM found
    WHERE episodes.number = ANY (ARRAY(SELECT episode FROM stored)) AND episodes.number = found.number
        AND found.grade IS NOT NULL
)
"""
_SCORE = f""", scored AS (
    UPDATE attempts
    SET points = found.points, passed = found.passed,
        state = CASE WHEN found.grade IS NULL THEN 'running' ELSE 'finished' END
    FROM found
    WHERE attempts.episode_id = ANY (ARRAY(SELECT episode_id FROM found JOIN stored ON episode = number))
        AND attempts.episode_id = found.episode_id AND state = 'running'
    RETURNING attempts.*
), counted AS ({COUNT})
"""  # noqa: S608  (of constants)
_ANSWER = "SELECT episode_id, number IN (SELECT episode FROM stored) FROM found"
APPEND = _APPEND + _ANSWER
"""Returns for each episode that there is whether its step is stored, now or by an execution whose answer was lost."""
APPEND_AND_SCORE = _APPEND + _SCORE + _ANSWER
"""The same for episodes that may count on a board."""
COUNT_STEPS = """
SELECT given.episode_id, (SELECT coalesce(max(step), 0) FROM steps WHERE episode = number)
FROM json_to_recordset(%s::json) AS given (episode_id text), LATERAL (
    SELECT number FROM episodes WHERE episodes.episode_id = given.episode_id OFFSET 0
) AS episode
"""
LOAD = f"""
SELECT {HEADER}, grade, action, bought, mislabelled, performance, reward
FROM episodes LEFT JOIN steps ON episode = number WHERE episode_id = %s ORDER BY step
"""  # noqa: S608  (of constants)
HEADER_FIELDS = len(fields(EpisodeHeader))
LIST_EPISODES = f"""
SELECT number, {HEADER}, grade,
    (SELECT coalesce(sum(bought), 0) FROM steps WHERE episode = number),
    ARRAY(SELECT performance FROM steps WHERE episode = number ORDER BY step)
FROM (SELECT * FROM episodes WHERE number < %(before)s ORDER BY number DESC LIMIT {EXAMINED}) AS examined
WHERE key_id IS NULL AND (%(task_id)s::text IS NULL OR task_id = %(task_id)s)
    AND (%(transport)s::text IS NULL OR transport = %(transport)s)
    AND (%(finished)s::boolean IS NULL OR (grade IS NOT NULL) = %(finished)s)
    AND (%(agent)s::text IS NULL OR agent = %(agent)s)
ORDER BY number DESC LIMIT %(limit)s
"""  # noqa: S608  (of constants)
LAST_EXAMINED = "SELECT number FROM episodes WHERE number < %s ORDER BY number DESC LIMIT 1 OFFSET %s"
NEWEST = 2**63 - 1
"""More than the number of any episode."""
LATEST = "SELECT episode_id FROM episodes WHERE transport = %s AND key_id IS NULL ORDER BY number DESC LIMIT 1"
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
        self._append_and_score = GroupStatement(self._connections, APPEND_AND_SCORE, writes=True)
        self._count_steps = GroupStatement(self._connections, COUNT_STEPS)

    async def create(self, header: EpisodeHeader, so_far: Grade | None = None) -> None:
        """Add an episode, and an attempt if it has a board; on return they are stored.

        Raises EpisodeExists if its id is in use, AttemptUsed if it is sealed and the agent has started it before.
        """
        row = {**asdict(header), "token": randbits(TOKEN_BITS)}
        with self._faults.converted(writes=True):
            if header.agent is not None:
                insert = partial(boards.create, row=row, attempt=header.attempt(so_far))
                await self._connections.run(insert, writes=True)
            elif await self._create.execute(row) is None:
                raise exists()

    async def append(
        self, episode_id: str, number: int, step: StoredStep, grade: Grade | None, so_far: Grade | None = None
    ) -> None:
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
            "token": randbits(TOKEN_BITS),
        }
        statement = self._append
        if so_far is not None:
            statement = self._append_and_score
            row |= {"points": points_of(so_far), "passed": so_far.passed}
        with self._faults.converted(writes=True):
            stored = await statement.execute(row)
        if stored is None:
            raise not_found()
        if stored == (False,):
            raise conflict()

    async def load(self, episode_id: str) -> StoredEpisode:
        """Return an episode. Raises EpisodeNotFound."""
        with self._faults.converted():
            await self._settled(episode_id)
            rows = await self._connections.run(lambda connection: rows_of(connection, LOAD, (episode_id,)))
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
        rows = await self._run(rows_of, LATEST, (transport,))
        return str(rows[0][0]) if rows else None

    async def agent(self, name: str) -> Agent | None:
        """Return an agent that has played or is registered; None if there is none of this name."""
        return next(iter(await self._run(boards.agents, name)), None)

    async def agents(self) -> list[Agent]:
        """Return all agents, ordered by name."""
        return await self._run(boards.agents)

    async def register(self, name: str, token_hash: str) -> None:
        """Set the hash of an agent's token; adds the agent if there is none of this name."""
        await self._run(boards.register, name, token_hash, as_text(utc_now()))

    async def attempts(self, board: Board, agents: Collection[str]) -> list[Attempt]:
        """Return the attempts of some agents on a board, ordered by agent and place."""
        return await self._run(boards.attempts, board, agents)

    async def standings(self, board: Board) -> list[Standing]:
        """Return the sums of all attempts on a board that count, one entry for each agent, ordered by agent."""
        return await self._run(boards.standings, board)

    async def counted(self, board: Board) -> int:
        """Return the number of attempts on a board that count."""
        return await self._run(boards.counted, board)

    async def boards(self) -> list[Board]:
        """Return the boards with attempts that count, in the order of their names."""
        return await self._run(boards.boards)

    async def recent(self, wanted: EpisodeFilter, limit: int, before: int | None = None) -> EpisodePage:
        """Return at most ``limit`` episodes that meet a filter, most recently created first; examines ``EXAMINED``."""
        start = NEWEST if before is None else before
        found = await self._run(rows_of, LIST_EPISODES, {**asdict(wanted), "before": start, "limit": limit})
        more = found[-1:] if len(found) == limit else await self._run(rows_of, LAST_EXAMINED, (start, EXAMINED - 1))
        return EpisodePage(tuple(_listed(*row) for row in found), more[0][0] if more else None)

    async def prune(self, keep: Retention) -> bool:
        """Remove a few expired episodes; return whether there may be more. Of several servers one does at a time."""
        return await self._run(prune, keep)

    async def check(self) -> None:
        """Return if the store can be written, and has what was written; reads every table."""

        async def probe(connection: Connection) -> None:
            written = await rows_of(connection, PROBE)
            found = await rows_of(connection, READ_BACK)
            if not written or not found or found[0][0] < written[0][0]:  # higher where other servers probe too
                raise psycopg.DatabaseError(f"probe {written} was written, and {found} read back")

        with self._faults.converted(writes=True):
            await self._all_settled()
            await self._connections.run(probe, patience=CHECK_PATIENCE)

    async def size(self) -> int:
        """Return the size of the store in bytes."""
        rows = await self._run(rows_of, SIZE, (list(TABLES),))
        return int(rows[0][0])

    async def close(self) -> None:
        """Finish the writes that are under way, and close all connections."""
        await self._all_settled()
        await self._connections.close()

    async def _settled(self, episode_id: str) -> None:
        """Return when what was written about an episode can be read, also by callers who were cancelled."""
        for statement in (self._create, self._append, self._append_and_score):
            await statement.settled(episode_id)

    async def _all_settled(self) -> None:
        for statement in (self._create, self._append, self._append_and_score):
            await statement.all_settled()

    async def _run(self, operation: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """Return the result of an operation that has no effect, or the same effect if it is executed twice."""
        with self._faults.converted():
            return await self._connections.run(lambda connection: operation(connection, *arguments))


def _listed(_: int, *row: Any) -> ListedEpisode:
    """Return an episode as it was read for a list."""
    *header, grade, bought, performances = row
    return ListedEpisode(
        header=EpisodeHeader(*header),
        bought=int(bought),
        performances=tuple(performances),
        grade=None if grade is None else Grade.model_validate_json(grade),
    )


def _failure(error: Exception) -> EnvError:
    if isinstance(error, OutcomeUnknown):
        return StoreOutcomeUnknown(
            "The episode store cannot be reached right now, and it is not known whether it has this request; get the"
            " state and continue from there."
        )
    return unavailable()
