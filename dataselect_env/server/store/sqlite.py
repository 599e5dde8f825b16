"""Episodes in a SQLite database, in a file or in memory."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from dataselect_env.core.actions import stored_action
from dataselect_env.core.errors import EnvError
from dataselect_env.core.models import Grade
from dataselect_env.server.settings import Synchronous
from dataselect_env.server.store import attempts
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
from dataselect_env.server.store.boards import Agent, Attempt, Board, Standing
from dataselect_env.server.store.commits import Committer
from dataselect_env.server.store.faults import Faults, conflict, exists, not_found
from dataselect_env.server.store.files import DatabaseFiles
from dataselect_env.server.store.retention import (
    MEMORY_EPISODES,
    Pass,
    Retention,
    as_text,
    may_remove_by_age,
    remove,
    utc_now,
)
from dataselect_env.server.store.schema import connect, count_probe, prepare, read_mark

MEMORY = "memory:"
SQLITE_PREFIX = "sqlite:///"
BUSY_TIMEOUT = 2.0
"""Seconds that a write waits while another process is writing. A write takes about a millisecond."""
HEADER = "episode_id, transport, task_id, seed, reward_mode, dynamics_version, task_digest, agent, key_id, started_at"
"""Columns of a header, in the order of its fields."""
LOAD_EPISODE = f"SELECT number, grade, {HEADER} FROM episodes WHERE episode_id = ?"  # noqa: S608  (of constants)
COUNT_STEPS = (
    "SELECT (SELECT coalesce(max(step), 0) FROM steps WHERE episode = number) FROM episodes WHERE episode_id = ?"
)
LOAD_STEPS = "SELECT action, bought, mislabelled, performance, reward FROM steps WHERE episode = ? ORDER BY step"
LIST_EPISODES = (
    f"SELECT number, grade, {HEADER}"  # noqa: S608  (of constants)
    f" FROM (SELECT * FROM episodes WHERE number < ?1 ORDER BY number DESC LIMIT {EXAMINED})"
    " WHERE key_id IS NULL AND (?2 IS NULL OR task_id = ?2) AND (?3 IS NULL OR transport = ?3)"
    " AND (?4 IS NULL OR (grade IS NOT NULL) = ?4) AND (?5 IS NULL OR agent = ?5)"
    " ORDER BY number DESC LIMIT ?6"
)
LAST_EXAMINED = "SELECT number FROM episodes WHERE number < ? ORDER BY number DESC LIMIT 1 OFFSET ?"
LIST_STEPS = "SELECT bought, performance FROM steps WHERE episode = ? ORDER BY step"
NEWEST = 2**63 - 1
"""More than the number of any episode."""


class SQLiteStore:
    """An episode store in one SQLite database. Several processes may use one file.

    Acknowledged writes to a file survive the death of the process at any moment.

    Args:
        path: File of the database, which is created if it is missing, in a folder that exists; None for one in memory.
        synchronous: ``normal`` writes to the disk at checkpoints, so that a power failure may lose the last writes;
            ``full`` with each commit, which takes milliseconds and runs beside the event loop.

    Raises:
        OSError, sqlite3.Error: The file cannot be used.
    """

    def __init__(self, path: Path | None, synchronous: Synchronous = "normal") -> None:
        self._path = path and path.absolute()
        self._faults = Faults(sqlite3.Error, sqlite3.OperationalError, refusal=_refusal)
        self._lock = threading.RLock()  # event loops may run on several threads
        self._connection = connect(path, patience=0)
        self._patient = None if path is None else connect(path, patience=BUSY_TIMEOUT, synchronous=synchronous)
        self._passes = 0  # searches for expired episodes
        self._pass: Pass | None = None  # the one that has not ended
        try:
            prepare(self._patient or self._connection)
            read_mark(self._connection, "probes")  # opens the file now, and not only when its name may be another's
            self._check_files = DatabaseFiles(self._path).check if self._path else _nothing_to_check
        except BaseException:
            self._close_connections()
            raise
        on_thread = path is not None and synchronous == "full"
        self._committer = Committer(self._connection, self._patient, self._lock, self._check_files, on_thread=on_thread)

    @property
    def url(self) -> str:
        """URL that opens the same store with ``open_store``, also in another process unless it is ``memory:``."""
        return MEMORY if self._path is None else f"{SQLITE_PREFIX}{self._path.absolute()}"

    async def create(self, header: EpisodeHeader, so_far: Grade | None = None) -> None:
        """Add an episode, and an attempt if it has a board; on return they are stored.

        Raises EpisodeExists if its id is in use, AttemptUsed if it is sealed and the agent has started it before.
        """
        row = (
            header.episode_id,
            header.transport,
            header.task_id,
            header.seed,
            header.reward_mode,
            header.dynamics_version,
            header.task_digest,
            header.started_at,
            header.agent,
            header.key_id,
        )
        attempt = header.attempt(so_far)

        def insert(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO episodes (episode_id, transport, task_id, seed, reward_mode, dynamics_version,"
                " task_digest, started_at, agent, key_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            if header.agent is not None:
                attempts.add_agent(connection, header.agent, header.started_at)
            if attempt is not None:
                attempts.add(connection, *attempt)

        with self._faults.converted(writes=True):
            await self._committer.make(insert)

    async def append(
        self, episode_id: str, number: int, step: StoredStep, grade: Grade | None, so_far: Grade | None = None
    ) -> None:
        """Add step ``number`` (from 1) and, with the last step, the grade; on return both are stored.

        Raises EpisodeConflict if the store already has that step.
        """
        action = step.action.model_dump_json(include=STORED_ACTION_FIELDS)
        row = (number, action, step.bought, step.mislabelled, step.performance, step.reward, episode_id)

        def insert(connection: sqlite3.Connection) -> None:
            added = connection.execute(
                "INSERT INTO steps SELECT number, ?, ?, ?, ?, ?, ? FROM episodes WHERE episode_id = ?", row
            )
            if added.rowcount != 1:
                raise not_found()
            if grade is not None:
                connection.execute(
                    "UPDATE episodes SET grade = ? WHERE episode_id = ?", (grade.model_dump_json(), episode_id)
                )
            if so_far is not None:
                attempts.update(connection, episode_id, so_far, is_over=grade is not None)

        with self._faults.converted(writes=True):
            await self._committer.make(insert)

    async def load(self, episode_id: str) -> StoredEpisode:
        """Return an episode. Raises EpisodeNotFound."""
        found = self._read(LOAD_EPISODE, episode_id)
        if not found:
            raise not_found()
        number, grade, *header = found[0]
        steps = self._read(LOAD_STEPS, number)
        return StoredEpisode(
            header=EpisodeHeader(*header),
            steps=tuple(StoredStep(stored_action(action), *results) for action, *results in steps),
            grade=None if grade is None else Grade.model_validate_json(grade),
        )

    async def step_count(self, episode_id: str) -> int:
        """Return the number of stored steps of an episode. Raises EpisodeNotFound."""
        found = self._read(COUNT_STEPS, episode_id)
        if not found:
            raise not_found()
        return int(found[0][0])

    async def latest(self, transport: Transport) -> str | None:
        """Return the id of the episode most recently started over ``transport``; None if there is none.

        Sealed episodes do not count: their ids are known to their players alone.
        """
        found = self._read(
            "SELECT episode_id FROM episodes WHERE transport = ? AND key_id IS NULL ORDER BY number DESC LIMIT 1",
            transport,
        )
        return str(found[0][0]) if found else None

    async def agent(self, name: str) -> Agent | None:
        """Return an agent that has played or is registered; None if there is none of this name."""
        with self._faults.converted(), self._lock:
            return next(iter(attempts.agents(self._connection, name)), None)

    async def agents(self) -> list[Agent]:
        """Return all agents, ordered by name."""
        with self._faults.converted(), self._lock:
            return attempts.agents(self._connection)

    async def register(self, name: str, token_hash: str) -> None:
        """Set the hash of an agent's token; adds the agent if there is none of this name."""
        now = as_text(utc_now())
        with self._faults.converted(writes=True):
            await self._committer.make(lambda connection: attempts.register(connection, name, token_hash, now))

    async def attempts(self, board: Board, agents: Collection[str]) -> list[Attempt]:
        """Return the attempts of some agents on a board, ordered by agent and place."""
        found: list[Attempt] = []
        for name in sorted(set(agents)):
            after: int | None = -1
            while after is not None:
                with self._faults.converted(), self._lock:
                    part = attempts.attempts(self._connection, board, name, after)
                found += part
                after = part[-1].place if len(part) == attempts.READ_AT_ONCE else None
                await asyncio.sleep(0)  # others are served between the parts
        return found

    async def standings(self, board: Board) -> list[Standing]:
        """Return the sums of all attempts on a board that count, one entry for each agent, ordered by agent."""
        found: list[Standing] = []
        after: str | None = ""
        while after is not None:
            with self._faults.converted(), self._lock:
                part = attempts.standings(self._connection, board, after)
            found += part
            after = part[-1].agent if len(part) == attempts.READ_AT_ONCE else None
            await asyncio.sleep(0)
        return found

    async def counted(self, board: Board) -> int:
        """Return the number of attempts on a board that count; it rises with each."""
        with self._faults.converted(), self._lock:
            return attempts.counted(self._connection, board)

    async def boards(self) -> list[Board]:
        """Return the boards with attempts that count, in the order of their names."""
        with self._faults.converted(), self._lock:
            return attempts.boards(self._connection)

    async def recent(self, wanted: EpisodeFilter, limit: int, before: int | None = None) -> EpisodePage:
        """Return at most ``limit`` episodes that meet a filter, most recently created first; examines ``EXAMINED``."""
        start = NEWEST if before is None else before
        conditions = wanted.task_id, wanted.transport, wanted.finished, wanted.agent
        found = self._read(LIST_EPISODES, start, *conditions, limit)
        more = found[-1:] if len(found) == limit else self._read(LAST_EXAMINED, start, EXAMINED - 1)
        return EpisodePage(tuple(self._listed(*row) for row in found), more[0][0] if more else None)

    def _listed(self, number: int, grade: str | None, *header: Any) -> ListedEpisode:
        steps = self._read(LIST_STEPS, number)
        return ListedEpisode(
            header=EpisodeHeader(*header),
            bought=sum(bought for bought, _ in steps),
            performances=tuple(performance for _, performance in steps),
            grade=None if grade is None else Grade.model_validate_json(grade),
        )

    async def prune(self, keep: Retention) -> bool:
        """Remove a few expired episodes; return whether there may be more."""
        if self._path is None:
            keep = replace(keep, episodes=min(keep.episodes, MEMORY_EPISODES))
        current: Pass | None = None
        has_more = False

        def prune_some(connection: sqlite3.Connection) -> None:
            nonlocal current, has_more
            begun = self._pass or Pass(self._passes, by_age=may_remove_by_age(connection))
            current = replace(begun)  # a copy: this may be rolled back
            expired, has_more = current.find_expired(connection, keep)
            remove(connection, expired)

        with self._faults.converted():
            await self._committer.make(prune_some, beside=True)
        self._passes += self._pass is None
        self._pass = current if has_more else None
        return has_more

    async def check(self) -> None:
        """Return if the store can be written, and has what was written; reads every table."""
        written = 0

        def probe(connection: sqlite3.Connection) -> None:
            nonlocal written
            written = count_probe(connection)

        with self._faults.converted(writes=True):
            await self._committer.make(probe)
            with self._lock:
                found = read_mark(self._connection, "probes") or 0
                for query in (LOAD_EPISODE, LOAD_STEPS):
                    self._connection.execute(query, (None,)).fetchall()
            if found < written:  # it may be higher: other processes probe the same store
                raise sqlite3.DatabaseError(f"probe {written} was written, and {found} read back")

    async def size(self) -> int:
        """Return the size of the store in bytes."""
        with self._faults.converted():
            self._check_files()
        (pages,), (page_size,) = *self._read("PRAGMA page_count"), *self._read("PRAGMA page_size")
        return int(pages) * int(page_size)

    async def close(self) -> None:
        """Commit queued changes and close the database."""
        self._committer.close()
        self._close_connections()

    def _close_connections(self) -> None:
        self._connection.close()
        if self._patient is not None:
            self._patient.close()

    def _read(self, query: str, *parameters: object) -> list[Any]:
        with self._faults.converted(), self._lock:
            return self._connection.execute(query, parameters).fetchall()


def _refusal(error: Exception) -> EnvError | None:
    """Return the error for the client whose episode or step is in the database already."""
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_CONSTRAINT_UNIQUE":
        return exists()
    return conflict() if name == "SQLITE_CONSTRAINT_PRIMARYKEY" else None


def _nothing_to_check() -> None:
    """Stand in for the check of files where the database is in memory."""
