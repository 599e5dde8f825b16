"""Records of episodes, and the file that an interrupted evaluation resumes from.

The file has one JSON object per line: a header with everything that the outcome of an episode depends on, then one
record per finished episode, in the order of finishing.
"""

from __future__ import annotations

import math
import platform
from pathlib import Path

import numpy
import sklearn
from pydantic import Field, ValidationError

from dataselect_env import __version__
from dataselect_env.core.models import RewardMode
from dataselect_env.core.tasks import DYNAMICS_VERSION
from dataselect_env.core.validation import ModelT, WireModel
from dataselect_env.custom.task_file import task_digests
from dataselect_env.evaluation.line_file import JournalError, LineFile
from dataselect_env.evaluation.rollout import Rollout

Key = tuple[str, str, int]
"""Policy, task and seed of an episode."""


class Versions(WireModel):
    """Versions that results may depend on."""

    package: str = Field(__version__, description="Version of dataselect-env.")
    dynamics: int = Field(DYNAMICS_VERSION, description="Version of the rules that the episodes were played by.")
    numpy: str = Field(numpy.__version__, description="Version of numpy.")
    scikit_learn: str = Field(sklearn.__version__, description="Version of scikit-learn.")
    python: str = Field(platform.python_version(), description="Version of Python.")


class Header(WireModel):
    """The first line of a journal."""

    versions: Versions = Field(description="Versions that the episodes were played with.")
    reward_mode: RewardMode = Field(description="Reward mode of the episodes.")
    own_tasks: dict[str, str] = Field({}, description="Fingerprints of tasks that are not built in, by name.")

    def facts(self) -> dict[str, str]:
        """Return everything that must agree, by the name that a message gives it."""
        versions = {name.replace("_", "-"): str(value) for name, value in self.versions}
        tasks = {f"task {name}": mark[:8] for name, mark in self.own_tasks.items()}
        return {**versions, "reward mode": self.reward_mode, **tasks}


class EpisodeRecord(WireModel):
    """The outcome of an episode."""

    policy: str = Field(description="Name of the policy, as the plan has it.")
    task_id: str = Field(description="Name of the task.")
    seed: int = Field(description="Seed of the episode.")
    score: float = Field(ge=0, le=1, description="Score of the grade.")
    passed: bool = Field(description="Whether the episode passed.")
    noise_ratio: float | None = Field(description="Share of wrong labels among the samples bought; null if none was.")
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
        """Sum of the rewards, rounded once: equal on all versions of Python."""
        return math.fsum(self.rewards)

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
    seen = [reply.observation for reply in episode.replies]
    budget = seen[0].remaining_budget
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


class Journal(LineFile):
    """The file of a run, open for more records; a context manager.

    Attributes:
        records: The records that were in the file when it was opened, by key.

    Raises:
        JournalError: The file cannot be read or written, holds something else, or episodes of other versions, tasks or
            another reward mode.
    """

    def __init__(self, path: Path, reward_mode: RewardMode) -> None:
        super().__init__(path, "an evaluation")
        header = Header(versions=Versions(), reward_mode=reward_mode, own_tasks=task_digests())
        try:
            if self.lines:
                _check(path.name, _parse(Header, path.name, 1, self.lines[0]), header)
            found = (_parse(EpisodeRecord, path.name, number, line) for number, line in enumerate(self.lines[1:], 2))
            self.records = {one.key: one for one in found}
            if not self.lines:
                self.add([header])
        except JournalError:
            self.close()
            raise


def _parse(model: type[ModelT], name: str, number: int, line: str) -> ModelT:
    try:
        return model.model_validate_json(line)
    except ValidationError as error:
        raise JournalError(f"{name}, line {number}: not a line of an evaluation") from error


def _check(name: str, found: Header, wanted: Header) -> None:
    theirs, ours = found.facts(), wanted.facts()
    parts = [
        f"{fact} {theirs.get(fact, 'missing')} (now {ours.get(fact, 'missing')})"
        for fact in dict.fromkeys([*theirs, *ours])
        if theirs.get(fact) != ours.get(fact)
    ]
    if parts:
        raise JournalError(f"{name} is of another run: {', '.join(parts)}. Choose another file")
