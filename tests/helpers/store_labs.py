"""Stores of every kind, with a way past them to their tables, for tests of what all of them promise."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from dataselect_env.server.store import open_store
from dataselect_env.server.store.base import EpisodeStore
from dataselect_env.server.store.retention import as_text, utc_now


@dataclass
class StoreLab:
    """A store and its tables.

    Attributes:
        url: URL of the store.
        store: The store.
    """

    url: str
    store: Any

    def execute(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Execute a statement over a connection of its own; a question mark stands for each parameter."""
        if self.url.startswith("sqlite"):
            with closing(sqlite3.connect(Path(self.url.removeprefix("sqlite:///")), isolation_level=None)) as other:
                return other.execute(statement, parameters).fetchall()
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.replace("?", "%s").encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def names(self) -> list[str]:
        """Return the ids of all episodes, oldest first."""
        return [name for (name,) in self.execute("SELECT episode_id FROM episodes ORDER BY number")]

    def set_age(self, name: str, seconds: float) -> None:
        """Let an episode have been started so long ago."""
        self.execute("UPDATE episodes SET started_at = ? WHERE episode_id = ?", ago(seconds), name)

    def set_mark(self, name: str, age: float) -> None:
        """Write a time that is so many seconds ago under a name."""
        self.execute("DELETE FROM marks WHERE name = ?", name)
        self.execute("INSERT INTO marks VALUES (?, ?)", name, ago(age))

    def open_another(self) -> EpisodeStore:
        """Open the store once more."""
        return open_store(self.url)


def ago(seconds: float) -> str:
    """Return the time so many seconds ago as the stores have it."""
    return as_text(utc_now() - timedelta(seconds=seconds))
