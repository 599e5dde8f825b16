"""Episodes in a SQLite database, in a file or in memory."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dataselect_env.core.actions import stored_action
from dataselect_env.core.errors import EpisodeConflict, EpisodeExists, EpisodeNotFound, StoreUnavailable
from dataselect_env.core.models import Grade
from dataselect_env.server.store.base import STORED_ACTION_FIELDS, EpisodeHeader, StoredEpisode, StoredStep, Transport
from dataselect_env.server.store.commits import Committer
from dataselect_env.server.store.retention import MEMORY_EPISODES, Retention, find_expired, remove
from dataselect_env.server.store.schema import connect, prepare, write_nothing

logger = logging.getLogger(__name__)

MEMORY = "memory:"
SQLITE_PREFIX = "sqlite:///"
BUSY_TIMEOUT = 2.0
"""Seconds that a write waits while another process is writing. A write takes about a millisecond."""


class SQLiteStore:
    """An episode store in one SQLite database. Several processes may use one file.

    A file has a write-ahead log and is synchronised at checkpoints (``synchronous=NORMAL``). Acknowledged writes
    survive the death of the process at any moment; a power failure may lose the last of them.

    Args:
        path: File of the database, which is created with its folder if it is missing; None for a database in memory.

    Raises:
        OSError, sqlite3.Error: The file cannot be used.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path and path.absolute()
        self._lock = threading.RLock()  # event loops may run on several threads
        self._connection = connect(path, patience=0)
        self._patient = None if path is None else connect(path, patience=BUSY_TIMEOUT)
        self._examined = 0  # number of the last episode that prune has examined
        try:
            prepare(self._patient or self._connection)
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute("PRAGMA wal_autocheckpoint = 0")  # left to the committer's thread
        except BaseException:
            self._close_connections()
            raise
        self._committer = Committer(self._connection, self._patient, self._lock)

    @property
    def url(self) -> str:
        """URL that opens the same store with ``open_store``, also in another process unless it is ``memory:``."""
        return MEMORY if self._path is None else f"{SQLITE_PREFIX}{self._path.absolute()}"

    async def create(self, header: EpisodeHeader) -> None:
        """Add an episode; on return it is stored. Raises EpisodeExists if its id is in use."""
        started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        row = (
            header.episode_id,
            header.transport,
            header.task_id,
            header.seed,
            header.reward_mode,
            header.dynamics_version,
            header.task_digest,
            started_at,
        )

        def insert(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO episodes (episode_id, transport, task_id, seed, reward_mode, dynamics_version,"
                " task_digest, started_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )

        with _client_errors():
            await self._committer.make(insert)

    async def append(self, episode_id: str, number: int, step: StoredStep, grade: Grade | None) -> None:
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
                raise EpisodeNotFound("The episode is no longer in the store.")
            if grade is not None:
                connection.execute(
                    "UPDATE episodes SET grade = ? WHERE episode_id = ?", (grade.model_dump_json(), episode_id)
                )

        with _client_errors():
            await self._committer.make(insert)

    def load(self, episode_id: str) -> StoredEpisode:
        """Return an episode. Raises EpisodeNotFound."""
        found = self._read(
            "SELECT number, grade, episode_id, transport, task_id, seed, reward_mode, dynamics_version, task_digest"
            " FROM episodes WHERE episode_id = ?",
            episode_id,
        )
        if not found:
            raise EpisodeNotFound("episode_id: there is no such episode", field="episode_id")
        number, grade, *header = found[0]
        steps = self._read(
            "SELECT action, bought, mislabelled, performance, reward FROM steps WHERE episode = ? ORDER BY step", number
        )
        return StoredEpisode(
            header=EpisodeHeader(*header),
            steps=tuple(StoredStep(stored_action(action), *results) for action, *results in steps),
            grade=None if grade is None else Grade.model_validate_json(grade),
        )

    def step_count(self, episode_id: str) -> int:
        """Return the number of stored steps of an episode; 0 if there is no such episode."""
        (last,) = self._read(
            "SELECT max(step) FROM steps WHERE episode = (SELECT number FROM episodes WHERE episode_id = ?)", episode_id
        )[0]
        return last or 0

    def latest(self, transport: Transport) -> str | None:
        """Return the id of the episode most recently started over ``transport``; None if there is none."""
        found = self._read(
            "SELECT episode_id FROM episodes WHERE transport = ? ORDER BY number DESC LIMIT 1", transport
        )
        return str(found[0][0]) if found else None

    async def prune(self, keep: Retention) -> bool:
        """Remove a few expired episodes; return whether there may be more."""
        if self._path is None:
            keep = replace(keep, episodes=min(keep.episodes, MEMORY_EPISODES))
        with _client_errors():
            with self._lock:
                expired, self._examined = find_expired(self._connection, keep, self._examined)
            if expired:
                await self._committer.make(lambda connection: remove(connection, expired))
        return self._examined > 0

    async def check(self) -> None:
        """Return if the store can be written."""
        with _client_errors():
            await self._committer.make(write_nothing)

    def size(self) -> int:
        """Return the size of the store in bytes."""
        (pages,), (page_size,) = *self._read("PRAGMA page_count"), *self._read("PRAGMA page_size")
        return int(pages) * int(page_size)

    def close(self) -> None:
        """Commit queued changes and close the database."""
        self._committer.close()
        self._close_connections()

    def _close_connections(self) -> None:
        self._connection.close()
        if self._patient is not None:
            self._patient.close()

    def _read(self, query: str, *parameters: object) -> list[Any]:
        with _client_errors(), self._lock:
            return self._connection.execute(query, parameters).fetchall()


@contextmanager
def _client_errors() -> Iterator[None]:
    """Convert errors of the database into errors for clients; log the cause of those that are not expected."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        if name == "SQLITE_CONSTRAINT_UNIQUE":
            raise EpisodeExists(
                "episode_id: is already in use; choose another or leave it out", field="episode_id"
            ) from error
        if name == "SQLITE_CONSTRAINT_PRIMARYKEY":
            raise EpisodeConflict(
                "Another request has just played this step of the episode; get the state and continue from there."
            ) from error
        logger.exception("the episode store failed")
        raise StoreUnavailable(
            "The episode store cannot be reached right now; nothing has changed, so try again."
        ) from error
