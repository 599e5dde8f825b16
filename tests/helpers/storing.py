"""A plain episode store, all of whose methods are coroutines."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import ClassVar

from dataselect_env.core.errors import EpisodeConflict, EpisodeExists, EpisodeNotFound, StoreUnavailable
from dataselect_env.core.models import Grade
from dataselect_env.server.store.base import (
    EpisodeFilter,
    EpisodeHeader,
    EpisodePage,
    ListedEpisode,
    StoredEpisode,
    StoredStep,
)
from dataselect_env.server.store.retention import Retention

numbers = itertools.count()


@dataclass
class Entry:
    """An episode, with how many were created before it and the time of its start in seconds."""

    header: EpisodeHeader
    number: int
    started: float
    steps: list[StoredStep] = field(default_factory=list)
    grade: Grade | None = None


def meets(entry: Entry, wanted: EpisodeFilter) -> bool:
    header = entry.header
    return (
        wanted.task_id in (None, header.task_id)
        and wanted.transport in (None, header.transport)
        and wanted.finished in (None, entry.grade is not None)
    )


class DictStore:
    """Episodes in this process: stores with the same url share them."""

    places: ClassVar[dict[str, dict[str, Entry]]] = {}

    def __init__(self, url: str | None = None) -> None:
        self.url = url or f"dict:{next(numbers)}"
        self.episodes: dict[str, Entry] | None = self.places.setdefault(self.url, {})

    @property
    def open_episodes(self) -> dict[str, Entry]:
        if self.episodes is None:
            raise StoreUnavailable("The store cannot be reached.")
        return self.episodes

    async def create(self, header: EpisodeHeader) -> None:
        if header.episode_id in self.open_episodes:
            raise EpisodeExists("episode_id: is in use", field="episode_id")
        self.open_episodes[header.episode_id] = Entry(header, next(numbers), asyncio.get_running_loop().time())

    async def append(self, episode_id: str, number: int, step: StoredStep, grade: Grade | None) -> None:
        entry = self.entry(episode_id)
        if number <= len(entry.steps):
            raise EpisodeConflict("That step was played.")
        entry.steps.append(step)
        entry.grade = grade

    def entry(self, episode_id: str) -> Entry:
        if episode_id not in self.open_episodes:
            raise EpisodeNotFound("There is no such episode.")
        return self.open_episodes[episode_id]

    async def load(self, episode_id: str) -> StoredEpisode:
        entry = self.entry(episode_id)
        return StoredEpisode(entry.header, tuple(entry.steps), entry.grade)

    async def step_count(self, episode_id: str) -> int:
        return len(self.entry(episode_id).steps)

    async def latest(self, transport: str) -> str | None:
        found = [name for name, entry in self.open_episodes.items() if entry.header.transport == transport]
        return found[-1] if found else None

    async def recent(self, wanted: EpisodeFilter, limit: int, before: int | None = None) -> EpisodePage:
        entries = [
            entry
            for entry in sorted(self.open_episodes.values(), key=lambda entry: -entry.number)
            if (before is None or entry.number < before) and meets(entry, wanted)
        ]
        return EpisodePage(
            tuple(self.listed(entry) for entry in entries[:limit]),
            entries[limit - 1].number if len(entries) > limit else None,
        )

    def listed(self, entry: Entry) -> ListedEpisode:
        performances = tuple(step.performance for step in entry.steps)
        return ListedEpisode(entry.header, sum(step.bought for step in entry.steps), performances, entry.grade)

    async def prune(self, keep: Retention) -> bool:
        now = asyncio.get_running_loop().time()
        newest = max((entry.number for entry in self.open_episodes.values()), default=0)
        for name, entry in self.open_episodes.items():
            finished = (keep.episodes, keep.days * 86_400)
            most, longest = finished if entry.grade else (2 * keep.episodes, keep.lifetime)
            if newest - entry.number >= most or now - entry.started > longest:
                del self.open_episodes[name]
                return True
        return False

    async def check(self) -> None:
        assert self.open_episodes is not None

    async def size(self) -> int:
        return sum(len(repr(entry)) for entry in self.open_episodes.values())

    async def close(self) -> None:
        self.episodes = None
