"""Episodes in an SQLite database, a file or memory."""

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
"""Seconds that a write waits for another process that is writing. A write takes a millisecond."""


class SQLiteStore:
    """Episodes in one SQLite database, a file or memory.

    A file is written ahead (WAL) and synchronised at checkpoints: what was acknowledged survives the death of the
    process at any moment; only a loss of power may cost the last moments. Several processes may use one file.

    Args:
        path: File of the database, made where missing with its folder; None keeps everything in memory.

    Raises:
        OSError, sqlite3.Error: The place cannot be used.
    """

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path and path.absolute()
        self._lock = threading.RLock()  # event loops may run on several threads
        self._connection = connect(path, patience=0)
        self._patient = None if path is None else connect(path, patience=BUSY_TIMEOUT)
        self._looked_at = 0  # number of the episode that prune has come to
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
        """What ``open_store`` opens the same store with, in another process too unless it is ``memory:``."""
        return MEMORY if self._path is None else f"{SQLITE_PREFIX}{self._path.absolute()}"

    async def create(self, header: EpisodeHeader) -> None:
        """Add an episode; on return it is in the store. Raises EpisodeExists when its id is in use."""
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

        with _told_to_clients():
            await self._committer.make(insert)

    async def append(self, episode_id: str, number: int, step: StoredStep, grade: Grade | None) -> None:
        """Add step ``number`` (from 1) and, with the last one, the grade; on return both are in the store.

        Raises EpisodeConflict when that step is there already.
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

        with _told_to_clients():
            await self._committer.make(insert)

    def load(self, episode_id: str) -> StoredEpisode:
        """Return an episode; raises EpisodeNotFound."""
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
        """Return how many steps of an episode there are; 0 when there is no such episode."""
        (last,) = self._read(
            "SELECT max(step) FROM steps WHERE episode = (SELECT number FROM episodes WHERE episode_id = ?)", episode_id
        )[0]
        return last or 0

    def latest(self, transport: Transport) -> str | None:
        """Return the id of the episode most recently started over ``transport``, or None."""
        found = self._read(
            "SELECT episode_id FROM episodes WHERE transport = ? ORDER BY number DESC LIMIT 1", transport
        )
        return str(found[0][0]) if found else None

    async def prune(self, keep: Retention) -> bool:
        """Remove a few of the episodes that need not be kept; True when there may be more."""
        if self._path is None:
            keep = replace(keep, episodes=min(keep.episodes, MEMORY_EPISODES))
        with _told_to_clients():
            with self._lock:
                expired, self._looked_at = find_expired(self._connection, keep, self._looked_at)
            if expired:
                await self._committer.make(lambda connection: remove(connection, expired))
        return self._looked_at > 0

    async def check(self) -> None:
        """Return when the store can be written."""
        with _told_to_clients():
            await self._committer.make(write_nothing)

    def size(self) -> int:
        """Return how many bytes the episodes take."""
        (pages,), (page_size,) = *self._read("PRAGMA page_count"), *self._read("PRAGMA page_size")
        return int(pages) * int(page_size)

    def close(self) -> None:
        """Commit what waits and release the database."""
        self._committer.close()
        self._close_connections()

    def _close_connections(self) -> None:
        self._connection.close()
        if self._patient is not None:
            self._patient.close()

    def _read(self, query: str, *parameters: object) -> list[Any]:
        with _told_to_clients(), self._lock:
            return self._connection.execute(query, parameters).fetchall()


@contextmanager
def _told_to_clients() -> Iterator[None]:
    """Turn the database's own errors into those that a client may see; the cause goes to the log."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        if name == "SQLITE_CONSTRAINT_UNIQUE":
            raise EpisodeExists(
                "episode_id: is already in use; choose another one or leave it out", field="episode_id"
            ) from error
        if name == "SQLITE_CONSTRAINT_PRIMARYKEY":
            raise EpisodeConflict(
                "Another process has just played this step of the episode; look at its state and go on from there."
            ) from error
        logger.exception("the episode store failed")
        raise StoreUnavailable(
            "The episode store cannot be reached right now; nothing has changed, try again."
        ) from error
