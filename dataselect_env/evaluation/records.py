"""Records of episodes: everything that a claimed score consists of, one line of JSON each.

A record file has a header, one line per episode and a closing line; docs/records.schema.json is its JSON schema.
"""

from __future__ import annotations

import math
import platform
from typing import Any, Literal, Self

import numpy
import sklearn
from pydantic import Field, TypeAdapter, model_validator
from pydantic_core import PydanticCustomError

from dataselect_env import __version__
from dataselect_env.core.actions import stored_action
from dataselect_env.core.models import Action, RewardMode
from dataselect_env.core.receipts import Receipt
from dataselect_env.core.tasks import DYNAMICS_VERSION, SEED_LIMIT, split_of
from dataselect_env.core.validation import WireModel
from dataselect_env.evaluation.rollout import Rollout

FORMAT_VERSION: Literal[1] = 1
"""Version of the format of records."""
Key = tuple[str, str, int]
"""Policy, task and seed of an episode; on a sealed split the index in place of the seed."""


class Versions(WireModel):
    """Versions that results may depend on."""

    package: str = Field(description="Version of dataselect-env.")
    dynamics: int = Field(description="Version of the rules that the episodes were played by.")
    numpy: str = Field(description="Version of numpy.")
    scikit_learn: str = Field(description="Version of scikit-learn.")
    python: str = Field(description="Version of Python.")

    @classmethod
    def current(cls) -> Self:
        """Return the versions of this process."""
        return cls(
            package=__version__,
            dynamics=DYNAMICS_VERSION,
            numpy=numpy.__version__,
            scikit_learn=sklearn.__version__,
            python=platform.python_version(),
        )


class Host(WireModel):
    """The server that the episodes of a record were played on."""

    url: str = Field(description="Address of the server, without user name, password and query.")
    agent: str | None = Field(None, description="Name of the agent; null if it gave none.")
    sealed: bool = Field(False, description="Whether the episodes are those of the sealed split.")


class Header(WireModel):
    """The first line: everything that the outcome of the episodes depends on."""

    format_version: Literal[1] = Field(description="Version of this format.")
    versions: Versions = Field(description="Versions that the episodes were played with.")
    reward_mode: RewardMode = Field(description="Reward mode of the episodes.")
    own_tasks: dict[str, str] = Field({}, description="Fingerprints of tasks that are not built in, by name.")
    host: Host | None = Field(None, description="The server that the episodes were played on; null for none.")

    def facts(self) -> dict[str, str]:
        """Return everything that must agree, by the name that a message gives it."""
        versions = {name.replace("_", "-"): str(value) for name, value in self.versions}
        tasks = {f"task {name}": mark[:8] for name, mark in self.own_tasks.items()}
        host = self.host
        places = {} if host is None else {"server": host.url, "agent": str(host.agent), "sealed": str(host.sealed)}
        return {**versions, "reward mode": self.reward_mode, **tasks, **places}


class RecordedAction(WireModel):
    """The action of one step."""

    action_type: Literal["select_batch", "stop"] = Field(description="As in an action.")
    batch_size: int = Field(ge=0, description="As in an action.")
    strategy_weights: dict[str, float] = Field(description="As in an action; weights of 0 are left out.")

    @classmethod
    def of(cls, action: Action) -> Self:
        """Return the record of an action."""
        return cls(
            action_type=action.action_type,
            batch_size=action.batch_size,
            strategy_weights={name: float(value) for name, value in action.strategy_weights if value},
        )

    def as_action(self) -> Action:
        """Return the action.

        Raises:
            InvalidInput: It is not one.
        """
        return stored_action(self.model_dump_json())


class EpisodeRecord(WireModel):
    """The line of an episode."""

    policy: str = Field(description="Name of the policy, as the plan has it.")
    task_id: str = Field(description="Name of the task.")
    split: str | None = Field(None, description="Split of the episode; null if its seed belongs to none.")
    seed: int | None = Field(ge=0, lt=SEED_LIMIT, description="Seed of the episode; null on the sealed split.")
    index: int | None = Field(None, ge=0, description="Index in the sealed split; null on the other splits.")
    episode_id: str | None = Field(None, description="Id of the episode on the server; null without a server.")
    score: float = Field(ge=0, le=1, description="Score of the grade.")
    passed: bool = Field(description="Whether the episode passed.")
    noise_ratio: float | None = Field(description="Share of wrong labels among the samples bought; null if none was.")
    actions: tuple[RecordedAction, ...] | None = Field(
        description="Actions in order; null for an oracle, which plays without actions."
    )
    rewards: tuple[float, ...] = Field(description="Reward of each step.")
    curve: tuple[tuple[int, float], ...] = Field(
        min_length=1, description="Samples bought so far and performance, at the start and after each step."
    )
    receipt: Receipt | None = Field(None, description="The server's receipt; null if there is none.")

    @model_validator(mode="after")
    def _numbered(self) -> Self:
        if (self.seed is None) == (self.index is None):
            raise PydanticCustomError("numbered", "One of seed and index should be given")
        if {len(self.rewards), len(self.rewards if self.actions is None else self.actions)} != {len(self.curve) - 1}:
            raise PydanticCustomError("steps", "actions, rewards and curve should have the same number of steps")
        return self

    @property
    def number(self) -> int:
        """Seed, or index on the sealed split."""
        number = self.seed if self.index is None else self.index
        assert number is not None  # noqa: S101  (checked by the validator)
        return number

    @property
    def key(self) -> Key:
        """Policy, task and number."""
        return self.policy, self.task_id, self.number

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


class End(WireModel):
    """The last line; a record without it was cut off."""

    episodes: int = Field(ge=0, description="Number of episodes in the record.")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of all lines before this one, in hexadecimal.")


def record(policy: str, episode: Rollout) -> EpisodeRecord:
    """Return what to keep of a rollout, under the policy's name in the evaluation."""
    seen = [reply.observation for reply in episode.replies]
    budget = seen[0].remaining_budget
    return EpisodeRecord(
        policy=policy,
        task_id=episode.task_id,
        split=split_of(episode.seed),
        seed=episode.seed,
        index=episode.index,
        score=episode.grade.score,
        passed=episode.grade.passed,
        noise_ratio=episode.grade.breakdown.avg_noise_ratio,
        actions=None if episode.actions is None else tuple(map(RecordedAction.of, episode.actions)),
        rewards=tuple(reply.reward or 0.0 for reply in episode.replies[1:]),
        curve=tuple((budget - one.remaining_budget, one.current_performance) for one in seen),
    )


def record_schema() -> dict[str, Any]:
    """Return the JSON schema of a line of a record file."""
    lines: TypeAdapter[Header | EpisodeRecord | End] = TypeAdapter(Header | EpisodeRecord | End)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of a record file: first a Header, then an EpisodeRecord for each episode, then an End",
        **lines.json_schema(),
    }
