"""What leaves the store, and what never does."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from dataselect_env.core.errors import EpisodeNotFound
from dataselect_env.core.grading import TracePoint, grade
from dataselect_env.core.models import Action
from dataselect_env.core.tasks import DYNAMICS_VERSION, TASKS
from dataselect_env.server.store import retention
from dataselect_env.server.store.base import EpisodeHeader, StoredStep
from dataselect_env.server.store.retention import Retention
from dataselect_env.server.store.sqlite import SQLiteStore

STEP = StoredStep(Action.select(10, random=1), 10, 3, 0.6, 0.1)
GRADE = grade(TASKS["easy"], [TracePoint(0, 0, 0.5), TracePoint(10, 3, 0.7)])
ALL = Retention(episodes=1_000_000, days=10_000, lifetime=1e9)


def play(store: SQLiteStore, name: str, finished: bool = True, age: float = 0.0) -> None:
    """Store an episode of two steps that was started ``age`` seconds ago."""

    async def write() -> None:
        await store.create(EpisodeHeader(name, "http", "easy", 1, "shaped", DYNAMICS_VERSION))
        await store.append(name, 1, STEP, None)
        await store.append(name, 2, STEP, GRADE if finished else None)

    asyncio.run(write())
    started = (datetime.now(UTC) - timedelta(seconds=age)).isoformat(timespec="milliseconds")
    store._connection.execute("UPDATE episodes SET started_at = ? WHERE episode_id = ?", (started, name))


def prune(store: SQLiteStore, keep: Retention) -> int:
    """Prune until nothing more is to do; return the number of calls."""
    calls = 1
    while asyncio.run(store.prune(keep)):
        calls += 1
        assert calls < 1_000
    return calls


def names(store: SQLiteStore) -> list[str]:
    rows = store._connection.execute("SELECT episode_id FROM episodes ORDER BY number")
    return [name for (name,) in rows]


def test_the_newest_episodes_stay_whatever_happens(store: SQLiteStore) -> None:
    for number in range(30):
        play(store, f"e{number}")
    prune(store, Retention(episodes=10, days=1, lifetime=1e9))
    assert names(store) == [f"e{number}" for number in range(20, 30)]
    assert store.load("e29").grade == GRADE
    (steps,) = store._connection.execute("SELECT count(*) FROM steps").fetchone()
    assert steps == 20
    with pytest.raises(EpisodeNotFound):
        store.load("e19")


def test_age_counts_for_finished_and_running_ones_apart(store: SQLiteStore) -> None:
    day = 86_400
    for age in (40, 20, 2, 0):
        play(store, f"finished-{age}", age=age * day)
        play(store, f"running-{age}", finished=False, age=age * day)
    prune(store, Retention(episodes=1_000, days=30, lifetime=1.5 * day))
    assert names(store) == ["finished-20", "finished-2", "finished-0", "running-0"]


def test_an_episode_that_is_played_stays_when_there_are_many_newer_ones_but_not_for_ever(store: SQLiteStore) -> None:
    play(store, "running", finished=False)
    for number in range(19):
        play(store, f"e{number}")
    keep = Retention(episodes=10, days=1, lifetime=1e9)
    prune(store, keep)
    assert names(store)[0] == "running"
    assert len(names(store)) == 11
    play(store, "one-more")
    prune(store, keep)
    assert names(store)[0] == "e10"


def test_each_call_does_little_and_what_must_stay_does_not_hold_it_up(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "EXAMINED_AT_ONCE", 8)
    monkeypatch.setattr(retention, "REMOVED_AT_ONCE", 3)
    for number in range(40):
        play(store, f"e{number}", finished=number % 2 == 1)
    removed = []
    changes = store._connection.total_changes
    keep = Retention(episodes=20, days=1, lifetime=1e9)
    while asyncio.run(store.prune(keep)):
        removed.append(store._connection.total_changes - changes)
        changes = store._connection.total_changes
    assert max(removed) <= 3 * 3  # an episode and its two steps
    assert names(store) == [f"e{n}" for n in range(40) if n % 2 == 0 or n >= 20]


def test_nothing_is_written_while_nothing_leaves(store: SQLiteStore) -> None:
    for number in range(5):
        play(store, f"e{number}", finished=bool(number % 2))
    changes = store._connection.total_changes
    assert prune(store, ALL) == 1
    assert store._connection.total_changes == changes


def test_a_store_in_memory_keeps_fewer(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr("dataselect_env.server.store.sqlite.MEMORY_EPISODES", 4)
    on_disk = SQLiteStore(tmp_path_factory.mktemp("store") / "episodes.db")
    left: Callable[[SQLiteStore], int] = lambda one: len(names(one))  # noqa: E731
    for one in (store, on_disk):
        for number in range(9):
            play(one, f"e{number}")
        prune(one, ALL)
    assert (left(store), left(on_disk)) == (4, 9)
    on_disk.close()


def test_room_is_used_again(store: SQLiteStore) -> None:
    keep = Retention(episodes=50, days=1, lifetime=1e9)
    sizes = []
    for block in range(6):
        for number in range(100):
            play(store, f"e{block}-{number}")
        prune(store, keep)
        sizes.append(store.size())
    assert sizes[-1] == sizes[1]
