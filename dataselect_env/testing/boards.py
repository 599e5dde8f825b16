"""Check of stores, continued: agents, attempts and standings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from dataselect_env.core.errors import AttemptUsed
from dataselect_env.core.grading import TracePoint, grade
from dataselect_env.core.models import Grade
from dataselect_env.core.tasks import DYNAMICS_VERSION, SEALED, SPLITS, TASKS
from dataselect_env.server.store.base import EpisodeFilter, EpisodeHeader
from dataselect_env.server.store.boards import Attempt, Board, Standing, points_of
from dataselect_env.server.store.retention import Retention
from dataselect_env.testing.checked_store import GRADE, RULES, STEP, CheckedStore, header

AT_ONCE: Final = 10
"""Concurrent calls."""
START: Final = grade(TASKS["easy"], [TracePoint(0, 0, 0.6)])
"""A grade unlike GRADE."""
PLACES: Final = 3
MOST: Final = 100
"""More episodes than the check has written."""

Prune = Callable[[CheckedStore, Retention], Awaitable[None]]


def sealed(episode_id: str, agent: str, place: int) -> EpisodeHeader:
    """Return the header of a sealed episode."""
    return header(episode_id, agent=agent, key_id="0123456789abcdef", seed=place)


BOARD: Final = Board("easy", SEALED, "0123456789abcdef", DYNAMICS_VERSION, None)


async def check_boards(store: CheckedStore, prune: Prune) -> None:
    """Check what is kept of agents and their attempts.

    Args:
        store: An empty store.
        prune: Prunes a store until nothing is left to do.
    """
    await _check_agents(store)
    await _check_attempts(store)
    await _check_lapsed(store, prune)
    await _check_hidden(store)
    await _check_open(store)


async def _check_agents(store: CheckedStore) -> None:
    require = RULES["agents"].require
    require(await store.do("agent", "a") is None, "agent('a') is not None in an empty store")
    await store.do("register", "b", "hash")
    await store.do("register", "a", "one")
    await store.do("register", "a", "two")
    found = [(one.name, one.token_hash) for one in await store.do("agents")]
    require(found == [("a", "two"), ("b", "hash")], f"agents returned {found} after register")
    await store.do("create", sealed("s-0", "new", 0), START)
    await store.do("create", header("o-0", agent="other"))
    await store.do("create", sealed("s-1", "a", 0), START)
    found = [(one.name, one.token_hash) for one in await store.do("agents")]
    expected = [("a", "two"), ("b", "hash"), ("new", None), ("other", None)]
    require(found == expected, f"agents returned {found}, not {expected}, after episodes of new agents")
    one = await store.do("agent", "new")
    require(one is not None and one.token_hash is None, f"agent('new') is {one}")


async def _check_attempts(store: CheckedStore) -> None:
    """Check attempts from their start to their end; ``s-0`` of the agent new is running."""
    await _require_attempts(store, "new", [_attempt("s-0", "new", 0, START, "running")])
    await store.refuse("attempts", AttemptUsed, "create", sealed("again", "new", 0), START)
    RULES["attempts"].require(not await store.has("again"), "an episode whose attempt was refused is in the store")
    for place in range(1, PLACES):
        await store.do("create", sealed(f"s-0-{place}", "new", place), START)
    await _require_standings(store, [])
    await store.do("append", "s-0", 1, STEP, None, GRADE)
    await _require_attempts(store, "new", [_attempt("s-0", "new", 0, GRADE, "running")])
    await store.do("append", "s-0", 2, STEP, START, START)
    await _require_attempts(store, "new", [_attempt("s-0", "new", 0, START, "finished")])
    await store.do("append", "s-0-1", 1, STEP, GRADE, GRADE)
    await _require_standings(store, [_standing("new", [START, GRADE])])
    names = [f"same-{number}" for number in range(AT_ONCE)]
    calls = (store.call("create", sealed(name, "a", 1), START) for name in names)
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    kinds = sorted(type(one).__name__ for one in outcomes)
    RULES["attempts"].require(
        kinds == ["AttemptUsed"] * (AT_ONCE - 1) + ["NoneType"], f"of concurrent first attempts: {kinds}"
    )


async def _check_lapsed(store: CheckedStore, prune: Prune) -> None:
    """Check that attempts outlive their episodes, and that unfinished ones count when these are removed."""
    await asyncio.sleep(0.02)
    await prune(store, Retention(episodes=1_000_000, days=0, lifetime=0))
    RULES["attempts"].require(not await store.has("s-0"), "prune left a finished sealed episode")
    expected = [
        _attempt("s-0", "new", 0, START, "finished"),
        _attempt("s-0-1", "new", 1, GRADE, "finished"),
        _attempt("s-0-2", "new", 2, START, "lapsed"),
    ]
    await _require_attempts(store, "new", expected)
    standings = [_standing("a", [START, START]), _standing("new", [START, GRADE, START])]
    await _require_standings(store, standings)
    await store.refuse("attempts", AttemptUsed, "create", sealed("again", "new", 2), START)


async def _check_hidden(store: CheckedStore) -> None:
    """Check that only its player comes across a sealed episode."""
    await store.do("create", sealed("hidden", "new", PLACES), START)
    found = await store.do("latest", "http")
    RULES["latest"].require(found != "hidden", "latest is the id of a sealed episode")
    page = await store.do("recent", EpisodeFilter(), MOST, None)
    shown = [one.header.episode_id for one in page.episodes if one.header.key_id is not None]
    RULES["recent"].require(not shown, f"recent returned the sealed episodes {shown}")


async def _check_open(store: CheckedStore) -> None:
    """Check a board of an open split, where later episodes of a seed are played, but do not count."""
    seed = SPLITS["test"].first_seed
    for episode_id, score in (("t-0", GRADE), ("t-1", START)):
        await store.do("create", header(episode_id, agent="new", seed=seed), START)
        await store.do("append", episode_id, 1, STEP, score, score)
    await store.do("create", header("t-2", agent="new", seed=SPLITS["train"].first_seed))
    board = header(agent="new", seed=seed).board
    found = await store.do("standings", board)
    RULES["standings"].require(_sums(found) == [_standing("new", [GRADE])], f"standings of an open split: {found}")
    boards = await store.do("boards")
    expected = [BOARD, board]
    RULES["standings"].require(boards == expected, f"boards returned {boards}, not {expected}")


def _attempt(episode_id: str, agent: str, place: int, so_far: Grade, state: str) -> Attempt:
    return Attempt(agent, place, episode_id, "", points_of(so_far), so_far.passed, state)  # type: ignore[arg-type]


async def _require_attempts(store: CheckedStore, agent: str, expected: list[Attempt]) -> None:
    """Require the first attempts of an agent; times do not count."""
    found = [replace(one, started_at="") for one in await store.do("attempts", BOARD, [agent])]
    what = f"attempts of {agent} are {found[: len(expected)]}, not {expected}"
    RULES["attempts"].require(found[: len(expected)] == expected, what)


def _standing(agent: str, grades: list[Grade]) -> Standing:
    points = [points_of(one) for one in grades]
    passed = sum(one.passed for one in grades)
    return Standing(agent, len(points), sum(points), sum(one * one for one in points), passed, "", "")


def _sums(found: list[Standing]) -> list[Standing]:
    return [replace(one, first_at="", last_at="") for one in found]


async def _require_standings(store: CheckedStore, expected: list[Standing]) -> None:
    found = _sums(await store.do("standings", BOARD))
    RULES["standings"].require(found == expected, f"standings are {found}, not {expected}")
    counted = await store.do("counted", BOARD)
    expected_count = sum(one.episodes for one in expected)
    RULES["standings"].require(counted == expected_count, f"counted returned {counted}, not {expected_count}")
