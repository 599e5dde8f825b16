"""Work beside the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from dataselect_env.core.tasks import TASKS
from dataselect_env.server.logs import RequestContext, request_context
from dataselect_env.server.threads import Lane, Once, is_quick
from tests.helpers.owning import OWN, made


def test_a_lane_has_few_threads_and_knows_the_request() -> None:
    lane, running, most = Lane("lane", 2), 0, 0
    lock, names, ids = threading.Lock(), set(), set()

    def work(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            names.add(threading.current_thread().name)
            context = request_context.get()
            ids.add(context.request_id if context else None)
        threading.Event().wait(0.01)
        with lock:
            running -= 1
        return number

    async def ask(number: int) -> int:
        request_context.set(RequestContext(f"r-{number}"))
        return await lane.run(work, number)

    async def all_of_them() -> list[int]:
        return await asyncio.gather(*map(ask, range(20)))

    assert asyncio.run(all_of_them()) == list(range(20))
    assert most == 2
    assert names == {"lane_0", "lane_1"}
    assert ids == {f"r-{number}" for number in range(20)}


def test_the_loop_goes_on_while_a_thread_works() -> None:
    done = threading.Event()

    async def work() -> bool:
        waiting = asyncio.create_task(Lane("lane", 1).run(done.wait, 30))
        await asyncio.sleep(0.01)
        done.set()  # nobody would come here if the loop waited
        return await waiting

    assert asyncio.run(work())


def test_an_exception_is_the_callers() -> None:
    with pytest.raises(ZeroDivisionError):
        asyncio.run(Lane("lane", 1).run(lambda: 1 / 0))


class Work:
    """Counts how often it was begun; ends when it is told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun = 0
        self.end = asyncio.Event()
        self._error = error

    async def __call__(self) -> int:
        self.begun += 1
        await self.end.wait()
        if self._error is not None:
            raise self._error
        return self.begun


def in_turn(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 30))


def test_what_several_ask_for_at_once_is_done_once() -> None:
    async def test() -> None:
        once: Once[str, int] = Once()
        work, other = Work(), Work()
        tasks = [asyncio.create_task(once.run("a", work)) for _ in range(3)]
        another = asyncio.create_task(once.run("b", other))
        await asyncio.sleep(0)
        tasks[0].cancel()
        work.end.set()
        other.end.set()
        assert await asyncio.gather(*tasks[1:], another) == [1, 1, 1]
        assert await once.run("a", work) == 2  # afterwards it is done again

    in_turn(test)


def test_all_hear_of_a_failure_and_the_next_may_try_again() -> None:
    async def test() -> None:
        once: Once[str, int] = Once()
        work = Work(ValueError("no"))
        tasks = [asyncio.create_task(once.run("a", work)) for _ in range(2)]
        await asyncio.sleep(0)
        work.end.set()
        assert [str(error) for error in await asyncio.gather(*tasks, return_exceptions=True)] == ["no", "no"]
        with pytest.raises(ValueError, match="no"):
            await once.run("a", work)
        assert work.begun == 2

    in_turn(test)


def test_the_loop_plays_steps_of_the_pinned_tasks_with_three_strategies_only() -> None:
    assert all(map(is_quick, (TASKS[name] for name in ("easy", "medium", "hard"))))
    assert not any(is_quick(task) for task in (TASKS["open"], made(**OWN["wine"]), made(**OWN["ranks"])))
