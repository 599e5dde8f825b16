"""What an evaluation keeps of each episode, and the file that lets an interrupted one go on.

The file has one JSON object a line: first a header with all that decides how an episode comes out, then one record for
each finished episode, in the order in which they were finished. Only whole lines count, so that a run that was killed
while it wrote loses one line and nothing else.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy
import sklearn
from pydantic import Field, ValidationError

from dataselect_env import __version__
from dataselect_env.core.models import ModelT, RewardMode, WireModel
from dataselect_env.core.tasks import DYNAMICS_VERSION, get_task
from dataselect_env.custom.task_file import task_digests
from dataselect_env.evaluation.rollout import Rollout

Key = tuple[str, str, int]
"""Policy, task and seed of an episode."""


class JournalError(Exception):
    """The file is no journal, or one of another kind of run; the message says which."""


class Versions(WireModel):
    """All that figures may depend on beside the settings."""

    package: str = Field(__version__, description="Version of dataselect-env.")
    dynamics: int = Field(DYNAMICS_VERSION, description="Version of the rules that the episodes were played by.")
    numpy: str = Field(numpy.__version__, description="Version of numpy.")
    scikit_learn: str = Field(sklearn.__version__, description="Version of scikit-learn.")
    python: str = Field(platform.python_version(), description="Version of Python.")


class Header(WireModel):
    """The first line of a journal."""

    versions: Versions = Field(description="What the episodes were played with.")
    reward_mode: RewardMode = Field(description="What the rewards are.")
    own_tasks: dict[str, str] = Field({}, description="Fingerprints of tasks that are not built in.")


class EpisodeRecord(WireModel):
    """What an evaluation keeps of an episode."""

    policy: str = Field(description="Name that the evaluation was asked for.")
    task_id: str = Field(description="Task that was played.")
    seed: int = Field(description="Seed of the episode.")
    score: float = Field(ge=0, le=1, description="Score of the grade.")
    passed: bool = Field(description="Whether the episode passed.")
    noise_ratio: float | None = Field(description="Share of wrong labels among those bought; null if none.")
    rewards: tuple[float, ...] = Field(description="Reward of each step.")
    curve: tuple[tuple[int, float], ...] = Field(
        min_length=1, description="Samples bought so far and performance, at the start and after each step."
    )

    @property
    def key(self) -> Key:
        """Policy, task and seed."""
        return self.policy, self.task_id, self.seed

    @property
    def episode_return(self) -> float:
        """Sum of the rewards."""
        return sum(self.rewards)

    @property
    def bought(self) -> int:
        """Samples bought in the episode."""
        return self.curve[-1][0]

    @property
    def performance(self) -> float:
        """Performance at the end."""
        return self.curve[-1][1]


def record(policy: str, episode: Rollout) -> EpisodeRecord:
    """Return what to keep of a rollout, under the policy's name in the evaluation."""
    budget = get_task(episode.task_id).budget
    seen = [reply.observation for reply in episode.replies]
    return EpisodeRecord(
        policy=policy,
        task_id=episode.task_id,
        seed=episode.seed,
        score=episode.grade.score,
        passed=episode.grade.passed,
        noise_ratio=episode.grade.breakdown.avg_noise_ratio,
        rewards=tuple(reply.reward or 0.0 for reply in episode.replies[1:]),
        curve=tuple((budget - one.remaining_budget, one.current_performance) for one in seen),
    )


class Journal:
    """The file of a run, open for more records; a context manager.

    Attributes:
        records: What was in the file when it was opened, by key.

    Raises:
        JournalError: The file holds something else, or episodes of other versions or another reward mode.
        OSError: It cannot be read or written.
    """

    def __init__(self, path: Path, reward_mode: RewardMode) -> None:
        header = Header(versions=Versions(), reward_mode=reward_mode, own_tasks=task_digests())
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        lines = whole.decode(errors="replace").splitlines()
        if content and not lines:
            raise JournalError(f"{path.name} is no file of an evaluation")
        if lines:
            _check(path.name, _parse(Header, path.name, 1, lines[0]), header)
        found = (_parse(EpisodeRecord, path.name, number, line) for number, line in enumerate(lines[1:], start=2))
        self.records = {one.key: one for one in found}
        self._file = path.open("ab")
        self._file.truncate(len(whole))
        if not lines:
            self._write([header])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, records: Iterable[EpisodeRecord]) -> None:
        """Write records; when the call returns, they are in the file."""
        self._write(records)

    def _write(self, lines: Iterable[WireModel]) -> None:
        self._file.write("".join(f"{line.model_dump_json()}\n" for line in lines).encode())
        self._file.flush()
        os.fsync(self._file.fileno())


def _parse(model: type[ModelT], name: str, number: int, line: str) -> ModelT:
    try:
        return model.model_validate_json(line)
    except ValidationError as error:
        raise JournalError(f"{name}, line {number}: this is no line of an evaluation") from error


def _check(name: str, found: Header, wanted: Header) -> None:
    ours, theirs = wanted.model_dump(), found.model_dump()
    if ours != theirs:
        raise JournalError(f"{name} was made with {theirs}, this is {ours}; choose another file")
