"""What the server tells about itself and its tasks, apart from any episode."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import Field

from dataselect_env import __version__
from dataselect_env.core.actions import action_model, offered
from dataselect_env.core.models import Observation, RewardMode, State
from dataselect_env.core.strategies.sampling import STRATEGIES
from dataselect_env.core.tasks import DEFAULT_TASK, DYNAMICS_VERSION, TASKS
from dataselect_env.core.validation import WireModel

NAME = "DataSelectEnv"
AUTHOR = "InfraNova"
DESCRIPTION = (
    "A reinforcement-learning environment for data curation under a budget: an agent decides how many samples to buy"
    " from a noisy pool and how to mix uncertainty, diversity and random selection, while a classifier is trained"
    " incrementally on what was bought."
)
"""What openenv.yaml says too; a test compares them."""


class TaskDescription(WireModel):
    """A task, for people and programs; every number comes from the table of tasks."""

    task_id: str = Field(description="Name in requests.")
    difficulty: str = Field(description="How hard it is meant to be.")
    description: str = Field(description="What it asks of an agent.")
    flip_y: float = Field(description="Declared share of wrong labels in the pool.")
    budget: int = Field(description="Samples that may be bought.")
    max_steps: int = Field(description="Actions in an episode.")
    min_batch: int = Field(description="Smallest batch, while budget and pool hold as many.")
    success_criteria: str = Field(description="What an episode must reach to pass.")
    score: str = Field(description="How the grade's score is made.")
    strategies: list[str] = Field(description="Query strategies whose weights an action gives.")
    n_classes: int = Field(description="Number of classes.")
    pool_size: int = Field(description="Samples in the pool at the start.")
    has_ground_truth: bool = Field(description="Whether replies tell how many labels were wrong.")


class TaskList(WireModel):
    """All tasks, and how to act in them."""

    tasks: list[TaskDescription]
    default_task: str = Field(description="Task of a reset that names none.")
    reward_modes: list[RewardMode] = Field(description="What rewards can be; the first is the default.")
    action_schema: dict[str, Any] = Field(
        description="JSON schema of an action, with the strategies of all tasks; which of them a task offers it says."
    )


class SchemaReply(WireModel):
    """JSON schemas of what goes in and comes out."""

    action: dict[str, Any] = Field(description="Schema of an action.")
    observation: dict[str, Any] = Field(description="Schema of an observation.")
    state: dict[str, Any] = Field(description="Schema of the state.")


class Health(WireModel):
    """Whether the server works, and how full it is."""

    status: Literal["healthy"] = Field(description="The server answers.")
    version: str = Field(description="Version of the package.")
    dynamics_version: int = Field(description="Version of the rules that episodes are played by.")
    active_sessions: int = Field(ge=0, description="Sessions of WebSocket connections and MCP clients at this moment.")
    max_sessions: int = Field(ge=1, description="Sessions that there may be.")


class Readiness(WireModel):
    """Whether episodes can be played."""

    status: Literal["ready"] = Field(description="The store answers and can be written.")


class Metadata(WireModel):
    """What this environment is."""

    name: str = Field(description="Name of the environment.")
    description: str = Field(description="What it is, in a sentence.")
    version: str = Field(description="Version of the package.")
    author: str = Field(description="Who makes it.")
    documentation_url: str | None = Field(None, description="Where to read on.")


def task_list() -> TaskList:
    """Return all tasks as ``GET /tasks`` tells them."""
    return TaskList(
        tasks=[
            TaskDescription(
                task_id=task.task_id,
                difficulty=task.difficulty,
                description=task.summary,
                flip_y=task.flip_y,
                budget=task.budget,
                max_steps=task.max_steps,
                min_batch=task.min_batch,
                success_criteria=task.success_criteria,
                score=task.score_formula,
                strategies=[*STRATEGIES, *task.extra_strategies],
                n_classes=task.n_classes,
                pool_size=task.pool_size,
                has_ground_truth=task.has_ground_truth,
            )
            for task in TASKS.values()
        ],
        default_task=DEFAULT_TASK,
        reward_modes=list(get_args(RewardMode)),
        action_schema=action_model(offered()).model_json_schema(),
    )


def schemas() -> SchemaReply:
    """Return the JSON schemas as ``GET /schema`` tells them."""
    return SchemaReply(
        action=action_model(offered()).model_json_schema(),
        observation=Observation.model_json_schema(),
        state=State.model_json_schema(),
    )


def metadata() -> Metadata:
    """Return what the environment is as ``GET /metadata`` tells it."""
    return Metadata(name=NAME, description=DESCRIPTION, version=__version__, author=AUTHOR)


def readiness() -> Readiness:
    """Return what ``GET /ready`` tells of a store that answers."""
    return Readiness(status="ready")


def health(active_sessions: int, max_sessions: int) -> Health:
    """Return how full the server is as ``GET /health`` tells it."""
    return Health(
        status="healthy",
        version=__version__,
        dynamics_version=DYNAMICS_VERSION,
        active_sessions=active_sessions,
        max_sessions=max_sessions,
    )
