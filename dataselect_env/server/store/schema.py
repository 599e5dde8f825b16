"""Schema of the SQLite episode store, and connections to it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from dataselect_env.server.settings import Synchronous
from dataselect_env.server.store import attempts

SCHEMA_VERSION = 3
LOG_BYTES = 4_194_304
"""Size to which the write-ahead log shrinks when it starts anew. It grows beyond while another process reads."""
PROBE_BYTES = 16_384
"""Bytes that a probe writes. A reset or step changes one to five pages of 4,096 bytes."""

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
    grade            TEXT,
    task_digest      TEXT,
    agent            TEXT,
    key_id           TEXT
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
CREATE TABLE IF NOT EXISTS marks (
    name  TEXT PRIMARY KEY,
    value NOT NULL
) WITHOUT ROWID;
INSERT OR IGNORE INTO marks VALUES ('probes', 0);
INSERT OR IGNORE INTO marks SELECT 'pass', coalesce(
    (SELECT started_at FROM episodes ORDER BY number DESC LIMIT 1), strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')
);
"""


def connect(path: Path | None, *, patience: float, synchronous: Synchronous = "normal") -> sqlite3.Connection:
    """Return a connection for any thread, in autocommit mode, that leaves checkpoints to its caller.

    Args:
        path: File of the database; None for one in memory.
        patience: Busy timeout in seconds.
        synchronous: Whether a commit waits for the disk (``full``) or not.
    """
    connection = sqlite3.connect(path or ":memory:", timeout=patience, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
    except BaseException:
        connection.close()
        raise
    return connection


def prepare(connection: sqlite3.Connection) -> None:
    """Create missing tables, and update those of an older schema.

    Raises:
        sqlite3.Error: The database has a newer schema, or cannot be written.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if not 0 <= version <= SCHEMA_VERSION:  # 0: a new file
        raise sqlite3.DatabaseError(f"it belongs to another version of the package (schema {version})")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(SCHEMA)
    connection.executescript(attempts.SCHEMA)
    _add_columns(connection)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    count_probe(connection)  # fails if the database is read-only


def _add_columns(connection: sqlite3.Connection) -> None:
    """Add the columns that are missing in older schemas; two processes may do this at once."""
    connection.execute("BEGIN IMMEDIATE")
    columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(episodes)")]
    for name in ("task_digest", "agent", "key_id"):
        if name not in columns:
            connection.execute(f"ALTER TABLE episodes ADD COLUMN {name} TEXT")
    connection.execute("COMMIT")


def count_probe(connection: sqlite3.Connection) -> int:
    """Add one to the number of probes and return it; writes as many pages as an episode does, so that they must fit."""
    count = int(read_mark(connection, "probes") or 0) + 1
    write_mark(connection, "probes", count)
    write_mark(connection, "padding", bytes(PROBE_BYTES))
    return count


def read_mark(connection: sqlite3.Connection, name: str) -> Any:
    """Return what was last written under a name, None if there is nothing."""
    row = connection.execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]


def write_mark(connection: sqlite3.Connection, name: str, value: object) -> None:
    """Write a value under a name."""
    connection.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (name, value))
