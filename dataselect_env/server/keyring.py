"""The secrets of a server: seeds of sealed episodes, and signatures of receipts.

From each secret come two keys by HMAC-SHA-256, one for seeds and one that signs with Ed25519. A key's id is a hash of
its public part, so anyone can check which key an id means. The first secret is the current one; the others serve
episodes, receipts and leaderboards that were started under them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import Field

from dataselect_env.core.errors import DynamicsMismatch
from dataselect_env.core.models import Grade
from dataselect_env.core.receipts import Receipt
from dataselect_env.core.sealed import SealedSeed, sealed_seed
from dataselect_env.core.tasks import SEALED, Task
from dataselect_env.core.validation import WireModel
from dataselect_env.server.settings import Settings, SettingsError
from dataselect_env.server.store.base import STORED_ACTION_FIELDS, StoredEpisode

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SHORTEST_SECRET = 32
"""Characters; a secret that can be guessed protects nothing."""
ID_LENGTH = 16
"""Hexadecimal digits of a key's id: 64 bits of the SHA-256 of its public part."""


class PublicKey(WireModel):
    """A key that checks receipts."""

    key_id: str = Field(description="Id of the key: the first 16 hexadecimal digits of the SHA-256 of its 32 bytes.")
    algorithm: Literal["Ed25519"] = Field("Ed25519", description="Algorithm of the signatures.")
    public_key: str = Field(description="The public key, 32 bytes in base64.")
    current: bool = Field(description="Whether new episodes are started under this key.")


class KeyList(WireModel):
    """The public keys of a server."""

    keys: list[PublicKey] = Field(description="The current key first.")


class _Key:
    """The keys of one secret."""

    def __init__(self, secret: str) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415  (an extra)

        whole = secret.encode()
        self.seeds = hmac.digest(whole, b"seeds of sealed episodes", "sha256")
        signing = hmac.digest(whole, b"signatures of receipts", "sha256")
        self.private: Ed25519PrivateKey = Ed25519PrivateKey.from_private_bytes(signing)
        self.public = self.private.public_key().public_bytes_raw()
        self.id = hashlib.sha256(self.public).hexdigest()[:ID_LENGTH]


class Keyring:
    """The keys of a server.

    Args:
        secrets: The secrets, the current one first; without any there is no sealed split, and there are no receipts.

    Raises:
        ImportError: There is a secret, and the library ``cryptography`` is missing.
    """

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        self._keys = {key.id: key for key in map(_Key, secrets)}

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the keys of the secrets in the settings.

        Raises:
            SettingsError: A secret is too short or stands twice, the file cannot be read or has none, or
                ``cryptography`` is missing.
        """
        source, text = "DATASELECT_SECRET", settings.secret.get_secret_value() if settings.secret is not None else ""
        if settings.secret_file is not None:
            source = "DATASELECT_SECRET_FILE"
            if settings.secret is not None:
                raise SettingsError(f"{source}: DATASELECT_SECRET is set as well; remove one of them")
            try:
                text = Path(settings.secret_file).expanduser().read_text(encoding="utf-8")
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not text"
                raise SettingsError(f"{source}: {settings.secret_file} cannot be read: {reason}") from error
        secrets = text.split()
        if not secrets:
            if settings.secret_file is not None:
                raise SettingsError(f"{source}: {settings.secret_file} has no secret")
            return cls()
        if min(map(len, secrets)) < SHORTEST_SECRET:
            raise SettingsError(
                f"{source}: each secret should have at least {SHORTEST_SECRET} characters, chosen at random:"
                ' python -c "import secrets; print(secrets.token_urlsafe(32))"'
            )
        if len(set(secrets)) < len(secrets):
            raise SettingsError(f"{source}: each secret should stand there once")
        try:
            return cls(secrets)
        except ImportError as error:
            raise SettingsError(
                f"{source}: needs the library cryptography; pip install 'dataselect-env[sealed]'"
            ) from error

    def __bool__(self) -> bool:
        """Return whether there is a key."""
        return bool(self._keys)

    @property
    def current(self) -> str:
        """Id of the current key; there is one."""
        return next(iter(self._keys))

    def public_keys(self) -> list[PublicKey]:
        """Return the public keys, the current one first."""
        return [
            PublicKey(key_id=key.id, public_key=base64.b64encode(key.public).decode(), current=key.id == self.current)
            for key in self._keys.values()
        ]

    def seed(self, key_id: str, task: Task, index: int) -> SealedSeed:
        """Return the seed of a sealed episode.

        Raises:
            DynamicsMismatch: The server no longer has the secret of this key.
        """
        key = self._keys.get(key_id)
        if key is None:
            raise DynamicsMismatch(
                "The episode was started under a secret that this server no longer has; it can be graded, but not"
                " continued."
            )
        return sealed_seed(key.seeds, task, index)

    def order(self, task: Task, agent: str, size: int) -> list[int]:
        """Return all indices of the current sealed split in the order in which this agent gets them."""
        key = self._keys[self.current]
        place = json.dumps(["order", task.task_id, task.digest, agent]).encode()
        seed = int.from_bytes(hmac.digest(key.seeds, place, "sha256"), "big")
        found: list[int] = np.random.default_rng(seed).permutation(size).tolist()
        return found

    def receipt(self, episode: StoredEpisode, grade: Grade) -> Receipt | None:
        """Return the signed receipt of a finished episode; None if the server has no key for it."""
        header = episode.header
        if not self._keys or (header.key_id is not None and header.key_id not in self._keys):
            return None
        key = self._keys[header.key_id or self.current]
        is_sealed = header.split == SEALED
        unsigned = Receipt(
            key_id=key.id,
            episode_id=header.episode_id,
            agent=header.agent,
            task_id=header.task_id,
            task_digest=header.task_digest,
            split=header.split,
            seed=None if is_sealed else header.seed,
            index=header.seed if is_sealed else None,
            reward_mode=header.reward_mode,
            dynamics_version=header.dynamics_version,
            started_at=header.started_at,
            actions=[step.action.model_dump(mode="json", include=STORED_ACTION_FIELDS) for step in episode.steps],
            score=grade.score,
            passed=grade.passed,
        )
        return unsigned.signed(key.private)
