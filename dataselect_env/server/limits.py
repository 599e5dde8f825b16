"""Limits on a client: request rate, idle time and session lifetime."""

from __future__ import annotations

import asyncio
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from dataselect_env.core.errors import EnvError, SessionExpired, SessionIdle, TooManyRequests

BURST_SECONDS = 2.0
"""Size of the largest burst, in seconds of the allowed rate."""
REMEMBERED_CLIENTS = 10_000
"""Clients that a rate limiter keeps track of; it drops the least recent one first."""
ROUNDING = 1e-6
"""Tolerance for sums of intervals, in seconds."""
IPV6_CLIENT_BITS = 64
"""Length of the prefix that identifies an IPv6 client; providers usually assign a /64 to each customer."""


class RateLimiter:
    """Limits requests per second by client with the generic cell rate algorithm, which keeps one number per client.

    The number is the theoretical arrival time of the client's next request at the allowed rate (virtual scheduling; ATM
    Forum, Traffic Management Specification 4.0, section 4.4.2).

    Args:
        rate: Sustained requests per second.
        clock: Returns monotonic seconds.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 1 / rate
        self._slack = max(0.0, BURST_SECONDS - self._interval)
        self._clock = clock
        self._due: OrderedDict[str, float] = OrderedDict()

    def count(self, client: str) -> None:
        """Count a request of ``client``, a name from :func:`client_name`.

        Raises:
            TooManyRequests: The request exceeds the limit; it is not counted.
        """
        now = self._clock()
        due = max(self._due.get(client, now), now)
        wait = due - now - self._slack
        if wait > ROUNDING:
            seconds = math.ceil(wait)
            raise TooManyRequests(
                f"The limit is {1 / self._interval:g} requests per second and client; try again in {seconds} s.",
                retry_after=seconds,
            )
        self._due[client] = due + self._interval
        self._due.move_to_end(client)
        if len(self._due) > REMEMBERED_CLIENTS:
            self._due.popitem(last=False)


def client_name(address: str | None) -> str:
    """Return the name under which a client is counted: its address, or the network of an IPv6 address."""
    if address is None or ":" not in address:
        return address or "unknown"
    try:
        return str(ipaddress.IPv6Network((address.partition("%")[0], IPV6_CLIENT_BITS), strict=False))
    except ValueError:
        return address


class SessionTimeout:
    """Enforces idle timeout, lifetime and shutdown on a WebSocket conversation.

    A message that is being answered is always answered first. Each message costs three assignments; the timer checks
    them when it fires, and sets itself again.

    Args:
        idle: Idle timeout in seconds.
        lifetime: Longest duration of the conversation in seconds.
    """

    def __init__(self, idle: float, lifetime: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle, self._lifetime = idle, lifetime
        self._started = self._heard = self._loop.time()
        self._waiting = True
        self._timeout = asyncio.timeout(None)
        self.reason: EnvError | None = None
        """The reason why the conversation ends; None while it goes on."""

    @asynccontextmanager
    async def conversation(self) -> AsyncIterator[None]:
        """Run the block, and leave it when the conversation must end."""
        self._timer = self._loop.call_at(self._next_check(), self._check)
        try:
            async with self._timeout:
                yield
        except TimeoutError:
            if self.reason is None:
                raise
        finally:
            self._waiting = False
            self._timer.cancel()

    def begin(self) -> None:
        """Note that a message has arrived."""
        self._waiting = False

    def done(self) -> None:
        """Note that its answer is ready; the idle time starts."""
        self._waiting = True
        self._heard = self._loop.time()

    def end(self, reason: EnvError) -> None:
        """End the conversation once no message is being answered."""
        if self.reason is None:
            self.reason = reason
            if self._waiting:
                self._timeout.reschedule(self._loop.time())

    def _next_check(self) -> float:
        return min(self._heard + self._idle, self._started + self._lifetime)

    def _check(self) -> None:
        now = self._loop.time()
        if now >= self._started + self._lifetime:
            self.end(SessionExpired(f"A session lasts {self._lifetime:g} s at most; connect again to start another."))
        elif now >= self._heard + self._idle and self._waiting:
            self.end(
                SessionIdle(f"The session was idle for {self._idle:g} s and was closed; its steps are in the store.")
            )
        else:
            self._timer = self._loop.call_at(max(self._next_check(), now + 0.01), self._check)
