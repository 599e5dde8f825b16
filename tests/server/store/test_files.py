"""A store whose files are deleted, moved or replaced while it is open."""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from dataselect_env.core.errors import StoreUnavailable
from dataselect_env.server.app import create_app
from dataselect_env.server.settings import Settings
from dataselect_env.server.store.base import EpisodeHeader
from dataselect_env.server.store.sqlite import SQLiteStore
from tests.helpers.actions import select

Damage = Callable[[Path], object]


def delete(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def delete_the_log(path: Path) -> None:
    path.with_name(f"{path.name}-wal").unlink()


def delete_the_locks(path: Path) -> None:
    path.with_name(f"{path.name}-shm").unlink()


def rename_the_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def put_another_store_there(path: Path) -> None:
    delete(path)
    asyncio.run(SQLiteStore(path).close())


def restore_a_copy(path: Path) -> None:
    shutil.copy(path, path.with_name("copy"))
    os.replace(path.with_name("copy"), path)


def empty(path: Path) -> None:
    os.truncate(path, 0)


ALL = [
    empty,
    delete,
    delete_the_log,
    delete_the_locks,
    rename_the_folder,
    put_another_store_there,
    restore_a_copy,
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder / "episodes.db"


@pytest.fixture
def client(path: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(store=f"sqlite:///{path}"))) as client:
        yield client


@pytest.mark.parametrize("damage", ALL)
def test_no_step_is_acknowledged_that_the_next_start_would_not_find(
    client: TestClient, path: Path, damage: Damage
) -> None:
    assert client.post("/reset", json={"episode_id": "a", "seed": 1}).status_code == 200
    assert client.get("/ready").status_code == 200
    damage(path)
    step = {**select(), "episode_id": "a"}
    refused = client.post("/step", json=step), client.post("/reset", json={}), client.get("/ready")
    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(503, "STORE_UNAVAILABLE")] * 3
    assert client.get("/health").status_code == 200
    assert "dataselect_store_up 0" in client.get("/metrics").text


def test_files_that_are_back_are_used_again(client: TestClient, path: Path) -> None:
    client.post("/reset", json={"episode_id": "a", "seed": 1})
    rename_the_folder(path)
    assert client.get("/ready").status_code == 503
    path.parent.with_name("elsewhere").rename(path.parent)
    assert client.get("/ready").status_code == 200
    assert client.post("/step", json={**select(), "episode_id": "a"}).json()["step"] == 1


def test_the_log_names_the_cause_and_what_to_do(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = SQLiteStore(path)
    delete(path)
    with pytest.raises(StoreUnavailable) as refused:
        asyncio.run(store.create(EpisodeHeader("a", "http", "easy", 1, "shaped", 2)))
    assert str(path) not in refused.value.message
    assert "no longer in their place" in caplog.text
    assert "restart the server" in caplog.text
    asyncio.run(store.close())


@pytest.mark.parametrize("table", ["episodes", "steps", "marks"])
def test_a_store_without_one_of_its_tables_is_not_ready(client: TestClient, path: Path, table: str) -> None:
    assert client.get("/ready").status_code == 200
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA foreign_keys = OFF")
        other.execute(f"DROP TABLE {table}")
    assert client.get("/ready").status_code == 503


def test_a_probe_that_is_not_read_back_is_not_ready(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "episodes.db")
    asyncio.run(store.check())
    with closing(sqlite3.connect(tmp_path / "episodes.db", isolation_level=None)) as other:
        other.execute(
            "CREATE TRIGGER no AFTER INSERT ON marks BEGIN UPDATE marks SET value = 0 WHERE name = 'probes'; END"
        )
    with pytest.raises(StoreUnavailable):
        asyncio.run(store.check())
    asyncio.run(store.close())
