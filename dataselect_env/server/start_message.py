"""Log messages at the start: the address to open, the store, the sealed split, and a warning if anyone can connect."""

from __future__ import annotations

import ipaddress
import logging

from dataselect_env.server.keyring import Keyring
from dataselect_env.server.settings import Settings
from dataselect_env.server.store import masked

logger = logging.getLogger(__name__)


def log_start(settings: Settings, store_url: str) -> None:
    """Log where the server and its store are.

    Args:
        settings: Settings of the server.
        store_url: URL of the store that is open; it may differ from that of the settings.
    """
    logger.info("Open http://%s:%d/ in a browser; episode store: %s", _host(settings), settings.port, masked(store_url))
    keyring = Keyring.of(settings)
    if keyring:
        logger.info(
            "Sealed split: %d episodes of each task under key %s; agents: %s",
            settings.sealed_size,
            keyring.current,
            settings.agents,
        )
    if _on_all_addresses(settings.host) and settings.token is None:
        logger.warning(
            "The server listens on all addresses without a token: anyone who can reach it can use it. Set"
            " DATASELECT_TOKEN, or listen on this machine only with --host 127.0.0.1."
        )


def _host(settings: Settings) -> str:
    """Return the host of an address that a browser on this machine can open."""
    if _on_all_addresses(settings.host):
        return "localhost"
    return f"[{settings.host}]" if ":" in settings.host else settings.host


def _on_all_addresses(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:  # a name
        return False
