"""bench/reliability/crash: the real server dies under load, and nothing that was acknowledged is gone."""

import asyncio
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from bench.reliability import crash
from bench.reliability.ledger import Ledger
from bench.reliability.scripts import Reply, Script, play_alone
from dataselect_env.server.store.base import EpisodeStore
from tests.helpers.postgres import Postgres
from tests.helpers.sessions import open_session

pytestmark = pytest.mark.slow


def alone(scripts: Sequence[Script]) -> Iterator[list[Reply]]:
    return map(play_alone, scripts)


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    run = crash.Run(tmp_path, seed=3, sockets=4, seats=3)
    run.kill_once(alone)
    run.finish(alone)
    assert run.problems == []
    counts = run.book.counts
    assert counts["kills"] == 1
    assert counts["steps acknowledged"] > 3
    assert counts["finished and graded"] >= 3  # the episodes of the HTTP clients


def test_nothing_acknowledged_is_lost_in_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    run = crash.Run(tmp_path, seed=4, sockets=4, seats=3, url=postgres.new_url())
    run.kill_once(alone)
    run.finish(alone)
    assert run.problems == []
    assert run.book.counts["steps acknowledged"] > 3


# --- what is wrong would be seen ------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "episodes.db"


@pytest.fixture
def book(path: Path) -> Ledger:
    """A ledger whose one episode was played to its end on a server with this store."""
    book = Ledger(random.Random(5), seats=1)
    (entry,) = book.seats

    def play(store: EpisodeStore) -> list[str]:
        session = open_session(store, "http")
        for number, reply in enumerate(play_alone(entry.script)):
            book.send(entry)
            data = entry.script.actions[number - 1] if number else entry.script.choices
            asyncio.run(session.handle("step" if number else "reset", data))
            book.answered(entry, reply)
        return []

    crash.with_store(f"sqlite:///{path}", play)
    return book


def check(path: Path, book: Ledger) -> list[str]:
    replies = {name: play_alone(entry.script) for name, entry in book.touched.items()}
    return crash.with_store(f"sqlite:///{path}", lambda store: book.check(store, replies))


def test_a_store_that_has_everything_is_fine(path: Path, book: Ledger) -> None:
    assert check(path, book) == []
    assert set(book.grades) == {"http-1"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DELETE FROM steps WHERE step = 2", "requests acknowledged"),
        ("DELETE FROM steps; DELETE FROM episodes", "acknowledged and lost"),
        ("UPDATE steps SET reward = reward + 1e-15 WHERE step = 1", "other numbers"),
        ("UPDATE episodes SET grade = NULL", "other numbers"),
        ("UPDATE episodes SET seed = seed + 1", "other numbers"),
    ],
)
def test_what_the_store_lost_or_changed_is_told(path: Path, book: Ledger, change: str, told: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(change)
    assert told in check(path, book)[0]


def _wrong_reply(book: Ledger) -> None:
    book.seats[0].replies[1] = {**(book.seats[0].replies[1] or {}), "reward": 0.5}


def _more_than_sent(book: Ledger) -> None:
    book.seats[0].replies.pop()
    book.seats[0].sent -= 1


def _wrong_grade(book: Ledger) -> None:
    book.graded(book.seats[0], {"score": 1.0})


@pytest.mark.parametrize(
    ("change", "told"),
    [(_wrong_reply, "differs from the solo run in reward"), (_more_than_sent, "sent"), (_wrong_grade, "graded")],
)
def test_what_clients_were_told_wrong_is_told(
    path: Path, book: Ledger, change: Callable[[Ledger], None], told: str
) -> None:
    change(book)
    assert told in check(path, book)[0]


def test_what_changes_later_is_told_too(path: Path, book: Ledger) -> None:
    check(path, book)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE steps SET bought = bought + 1 WHERE step = 1")
        connection.execute(
            "INSERT INTO episodes SELECT 99, 'stranger', transport, task_id, seed, reward_mode,"
            " dynamics_version, started_at, grade, task_digest, agent, key_id FROM episodes"
        )
    assert crash.with_store(f"sqlite:///{path}", book.check_again) == ["http-1: changed"]
    assert crash.check_strangers(f"sqlite:///{path}", book) == ["stranger: in the store, but no client started it"]
    assert crash.check_file(path) == []


def test_a_corrupt_file_is_told(path: Path, book: Ledger) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(3 * 4096 + 8)
        file.write(b"\xff" * 512)
    assert crash.check_file(path)
