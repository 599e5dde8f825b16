"""The clients' record of their episodes, and its comparison with a store."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

from bench.reliability.scripts import Reply, Script, differences, draw
from dataselect_env.core.actions import action_model
from dataselect_env.core.errors import EpisodeNotFound
from dataselect_env.core.models import Action, Grade
from dataselect_env.core.tasks import DYNAMICS_VERSION, get_task
from dataselect_env.core.validation import parse
from dataselect_env.server.store.base import EpisodeHeader, EpisodeStore, StoredEpisode, StoredStep, Transport


class Loads(Protocol):
    """A store, or a copy of it, as far as a check needs it."""

    async def load(self, episode_id: str, /) -> StoredEpisode:
        """Return an episode. Raises EpisodeNotFound."""


@dataclass
class Entry:
    """One episode as its client knows it.

    Attributes:
        replies: Answers to the reset and to each step, in order; None if an answer was lost.
        sent: Number of requests sent, including the reset; at most one more than there are replies.
        grade: Answer of /grader; None before it.
        ended: Whether a check has found the whole episode in the store.
    """

    script: Script
    transport: Transport
    replies: list[Reply | None] = field(default_factory=list)
    sent: int = 0
    grade: Reply | None = None
    ended: bool = False

    @property
    def done(self) -> bool:
        """Whether the client has received the last reply."""
        return bool(self.replies and self.replies[-1] and self.replies[-1]["done"])


class Ledger:
    """All episodes of a run.

    Args:
        rng: Random stream of the scripts.
        seats: Number of HTTP clients; each continues its episode after a restart.
    """

    def __init__(self, rng: random.Random, seats: int) -> None:
        self._rng = rng
        self.counts: Counter[str] = Counter()
        self.touched: dict[str, Entry] = {}  # played since the last check
        self.kept: dict[str, StoredEpisode] = {}  # as of the last check
        self.grades: dict[str, Reply] = {}  # of finished episodes
        self.seats = [self.open("http") for _ in range(seats)]

    @property
    def answers(self) -> int:
        """Number of acknowledged requests."""
        return self.counts["steps acknowledged"] + self.counts["resets acknowledged"]

    def open(self, transport: Transport) -> Entry:
        """Return a new episode with a unique id."""
        self.counts["episodes"] += 1
        return Entry(draw(self._rng, f"{transport}-{self.counts['episodes']}"), transport)

    def send(self, entry: Entry) -> None:
        """Record that a request is being sent."""
        entry.sent = len(entry.replies) + 1
        self.touched[entry.script.episode_id] = entry

    def answered(self, entry: Entry, reply: Reply) -> None:
        """Record an answer."""
        entry.replies.append(reply)
        self.counts["steps acknowledged" if reply["step"] else "resets acknowledged"] += 1

    def graded(self, entry: Entry, grade: Reply) -> None:
        """Record the answer of /grader; the episode has ended."""
        entry.grade, entry.ended = grade, True
        self.counts["grades given"] += 1

    def check(self, store: Loads, alone: dict[str, list[Reply]]) -> list[str]:
        """Compare the store with all episodes played since the last check; return the differences."""
        problems = [line for name, entry in self.touched.items() for line in self._check(entry, store, alone[name])]
        self.touched.clear()
        return problems

    def _check(self, entry: Entry, store: Loads, alone: list[Reply]) -> list[str]:
        name, known = entry.script.episode_id, len(entry.replies)
        try:
            stored = asyncio.run(store.load(name))
        except EpisodeNotFound:
            entry.sent = 0
            return [f"{name}: acknowledged and lost"] if known else []
        problems = differences(entry.script, entry.replies, alone)
        done = len(stored.steps) + 1
        if not known <= done <= entry.sent:
            problems.append(f"{name}: {known} requests acknowledged, {entry.sent} sent, {done} in the store")
        if stored != as_stored(entry, alone[:done]):
            problems.append(f"{name}: the store has other numbers than the solo run")
        self._keep(entry, stored, as_graded(alone[min(done, len(alone)) - 1]))
        if entry.grade is not None and entry.grade != self.grades.get(name):
            problems.append(f"{name}: graded {entry.grade}, should be {self.grades.get(name)}")
        return problems

    def _keep(self, entry: Entry, stored: StoredEpisode, grade: Reply | None) -> None:
        """Record the content of the store, from which the client continues."""
        name, done = entry.script.episode_id, len(stored.steps) + 1
        unanswered = max(0, done - len(entry.replies))
        self.counts["done, and killed before the answer"] += unanswered
        entry.replies += [None] * unanswered
        entry.sent = done
        self.kept[name] = stored
        if grade is not None:
            self.grades[name] = grade
            entry.ended = True

    def check_again(self, store: EpisodeStore) -> list[str]:
        """Return a sentence for each episode that has changed since it was checked."""
        return [f"{name}: changed" for name, stored in self.kept.items() if asyncio.run(store.load(name)) != stored]


def as_stored(entry: Entry, alone: list[Reply]) -> StoredEpisode:
    """Return the expected content of the store for an episode with these replies."""
    last = alone[-1]
    header = EpisodeHeader(transport=entry.transport, dynamics_version=DYNAMICS_VERSION, **entry.script.choices)
    kind = action_model(get_task(header.task_id).extra_strategies)
    steps = zip(entry.script.actions, alone[1:], strict=False)
    return StoredEpisode(
        header=header,
        steps=tuple(as_step(parse(kind, action), reply) for action, reply in steps),
        grade=parse(Grade, last["info"]["grade"]) if last["done"] else None,
    )


def as_step(action: Action, reply: Reply) -> StoredStep:
    """Return the expected content of the store for a step with this reply."""
    info = reply["info"]
    performance = reply["observation"]["current_performance"]
    return StoredStep(action, info["batch_size"], info["mislabelled"] or 0, performance, reply["reward"])


def as_graded(last: Reply) -> Reply | None:
    """Return the expected answer of /grader after this last reply; None while the episode is running."""
    if not last["done"]:
        return None
    return {**last["info"]["grade"], "episode_id": last["episode_id"], "task_id": last["task_id"]}
