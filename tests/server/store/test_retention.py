"""What leaves the store, and what never does."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dataselect_env.core.errors import EpisodeNotFound
from dataselect_env.core.grading import TracePoint, grade
from dataselect_env.core.models import Action
from dataselect_env.core.tasks import DYNAMICS_VERSION, TASKS
from dataselect_env.server.store import retention
from dataselect_env.server.store.base import EpisodeHeader, EpisodeStore, StoredStep
from dataselect_env.server.store.retention import Pass, Retention
from dataselect_env.server.store.sqlite import SQLiteStore
from tests.helpers.store_labs import StoreLab

STEP = StoredStep(Action.select(10, random=1), 10, 3, 0.6, 0.1)
GRADE = grade(TASKS["easy"], [TracePoint(0, 0, 0.5), TracePoint(10, 3, 0.7)])
DAY = 86_400
ALL = Retention(episodes=1_000_000, days=10_000, lifetime=1e9)


def play(lab: StoreLab, name: str, finished: bool = True, age: float = 0.0) -> None:
    """Store an episode of two steps that was started ``age`` seconds ago."""
    asyncio.run(write(lab.store, name, finished))
    lab.set_age(name, age)


async def write(store: EpisodeStore, name: str, finished: bool = True) -> None:
    await store.create(EpisodeHeader(name, "http", "easy", 1, "shaped", DYNAMICS_VERSION))
    await store.append(name, 1, STEP, None)
    await store.append(name, 2, STEP, GRADE if finished else None)


def prune(lab: StoreLab, keep: Retention) -> int:
    """Prune until nothing more is to do; return the number of calls."""
    return asyncio.run(prune_all(lab.store, keep))


async def prune_all(store: EpisodeStore, keep: Retention) -> int:
    calls = 1
    while await store.prune(keep):
        calls += 1
        assert calls < 1_000
    return calls


@pytest.fixture
def sqlite_lab(tmp_path: Path) -> Iterator[StoreLab]:
    store = SQLiteStore(tmp_path / "episodes.db")
    yield StoreLab(store.url, store)
    asyncio.run(store.close())


def test_the_newest_episodes_stay_whatever_happens(lab: StoreLab) -> None:
    for number in range(30):
        play(lab, f"e{number}")
    prune(lab, Retention(episodes=10, days=1, lifetime=1e9))
    assert lab.names() == [f"e{number}" for number in range(20, 30)]
    assert asyncio.run(lab.store.load("e29")).grade == GRADE
    assert lab.execute("SELECT count(*) FROM steps") == [(20,)]
    with pytest.raises(EpisodeNotFound):
        asyncio.run(lab.store.load("e19"))


def test_age_counts_for_finished_and_running_ones_apart(lab: StoreLab) -> None:
    for age in (40, 20, 2, 0):
        play(lab, f"finished-{age}", age=age * DAY)
        play(lab, f"running-{age}", finished=False, age=age * DAY)
    prune(lab, Retention(episodes=1_000, days=30, lifetime=1.5 * DAY))
    assert lab.names() == ["finished-20", "finished-2", "finished-0", "running-0"]


def test_an_episode_that_is_played_stays_when_there_are_many_newer_ones_but_not_for_ever(lab: StoreLab) -> None:
    play(lab, "running", finished=False)
    for number in range(19):
        play(lab, f"e{number}")
    keep = Retention(episodes=10, days=1, lifetime=1e9)
    prune(lab, keep)
    assert lab.names()[0] == "running"
    assert len(lab.names()) == 11
    play(lab, "one-more")
    prune(lab, keep)
    assert lab.names()[0] == "e10"


def test_each_call_does_little_and_what_must_stay_does_not_hold_it_up(
    sqlite_lab: StoreLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "EXAMINED_AT_ONCE", 8)
    monkeypatch.setattr(retention, "REMOVED_AT_ONCE", 3)
    for number in range(40):
        play(sqlite_lab, f"e{number}", finished=number % 2 == 1)
    removed = []
    changes = sqlite_lab.store._patient.total_changes
    keep = Retention(episodes=20, days=1, lifetime=1e9)
    while asyncio.run(sqlite_lab.store.prune(keep)):
        removed.append(sqlite_lab.store._patient.total_changes - changes)
        changes = sqlite_lab.store._patient.total_changes
    assert max(removed) <= 3 * 3  # an episode and its two steps
    assert sqlite_lab.names() == [f"e{n}" for n in range(40) if n % 2 == 0 or n >= 20]


def test_one_episode_from_a_clock_that_was_ahead_holds_up_no_other(sqlite_lab: StoreLab) -> None:
    keep = Retention(episodes=1_000, days=30, lifetime=DAY)
    for ahead, left in ((70 * 365 * DAY, ["ahead"]), (-20 * DAY, ["ahead"])):
        play(sqlite_lab, "ahead", age=-ahead)
        for number in range(30):
            play(sqlite_lab, f"e{number}", finished=number % 2 == 0, age=40 * DAY)
        prune(sqlite_lab, keep)
        assert sqlite_lab.names() == left
        sqlite_lab.execute("DELETE FROM steps")
        sqlite_lab.execute("DELETE FROM episodes")
        sqlite_lab.store._passes = 0


def test_most_passes_end_with_the_first_that_stays_and_some_look_at_all(
    sqlite_lab: StoreLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "THOROUGH_EVERY", 3)
    keep = Retention(episodes=1_000, days=30, lifetime=DAY)
    play(sqlite_lab, "young")
    prune(sqlite_lab, keep)
    play(sqlite_lab, "old", age=40 * DAY)
    found = []
    for _ in range(3):
        prune(sqlite_lab, keep)
        found.append("old" in sqlite_lab.names())
    assert found == [True, True, False]


def test_after_a_jump_of_the_clock_nothing_leaves_by_age_for_a_day(
    lab: StoreLab, caplog: pytest.LogCaptureFixture
) -> None:
    """The clock is not set here; instead everything that the store has seems to be 40 days older."""
    keep = Retention(episodes=25, days=30, lifetime=DAY)
    for number in range(30):
        play(lab, f"e{number}", finished=number % 2 == 0, age=40 * DAY)
    lab.set_mark("pass", 40 * DAY)
    prune(lab, keep)
    assert lab.names() == [f"e{number}" for number in range(30) if number % 2 or number >= 5]  # by number alone
    assert "No episode is removed by age until" in caplog.text
    caplog.clear()
    prune(lab, keep)
    assert "e29" in lab.names()
    assert caplog.text == ""  # said once
    lab.set_mark("jump", DAY + 60)
    prune(lab, keep)
    assert lab.names() == []


def test_a_clock_that_is_set_right_again_ends_the_pause(lab: StoreLab) -> None:
    play(lab, "old", age=40 * DAY)
    play(lab, "young")
    lab.set_mark("jump", -40 * DAY)  # it was ahead when the jump was noted
    lab.set_mark("pass", -40 * DAY)
    prune(lab, Retention(episodes=25, days=30, lifetime=DAY))
    assert lab.names() == ["young"]
    play(lab, "more", age=40 * DAY)
    lab.set_mark("pass", 2 * 3_600)  # a short stop of the server is no jump
    lab.store._passes = 0
    prune(lab, Retention(episodes=25, days=30, lifetime=DAY))
    assert lab.names() == ["young"]


def test_a_store_that_was_left_alone_for_long_is_not_emptied_at_the_start(lab: StoreLab) -> None:
    keep = Retention(episodes=25, days=30, lifetime=DAY)
    play(lab, "old", age=40 * DAY)
    lab.execute("DELETE FROM marks WHERE name = 'pass'")  # as in the file of an earlier version
    again = lab.open_another()
    asyncio.run(prune_all(again, keep))
    asyncio.run(again.close())
    assert lab.names() == ["old"]


def test_nothing_is_written_while_nothing_leaves(sqlite_lab: StoreLab) -> None:
    for number in range(5):
        play(sqlite_lab, f"e{number}", finished=bool(number % 2))
    changes = sqlite_lab.store._patient.total_changes
    assert prune(sqlite_lab, ALL) == 1
    assert sqlite_lab.store._patient.total_changes == changes


def test_a_store_in_memory_keeps_fewer(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr("dataselect_env.server.store.sqlite.MEMORY_EPISODES", 4)
    on_disk = SQLiteStore(tmp_path_factory.mktemp("store") / "episodes.db")
    left = []
    for one in (store, on_disk):
        for number in range(9):
            asyncio.run(write(one, f"e{number}"))
        asyncio.run(prune_all(one, ALL))
        left += one._connection.execute("SELECT count(*) FROM episodes").fetchall()
    assert left == [(4,), (9,)]
    asyncio.run(on_disk.close())


def test_room_is_used_again(sqlite_lab: StoreLab) -> None:
    keep = Retention(episodes=50, days=1, lifetime=1e9)
    sizes = []
    for block in range(6):
        for number in range(100):
            play(sqlite_lab, f"e{block}-{number}")
        prune(sqlite_lab, keep)
        sizes.append(asyncio.run(sqlite_lab.store.size()))
    assert sizes[-1] == sizes[1]


def test_episodes_leave_a_file_beside_the_event_loop(sqlite_lab: StoreLab, monkeypatch: pytest.MonkeyPatch) -> None:
    play(sqlite_lab, "old", age=2 * DAY)
    threads = []
    find_expired = Pass.find_expired

    def note(*args: Any) -> tuple[list[int], bool]:
        threads.append(threading.current_thread().name)
        return find_expired(*args)

    monkeypatch.setattr(Pass, "find_expired", note)
    prune(sqlite_lab, replace(ALL, days=1))
    assert sqlite_lab.names() == []
    assert {name.partition("_")[0] for name in threads} == {"store"}


def test_a_pass_that_is_rolled_back_examines_the_same_episodes_again(
    sqlite_lab: StoreLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        play(sqlite_lab, f"old-{number}", age=2 * DAY)
    play(sqlite_lab, "new")
    monkeypatch.setattr(retention, "REMOVED_AT_ONCE", 1)
    keep = replace(ALL, days=1)
    assert asyncio.run(sqlite_lab.store.prune(keep))  # the pass goes on
    with monkeypatch.context() as failing:
        failing.setattr("dataselect_env.server.store.sqlite.remove", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            asyncio.run(sqlite_lab.store.prune(keep))
    prune(sqlite_lab, keep)
    assert sqlite_lab.names() == ["new"]
