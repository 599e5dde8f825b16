"""What leaves the store, and what never does."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dataselect_env.core.errors import EpisodeNotFound
from dataselect_env.core.grading import TracePoint, grade
from dataselect_env.core.models import Action
from dataselect_env.core.tasks import DYNAMICS_VERSION, TASKS
from dataselect_env.server.store import retention
from dataselect_env.server.store.base import EpisodeHeader, StoredStep
from dataselect_env.server.store.retention import Pass, Retention
from dataselect_env.server.store.schema import write_mark
from dataselect_env.server.store.sqlite import SQLiteStore

STEP = StoredStep(Action.select(10, random=1), 10, 3, 0.6, 0.1)
GRADE = grade(TASKS["easy"], [TracePoint(0, 0, 0.5), TracePoint(10, 3, 0.7)])
DAY = 86_400
ALL = Retention(episodes=1_000_000, days=10_000, lifetime=1e9)


def play(store: SQLiteStore, name: str, finished: bool = True, age: float = 0.0) -> None:
    """Store an episode of two steps that was started ``age`` seconds ago."""

    async def write() -> None:
        await store.create(EpisodeHeader(name, "http", "easy", 1, "shaped", DYNAMICS_VERSION))
        await store.append(name, 1, STEP, None)
        await store.append(name, 2, STEP, GRADE if finished else None)

    asyncio.run(write())
    store._connection.execute("UPDATE episodes SET started_at = ? WHERE episode_id = ?", (ago(age), name))


def ago(seconds: float) -> str:
    return retention.as_text(retention.utc_now() - timedelta(seconds=seconds))


def set_mark(store: SQLiteStore, name: str, age: float) -> None:
    write_mark(store._connection, name, ago(age))


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
    assert asyncio.run(store.load("e29")).grade == GRADE
    (steps,) = store._connection.execute("SELECT count(*) FROM steps").fetchone()
    assert steps == 20
    with pytest.raises(EpisodeNotFound):
        asyncio.run(store.load("e19"))


def test_age_counts_for_finished_and_running_ones_apart(store: SQLiteStore) -> None:
    for age in (40, 20, 2, 0):
        play(store, f"finished-{age}", age=age * DAY)
        play(store, f"running-{age}", finished=False, age=age * DAY)
    prune(store, Retention(episodes=1_000, days=30, lifetime=1.5 * DAY))
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


def test_one_episode_from_a_clock_that_was_ahead_holds_up_no_other(store: SQLiteStore) -> None:
    keep = Retention(episodes=1_000, days=30, lifetime=DAY)
    for ahead, left in ((70 * 365 * DAY, ["ahead"]), (-20 * DAY, ["ahead"])):
        play(store, "ahead", age=-ahead)
        for number in range(30):
            play(store, f"e{number}", finished=number % 2 == 0, age=40 * DAY)
        prune(store, keep)
        assert names(store) == left
        store._connection.execute("DELETE FROM steps")
        store._connection.execute("DELETE FROM episodes")
        store._passes = 0


def test_most_passes_end_with_the_first_that_stays_and_some_look_at_all(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "THOROUGH_EVERY", 3)
    keep = Retention(episodes=1_000, days=30, lifetime=DAY)
    play(store, "young")
    prune(store, keep)
    play(store, "old", age=40 * DAY)
    found = []
    for _ in range(3):
        prune(store, keep)
        found.append("old" in names(store))
    assert found == [True, True, False]


def test_after_a_jump_of_the_clock_nothing_leaves_by_age_for_a_day(
    store: SQLiteStore, caplog: pytest.LogCaptureFixture
) -> None:
    """The clock is not set here; instead everything that the store has seems to be 40 days older."""
    keep = Retention(episodes=25, days=30, lifetime=DAY)
    for number in range(30):
        play(store, f"e{number}", finished=number % 2 == 0, age=40 * DAY)
    set_mark(store, "pass", 40 * DAY)
    prune(store, keep)
    assert names(store) == [f"e{number}" for number in range(30) if number % 2 or number >= 5]  # by number alone
    assert "No episode is removed by age until" in caplog.text
    caplog.clear()
    prune(store, keep)
    assert "e29" in names(store)
    assert caplog.text == ""  # said once
    set_mark(store, "jump", DAY + 60)
    prune(store, keep)
    assert names(store) == []


def test_a_clock_that_is_set_right_again_ends_the_pause(store: SQLiteStore) -> None:
    play(store, "old", age=40 * DAY)
    play(store, "young")
    set_mark(store, "jump", -40 * DAY)  # it was ahead when the jump was noted
    set_mark(store, "pass", -40 * DAY)
    prune(store, Retention(episodes=25, days=30, lifetime=DAY))
    assert names(store) == ["young"]
    play(store, "more", age=40 * DAY)
    set_mark(store, "pass", 2 * 3_600)  # a short stop of the server is no jump
    store._passes = 0
    prune(store, Retention(episodes=25, days=30, lifetime=DAY))
    assert names(store) == ["young"]


def test_a_store_that_was_left_alone_for_long_is_not_emptied_at_the_start(tmp_path: Path) -> None:
    keep = Retention(episodes=25, days=30, lifetime=DAY)
    store = SQLiteStore(tmp_path / "episodes.db")
    play(store, "old", age=40 * DAY)
    store._connection.execute("DELETE FROM marks")  # as in the file of an earlier version
    asyncio.run(store.close())
    again = SQLiteStore(tmp_path / "episodes.db")
    prune(again, keep)
    assert names(again) == ["old"]
    asyncio.run(again.close())


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
    asyncio.run(on_disk.close())


def test_room_is_used_again(store: SQLiteStore) -> None:
    keep = Retention(episodes=50, days=1, lifetime=1e9)
    sizes = []
    for block in range(6):
        for number in range(100):
            play(store, f"e{block}-{number}")
        prune(store, keep)
        sizes.append(asyncio.run(store.size()))
    assert sizes[-1] == sizes[1]


def test_episodes_leave_a_file_beside_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SQLiteStore(tmp_path / "episodes.db")
    play(store, "old", age=2 * DAY)
    threads = []
    find_expired = Pass.find_expired

    def note(*args: Any) -> tuple[list[int], bool]:
        threads.append(threading.current_thread().name)
        return find_expired(*args)

    monkeypatch.setattr(Pass, "find_expired", note)
    prune(store, replace(ALL, days=1))
    assert names(store) == []
    assert {name.partition("_")[0] for name in threads} == {"store"}
    asyncio.run(store.close())


def test_a_pass_that_is_rolled_back_examines_the_same_episodes_again(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        play(store, f"old-{number}", age=2 * DAY)
    play(store, "new")
    monkeypatch.setattr(retention, "REMOVED_AT_ONCE", 1)
    keep = replace(ALL, days=1)
    assert asyncio.run(store.prune(keep))  # the pass goes on
    with monkeypatch.context() as failing:
        failing.setattr("dataselect_env.server.store.sqlite.remove", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            asyncio.run(store.prune(keep))
    prune(store, keep)
    assert names(store) == ["new"]
