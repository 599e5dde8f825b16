"""Where episodes are kept: task, seed, actions and results, so that any process can grade or rebuild any episode.

What an episode was is fully determined by its task, seed and actions; results are kept beside them so that a grade
outlives the dynamics that it was given by, and so that a replay can be checked.
"""

from __future__ import annotations

import logging
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from dataselect_env.errors import EpisodeConflict, EpisodeExists, EpisodeNotFound, StoreUnavailable
from dataselect_env.models import Action, Grade, RewardMode
from dataselect_env.settings import SettingsError, default_store_path

logger = logging.getLogger(__name__)

Transport = Literal["http", "websocket", "mcp"]

STORED_ACTION_FIELDS = {"action_type", "batch_size", "strategy_weights"}
SQLITE_PREFIX = "sqlite:///"
BUSY_TIMEOUT = 0.25
"""Seconds to wait for another process that is writing. The whole server waits, and a write takes a millisecond."""
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class EpisodeHeader:
    """What an episode is played under."""

    episode_id: str
    transport: Transport
    task_id: str
    seed: int
    reward_mode: RewardMode
    dynamics_version: int


@dataclass(frozen=True, slots=True)
class StoredStep:
    """One action and what came of it."""

    action: Action
    bought: int
    mislabelled: int
    performance: float
    reward: float


@dataclass(frozen=True, slots=True)
class StoredEpisode:
    """An episode as far as it was played; ``grade`` is there once it is over."""

    header: EpisodeHeader
    steps: tuple[StoredStep, ...]
    grade: Grade | None


class EpisodeStore(Protocol):
    """What every store offers. All methods raise StoreUnavailable when the store cannot be reached."""

    def create(self, header: EpisodeHeader) -> None:
        """Add an episode; raises EpisodeExists when its id is in use."""

    def append(self, episode_id: str, number: int, step: StoredStep, grade: Grade | None) -> None:
        """Add step ``number`` (from 1) and, with the last one, the grade; on return both are in the store."""

    def load(self, episode_id: str) -> StoredEpisode:
        """Return an episode; raises EpisodeNotFound."""

    def step_count(self, episode_id: str) -> int:
        """Return how many steps of an episode there are; 0 when there is no such episode."""

    def latest(self, transport: Transport) -> str | None:
        """Return the id of the episode most recently started over ``transport``, or None."""

    def close(self) -> None:
        """Release the store; it is not used afterwards."""


SCHEMA = """
CREATE TABLE IF NOT EXISTS episodes (
    number           INTEGER PRIMARY KEY,
    episode_id       TEXT NOT NULL UNIQUE,
    transport        TEXT NOT NULL,
    task_id          TEXT NOT NULL,
    seed             INTEGER NOT NULL,
    reward_mode      TEXT NOT NULL,
    dynamics_version INTEGER NOT NULL,
    started_at       TEXT NOT NULL,
    grade            TEXT
);
CREATE INDEX IF NOT EXISTS episodes_by_transport ON episodes (transport, number);
CREATE TABLE IF NOT EXISTS steps (
    episode     INTEGER NOT NULL REFERENCES episodes (number),
    step        INTEGER NOT NULL,
    action      TEXT NOT NULL,
    bought      INTEGER NOT NULL,
    mislabelled INTEGER NOT NULL,
    performance REAL NOT NULL,
    reward      REAL NOT NULL,
    PRIMARY KEY (episode, step)
) WITHOUT ROWID;
"""


class SQLiteStore:
    """Episodes in one SQLite database, a file or memory.

    A file is written ahead (WAL) and synchronised at checkpoints: what was acknowledged survives the death of the
    process at any moment; only a loss of power may cost the last moments.

    Args:
        path: File of the database, made where missing with its folder; None keeps everything in memory.

    Raises:
        OSError, sqlite3.Error: The place cannot be used.
    """

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()  # the connection may be used on any thread, by one at a time
        self._connection = sqlite3.connect(
            path or ":memory:", timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
        )
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._check_version()
            self._connection.executescript(SCHEMA)
            self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            with self._transaction():  # a place that can be read but not written shows itself now
                self._connection.execute("DELETE FROM episodes WHERE number < 0")
        except BaseException:
            self._connection.close()
            raise

    def create(self, header: EpisodeHeader) -> None:
        """Add an episode; raises EpisodeExists when its id is in use."""
        started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._guarded():
            try:
                self._connection.execute(
                    "INSERT INTO episodes (episode_id, transport, task_id, seed, reward_mode, dynamics_version,"
                    " started_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        header.episode_id,
                        header.transport,
                        header.task_id,
                        header.seed,
                        header.reward_mode,
                        header.dynamics_version,
                        started_at,
                    ),
                )
            except sqlite3.IntegrityError:
                raise EpisodeExists(
                    "episode_id: is already in use; choose another one or leave it out", field="episode_id"
                ) from None

    def append(self, episode_id: str, number: int, step: StoredStep, grade: Grade | None) -> None:
        """Add step ``number`` (from 1) and, with the last one, the grade; on return both are in the store."""
        with self._guarded(), self._transaction():
            added = self._connection.execute(
                "INSERT INTO steps SELECT number, ?, ?, ?, ?, ?, ? FROM episodes WHERE episode_id = ?",
                (
                    number,
                    step.action.model_dump_json(include=STORED_ACTION_FIELDS),
                    step.bought,
                    step.mislabelled,
                    step.performance,
                    step.reward,
                    episode_id,
                ),
            )
            if added.rowcount != 1:
                raise EpisodeNotFound("The episode is no longer in the store.")
            if grade is not None:
                self._connection.execute(
                    "UPDATE episodes SET grade = ? WHERE episode_id = ?", (grade.model_dump_json(), episode_id)
                )

    def load(self, episode_id: str) -> StoredEpisode:
        """Return an episode; raises EpisodeNotFound."""
        with self._guarded():
            found = self._connection.execute(
                "SELECT number, grade, episode_id, transport, task_id, seed, reward_mode, dynamics_version"
                " FROM episodes WHERE episode_id = ?",
                (episode_id,),
            ).fetchone()
            if found is None:
                raise EpisodeNotFound("episode_id: there is no such episode", field="episode_id")
            number, grade, *header = found
            steps = self._connection.execute(
                "SELECT action, bought, mislabelled, performance, reward FROM steps WHERE episode = ? ORDER BY step",
                (number,),
            ).fetchall()
        return StoredEpisode(
            header=EpisodeHeader(*header),
            steps=tuple(StoredStep(Action.model_validate_json(action), *results) for action, *results in steps),
            grade=None if grade is None else Grade.model_validate_json(grade),
        )

    def step_count(self, episode_id: str) -> int:
        """Return how many steps of an episode there are; 0 when there is no such episode."""
        with self._guarded():
            (count,) = self._connection.execute(
                "SELECT count(*) FROM steps JOIN episodes ON episode = number WHERE episode_id = ?", (episode_id,)
            ).fetchone()
        return int(count)

    def latest(self, transport: Transport) -> str | None:
        """Return the id of the episode most recently started over ``transport``, or None."""
        with self._guarded():
            found = self._connection.execute(
                "SELECT episode_id FROM episodes WHERE transport = ? ORDER BY number DESC LIMIT 1", (transport,)
            ).fetchone()
        return None if found is None else str(found[0])

    def close(self) -> None:
        """Release the database."""
        self._connection.close()

    def _check_version(self) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, SCHEMA_VERSION):  # 0: a new file
            raise sqlite3.DatabaseError(f"it was made by another version of the package (schema {version})")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turn the database's own errors into the one that a client may see; the cause goes to the log."""
        try:
            with self._lock:
                yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorname", "") == "SQLITE_CONSTRAINT_PRIMARYKEY":
                raise EpisodeConflict(
                    "Another process has just played this step of the episode; look at its state and go on from there."
                ) from error
            logger.exception("the episode store failed")
            raise StoreUnavailable(
                "The episode store cannot be reached right now; nothing has changed, try again."
            ) from error


def open_store(url: str | None) -> EpisodeStore:
    """Open the store that ``DATASELECT_STORE`` names.

    Args:
        url: ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or ``memory:``. None is the default file in the
            user's data folder; where that cannot be written a temporary one takes its place, and the log says so.

    Raises:
        SettingsError: The URL is of no known kind, or the place that it names cannot be written.
    """
    if url == "memory:":
        return SQLiteStore(None)
    if url is None:
        return _open_default()
    if not url.startswith(SQLITE_PREFIX) or url == SQLITE_PREFIX:
        raise SettingsError(
            "DATASELECT_STORE: should be sqlite:///relative.db, sqlite:////absolute.db or memory:, not a URL of another"
            " kind"
        )
    path = Path(url.removeprefix(SQLITE_PREFIX)).expanduser()
    try:
        return SQLiteStore(path)
    except (OSError, sqlite3.Error) as error:
        raise SettingsError(f"DATASELECT_STORE: {path} cannot be used as a store: {error}") from error


def _open_default() -> SQLiteStore:
    path = default_store_path()
    try:
        return SQLiteStore(path)
    except (OSError, sqlite3.Error) as error:
        temporary = Path(tempfile.mkdtemp(prefix="dataselect-env-")) / path.name
        logger.warning(
            "%s cannot be written (%s); episodes are kept in %s. Set DATASELECT_STORE to choose a place.",
            path,
            error,
            temporary,
        )
        return SQLiteStore(temporary)
