"""The files of an open SQLite database, and whether they still have their names.

SQLite goes on writing to a file that was deleted or replaced while it was open. Nobody can open that file again, so
what is written to it is lost when the process ends. So is the log beside a database that was emptied.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

SUFFIXES = ("-wal", "-shm")
"""Files beside the database: the write-ahead log, and shared memory with the index and the locks of the log."""


class FilesReplaced(sqlite3.OperationalError):
    """A file of the database was deleted, moved, replaced or emptied while the database was open."""


class DatabaseFiles:
    """The files of a database in WAL mode.

    Args:
        path: Absolute path of the database, which is open and has been written.

    Raises:
        OSError: The database is missing.
    """

    def __init__(self, path: Path) -> None:
        beside = [f"{path}{suffix}" for suffix in SUFFIXES]  # missing where the file system supports no such log
        self._names = [str(path), *filter(os.path.exists, beside)]
        self._identities = self._look()

    def check(self) -> None:
        """Return if the next start opens the same files; takes a few microseconds.

        Raises:
            FilesReplaced: A file is not the one that is open.
        """
        try:
            if self._look() == self._identities:
                return
            reason = "other files are there now, or an empty one"
        except OSError as error:
            reason = str(error)
        raise FilesReplaced(
            f"the files of the episode store are no longer in their place ({reason}); put them back, or restart the"
            " server to open what is there now"
        )

    def _look(self) -> list[tuple[int, int]]:
        database, *beside = map(os.stat, self._names)
        if not database.st_size:
            return []
        return [(found.st_dev, found.st_ino) for found in (database, *beside)]
