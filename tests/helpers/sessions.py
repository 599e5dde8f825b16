"""Sessions of a server with the default settings, without a sealed split."""

from __future__ import annotations

from dataselect_env.server.entries import Entries
from dataselect_env.server.keyring import Keyring
from dataselect_env.server.session import Session
from dataselect_env.server.settings import Settings
from dataselect_env.server.store.base import EpisodeStore, StoredEpisode, Transport


def open_session(store: EpisodeStore, transport: Transport) -> Session:
    """Return a new session."""
    return Session(store, transport, _entries(store))


def resume_session(store: EpisodeStore, stored: StoredEpisode) -> Session:
    """Return a session that continues a stored episode."""
    return Session.resume(store, stored, _entries(store))


def _entries(store: EpisodeStore) -> Entries:
    return Entries(store, Settings(store="memory:"), Keyring())
