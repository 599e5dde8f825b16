"""Receipts: signed statements of a server about finished episodes, which anyone can check without the server.

A receipt is signed with Ed25519 (RFC 8032) over its other fields as canonical JSON. Checking needs the library
``cryptography`` (the extra ``sealed``).
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import Grade, RewardMode
from dataselect_env.core.validation import WireModel

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_BYTES = 32
"""Length of a public key."""


class Receipt(WireModel):
    """What a server states about a finished episode.

    Either ``seed`` or, on a sealed split, ``index`` says which episode of the task it was.
    """

    version: Literal[1] = Field(1, description="Version of the receipt's format.")
    key_id: str = Field(description="Id of the key that signed the receipt; GET /keys lists keys.")
    episode_id: str = Field(description="Id of the episode.")
    agent: str | None = Field(description="Name of the agent that played it; null if it gave none.")
    task_id: str = Field(description="Task of the episode.")
    task_digest: str | None = Field(description="Fingerprint of a custom task; null for a built-in one.")
    split: str | None = Field(description="Split of the episode; null if its seed belongs to none.")
    seed: int | None = Field(description="Seed of the episode; null on a sealed split.")
    index: int | None = Field(description="Index in the sealed split; null on the other splits.")
    reward_mode: RewardMode = Field(description="Reward mode of the episode.")
    dynamics_version: int = Field(description="Version of the environment's dynamics.")
    started_at: str = Field(description="Start of the episode in UTC, ISO 8601.")
    actions: list[dict[str, Any]] = Field(description="Actions of the episode, in order.")
    score: float = Field(ge=0, le=1, description="Score of the grade.")
    passed: bool = Field(description="Whether the episode passed.")
    signature: str = Field("", description="Ed25519 signature of the other fields as canonical JSON, in base64.")

    def message(self) -> bytes:
        """Return what is signed: all fields but the signature as JSON, keys sorted, without spaces, in ASCII."""
        fields = self.model_dump(mode="json", exclude={"signature"})
        return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()

    def signed(self, key: Ed25519PrivateKey) -> Receipt:
        """Return the receipt with the signature of ``key``; the same fields and key always give the same one."""
        return self.model_copy(update={"signature": base64.b64encode(key.sign(self.message())).decode()})

    def is_signed_by(self, public_key: str) -> bool:
        """Return whether the signature is that of ``public_key`` over exactly these fields.

        Args:
            public_key: A raw Ed25519 public key, 32 bytes, in base64.

        Raises:
            InvalidInput: ``public_key`` is not such a key.
            ImportError: The library ``cryptography`` is missing.
        """
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415  (an extra)
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

        key = Ed25519PublicKey.from_public_bytes(key_bytes(public_key))
        try:
            key.verify(base64.b64decode(self.signature, validate=True), self.message())
        except (InvalidSignature, ValueError):  # no base64, or a number that is not finite
            return False
        return True


class GraderReply(Grade):
    """A grade with its episode and task, and a receipt if the server has a secret."""

    episode_id: str = Field(description="Id of the graded episode.")
    task_id: str = Field(description="Task of the episode.")
    receipt: Receipt | None = Field(
        None,
        exclude_if=lambda receipt: receipt is None,
        description="Signed statement about the episode; absent if the server has no secret for it.",
    )


def key_bytes(public_key: str) -> bytes:
    """Return the bytes of a public key.

    Raises:
        InvalidInput: It is not one.
    """
    try:
        found = base64.b64decode(public_key, validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != KEY_BYTES:
        raise InvalidInput(f"public_key: should be {KEY_BYTES} bytes in base64", field="public_key")
    return found
