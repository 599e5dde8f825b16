"""What the check of stores is made of: its rules, the episodes that it writes, and judged calls of a store."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any, Final, TypeVar

from dataselect_env.core.errors import EnvError, EpisodeNotFound
from dataselect_env.core.grading import TracePoint, grade
from dataselect_env.core.models import Action
from dataselect_env.core.tasks import DYNAMICS_VERSION, TASKS
from dataselect_env.server.store.base import (
    EpisodeFilter,
    EpisodeHeader,
    EpisodeStore,
    ListedEpisode,
    StoredEpisode,
    StoredStep,
    Transport,
)
from dataselect_env.testing.rules import Rule

ResultT = TypeVar("ResultT")

_STORE = "dataselect_env.server.store.base.EpisodeStore"
_RETENTION = "dataselect_env.server.store.retention.Retention"

RULES: Final = {
    "exact": Rule(
        "load returns headers, steps and grades, and step_count their number, exactly as they were written.", _STORE
    ),
    "coroutines": Rule("All methods are coroutines; url alone is a property.", _STORE),
    "runs": Rule("A call that the protocol allows raises nothing.", _STORE),
    "ids": Rule("create raises EpisodeExists for an id in use, on the field episode_id, and changes nothing.", _STORE),
    "unknown": Rule("load, step_count and append raise EpisodeNotFound for an id that is not in the store.", _STORE),
    "conflict": Rule(
        "append raises EpisodeConflict for a step that is there, and stores neither step nor grade.", _STORE
    ),
    "latest": Rule(
        "latest is the id most recently created over a transport, or None; it is not that of a sealed episode.", _STORE
    ),
    "recent": Rule(
        "recent returns the episodes that meet its filter and are not sealed, newest first, each once over all pages.",
        _STORE,
    ),
    "concurrent": Rule(
        "Of concurrent calls for one id or one step one succeeds; others do not disturb each other.", _STORE
    ),
    "cancelled": Rule("A cancelled call is done in full or not at all, and disturbs no other call.", _STORE),
    "agents": Rule(
        "agents are those that were registered, with the last hash, and those of headers, without one; by name.", _STORE
    ),
    "attempts": Rule(
        "The first episode of agent and place is an attempt with the last grade so far; sealed, it is the only one.",
        _STORE,
    ),
    "standings": Rule(
        "standings add up the attempts that are finished or whose episode was removed; counted is their number.", _STORE
    ),
    "prune": Rule(
        "prune removes exactly the episodes that Retention does not keep, and returns False when it is done.",
        _RETENTION,
    ),
    "size": Rule("size is the number of bytes that the episodes take.", _STORE),
    "closed": Rule("After close every method raises StoreUnavailable; the message shows no part of the url.", _STORE),
    "reopened": Rule(
        "Unless url is memory:, a store opened by it has what was acknowledged, also while another is open.", _STORE
    ),
}
"""The rules of :func:`check_store` by name."""

MOST_PAGES: Final = 100
"""Pages of a list after which it should have come to an end."""
STEP: Final = StoredStep(Action.select(10, diversity=0.1, random=0.2), 10, 3, 0.612345678901234567, -0.1234567890123456)
GRADE: Final = grade(TASKS["easy"], [TracePoint(0, 0, 0.5), TracePoint(10, 3, 0.7)])
NOTHING_BOUGHT: Final = grade(TASKS["easy"], [TracePoint(0, 0, 0.5), TracePoint(0, 0, 0.5)])


def header(episode_id: str = "one", transport: Transport = "http", **changes: Any) -> EpisodeHeader:
    """Return a header; ``changes`` are its other fields."""
    made = EpisodeHeader(episode_id, transport, "easy", 7, "shaped", DYNAMICS_VERSION)
    return replace(made, **changes)


class CheckedStore:
    """A store under test, the errors of whose calls are judged."""

    def __init__(self, store: EpisodeStore) -> None:
        self.store = store
        self.is_open = True

    async def call(self, method: str, *arguments: object) -> Any:
        """Return what a method, which must be a coroutine, returns."""
        value = getattr(self.store, method)(*arguments)
        RULES["coroutines"].require(inspect.isawaitable(value), f"{call_text(method, *arguments)} is no coroutine")
        return await value

    async def do(self, method: str, *arguments: object) -> Any:
        """Return what a method returns, which must not fail."""
        try:
            return await self.call(method, *arguments)
        except AssertionError:  # of a rule
            raise
        except Exception as error:
            RULES["runs"].raised(call_text(method, *arguments), error)

    async def refuse(self, rule: str, kind: type[EnvError], method: str, *arguments: object) -> EnvError:
        """Return the error of a method, which must be of this class."""
        what = f"{call_text(method, *arguments)} should raise {kind.__name__}, but"
        try:
            await self.call(method, *arguments)
        except kind as error:
            return error
        except Exception as error:
            RULES[rule].raised(what, error)
        else:
            RULES[rule].broken(f"{what} returned")

    async def add(self, episode_id: str, *, steps: int = 1, finished: bool = False) -> None:
        """Create an episode with so many steps, the last one with a grade if it is finished."""
        await self.do("create", header(episode_id))
        for number in range(1, steps + 1):
            await self.do("append", episode_id, number, STEP, GRADE if finished and number == steps else None)

    async def has(self, episode_id: str) -> bool:
        """Return whether load finds an episode."""
        try:
            await self.call("load", episode_id)
        except EpisodeNotFound:
            return False
        return True

    async def listed(self, wanted: EpisodeFilter, limit: int) -> list[ListedEpisode]:
        """Return all episodes that meet a filter, from all pages."""
        found: list[ListedEpisode] = []
        before = None
        for _ in range(MOST_PAGES):
            page = await self.do("recent", wanted, limit, before)
            what = f"a page has {len(page.episodes)} episodes, and the limit is {limit}"
            RULES["recent"].require(len(page.episodes) <= limit, what)
            found.extend(page.episodes)
            before = page.following
            if before is None:
                break
        RULES["recent"].require(before is None, f"the list has not ended after {MOST_PAGES} pages")
        return found

    async def require(self, expected: StoredEpisode) -> None:
        """Require that load returns exactly this episode."""
        episode_id = expected.header.episode_id
        found = await self.do("load", episode_id)
        for part in ("header", "steps", "grade"):
            value, wanted = getattr(found, part), getattr(expected, part)
            RULES["exact"].require(value == wanted, f"load({episode_id!r}) returned {part} {value}, not {wanted}")

    async def close(self) -> None:
        """Close the store."""
        self.is_open = False
        await self.do("close")


async def settled(value: ResultT | Awaitable[ResultT]) -> ResultT:
    """Return a value, or the result of an awaitable."""
    return await value if inspect.isawaitable(value) else value


def call_text(method: str, *arguments: object) -> str:
    """Return a call as text, with strings and numbers only."""
    shown = [repr(one) if isinstance(one, str | int) else type(one).__name__ for one in arguments]
    return f"{method}({', '.join(shown)})"
