"""Agents, attempts and standings in a SQLite store. All functions that write run inside the caller's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from dataselect_env.core.models import Grade
from dataselect_env.core.tasks import SEALED
from dataselect_env.server.store.boards import Agent, Attempt, AttemptState, Board, Standing, points_of
from dataselect_env.server.store.faults import attempt_used

SCHEMA = """
CREATE TABLE IF NOT EXISTS agents (
    name       TEXT PRIMARY KEY,
    token_hash TEXT,
    added_at   TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attempts (
    board      TEXT NOT NULL,
    agent      TEXT NOT NULL,
    place      INTEGER NOT NULL,
    episode_id TEXT NOT NULL,
    started_at TEXT NOT NULL,
    points     INTEGER NOT NULL,
    passed     INTEGER NOT NULL,
    state      TEXT NOT NULL,
    PRIMARY KEY (board, agent, place)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS attempts_by_episode ON attempts (episode_id);
CREATE TABLE IF NOT EXISTS standings (
    board    TEXT NOT NULL,
    agent    TEXT NOT NULL,
    episodes INTEGER NOT NULL,
    points   INTEGER NOT NULL,
    squares  INTEGER NOT NULL,
    passed   INTEGER NOT NULL,
    first_at TEXT NOT NULL,
    last_at  TEXT NOT NULL,
    PRIMARY KEY (board, agent)
) WITHOUT ROWID;
"""
READ_AT_ONCE = 1_000
"""Rows that one query reads, in some milliseconds."""
_COUNT = """
INSERT INTO standings
SELECT board, agent, 1, points, points * points, passed, started_at, started_at FROM attempts WHERE episode_id = ?
ON CONFLICT (board, agent) DO UPDATE SET
    episodes = episodes + 1,
    points = standings.points + excluded.points,
    squares = standings.squares + excluded.squares,
    passed = standings.passed + excluded.passed,
    first_at = min(first_at, excluded.first_at),
    last_at = max(last_at, excluded.last_at)
"""


def add_agent(connection: sqlite3.Connection, name: str, added_at: str) -> None:
    """Add an agent if there is none of this name."""
    connection.execute("INSERT OR IGNORE INTO agents VALUES (?, NULL, ?)", (name, added_at))


def add(connection: sqlite3.Connection, board: Board, attempt: Attempt) -> None:
    """Add an attempt, unless there is one of this agent at this place.

    Raises:
        AttemptUsed: There is one, and the board is that of a sealed split.
    """
    one = attempt
    row = (board.name, one.agent, one.place, one.episode_id, one.started_at, one.points, one.passed, one.state)
    added = connection.execute("INSERT OR IGNORE INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    if added.rowcount == 0 and board.split == SEALED:
        raise attempt_used(one.agent)


def update(connection: sqlite3.Connection, episode_id: str, so_far: Grade, *, is_over: bool) -> None:
    """Set the score of an episode's attempt, if it has one; when the episode is over, the attempt counts."""
    state: AttemptState = "finished" if is_over else "running"
    changed = connection.execute(
        "UPDATE attempts SET points = ?, passed = ?, state = ? WHERE episode_id = ? AND state = 'running'",
        (points_of(so_far), so_far.passed, state, episode_id),
    )
    if is_over and changed.rowcount:
        connection.execute(_COUNT, (episode_id,))


def lapse(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Count the running attempts of episodes that are about to be removed, with their scores so far."""
    for number in numbers:
        (episode_id,) = connection.execute("SELECT episode_id FROM episodes WHERE number = ?", (number,)).fetchone()
        changed = connection.execute(
            "UPDATE attempts SET state = 'lapsed' WHERE episode_id = ? AND state = 'running'", (episode_id,)
        )
        if changed.rowcount:
            connection.execute(_COUNT, (episode_id,))


def register(connection: sqlite3.Connection, name: str, token_hash: str, added_at: str) -> None:
    """Set the hash of an agent's token; add the agent if there is none of this name."""
    connection.execute(
        "INSERT INTO agents VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET token_hash = excluded.token_hash",
        (name, token_hash, added_at),
    )


def agents(connection: sqlite3.Connection, name: str | None = None) -> list[Agent]:
    """Return the agent of a name, or all, ordered by name."""
    where = "" if name is None else "WHERE name = ?"
    rows = connection.execute(
        f"SELECT name, token_hash, added_at FROM agents {where} ORDER BY name",  # noqa: S608
        () if name is None else (name,),
    )
    return [Agent(*row) for row in rows]


def attempts(connection: sqlite3.Connection, board: Board, name: str, after: int) -> list[Attempt]:
    """Return the next ``READ_AT_ONCE`` attempts of an agent on a board, those at places above ``after``, in order."""
    rows = connection.execute(
        "SELECT agent, place, episode_id, started_at, points, passed, state FROM attempts"
        " WHERE board = ? AND agent = ? AND place > ? ORDER BY place LIMIT ?",
        (board.name, name, after, READ_AT_ONCE),
    )
    return [
        Attempt(agent, place, episode_id, started_at, points, bool(passed), state)
        for agent, place, episode_id, started_at, points, passed, state in rows
    ]


def standings(connection: sqlite3.Connection, board: Board, after: str) -> list[Standing]:
    """Return the sums of the next ``READ_AT_ONCE`` agents on a board, those with names above ``after``, in order."""
    rows = connection.execute(
        "SELECT agent, episodes, points, squares, passed, first_at, last_at FROM standings"
        " WHERE board = ? AND agent > ? ORDER BY agent LIMIT ?",
        (board.name, after, READ_AT_ONCE),
    )
    return [Standing(*row) for row in rows]


def counted(connection: sqlite3.Connection, board: Board) -> int:
    """Return the number of attempts on a board that count."""
    query = "SELECT coalesce(sum(episodes), 0) FROM standings WHERE board = ?"
    return int(connection.execute(query, (board.name,)).fetchone()[0])


def boards(connection: sqlite3.Connection) -> list[Board]:
    """Return the boards with attempts that count, in the order of their names."""
    rows = connection.execute("SELECT DISTINCT board FROM standings ORDER BY board")
    return [Board.of_name(name) for (name,) in rows]
