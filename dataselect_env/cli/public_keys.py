"""The option ``--keys``: public keys from files and servers."""
# ruff: noqa: PLC0415  (modules are imported on use, so that --help answers at once)

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dataselect_env.cli.console import UsageError

ALGORITHM = "Ed25519"
MISSING = "checking signatures needs cryptography: pip install 'dataselect-env[sealed]'"


def read_keys(sources: tuple[str, ...]) -> dict[str, list[str]]:
    """Return public keys in base64 by key id.

    Args:
        sources: Files with the answer to ``GET /keys``, and addresses of servers.

    Raises:
        UsageError: A source cannot be read or has no such keys, or the library to check signatures is missing.
        RemoteError: A server does not answer.
    """
    found: dict[str, list[str]] = {}
    for source in sources:
        for key_id, key in _keys(source, _answer(source)):
            found.setdefault(key_id, []).append(key)
    return found


def _answer(source: str) -> Any:
    if source.startswith(("http://", "https://", "ws://", "wss://")):
        from dataselect_env.integrations.http_requests import ask

        return ask(source.removesuffix("/keys"), "/keys")
    try:
        return json.loads(Path(source).read_bytes())
    except OSError as error:
        raise UsageError(f"--keys: {source} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"--keys: {source} is not JSON") from error


def _keys(source: str, answer: Any) -> list[tuple[str, str]]:
    """Return key ids and keys, after checking them."""
    from dataselect_env.core.errors import InvalidInput
    from dataselect_env.core.receipts import key_bytes

    if find_spec("cryptography") is None:
        raise UsageError(f"--keys: {MISSING}")
    try:
        keys = [(str(one["key_id"]), str(one["public_key"])) for one in answer["keys"] if one["algorithm"] == ALGORITHM]
        for _, key in keys:
            key_bytes(key)
    except (KeyError, TypeError, InvalidInput) as error:
        raise UsageError(f"--keys: {source} should have keys as GET /keys of a server answers them") from error
    if not keys:
        raise UsageError(f"--keys: {source} has no keys")
    return keys
