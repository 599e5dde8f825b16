"""BLAS libraries on one thread for the time of a call, and as before afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from dataselect_env.core import threads
from dataselect_env.core.episode import Episode
from dataselect_env.core.strategies import pool_statistics
from dataselect_env.core.tasks import TASKS
from dataselect_env.core.threads import on_one_thread


def in_use() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    with threadpool_limits(2, user_api="blas"):
        if in_use() != {2}:
            pytest.skip("no BLAS library with threads")
        yield


def test_a_call_has_one_thread_and_what_follows_as_many_as_before() -> None:
    assert on_one_thread(in_use)() == {1}
    assert in_use() == {2}


def test_a_call_that_fails_leaves_the_threads_as_they_were() -> None:
    with pytest.raises(ZeroDivisionError):
        on_one_thread(lambda: 1 / 0)()
    assert in_use() == {2}


def test_nested_calls_have_one_thread_until_the_outer_one_ends() -> None:
    outer = on_one_thread(lambda: (on_one_thread(in_use)(), in_use()))
    assert outer() == ({1}, {1})
    assert in_use() == {2}


def test_the_statistics_of_a_pool_are_made_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[set[int]]()

    def rank(_: object) -> float:
        seen.append(in_use())
        return 0.5

    monkeypatch.setattr(pool_statistics, "_effective_rank", rank)
    Episode(TASKS["open"], 3).describe()
    assert seen == [{1}]


class Libraries:
    """Stands in for BLAS libraries: some report wrong numbers on threads other than the first."""

    def __init__(self) -> None:
        self.threads = 2

    def limit(self, *, limits: int) -> Libraries:
        self.threads = limits
        return self

    def restore_original_limits(self) -> None:
        self.threads = 2


def test_calls_that_overlap_leave_the_threads_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """The call that began first ends first; the other still has one thread."""
    libraries = Libraries()
    monkeypatch.setattr(threads, "_libraries", lambda: libraries)
    first_began, second_began, first_ended = threading.Event(), threading.Event(), threading.Event()
    seen = list[int]()

    @on_one_thread
    def first() -> None:
        first_began.set()
        assert second_began.wait(30)

    @on_one_thread
    def second() -> None:
        second_began.set()
        assert first_ended.wait(30)
        seen.append(libraries.threads)

    calls = [threading.Thread(target=call) for call in (first, second)]
    calls[0].start()
    assert first_began.wait(30)
    calls[1].start()
    calls[0].join(30)
    first_ended.set()
    calls[1].join(30)
    assert seen == [1]
    assert libraries.threads == 2
