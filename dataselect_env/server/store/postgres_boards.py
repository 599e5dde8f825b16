"""Agents, attempts and standings in a PostgreSQL store."""

from __future__ import annotations

from collections.abc import Collection

from dataselect_env.server.store.boards import Agent, Attempt, Board, Standing
from dataselect_env.server.store.faults import attempt_used, exists
from dataselect_env.server.store.postgres_pool import Connection, rows_of

COUNT = """
    INSERT INTO standings
    SELECT board, agent, count(*), sum(points)::bigint, sum(points * points)::bigint, sum(passed::integer),
        min(started_at), max(started_at)
    FROM scored WHERE state <> 'running' GROUP BY board, agent ORDER BY board, agent
    ON CONFLICT (board, agent) DO UPDATE SET
        episodes = standings.episodes + excluded.episodes,
        points = standings.points + excluded.points,
        squares = standings.squares + excluded.squares,
        passed = standings.passed + excluded.passed,
        first_at = least(standings.first_at, excluded.first_at),
        last_at = greatest(standings.last_at, excluded.last_at)
"""
"""Adds the attempts of ``scored``, rows of the table of attempts, that are over. The order prevents deadlocks."""
CREATE = """
INSERT INTO episodes (
    episode_id, transport, task_id, seed, reward_mode, dynamics_version, task_digest, agent, key_id, started_at, token
) VALUES (
    %(episode_id)s, %(transport)s, %(task_id)s, %(seed)s, %(reward_mode)s, %(dynamics_version)s, %(task_digest)s,
    %(agent)s, %(key_id)s, %(started_at)s, %(token)s
)
ON CONFLICT (episode_id) DO UPDATE SET token = excluded.token WHERE episodes.token = excluded.token
RETURNING number
"""
ADD_AGENT = "INSERT INTO agents VALUES (%(agent)s, NULL, %(started_at)s) ON CONFLICT DO NOTHING"
ADD_ATTEMPT = """
INSERT INTO attempts VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (board, agent, place) DO UPDATE SET token = excluded.token WHERE attempts.token = excluded.token
RETURNING place
"""
REGISTER = """
INSERT INTO agents VALUES (%s, %s, %s) ON CONFLICT (name) DO UPDATE SET token_hash = excluded.token_hash
"""
AGENTS = "SELECT name, token_hash, added_at FROM agents WHERE %(name)s::text IS NULL OR name = %(name)s ORDER BY name"
ATTEMPTS = """
SELECT agent, place, episode_id, started_at, points, passed, state FROM attempts
WHERE board = %s AND agent = ANY(%s) ORDER BY agent, place
"""
STANDINGS = """
SELECT agent, episodes, points, squares, passed, first_at, last_at FROM standings WHERE board = %s ORDER BY agent
"""
COUNTED = "SELECT coalesce(sum(episodes), 0) FROM standings WHERE board = %s"
BOARDS = "SELECT DISTINCT board FROM standings ORDER BY board"


async def create(connection: Connection, row: dict[str, object], attempt: tuple[Board, Attempt] | None) -> None:
    """Add an episode of an agent, and its attempt, in one transaction; may be executed twice.

    Args:
        connection: In autocommit mode.
        row: The header's values and the write's token, by name.
        attempt: Board and attempt that the episode starts; None if it counts on no board.

    Raises:
        EpisodeExists: The id is in use.
        AttemptUsed: The agent has started this sealed episode before.
    """
    async with connection.transaction():
        if not await rows_of(connection, CREATE, row):
            raise exists()
        await connection.execute(ADD_AGENT, row)
        if attempt is None:
            return
        board, one = attempt
        values = (board.name, one.agent, one.place, one.episode_id, one.started_at, one.points, one.passed, one.state)
        added = await rows_of(connection, ADD_ATTEMPT, (*values, row["token"]))
        if not added and board.key_id is not None:
            raise attempt_used(one.agent)


async def register(connection: Connection, name: str, token_hash: str, added_at: str) -> None:
    """Set the hash of an agent's token; add the agent if there is none of this name."""
    await connection.execute(REGISTER, (name, token_hash, added_at))


async def agents(connection: Connection, name: str | None = None) -> list[Agent]:
    """Return the agent of a name, or all, ordered by name."""
    return [Agent(*row) for row in await rows_of(connection, AGENTS, {"name": name})]


async def attempts(connection: Connection, board: Board, names: Collection[str]) -> list[Attempt]:
    """Return the attempts of some agents on a board, ordered by agent and place."""
    return [Attempt(*row) for row in await rows_of(connection, ATTEMPTS, (board.name, list(names)))]


async def standings(connection: Connection, board: Board) -> list[Standing]:
    """Return the sums of all attempts on a board that count, ordered by agent."""
    return [Standing(*row) for row in await rows_of(connection, STANDINGS, (board.name,))]


async def counted(connection: Connection, board: Board) -> int:
    """Return the number of attempts on a board that count."""
    ((found,),) = await rows_of(connection, COUNTED, (board.name,))
    return int(found)


async def boards(connection: Connection) -> list[Board]:
    """Return the boards with attempts that count, in the order of their names."""
    return [Board.of_name(name) for (name,) in await rows_of(connection, BOARDS)]
