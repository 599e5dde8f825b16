"""check_store: our stores and a store of coroutines pass it, and each rule is broken by a store that fails it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dataselect_env.core.errors import EpisodeConflict, EpisodeExists, StoreUnavailable
from dataselect_env.core.models import Grade
from dataselect_env.server.settings import SettingsError
from dataselect_env.server.store import open_store
from dataselect_env.server.store.base import EpisodeFilter, EpisodeHeader, EpisodePage, StoredStep
from dataselect_env.server.store.retention import Retention
from dataselect_env.server.store.sqlite import SQLiteStore
from dataselect_env.testing import check_store
from dataselect_env.testing.checked_store import RULES
from tests.helpers.broken import requires
from tests.helpers.postgres import Postgres
from tests.helpers.storing import DictStore, Entry, numbers
from tests.testing.test_boards import BROKEN as BROKEN_BOARDS


def test_a_store_in_memory_keeps_the_contract() -> None:
    check_store(lambda: SQLiteStore(None))


def test_a_store_on_disk_keeps_the_contract(tmp_path: Path) -> None:
    check_store(lambda: SQLiteStore(tmp_path / f"{next(numbers)}.db"))


@pytest.mark.slow
def test_a_store_in_postgresql_keeps_the_contract(postgres: Postgres) -> None:
    check_store(lambda: open_store(postgres.new_url()))


async def made_in_a_loop() -> Any:
    asyncio.get_running_loop()
    return DictStore()


@pytest.mark.parametrize("make", [DictStore, made_in_a_loop])
def test_a_store_of_coroutines_keeps_the_contract(make: Callable[[], Any]) -> None:
    check_store(make, reopen=DictStore)


# --- stores that break a rule ---------------------------------------------------------------------------------------


class Rounds(DictStore):
    async def append(
        self, episode_id: str, number: int, step: StoredStep, grade: Grade | None, so_far: Grade | None = None
    ) -> None:
        await super().append(episode_id, number, replace(step, performance=round(step.performance, 9)), grade, so_far)


class ForgetsTheDigest(DictStore):
    async def create(self, header: EpisodeHeader, so_far: Grade | None = None) -> None:
        await super().create(replace(header, task_digest=None), so_far)


class CountsFromOne(DictStore):
    async def step_count(self, episode_id: str) -> int:
        return await super().step_count(episode_id) + (episode_id in self.open_episodes)


class CountsUnknown(DictStore):
    async def step_count(self, episode_id: str) -> int:
        return await super().step_count(episode_id) if episode_id in self.open_episodes else 0


class TakesShortNames(DictStore):
    async def create(self, header: EpisodeHeader, so_far: Grade | None = None) -> None:
        if len(header.episode_id) > 64:
            raise ValueError("value too long for type character varying(64)")
        await super().create(header, so_far)


class CannotBeChecked(DictStore):
    async def check(self) -> None:
        raise PermissionError("read-only transaction")


class Replaces(DictStore):
    async def create(self, header: EpisodeHeader, so_far: Grade | None = None) -> None:
        self.open_episodes.pop(header.episode_id, None)
        await super().create(header, so_far)


class RefusesWithoutField(DictStore):
    async def create(self, header: EpisodeHeader, so_far: Grade | None = None) -> None:
        if header.episode_id in self.open_episodes:
            raise EpisodeExists("It is in use.")
        await super().create(header, so_far)


class IgnoresCase(DictStore):
    def entry(self, episode_id: str) -> Entry:
        alike = [name for name in self.open_episodes if name.lower() == episode_id.lower()]
        return super().entry(alike[0] if alike else episode_id)


class FindsNothing(DictStore):
    def entry(self, episode_id: str) -> Entry:
        return self.open_episodes[episode_id]


class IgnoresUnknown(DictStore):
    async def append(
        self, episode_id: str, number: int, step: StoredStep, grade: Grade | None, so_far: Grade | None = None
    ) -> None:
        if episode_id in self.open_episodes:
            await super().append(episode_id, number, step, grade, so_far)


class Overwrites(DictStore):
    async def append(
        self, episode_id: str, number: int, step: StoredStep, grade: Grade | None, so_far: Grade | None = None
    ) -> None:
        del self.entry(episode_id).steps[number - 1 :]
        await super().append(episode_id, number, step, grade, so_far)


class GradesFirst(DictStore):
    async def append(
        self, episode_id: str, number: int, step: StoredStep, grade: Grade | None, so_far: Grade | None = None
    ) -> None:
        self.entry(episode_id).grade = grade
        await super().append(episode_id, number, step, grade, so_far)


class LatestByName(DictStore):
    async def latest(self, transport: str) -> str | None:
        names = [name for name, entry in self.open_episodes.items() if entry.header.transport == transport]
        return max(names, default=None)


class LatestOfAll(DictStore):
    async def latest(self, transport: str) -> str | None:
        return next(reversed(self.open_episodes), None) or await super().latest(transport)


class ListsOldestFirst(DictStore):
    async def recent(self, wanted: EpisodeFilter, limit: int, before: int | None = None) -> EpisodePage:
        page = await super().recent(wanted, limit, before)
        return replace(page, episodes=page.episodes[::-1])


class RepeatsTheLast(DictStore):
    async def recent(self, wanted: EpisodeFilter, limit: int, before: int | None = None) -> EpisodePage:
        page = await super().recent(wanted, limit, before)
        return replace(page, following=page.following and page.following + 1)


class FiltersAfterTheLimit(DictStore):
    async def recent(self, wanted: EpisodeFilter, limit: int, before: int | None = None) -> EpisodePage:
        page = await super().recent(EpisodeFilter(), limit, before)
        kept = [one for one in page.episodes if wanted.task_id in (None, one.header.task_id)]
        return EpisodePage(tuple(kept), None)


class ListsEverything(DictStore):
    async def recent(self, wanted: EpisodeFilter, limit: int, before: int | None = None) -> EpisodePage:
        return await super().recent(wanted, limit + 1_000, before)


class LooksThenWrites(DictStore):
    async def create(self, header: EpisodeHeader, so_far: Grade | None = None) -> None:
        exists = header.episode_id in self.open_episodes
        await asyncio.sleep(0)
        if not exists:
            self.open_episodes.pop(header.episode_id, None)
        await super().create(header, so_far)


class AppendsTwice(DictStore):
    async def append(
        self, episode_id: str, number: int, step: StoredStep, grade: Grade | None, so_far: Grade | None = None
    ) -> None:
        if number <= len(self.entry(episode_id).steps):
            raise EpisodeConflict("That step was played.")
        await asyncio.sleep(0)
        self.entry(episode_id).steps.append(step)
        self.entry(episode_id).grade = grade or so_far


class GradesLater(DictStore):
    async def append(
        self, episode_id: str, number: int, step: StoredStep, grade: Grade | None, so_far: Grade | None = None
    ) -> None:
        await super().append(episode_id, number, step, None, so_far)
        await asyncio.sleep(0)
        self.entry(episode_id).grade = grade


class FailsWhenCancelled(DictStore):
    async def append(
        self, episode_id: str, number: int, step: StoredStep, grade: Grade | None, so_far: Grade | None = None
    ) -> None:
        await super().append(episode_id, number, step, grade, so_far)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            raise ConnectionError("the connection is gone") from None


class PrunesByAgeOnly(DictStore):
    async def prune(self, keep: Retention) -> bool:
        return await super().prune(replace(keep, episodes=1_000))


class NeverStopsPruning(DictStore):
    async def prune(self, keep: Retention) -> bool:
        return await super().prune(keep) or True


class IgnoresThatOneIsPlayed(DictStore):
    async def prune(self, keep: Retention) -> bool:
        for name, entry in self.open_episodes.items():
            if entry.grade is None and len(self.open_episodes) > keep.episodes:
                del self.open_episodes[name]
                return True
        return await super().prune(keep)


class IgnoresAge(DictStore):
    async def prune(self, keep: Retention) -> bool:
        return await super().prune(replace(keep, days=10_000))


class HasNoSize(DictStore):
    async def size(self) -> int:
        return 0


class NeverCloses(DictStore):
    async def close(self) -> None:
        pass


class FailsOnceClosed(DictStore):
    @property
    def open_episodes(self) -> dict[str, Entry]:
        if self.episodes is None:
            raise RuntimeError("pool is closed")
        return self.episodes


class NamesItsPlace(DictStore):
    @property
    def open_episodes(self) -> dict[str, Entry]:
        if self.episodes is None:
            raise StoreUnavailable(f"{self.url} is closed.")
        return self.episodes


class KeepsToItself(DictStore):
    def __init__(self, url: str | None = None) -> None:
        super().__init__(url)
        self.episodes = {}


class ForgetsWhenClosed(DictStore):
    async def close(self) -> None:
        self.open_episodes.clear()
        await super().close()


class CountsAtOnce(DictStore):
    def step_count(self, episode_id: str) -> int:  # type: ignore[override]
        return len(self.entry(episode_id).steps)


BROKEN: dict[str, dict[type[DictStore], str]] = {
    "exact": {
        Rounds: "load('one') returned steps (",
        ForgetsTheDigest: "task_digest=None, agent='me'",
        CountsFromOne: "step_count is 1 after 0 steps",
    },
    "coroutines": {CountsAtOnce: "step_count('one') is no coroutine"},
    "runs": {
        TakesShortNames: "create(EpisodeHeader) raised ValueError: value too long",
        CannotBeChecked: "check() raised PermissionError",
    },
    "ids": {
        Replaces: "create(EpisodeHeader) should raise EpisodeExists, but returned",
        RefusesWithoutField: "EpisodeExists has the field None",
        IgnoresCase: "load('One') returned ",
    },
    "unknown": {
        FindsNothing: "load('nobody') should raise EpisodeNotFound, but raised KeyError: 'nobody'",
        CountsUnknown: "step_count('nobody') should raise EpisodeNotFound, but returned",
        IgnoresUnknown: "append('nobody', 1, StoredStep, Grade) should raise EpisodeNotFound, but returned",
    },
    "conflict": {
        Overwrites: "append('one', 2, StoredStep, Grade) should raise EpisodeConflict, but returned",
        GradesFirst: "the grade of a step in conflict is in the store",
    },
    "latest": {LatestByName: "latest('http') is 'z', not 'a'", LatestOfAll: "latest('websocket') is 'z', not None"},
    "recent": {
        ListsOldestFirst: "in pages of 5 returned",
        RepeatsTheLast: "the list has not ended after 100 pages",
        FiltersAfterTheLimit: "in pages of 1 returned",
        ListsEverything: "a page has 12 episodes, and the limit is 1",
    },
    "concurrent": {
        LooksThenWrites: "10 of 10 concurrent calls of create succeeded",
        AppendsTwice: "10 of 10 concurrent calls of append succeeded",
    },
    "cancelled": {
        GradesLater: "an append that was cancelled after 1 turns left 1 steps and None",
        FailsWhenCancelled: "a call that was cancelled after 1 turns raised ConnectionError",
    },
    "prune": {
        PrunesByAgeOnly: "left old, which should leave",
        NeverStopsPruning: "still returns True after 1000 calls",
        IgnoresThatOneIsPlayed: "removed running, which should stay",
        IgnoresAge: "left f5, which should leave",
    },
    "size": {HasNoSize: "size is 0 with 400 more steps, and was 0 before"},
    "closed": {
        NeverCloses: "create(EpisodeHeader) should raise StoreUnavailable, but returned",
        FailsOnceClosed: "but raised RuntimeError: pool is closed",
        NamesItsPlace: "the message of create(EpisodeHeader) contains ['dict', ",
    },
    "reopened": {
        KeepsToItself: "a second store of the same url lacks an episode",
        ForgetsWhenClosed: "a store opened after all were closed lacks an episode",
    },
}
"""Stores by the rule that they break, with a part of the message."""


def test_every_rule_is_broken_by_some_store() -> None:
    assert BROKEN.keys() | BROKEN_BOARDS.keys() == RULES.keys()


@pytest.mark.parametrize("rule", BROKEN)
def test_a_store_that_breaks_a_rule_fails_by_it(rule: str) -> None:
    for store, shown in BROKEN[rule].items():
        requires(RULES[rule], lambda: check_store(store, reopen=store), shown)  # noqa: B023


def test_the_url_is_opened_by_open_store_unless_another_function_is_given() -> None:
    with pytest.raises(SettingsError, match="DATASELECT_STORE"):
        check_store(DictStore)
