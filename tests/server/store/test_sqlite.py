import sqlite3
from asyncio import run
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from dataselect_env.core.errors import EpisodeConflict, StoreUnavailable
from dataselect_env.core.grading import TracePoint, grade
from dataselect_env.core.models import Action
from dataselect_env.core.tasks import DYNAMICS_VERSION, TASKS
from dataselect_env.server.settings import SettingsError
from dataselect_env.server.store import open_store
from dataselect_env.server.store.base import EXAMINED, EpisodeFilter, EpisodeHeader, StoredStep, Transport
from dataselect_env.server.store.sqlite import SQLiteStore

STEP = StoredStep(Action.select(10, diversity=0.1, random=0.2), 10, 3, 0.612345678901234567, -0.1234567890123456)
GRADE = grade(TASKS["easy"], [TracePoint(0, 0, 0.5), TracePoint(10, 3, 0.7)])


def header(episode_id: str = "one", transport: Transport = "http") -> EpisodeHeader:
    return EpisodeHeader(episode_id, transport, "easy", 2**32 - 1, "shaped", DYNAMICS_VERSION)


def test_a_file_of_another_schema_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "episodes.db") as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(SettingsError, match="another version"):
        open_store(f"sqlite:///{tmp_path}/episodes.db")


def test_a_file_of_the_first_schema_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "episodes.db"
    store = SQLiteStore(path)
    run(store.create(header()))
    run(store.append("one", 1, STEP, GRADE))
    expected = run(store.load("one"))
    run(store.close())
    with sqlite3.connect(path) as older:
        older.execute("ALTER TABLE episodes DROP COLUMN task_digest")
        older.execute("PRAGMA user_version = 1")
    older.close()
    again = SQLiteStore(path)
    assert run(again.load("one")) == expected
    run(again.create(replace(header("two"), task_digest="abc")))
    assert run(again.load("two")).header.task_digest == "abc"
    run(again.close())


def test_many_threads_may_use_one_store(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "episodes.db")

    def play(name: int) -> int:
        run(store.create(header(f"episode-{name}")))
        for number in range(1, 9):
            run(store.append(f"episode-{name}", number, STEP, GRADE if number == 8 else None))
        return len(run(store.load(f"episode-{name}")).steps)

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(play, range(40))) == [8] * 40
    run(store.close())


def test_a_call_of_recent_examines_a_bounded_number_of_episodes(store: SQLiteStore) -> None:
    async def play() -> None:
        await store.create(header("first", "mcp"))
        for place in range(EXAMINED):
            await store.create(header(f"e{place}"))
        page = await store.recent(EpisodeFilter(transport="mcp"), 10)
        assert (page.episodes, page.following) == ((), 2)  # it has looked at all but the first
        page = await store.recent(EpisodeFilter(transport="mcp"), 10, page.following)
        assert [one.header.episode_id for one in page.episodes] == ["first"]
        assert page.following is None

    run(play())


def test_urls_name_relative_and_absolute_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(open_store("sqlite:///relative.db").close())
    run(open_store(f"sqlite:///{tmp_path}/absolute.db").close())
    assert (tmp_path / "relative.db").is_file()
    assert (tmp_path / "absolute.db").is_file()


def test_a_store_tells_what_opens_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = open_store("sqlite:///relative.db")
    run(first.create(header()))
    monkeypatch.chdir("/")
    second = open_store(first.url)
    assert run(second.load("one")).header == header()
    run(first.close())
    run(second.close())
    memory = open_store("memory:")
    run(memory.close())
    assert memory.url == "memory:"


@pytest.mark.parametrize("url", ["", "sqlite:", "sqlite:///", "mysql://host/db", "episodes.db", "memory"])
def test_other_urls_are_refused_with_the_kinds_there_are(url: str) -> None:
    with pytest.raises(SettingsError, match=r"DATASELECT_STORE: .*sqlite:///.*memory:"):
        open_store(url)


def test_a_configured_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    for folder in ("file", "misspelt"):
        with pytest.raises(SettingsError, match=f"there is no folder {tmp_path}/{folder}; make it first"):
            open_store(f"sqlite:///{tmp_path}/{folder}/episodes.db")
    assert not (tmp_path / "misspelt").exists()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("certainly not a database " * 100)
    with pytest.raises(SettingsError, match="cannot be used as a store"):
        open_store(f"sqlite:///{tmp_path}/notes.txt")


def test_the_default_place_is_in_the_users_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataselect_env.server.store.default_store_path", lambda: tmp_path / "data" / "episodes.db")
    run(open_store(None).close())
    assert (tmp_path / "data" / "episodes.db").is_file()


def test_a_default_place_that_cannot_be_written_gives_way_to_a_temporary_one_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setattr("dataselect_env.server.store.default_store_path", lambda: tmp_path / "file" / "episodes.db")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store = open_store(None)
    run(store.create(header()))
    run(store.close())
    assert "cannot be written" in caplog.text
    assert list(tmp_path.glob("dataselect-env-*/episodes.db"))


def test_a_default_store_that_is_in_use_or_from_another_version_is_not_left_for_a_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "episodes.db"
    monkeypatch.setattr("dataselect_env.server.store.default_store_path", lambda: path)
    monkeypatch.setattr("dataselect_env.server.store.sqlite.BUSY_TIMEOUT", 0.05)
    run(SQLiteStore(path).close())
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SettingsError, match="locked"):
            open_store(None)
        other.execute("ROLLBACK")
        other.execute("PRAGMA user_version = 99")
    with pytest.raises(SettingsError, match="another version"):
        open_store(None)


def test_steps_that_race_in_one_process_are_told_of_another_request(store: SQLiteStore) -> None:
    run(store.create(header()))
    run(store.append("one", 1, STEP, None))
    with pytest.raises(EpisodeConflict, match=r"^Another request has just played this step"):
        run(store.append("one", 1, STEP, None))


def test_a_store_that_fails_midway_rolls_back(tmp_path: Path) -> None:
    path = tmp_path / "episodes.db"
    store = SQLiteStore(path)
    run(store.create(header()))
    saboteur = sqlite3.connect(path, isolation_level=None)
    saboteur.execute("CREATE TRIGGER no BEFORE UPDATE ON episodes BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(StoreUnavailable):
        run(store.append("one", 1, STEP, GRADE))
    saboteur.execute("DROP TRIGGER no")
    saboteur.close()
    assert run(store.load("one")).steps == ()
    run(store.append("one", 1, STEP, GRADE))
    run(store.close())


def test_a_store_that_another_process_locks_fails_and_recovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataselect_env.server.store.sqlite.BUSY_TIMEOUT", 0.05)
    store = SQLiteStore(tmp_path / "episodes.db")
    with closing(sqlite3.connect(tmp_path / "episodes.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnavailable):
            run(store.create(header()))
        other.execute("ROLLBACK")
    run(store.create(header()))
    run(store.close())


def test_a_store_that_another_process_locks_can_be_read(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "episodes.db")
    run(store.create(header()))
    with closing(sqlite3.connect(tmp_path / "episodes.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert run(store.load("one")).header == header()
        assert (run(store.step_count("one")), run(store.latest("http"))) == (0, "one")
        other.execute("ROLLBACK")
    run(store.close())
