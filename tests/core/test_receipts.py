"""Receipts: signed bytes are the same everywhere, and every change of a field breaks the signature."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import Action
from dataselect_env.core.receipts import Receipt
from dataselect_env.core.validation import parse

ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
RECEIPT = Receipt(
    key_id="0123456789ab",
    episode_id="one",
    agent="grün",
    task_id="medium",
    task_digest=None,
    split="sealed",
    seed=None,
    index=3,
    reward_mode="shaped",
    dynamics_version=3,
    started_at="2026-01-02T03:04:05.678+00:00",
    actions=[Action.select(10, uncertainty=1 / 3, random=0.1).model_dump(exclude={"metadata"})],
    score=0.1 + 0.2,
    passed=True,
).signed(KEY)


def test_a_receipt_is_checked_with_the_public_key_alone_after_a_journey_as_json() -> None:
    arrived = Receipt.model_validate_json(RECEIPT.model_dump_json())
    assert arrived == RECEIPT
    assert arrived.is_signed_by(PUBLIC)


def test_the_signed_bytes_are_as_documented() -> None:
    text = RECEIPT.message().decode("ascii")
    assert text.startswith(
        '{"actions":[{"action_type":"select_batch","batch_size":10,"strategy_weights":{"diversity":0.0'
    )
    assert '"agent":"gr\\u00fcn"' in text
    assert '"score":0.30000000000000004' in text
    assert "signature" not in text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("key_id", "0123456789ac"),
        ("episode_id", "two"),
        ("agent", None),
        ("task_id", "hard"),
        ("task_digest", "x"),
        ("split", None),
        ("seed", 3),
        ("index", 4),
        ("reward_mode", "grade"),
        ("dynamics_version", 4),
        ("started_at", ""),
        ("actions", []),
        ("score", 0.3),
        ("passed", False),
        ("signature", ""),
        ("signature", "not base64"),
        ("signature", base64.b64encode(bytes(64)).decode()),
    ],
)
def test_every_change_breaks_the_signature(field: str, value: Any) -> None:
    assert set(Receipt.model_fields) - {"version"} >= {field}
    assert not RECEIPT.model_copy(update={field: value}).is_signed_by(PUBLIC)


def test_another_key_did_not_sign_it() -> None:
    other = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
    assert not RECEIPT.is_signed_by(base64.b64encode(other).decode())


@pytest.mark.parametrize("key", ["", "abc", PUBLIC[:-4], "ü" * 44])
def test_what_is_no_public_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidInput, match="public_key: should be 32 bytes in base64"):
        RECEIPT.is_signed_by(key)


def test_a_receipt_of_a_future_format_is_refused() -> None:
    with pytest.raises(InvalidInput, match="version"):
        parse(Receipt, {**RECEIPT.model_dump(), "version": 2})
