"""Check of episode stores: what is written comes back, errors have their classes, and nothing is done by half."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from itertools import product
from typing import Any, Final

from dataselect_env.core.actions import action_model
from dataselect_env.core.errors import EnvError, EpisodeConflict, EpisodeExists, EpisodeNotFound, StoreUnavailable
from dataselect_env.core.models import EPISODE_ID_LENGTH, Action
from dataselect_env.core.tasks import SEED_LIMIT
from dataselect_env.server.store import open_store
from dataselect_env.server.store.base import (
    EpisodeFilter,
    EpisodeStore,
    ListedEpisode,
    StoredEpisode,
    StoredStep,
    Transport,
)
from dataselect_env.server.store.retention import Retention
from dataselect_env.server.store.sqlite import MEMORY
from dataselect_env.testing.boards import check_boards
from dataselect_env.testing.checked_store import (
    GRADE,
    NOTHING_BOUGHT,
    RULES,
    STEP,
    CheckedStore,
    call_text,
    header,
    settled,
)

KEEP_ALL: Final = Retention(episodes=1_000_000, days=10_000, lifetime=1e9)
MOST_CALLS: Final = 1_000
"""Calls of prune after which it should have come to an end."""
AT_ONCE: Final = 10
"""Concurrent calls."""
TURNS: Final = 5
"""Calls are cancelled after 0 to TURNS - 1 turns of the event loop."""
A_MOMENT: Final = 0.02
"""Seconds after which an episode has a start in the past, whatever the resolution of the store's times."""

MakeStore = Callable[[], EpisodeStore | Awaitable[EpisodeStore]]


def check_store(
    make_store: MakeStore, *, reopen: Callable[[str], EpisodeStore | Awaitable[EpisodeStore]] = open_store
) -> None:
    """Check that a store of episodes keeps its contract.

    Each group of rules runs in an event loop of its own, on a new store. The store's speed is not judged.

    Args:
        make_store: Returns a new, empty store at each call, which the check closes.
        reopen: Opens a store by its ``url``.

    Raises:
        AssertionError: The store breaks a rule; the message says which, and by which call.
    """
    for group in (_round_trip, _identity, _steps, _latest, _recent, _concurrency, _cancellation, _pruning, _closing):
        asyncio.run(_with_store(make_store, group))
    asyncio.run(_with_store(make_store, lambda store: check_boards(store, _prune_all)))
    asyncio.run(_with_store(make_store, lambda store: _reopening(store, reopen)))


async def _with_store(make: MakeStore, group: Callable[[CheckedStore], Awaitable[None]]) -> None:
    """Run a group of rules on a new store, and close it."""
    store = CheckedStore(await settled(make()))
    try:
        await group(store)
    finally:
        if store.is_open:
            await store.close()


async def _round_trip(store: CheckedStore) -> None:
    """Check that episodes of many kinds come back as they were written."""
    headers = (
        header(seed=SEED_LIMIT - 1),
        header("x" * EPISODE_ID_LENGTH, "websocket", seed=0, reward_mode="grade"),
        header("Grüße 🦊 'quoted' %s", "mcp", task_id="of-ones-own", task_digest="0123abcd", agent="me", key_id="k"),
    )
    tiny = StoredStep(action_model(("margin",)).select(5, random=0.1, margin=1 / 3), 5, 0, 1.0, 5e-324)
    last = StoredStep(Action.stop(), 0, 0, 0.1 + 0.2, -1e300)
    for one in headers:
        await store.do("create", one)
        await store.require(StoredEpisode(one, (), None))
        found = (await store.do("load", one.episode_id)).header.started_at
        RULES["exact"].require(found == one.started_at, f"started_at is {found}, not {one.started_at}")
    for one, end in zip(headers, (GRADE, NOTHING_BOUGHT, None), strict=True):
        steps = (STEP, tiny, last)
        for number, step in enumerate(steps, start=1):
            await store.do("append", one.episode_id, number, step, end if step is last else None)
        await store.require(StoredEpisode(one, steps, end))


async def _identity(store: CheckedStore) -> None:
    """Check ids: each is used once, and is another one than those that look alike."""
    alike = ("one", "One", "one ", "öne", "one%", "_ne")
    for place, episode_id in enumerate(alike):
        await store.do("create", header(episode_id, seed=place))
    await store.do("append", "one", 1, STEP, None)
    error = await store.refuse("ids", EpisodeExists, "create", header("one", seed=99))
    RULES["ids"].require(error.field == "episode_id", f"EpisodeExists has the field {error.field!r}")
    for place, episode_id in enumerate(alike):
        found = await store.do("load", episode_id)
        right = found.header == header(episode_id, seed=place) and len(found.steps) == (episode_id == "one")
        RULES["ids"].require(right, f"after episodes of similar ids, load({episode_id!r}) returned {found}")
    await store.refuse("unknown", EpisodeNotFound, "load", "nobody")
    await store.refuse("unknown", EpisodeNotFound, "append", "nobody", 1, STEP, GRADE)
    await store.refuse("unknown", EpisodeNotFound, "step_count", "nobody")


async def _steps(store: CheckedStore) -> None:
    """Check numbers of steps, and that a step in conflict leaves nothing behind."""
    for episode_id in ("one", "two"):
        await store.do("create", header(episode_id))
    for number in range(3):
        count = await store.do("step_count", "one")
        RULES["exact"].require(count == number, f"step_count is {count} after {number} steps")
        await store.do("append", "one", number + 1, STEP, None)
    await store.refuse("conflict", EpisodeConflict, "append", "one", 2, replace(STEP, reward=9.0), GRADE)
    found = await store.do("load", "one")
    RULES["conflict"].require(found.grade is None, "the grade of a step in conflict is in the store")
    RULES["conflict"].require(found.steps == (STEP,) * 3, f"after a step in conflict the steps are {found.steps}")
    await store.do("append", "one", 4, STEP, GRADE)
    await store.require(StoredEpisode(header("one"), (STEP,) * 4, GRADE))
    await store.require(StoredEpisode(header("two"), (), None))


async def _latest(store: CheckedStore) -> None:
    """Check the newest episodes by transport."""
    expected: dict[Transport, str | None] = {"http": None, "websocket": None, "mcp": None}
    created: tuple[tuple[str, Transport], ...] = (("z", "http"), ("a", "http"), ("m", "websocket"))
    for episode_id, transport in created:
        await store.do("create", header(episode_id, transport))
        expected[transport] = episode_id
        await store.do("append", "z", await store.do("step_count", "z") + 1, STEP, None)
        for asked, wanted in expected.items():
            found = await store.do("latest", asked)
            RULES["latest"].require(found == wanted, f"latest({asked!r}) is {found!r}, not {wanted!r}")


async def _recent(store: CheckedStore) -> None:
    """Check lists of episodes, by every filter and in pages."""
    RULES["recent"].require(await store.listed(EpisodeFilter(), 3) == [], "recent of an empty store has episodes")
    transports: tuple[Transport, ...] = ("http", "websocket", "mcp")
    expected: list[ListedEpisode] = []
    for place in range(12):
        made = header(
            f"e{place}",
            transports[place % 3],
            task_id="easy" if place % 4 else "hard",
            agent=(None, "a", "b")[place % 5 % 3],
        )
        steps = () if place == 0 else (STEP,) * (place % 3 + 1)
        grade = GRADE if place % 2 else None
        await store.do("create", made)
        for number, step in enumerate(steps, start=1):
            await store.do("append", made.episode_id, number, step, grade if number == len(steps) else None)
        bought, performances = sum(step.bought for step in steps), tuple(step.performance for step in steps)
        expected.insert(0, ListedEpisode(made, bought, performances, grade))
    filters = [
        EpisodeFilter(task_id, transport, finished, agent)
        for task_id, transport, finished, agent in product(
            (None, "easy", "hard"), (None, *transports), (None, True, False), (None, "b", "nobody")
        )
    ]
    for wanted, limit in product(filters, (1, 5, 100)):
        found = await store.listed(wanted, limit)
        right = [one for one in expected if _meets(one, wanted)]
        what = f"recent({wanted}) in pages of {limit} returned {found}, not {right}"
        RULES["recent"].require(found == right, what)


def _meets(one: ListedEpisode, wanted: EpisodeFilter) -> bool:
    made = one.header
    conditions = (
        (wanted.task_id, made.task_id),
        (wanted.transport, made.transport),
        (wanted.finished, one.grade is not None),
        (wanted.agent, made.agent),
    )
    return all(condition in (None, value) for condition, value in conditions)


async def _concurrency(store: CheckedStore) -> None:
    """Check calls that run at the same time: on several episodes, and on the same one."""
    names = [f"e{number}" for number in range(AT_ONCE)]
    await asyncio.gather(*(store.add(name, steps=5, finished=True) for name in names))
    for name in names:
        found = await store.do("load", name)
        right = (len(found.steps), found.grade) == (5, GRADE)
        RULES["concurrent"].require(right, f"{name}, written beside others, has {len(found.steps)} steps of 5")
    creating = [("create", header("same", seed=number)) for number in range(AT_ONCE)]
    winner = await _one_of(store, creating, EpisodeExists)
    RULES["concurrent"].require((await store.do("load", "same")).header.seed == winner, "create stored another episode")
    appending = [("append", "same", 1, replace(STEP, reward=float(number)), None) for number in range(AT_ONCE)]
    winner = await _one_of(store, appending, EpisodeConflict)
    steps = (await store.do("load", "same")).steps
    right = [step.reward for step in steps] == [float(winner)]
    RULES["concurrent"].require(
        right, f"of concurrent calls of append, number {winner} succeeded, but stored is {steps}"
    )


async def _one_of(store: CheckedStore, calls: list[tuple[Any, ...]], kind: type[EnvError]) -> int:
    """Make calls at once and return the number of the one that succeeded; the others must raise this class."""
    outcomes = await asyncio.gather(*(store.call(*call) for call in calls), return_exceptions=True)
    done = [number for number, outcome in enumerate(outcomes) if not isinstance(outcome, BaseException)]
    method = calls[0][0]
    RULES["concurrent"].require(len(done) == 1, f"{len(done)} of {len(calls)} concurrent calls of {method} succeeded")
    others = {type(outcome).__name__ for outcome in outcomes if isinstance(outcome, BaseException)}
    RULES["concurrent"].require(others == {kind.__name__}, f"concurrent calls of {method} raised {sorted(others)}")
    return done[0]


async def _cancellation(store: CheckedStore) -> None:
    """Check calls that are cancelled after some turns of the event loop."""
    for turns in range(TURNS):
        one, other = f"cancelled-{turns}", f"other-{turns}"
        await store.do("create", header(one))
        await store.do("create", header(other))
        cancelled = asyncio.create_task(store.call("append", one, 1, STEP, GRADE))
        beside = asyncio.create_task(store.do("append", other, 1, STEP, None))
        await _cancel(cancelled, turns)
        await beside
        await store.do("check")
        found = await store.do("load", one)
        what = f"an append that was cancelled after {turns} turns left {len(found.steps)} steps and {found.grade}"
        RULES["cancelled"].require((len(found.steps), found.grade) in ((0, None), (1, GRADE)), what)
        RULES["cancelled"].require(len((await store.do("load", other)).steps) == 1, "a call beside it was lost")
        await store.do("append", one, len(found.steps) + 1, STEP, None)
        creating = asyncio.create_task(store.call("create", header(f"new-{turns}")))
        await _cancel(creating, turns)
        await store.do("check")
        if not await store.has(f"new-{turns}"):
            await store.do("create", header(f"new-{turns}"))


async def _cancel(task: asyncio.Task[Any], turns: int) -> None:
    """Cancel a task after so many turns of the event loop, and wait for its end."""
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled() and isinstance(error := task.exception(), Exception):
        RULES["cancelled"].raised(f"a call that was cancelled after {turns} turns", error)


async def _pruning(store: CheckedStore) -> None:
    """Check what leaves the store: by number, by age of finished episodes, by age of running ones."""
    names = ("old", "f1", "f2", "f3", "running", "f4", "f5", "f6", "f7", "f8")
    for name in names:
        await store.add(name, finished=name.startswith("f"))
    before = await store.do("size")
    await _prune(store, KEEP_ALL, stay=names, leave=())
    newest = replace(KEEP_ALL, episodes=4)  # a running one has twice as many places
    await _prune(store, newest, stay=("running", *names[-4:]), leave=("old", "f1", "f2", "f3", "f4"))
    RULES["latest"].require(await store.do("latest", "http") == "f8", "latest is not the newest episode after prune")
    await asyncio.sleep(A_MOMENT)
    await _prune(store, replace(KEEP_ALL, days=0), stay=("running",), leave=names[-4:])
    await store.add("f9", finished=True)
    await asyncio.sleep(A_MOMENT)
    await _prune(store, replace(KEEP_ALL, lifetime=0), stay=("f9",), leave=("running",))
    for number in range(20):
        await store.add(f"more-{number}", steps=20)
    after = await store.do("size")
    grown = isinstance(before, int) and isinstance(after, int) and 0 <= before < after
    RULES["size"].require(grown, f"size is {after!r} with 400 more steps, and was {before!r} before")


async def _prune_all(store: CheckedStore, keep: Retention) -> None:
    for _ in range(MOST_CALLS):
        if not await store.do("prune", keep):
            return
    RULES["prune"].broken(f"prune({keep}) still returns True after {MOST_CALLS} calls")


async def _prune(store: CheckedStore, keep: Retention, *, stay: Iterable[str], leave: Iterable[str]) -> None:
    """Prune until nothing more is to do, and check what is left."""
    await _prune_all(store, keep)
    for name in stay:
        RULES["prune"].require(await store.has(name), f"prune({keep}) removed {name}, which should stay")
        RULES["prune"].require(await store.do("step_count", name) == 1, f"prune({keep}) removed the steps of {name}")
    for name in leave:
        RULES["prune"].require(not await store.has(name), f"prune({keep}) left {name}, which should leave")
        await store.refuse("unknown", EpisodeNotFound, "step_count", name)
        await store.refuse("unknown", EpisodeNotFound, "append", name, 2, STEP, None)


async def _closing(store: CheckedStore) -> None:
    """Check that a closed store refuses every call."""
    await store.add("one")
    scheme, _, place = store.store.url.partition(":")
    hidden = [part for part in (scheme, place.strip("/")) if part and place]
    await store.close()
    calls: tuple[tuple[Any, ...], ...] = (
        ("create", header("two")),
        ("append", "one", 2, STEP, None),
        ("load", "one"),
        ("step_count", "one"),
        ("latest", "http"),
        ("recent", EpisodeFilter(), 10, None),
        ("prune", KEEP_ALL),
        ("check",),
        ("size",),
    )
    for call in calls:
        error = await store.refuse("closed", StoreUnavailable, *call)
        shown = [part for part in hidden if part.lower() in error.message.lower()]
        RULES["closed"].require(not shown, f"the message of {call_text(*call)} contains {shown}")


async def _reopening(store: CheckedStore, reopen: Callable[[str], EpisodeStore | Awaitable[EpisodeStore]]) -> None:
    """Check that a store that is opened a second and a third time has everything."""
    url = store.store.url
    if url == MEMORY:
        return
    await store.add("one")
    other = CheckedStore(await settled(reopen(url)))
    try:
        RULES["reopened"].require(await other.has("one"), "a second store of the same url lacks an episode")
        await other.do("append", "one", 2, STEP, GRADE)
        await store.refuse("conflict", EpisodeConflict, "append", "one", 2, STEP, None)
        await other.do("create", header("two"))
        found = await store.do("latest", "http")
        RULES["reopened"].require(found == "two", f"latest is {found!r} after another store created 'two'")
    finally:
        await other.close()
    await store.close()
    again = CheckedStore(await settled(reopen(url)))
    try:
        RULES["reopened"].require(await again.has("one"), "a store opened after all were closed lacks an episode")
        await again.require(StoredEpisode(header("one"), (STEP, STEP), GRADE))
    finally:
        await again.close()
