"""BLAS libraries on one thread for the time of a call, and as before afterwards."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from dataselect_env.core.episode import Episode
from dataselect_env.core.strategies import pool_statistics
from dataselect_env.core.tasks import TASKS
from dataselect_env.core.threads import on_one_thread


def in_use() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def before() -> set[int]:
    np.linalg.eigh(np.eye(300))  # starts the threads
    threads = in_use()
    if threads <= {1}:
        pytest.skip("no BLAS library with threads")
    return threads


def test_a_call_has_one_thread_and_what_follows_as_many_as_before(before: set[int]) -> None:
    assert on_one_thread(in_use)() == {1}
    assert in_use() == before


def test_a_call_that_fails_leaves_the_threads_as_they_were(before: set[int]) -> None:
    with pytest.raises(ZeroDivisionError):
        on_one_thread(lambda: 1 / 0)()
    assert in_use() == before


def test_nested_calls_have_one_thread_until_the_outer_one_ends(before: set[int]) -> None:
    outer = on_one_thread(lambda: (on_one_thread(in_use)(), in_use()))
    assert outer() == ({1}, {1})
    assert in_use() == before


def test_calls_that_overlap_leave_the_threads_as_they_were(before: set[int]) -> None:
    """The call that began first ends first; the other still has one thread."""
    second_began, first_ended, seen = threading.Event(), threading.Event(), list[set[int]]()

    @on_one_thread
    def first() -> None:
        assert second_began.wait(30)

    @on_one_thread
    def second() -> None:
        second_began.set()
        assert first_ended.wait(30)
        seen.append(in_use())

    began = threading.Thread(target=first)
    began.start()
    other = threading.Thread(target=second)
    other.start()
    began.join(30)
    first_ended.set()
    other.join(30)
    assert seen == [{1}]
    assert in_use() == before


def test_the_statistics_of_a_pool_are_made_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[set[int]]()

    def rank(_: object) -> float:
        seen.append(in_use())
        return 0.5

    monkeypatch.setattr(pool_statistics, "_effective_rank", rank)
    Episode(TASKS["open"], 3).describe()
    assert seen == [{1}]
