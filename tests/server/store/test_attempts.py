"""Attempts and standings are read in parts, between which the event loop serves others."""

from __future__ import annotations

import asyncio

import pytest

from dataselect_env.server.store import attempts
from dataselect_env.server.store.sqlite import SQLiteStore
from dataselect_env.testing.boards import BOARD, START, sealed
from dataselect_env.testing.checked_store import STEP

AGENTS = ("a", "b", "c", "d")
PLACES = 5


@pytest.mark.parametrize("at_once", [1, 2, 4, 5, 100])
def test_parts_add_up_and_let_others_run(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(attempts, "READ_AT_ONCE", at_once)

    async def fill() -> None:
        for agent in AGENTS:
            for place in range(PLACES):
                await store.create(sealed(f"{agent}-{place}", agent, place), START)
                await store.append(f"{agent}-{place}", 1, STEP, START, START)

    async def read() -> int:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        found = [(one.agent, one.place) for one in await store.attempts(BOARD, ["c", "a", "c"])]
        assert found == [(agent, place) for agent in ("a", "c") for place in range(PLACES)]
        assert [one.agent for one in await store.standings(BOARD)] == list(AGENTS)
        counting.cancel()
        return turns

    asyncio.run(fill())
    assert asyncio.run(store.counted(BOARD)) == len(AGENTS) * PLACES
    assert asyncio.run(read()) >= 2 * (PLACES // at_once) + len(AGENTS) // at_once
