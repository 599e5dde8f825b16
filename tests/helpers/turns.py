"""What happens in each turn of an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


async def growth_by_turn(count: Callable[[], int], *work: Awaitable[object]) -> list[int]:
    """Return by how much a count grows in each turn of the event loop while all work is done at once."""
    found: list[int] = []

    async def look_on() -> None:
        while True:
            before = count()
            await asyncio.sleep(0)
            found.append(count() - before)

    looking = asyncio.create_task(look_on())
    await asyncio.gather(*work)
    looking.cancel()
    return found
