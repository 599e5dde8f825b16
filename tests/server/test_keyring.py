"""The keyring: secrets from settings, ids of keys, rotation, and receipts."""

from __future__ import annotations

import base64
import hashlib
import sys
from pathlib import Path

import pytest

from dataselect_env.core.errors import DynamicsMismatch
from dataselect_env.core.grading import TracePoint, grade
from dataselect_env.core.models import Action
from dataselect_env.core.tasks import DYNAMICS_VERSION, SEALED, get_task
from dataselect_env.server.keyring import Keyring
from dataselect_env.server.settings import Settings, SettingsError
from dataselect_env.server.store.base import EpisodeHeader, StoredEpisode, StoredStep

pytest.importorskip("cryptography")
OLD, NEW = "o" * 32, "n" * 32
EASY = get_task("easy")
GRADE = grade(EASY, [TracePoint(0, 0, 0.5), TracePoint(9, 1, 0.7)])


def episode(**changes: object) -> StoredEpisode:
    header = EpisodeHeader("one", "http", "easy", 3, "shaped", DYNAMICS_VERSION, **changes)  # type: ignore[arg-type]
    return StoredEpisode(header, (StoredStep(Action.select(9, random=1), 9, 1, 0.7, 0.1),), GRADE)


def ids(keyring: Keyring) -> list[str]:
    return [key.key_id for key in keyring.public_keys()]


def test_without_a_secret_there_are_no_keys() -> None:
    keyring = Keyring.of(Settings())
    assert not keyring
    assert keyring.public_keys() == []
    assert keyring.receipt(episode(), GRADE) is None


def test_the_id_of_a_key_is_a_hash_of_its_public_part() -> None:
    (key,) = Keyring([OLD]).public_keys()
    assert key.key_id == hashlib.sha256(base64.b64decode(key.public_key)).hexdigest()[:16]
    assert key.current


def test_the_same_secret_gives_the_same_keys_and_seeds_on_every_server() -> None:
    first, second = Keyring([OLD]), Keyring([OLD])
    assert first.public_keys() == second.public_keys()
    assert first.seed(first.current, EASY, 5) == second.seed(second.current, EASY, 5)
    assert first.order(EASY, "me", 50) == second.order(EASY, "me", 50)


def test_a_rotated_secret_serves_what_was_started_under_it() -> None:
    before, after, later = Keyring([OLD]), Keyring([NEW, OLD]), Keyring([NEW])
    old = before.current
    assert ids(after) == [later.current, old]
    assert [key.current for key in after.public_keys()] == [True, False]
    assert after.seed(old, EASY, 5) == before.seed(old, EASY, 5) != after.seed(after.current, EASY, 5)
    sealed = episode(agent="me", key_id=old)
    receipt = after.receipt(sealed, GRADE)
    assert receipt == before.receipt(sealed, GRADE)
    assert later.receipt(sealed, GRADE) is None
    with pytest.raises(DynamicsMismatch, match="under a secret that this server no longer has; it can be graded"):
        later.seed(old, EASY, 5)


def test_each_agent_gets_every_index_once_in_another_order() -> None:
    keyring = Keyring([OLD])
    orders = [keyring.order(EASY, agent, 100) for agent in ("a", "b")]
    orders.append(keyring.order(get_task("hard"), "a", 100))
    assert all(sorted(order) == list(range(100)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3


def test_a_receipt_states_the_episode_and_its_key_signed_it() -> None:
    keyring = Keyring([NEW, OLD])
    receipt = keyring.receipt(episode(), GRADE)
    assert receipt is not None
    assert (receipt.seed, receipt.index, receipt.split, receipt.agent) == (3, None, "train", None)
    assert (receipt.score, receipt.passed, receipt.key_id) == (GRADE.score, GRADE.passed, keyring.current)
    assert receipt.actions == [Action.select(9, random=1).model_dump(exclude={"metadata"})]
    current, old = keyring.public_keys()
    assert receipt.is_signed_by(current.public_key)
    assert not receipt.is_signed_by(old.public_key)
    sealed = keyring.receipt(episode(agent="me", key_id=old.key_id), GRADE)
    assert sealed is not None
    assert (sealed.seed, sealed.index, sealed.split, sealed.agent) == (None, 3, SEALED, "me")
    assert sealed.is_signed_by(old.public_key)


def test_secrets_come_from_a_variable_or_a_file_one_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    expected = ids(Keyring([NEW, OLD]))
    monkeypatch.setenv("DATASELECT_SECRET", f"{NEW} {OLD}")
    assert ids(Keyring.of(Settings())) == expected
    monkeypatch.delenv("DATASELECT_SECRET")
    (tmp_path / "secret").write_text(f"{NEW}\n{OLD}\n")
    monkeypatch.setenv("DATASELECT_SECRET_FILE", str(tmp_path / "secret"))
    assert ids(Keyring.of(Settings())) == expected


@pytest.mark.parametrize(
    ("secret", "file", "message"),
    [
        ("short", None, "DATASELECT_SECRET: each secret should have at least 32 characters"),
        (f"{OLD} {OLD}", None, "DATASELECT_SECRET: each secret should stand there once"),
        (OLD, "", "DATASELECT_SECRET_FILE: DATASELECT_SECRET is set as well"),
        (None, "", "DATASELECT_SECRET_FILE: .* has no secret"),
        (None, "x", "DATASELECT_SECRET_FILE: each secret should have at least 32 characters"),
        (None, None, "DATASELECT_SECRET_FILE: .* cannot be read: No such file"),
        (None, b"\xff\xfe", "DATASELECT_SECRET_FILE: .* cannot be read: it is not text"),
    ],
)
def test_what_is_wrong_with_a_secret_is_said_without_it(
    secret: str | None, file: str | bytes | None, message: str, tmp_path: Path
) -> None:
    path = None if secret and file is None else str(tmp_path / "secret")
    if file is not None:
        (tmp_path / "secret").write_bytes(file if isinstance(file, bytes) else file.encode())
    settings = Settings(secret=secret, secret_file=path)
    with pytest.raises(SettingsError, match=message) as caught:
        Keyring.of(settings)
    assert secret is None or secret not in str(caught.value)


def test_without_the_library_a_secret_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.ed25519", None)
    with pytest.raises(SettingsError, match=r"needs the library cryptography; pip install 'dataselect-env\[sealed\]'"):
        Keyring.of(Settings(secret=OLD))


def test_settings_never_show_the_secret() -> None:
    assert OLD not in repr(Settings(secret=OLD))
