"""The server says where it is, where episodes go, and when anyone can use it."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI

from dataselect_env.server import app
from dataselect_env.server.keyring import Keyring
from dataselect_env.server.settings import Settings, SettingsError
from dataselect_env.server.start_message import log_start

OPEN = "The server listens on all addresses without a token"


def messages(caplog: pytest.LogCaptureFixture, **chosen: object) -> list[tuple[int, str]]:
    caplog.clear()
    with caplog.at_level(logging.INFO):
        log_start(Settings.load(port=8123, **chosen), "sqlite:////folder/episodes.db")
    return [(record.levelno, record.getMessage()) for record in caplog.records]


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("0.0.0.0", "localhost"),  # noqa: S104
        ("::", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "[::1]"),
        ("example.org", "example.org"),
    ],
)
def test_the_address_can_be_opened(caplog: pytest.LogCaptureFixture, host: str, shown: str) -> None:
    level, text = messages(caplog, host=host)[0]
    assert level == logging.INFO
    assert text == f"Open http://{shown}:8123/ in a browser; episode store: sqlite:////folder/episodes.db"


def test_the_sealed_split_is_named_by_its_key_and_not_by_its_secret(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("cryptography")
    shown = [text for _, text in messages(caplog, host="127.0.0.1", secret="s" * 32, sealed_size=7)]
    key_id = Keyring(["s" * 32]).current
    assert shown[1:] == [f"Sealed split: 7 episodes of each task under key {key_id}; agents: anyone"]


def test_a_secret_that_cannot_be_used_is_one_sentence_before_the_start() -> None:
    with pytest.raises(SettingsError, match="DATASELECT_SECRET: each secret should have at least 32 characters"):
        app.serve(Settings.load(store="memory:", secret="short"))  # noqa: S106


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "127.0.0.1", "::1", "example.org"])  # noqa: S104
@pytest.mark.parametrize("token", [None, "secret"])
def test_a_server_open_to_all_is_warned_about(caplog: pytest.LogCaptureFixture, host: str, token: str | None) -> None:
    warned = [text for level, text in messages(caplog, host=host, token=token) if level == logging.WARNING]
    assert [text.startswith(OPEN) for text in warned] == [True] * (token is None and host in ("0.0.0.0", "::"))  # noqa: S104


def test_it_is_said_once_connections_are_accepted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def run(served: FastAPI, settings: Settings, *__: object, on_start: Callable[[], None]) -> None:
        assert caplog.records == []
        on_start()
        asyncio.run(served.state.get_service().close())  # and the store with it, as at the end of a run

    monkeypatch.setattr(app, "run", run)
    with caplog.at_level(logging.INFO):
        app.serve(Settings.load(host="127.0.0.1", port=8123, store="memory:"))
    assert caplog.messages == ["Open http://127.0.0.1:8123/ in a browser; episode store: memory:"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs several processes")
def test_several_workers_say_it_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    class Nobody:
        def __init__(self, *_: object, **__: object) -> None: ...

        def run(self) -> int:
            return 0

    monkeypatch.setattr(app, "Supervisor", Nobody)
    monkeypatch.setattr(uvicorn.Config, "bind_socket", lambda _: None)
    monkeypatch.setattr(uvicorn.Config, "configure_logging", lambda _: None)
    with caplog.at_level(logging.INFO), pytest.raises(SystemExit):
        app.serve(Settings.load(host="127.0.0.1", port=8123, store=f"sqlite:///{tmp_path}/start.db", workers=2))
    assert [text for text in caplog.messages if "Open" in text] == [
        f"Open http://127.0.0.1:8123/ in a browser; episode store: sqlite:///{tmp_path}/start.db"
    ]
