"""``dataselect-env serve``: options, the environment, and what is refused before anything is served."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataselect_env.server import app
from dataselect_env.server.settings import Settings, SettingsError
from tests.cli.test_cli import refused, run


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """What would have been served."""
    calls: list[Settings] = []
    monkeypatch.setattr(app, "serve", calls.append)
    for name in ("PORT", "DATASELECT_PORT", "DATASELECT_HOST", "DATASELECT_STORE"):
        monkeypatch.delenv(name, raising=False)
    return calls


def test_serve_with_options(served: list[Settings]) -> None:
    options = ("--host", "127.0.0.1", "--port", "8123", "--store", "memory:", "--workers", "3")
    assert run("serve", *options).exit_code == 0
    assert [(chosen.host, chosen.port, chosen.store, chosen.workers) for chosen in served] == [
        ("127.0.0.1", 8123, "memory:", 3)
    ]


def test_options_outrank_the_environment(served: list[Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9001")
    monkeypatch.setenv("DATASELECT_STORE", "memory:")
    run("serve")
    run("serve", "--port", "9002")
    assert [(chosen.port, chosen.store) for chosen in served] == [(9001, "memory:"), (9002, "memory:")]


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_serve_refuses_a_port(served: list[Settings], port: str) -> None:
    assert "--port" in refused("serve", "--port", port)
    assert served == []


def test_serve_names_the_variable_that_is_wrong(served: list[Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "http")
    assert "PORT" in refused("serve")
    assert served == []


def test_several_workers_need_a_store_that_they_can_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATASELECT_WORKERS", "2")
    message = refused("serve", "--store", "memory:")
    assert message.startswith("DATASELECT_WORKERS: several processes cannot share a store in memory")


def test_serve_with_a_store_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Settings) -> None:
        raise SettingsError("DATASELECT_STORE: cannot be used")

    monkeypatch.setattr(app, "serve", fail)
    assert refused("serve") == "DATASELECT_STORE: cannot be used"


def test_what_is_wrong_with_an_option_is_told_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tasks.yaml").write_text("tasks: 5")
    assert refused("serve", "--task-file", "none.yaml").startswith("--task-file: none.yaml: cannot be read")
    assert refused("serve", "--task-file", "tasks.yaml").startswith("--task-file: tasks.yaml, line 1: ")
    for command in ("serve", "mcp"):
        assert refused(command, "--store", "postgres").startswith("--store: ")
        assert refused(command, "--store", "sqlite:///no/such.db") == "--store: there is no folder no; make it first"
    assert refused("serve", "--store", "memory:", "--workers", "2").startswith("--workers: several processes cannot")
    assert not Path("no").exists()
    monkeypatch.setenv("DATASELECT_TASKS", "none.yaml")
    assert refused("serve", "--store", "memory:").startswith("DATASELECT_TASKS: none.yaml: cannot be read")
