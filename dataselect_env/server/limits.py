"""Limits on a client: how often it may ask, how long it may be silent, how long it may stay."""

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
"""A client that was quiet may send so many seconds' worth of requests at once."""
REMEMBERED_CLIENTS = 10_000
"""Addresses that a rate limiter remembers; the one heard least recently is forgotten first."""
ROUNDING = 1e-6
"""Seconds that sums of intervals may be off."""
IPV6_CLIENT_BITS = 64
"""One customer of a network usually has so long a prefix to choose addresses under."""


class RateLimiter:
    """Requests a second by client address: the generic cell rate algorithm, one number a client.

    The number is the moment at which the client's requests so far would have been due at the allowed rate (ATM Forum,
    Traffic Management 4.0, section 4.4.2: virtual scheduling).

    Args:
        rate: Requests a second that a client may send for long.
        clock: Seconds from anywhere.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 1 / rate
        self._slack = max(0.0, BURST_SECONDS - self._interval)
        self._clock = clock
        self._due: OrderedDict[str, float] = OrderedDict()

    def count(self, client: str) -> None:
        """Count a request of ``client``, a name from :func:`client_name`.

        Raises:
            TooManyRequests: It is one too many; it is not counted.
        """
        now = self._clock()
        due = max(self._due.get(client, now), now)
        wait = due - now - self._slack
        if wait > ROUNDING:
            seconds = math.ceil(wait)
            raise TooManyRequests(
                f"One client may send {1 / self._interval:g} requests a second here; try again in {seconds} s.",
                retry_after=seconds,
            )
        self._due[client] = due + self._interval
        self._due.move_to_end(client)
        if len(self._due) > REMEMBERED_CLIENTS:
            self._due.popitem(last=False)


def client_name(address: str | None) -> str:
    """Return what stands for the client at an address: itself, or its network where one has many to choose from."""
    if address is None or ":" not in address:
        return address or "unknown"
    try:
        return str(ipaddress.IPv6Network((address.partition("%")[0], IPV6_CLIENT_BITS), strict=False))
    except ValueError:
        return address


class SessionTimeout:
    """Ends the conversation with a WebSocket client that is silent, has stayed too long, or must go.

    A message costs three assignments: the timer looks only now and then, and sets itself anew. Whatever the reason, a
    message that is being answered is answered first.

    Args:
        idle: Seconds that the client may be silent.
        lifetime: Seconds that the conversation may last.
    """

    def __init__(self, idle: float, lifetime: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle, self._lifetime = idle, lifetime
        self._started = self._heard = self._loop.time()
        self._waiting = True
        self._timeout = asyncio.timeout(None)
        self.reason: EnvError | None = None
        """Why the conversation ends; None while it goes on."""

    @asynccontextmanager
    async def conversation(self) -> AsyncIterator[None]:
        """Watch over the block; it is left when the conversation must end."""
        self._timer = self._loop.call_at(self._next_look(), self._look)
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
        """Say that a message has arrived and will be answered."""
        self._waiting = False

    def done(self) -> None:
        """Say that its answer is ready to be sent; from now on the client is waited for."""
        self._waiting = True
        self._heard = self._loop.time()

    def end(self, reason: EnvError) -> None:
        """End the conversation as soon as no message is being answered."""
        if self.reason is None:
            self.reason = reason
            if self._waiting:
                self._timeout.reschedule(self._loop.time())

    def _next_look(self) -> float:
        return min(self._heard + self._idle, self._started + self._lifetime)

    def _look(self) -> None:
        now = self._loop.time()
        if now >= self._started + self._lifetime:
            self.end(SessionExpired(f"A session lasts {self._lifetime:g} s at most; connect again for another one."))
        elif now >= self._heard + self._idle and self._waiting:
            self.end(
                SessionIdle(
                    f"Nothing was heard for {self._idle:g} s, so the session is over; its steps are in the store."
                )
            )
        else:
            self._timer = self._loop.call_at(max(self._next_look(), now + 0.01), self._look)
