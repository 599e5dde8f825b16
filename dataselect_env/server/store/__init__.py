"""Episode stores, and how the server opens one."""

from __future__ import annotations

import logging
import re
import sqlite3
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from dataselect_env.server.settings import SettingsError, Synchronous, default_store_path
from dataselect_env.server.store.base import EpisodeStore
from dataselect_env.server.store.sqlite import MEMORY, SQLITE_PREFIX, SQLiteStore

logger = logging.getLogger(__name__)

POSTGRES_PREFIXES = ("postgresql://", "postgres://")
NOT_WRITABLE = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR}
"""SQLite's codes of places where no store can be. Others, such as that of a file in use, pass or need a decision."""


def open_store(url: str | None, synchronous: Synchronous = "normal") -> EpisodeStore:
    """Open the store that ``DATASELECT_STORE`` names.

    Args:
        url: ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``postgresql://user:password@host/database`` or
            ``memory:``. None is the default file in the user's data folder; if no file can be written there, a
            temporary one replaces it, with a warning in the log.
        synchronous: As in :class:`SQLiteStore`; a PostgreSQL server has its own setting.

    Raises:
        SettingsError: The URL is not valid, or the file or database cannot be used. The message has no password.
    """
    if url == MEMORY:
        return SQLiteStore(None)
    if url is None:
        return _open_default(synchronous)
    if url.startswith(POSTGRES_PREFIXES):
        return _open_postgres(url)
    if not url.startswith(SQLITE_PREFIX) or url == SQLITE_PREFIX:
        raise SettingsError(
            "DATASELECT_STORE: should be sqlite:///relative.db, sqlite:////absolute.db,"
            " postgresql://user:password@host/database or memory:"
        )
    path = Path(url.removeprefix(SQLITE_PREFIX)).expanduser()
    if not path.parent.is_dir():  # a misspelt name should not become a folder
        raise SettingsError(f"DATASELECT_STORE: there is no folder {path.parent}; make it first")
    try:
        return SQLiteStore(path, synchronous)
    except (OSError, sqlite3.Error) as error:
        raise _unusable(path, error) from error


def masked(url: str) -> str:
    """Return the URL of a store without its password, for the log."""
    user = urlsplit(url).netloc.rpartition("@")[0]
    shown = url.replace(user, f"{user.partition(':')[0]}:***", 1) if ":" in user else url
    return re.sub(r"([?&](?:ssl)?password=)[^&]*", r"\1***", shown)


def _open_postgres(url: str) -> EpisodeStore:
    try:
        from dataselect_env.server.store.postgres import PostgresStore  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise SettingsError(
            "DATASELECT_STORE: PostgreSQL needs more packages; install them with pip install"
            f" 'dataselect-env[postgres]' ({error})"
        ) from error
    return PostgresStore(url)


def _unusable(path: Path, error: Exception) -> SettingsError:
    return SettingsError(f"DATASELECT_STORE: {path} cannot be used as a store: {error}")


def _open_default(synchronous: Synchronous) -> SQLiteStore:
    path = default_store_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return SQLiteStore(path, synchronous)
    except (OSError, sqlite3.Error) as error:
        if not isinstance(error, OSError) and getattr(error, "sqlite_errorcode", 0) & 0xFF not in NOT_WRITABLE:
            raise _unusable(path, error) from error
        temporary = Path(tempfile.mkdtemp(prefix="dataselect-env-")) / path.name
        logger.warning(
            "%s cannot be written (%s); episodes are stored in %s. Set DATASELECT_STORE to choose a file.",
            path,
            error,
            temporary,
        )
        return SQLiteStore(temporary, synchronous)
