"""A plain episode store, all of whose methods are coroutines."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from dataselect_env.core.errors import AttemptUsed, EpisodeConflict, EpisodeExists, EpisodeNotFound, StoreUnavailable
from dataselect_env.core.models import Grade
from dataselect_env.core.tasks import SEALED
from dataselect_env.server.store.base import (
    EpisodeFilter,
    EpisodeHeader,
    EpisodePage,
    ListedEpisode,
    StoredEpisode,
    StoredStep,
)
from dataselect_env.server.store.boards import Agent, Attempt, AttemptState, Board, Standing, points_of
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
        and wanted.agent in (None, header.agent)
    )


class DictStore:
    """Episodes in this process: stores with the same url share them."""

    shows_sealed = False
    places: ClassVar[dict[str, dict[str, Entry]]] = {}

    def __init__(self, url: str | None = None) -> None:
        self.url = url or f"dict:{next(numbers)}"
        self.episodes: dict[str, Entry] | None = self.places.setdefault(self.url, {})
        self.kept: dict[tuple[Board, str, int], Attempt] = {}
        self.names: dict[str, Agent] = {}

    @property
    def open_episodes(self) -> dict[str, Entry]:
        if self.episodes is None:
            raise StoreUnavailable("The store cannot be reached.")
        return self.episodes

    async def create(self, header: EpisodeHeader, so_far: Grade | None = None) -> None:
        if header.episode_id in self.open_episodes:
            raise EpisodeExists("episode_id: is in use", field="episode_id")
        if (started := header.attempt(so_far)) is not None:
            board, attempt = started
            if (board, attempt.agent, attempt.place) not in self.kept:
                self.kept[board, attempt.agent, attempt.place] = attempt
            elif board.split == SEALED:
                raise AttemptUsed("index: was started before")
        if header.agent is not None:
            self.names.setdefault(header.agent, Agent(header.agent, None, header.started_at))
        self.open_episodes[header.episode_id] = Entry(header, next(numbers), asyncio.get_running_loop().time())

    async def append(
        self, episode_id: str, number: int, step: StoredStep, grade: Grade | None, so_far: Grade | None = None
    ) -> None:
        entry = self.entry(episode_id)
        if number <= len(entry.steps):
            raise EpisodeConflict("That step was played.")
        entry.steps.append(step)
        entry.grade = grade
        if so_far is not None:
            state: AttemptState = "running" if grade is None else "finished"
            self.change(episode_id, points=points_of(so_far), passed=so_far.passed, state=state)

    def change(self, episode_id: str, **changes: Any) -> None:
        for key, attempt in self.kept.items():
            if attempt.episode_id == episode_id and attempt.state == "running":
                self.kept[key] = replace(attempt, **changes)

    async def agent(self, name: str) -> Agent | None:
        assert self.open_episodes is not None
        return self.names.get(name)

    async def agents(self) -> list[Agent]:
        assert self.open_episodes is not None
        return [self.names[name] for name in sorted(self.names)]

    async def register(self, name: str, token_hash: str) -> None:
        assert self.open_episodes is not None
        self.names[name] = Agent(name, token_hash, "")

    async def attempts(self, board: Board, agents: Collection[str]) -> list[Attempt]:
        assert self.open_episodes is not None
        return [
            self.kept[key] for key in sorted(self.kept, key=lambda key: key[1:]) if key[0] == board and key[1] in agents
        ]

    async def standings(self, board: Board) -> list[Standing]:
        assert self.open_episodes is not None
        found = []
        for name in sorted({key[1] for key in self.kept if key[0] == board}):
            ended = [one for one in await self.attempts(board, [name]) if one.state != "running"]
            points, starts = [one.points for one in ended], [one.started_at for one in ended]
            squares, passed = sum(one * one for one in points), sum(one.passed for one in ended)
            if ended:
                found.append(Standing(name, len(ended), sum(points), squares, passed, min(starts), max(starts)))
        return found

    async def counted(self, board: Board) -> int:
        return sum(one.episodes for one in await self.standings(board))

    async def boards(self) -> list[Board]:
        assert self.open_episodes is not None
        return sorted({key[0] for key in self.kept if await self.standings(key[0])}, key=lambda one: one.name)

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
        found = [
            name
            for name, entry in self.open_episodes.items()
            if entry.header.transport == transport and (entry.header.key_id is None or self.shows_sealed)
        ]
        return found[-1] if found else None

    async def recent(self, wanted: EpisodeFilter, limit: int, before: int | None = None) -> EpisodePage:
        entries = [
            entry
            for entry in sorted(self.open_episodes.values(), key=lambda entry: -entry.number)
            if (before is None or entry.number < before)
            and meets(entry, wanted)
            and (entry.header.key_id is None or self.shows_sealed)
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
                self.change(name, state="lapsed")
                del self.open_episodes[name]
                return True
        return False

    async def check(self) -> None:
        assert self.open_episodes is not None

    async def size(self) -> int:
        return sum(len(repr(entry)) for entry in self.open_episodes.values())

    async def close(self) -> None:
        self.episodes = None
