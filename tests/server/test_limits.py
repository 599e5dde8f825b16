"""Rate by client, and the watch over a conversation."""

import asyncio
from collections.abc import Callable

import pytest

from dataselect_env.core.errors import ServerStopping, TooManyRequests
from dataselect_env.server import limits
from dataselect_env.server.limits import BURST_SECONDS, RateLimiter, SessionTimeout, client_name


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def passes(limiter: RateLimiter, client: str = "a", times: int = 1_000) -> int:
    """Return how many requests pass at this moment."""
    for passed in range(times):
        try:
            limiter.count(client)
        except TooManyRequests:
            return passed
    return times


@pytest.mark.parametrize("rate", [1, 5, 100.0])
def test_a_burst_passes_and_then_the_rate(rate: float) -> None:
    clock = Clock()
    limiter = RateLimiter(rate, clock)
    assert passes(limiter) == BURST_SECONDS * rate
    for _ in range(3):
        clock.now += 1
        assert passes(limiter) == rate
    clock.now += 1_000
    assert passes(limiter) == BURST_SECONDS * rate


def test_a_slow_rate_lets_one_through_and_tells_how_long_to_wait() -> None:
    clock = Clock()
    limiter = RateLimiter(0.1, clock)
    assert passes(limiter) == 1
    with pytest.raises(TooManyRequests, match=r"0\.1 requests per second.*10 s") as refused:
        limiter.count("a")
    clock.now += int(refused.value.headers["Retry-After"])
    assert passes(limiter) == 1


def test_clients_do_not_share_and_are_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REMEMBERED_CLIENTS", 3)
    limiter = RateLimiter(1, Clock())
    for client in "abcdea":
        limiter.count(client)
    assert passes(limiter, "e") == 1
    assert passes(limiter, "b") == 2  # forgotten


def test_a_client_with_many_addresses_is_one_client() -> None:
    assert client_name("2001:db8::1") == client_name("2001:db8::ffff:1") != client_name("2001:db8:1::1")
    assert client_name("fe80::1%eth0") == client_name("fe80::2")
    assert [client_name(name) for name in ("10.0.0.1", "testclient", "a:b", None)] == [
        *("10.0.0.1", "testclient", "a:b"),
        "unknown",
    ]


def converse(
    idle: float, lifetime: float, act: Callable[[SessionTimeout], object], busy: float = 0.0
) -> SessionTimeout:
    """Hold a conversation whose client says something, after which the server waits for more."""

    async def conversation() -> SessionTimeout:
        timeout = SessionTimeout(idle, lifetime)
        async with asyncio.timeout(30), timeout.conversation():
            timeout.begin()
            act(timeout)
            await asyncio.sleep(busy)
            timeout.done()
            while timeout.reason is None:
                await asyncio.sleep(60)
        return timeout

    return asyncio.run(conversation())


@pytest.mark.parametrize(
    ("idle", "lifetime", "code"), [(0.05, 60, "SESSION_IDLE"), (60, 0.05, "SESSION_EXPIRED"), (0.05, 0.05, None)]
)
def test_silence_and_age_end_a_conversation(idle: float, lifetime: float, code: str | None) -> None:
    reason = converse(idle, lifetime, lambda _: None).reason
    assert reason is not None
    assert reason.code == (code or "SESSION_EXPIRED")


def test_what_is_being_answered_is_answered_first() -> None:
    """It would otherwise be cancelled within the block, and the watch would not be returned."""
    seen: list[bool] = []

    async def conversation() -> None:
        timeout = SessionTimeout(0.01, 0.01)
        async with timeout.conversation():
            timeout.begin()
            timeout.end(ServerStopping("stop"))
            await asyncio.sleep(0.05)
            seen.append(True)
            timeout.done()

    asyncio.run(conversation())
    assert seen == [True]


def test_what_an_answer_takes_is_no_silence() -> None:
    async def conversation() -> float:
        timeout = SessionTimeout(0.2, 60)
        async with timeout.conversation():
            timeout.begin()
            await asyncio.sleep(0.3)
            answered = asyncio.get_running_loop().time()
            timeout.done()
            await asyncio.sleep(60)
        return asyncio.get_running_loop().time() - answered

    assert asyncio.run(conversation()) >= 0.199


def test_the_first_reason_counts_and_ending_late_changes_nothing() -> None:
    async def conversation() -> str:
        timeout = SessionTimeout(60, 60)
        async with timeout.conversation():
            timeout.end(ServerStopping("first"))
            timeout.end(ServerStopping("second"))
            await asyncio.sleep(60)
        assert timeout.reason is not None
        timeout.end(ServerStopping("late"))
        return timeout.reason.message

    assert asyncio.run(conversation()) == "first"


def test_a_timeout_of_somebody_else_is_not_swallowed() -> None:
    async def conversation() -> None:
        async with SessionTimeout(60, 60).conversation():
            raise TimeoutError("another one")

    with pytest.raises(TimeoutError, match="another one"):
        asyncio.run(conversation())
