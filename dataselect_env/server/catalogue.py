"""Descriptions of the server, the environment and its tasks, independent of any episode."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, get_args

from pydantic import BaseModel, Field

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
"""The same as in openenv.yaml; a test compares them."""


class TaskDescription(WireModel):
    """A task."""

    task_id: str = Field(description="Name in requests.")
    difficulty: str = Field(description="Difficulty of the task.")
    description: str = Field(description="What the agent should achieve.")
    flip_y: float = Field(description="Declared label-noise rate of the pool.")
    budget: int = Field(description="Samples that may be bought.")
    max_steps: int = Field(description="Actions in an episode.")
    min_batch: int = Field(description="Smallest batch, unless budget or pool are smaller.")
    success_criteria: str = Field(description="Criteria that an episode must meet to pass.")
    score: str = Field(description="Formula of the score.")
    strategies: list[str] = Field(description="Query strategies that an action can weight.")
    n_classes: int = Field(description="Number of classes.")
    pool_size: int = Field(description="Samples in the pool at the start.")
    has_ground_truth: bool = Field(description="Whether it is known which labels are wrong.")
    audited: bool = Field(description="Whether replies report how many labels of a batch were wrong.")
    drawn: bool = Field(
        description="Whether each seed draws a problem, audited or not. The numbers here are then upper limits; those"
        " of the seed are in problem in the reply to a reset. The environment's card describes the distribution."
    )


class TaskList(WireModel):
    """All tasks, with the schema of an action."""

    tasks: list[TaskDescription]
    default_task: str = Field(description="Task of a reset without task_id.")
    reward_modes: list[RewardMode] = Field(description="Reward modes; the first is the default.")
    action_schema: dict[str, Any] = Field(
        description="JSON schema of an action, with the strategies of all tasks; each task lists those that it offers."
    )


class SchemaReply(WireModel):
    """JSON schemas of actions, observations and states."""

    action: dict[str, Any] = Field(description="Schema of an action.")
    observation: dict[str, Any] = Field(description="Schema of an observation.")
    state: dict[str, Any] = Field(description="Schema of the state.")


class Health(WireModel):
    """Liveness of the server, and its open sessions."""

    status: Literal["healthy"] = Field(description="The server responds.")
    version: str = Field(description="Version of the package.")
    dynamics_version: int = Field(description="Version of the dynamics of episodes.")
    active_sessions: int = Field(ge=0, description="Open sessions of WebSocket connections and MCP clients.")
    max_sessions: int = Field(ge=1, description="Largest number of open sessions.")


class Readiness(WireModel):
    """Readiness of the server."""

    status: Literal["ready"] = Field(description="The store can be written.")


class Metadata(WireModel):
    """Description of the environment."""

    name: str = Field(description="Name of the environment.")
    description: str = Field(description="Description of the environment.")
    version: str = Field(description="Version of the package.")
    author: str = Field(description="Author of the environment.")
    documentation_url: str | None = Field(None, description="Address of the documentation.")


def task_list() -> TaskList:
    """Return the response to ``GET /tasks``."""
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
                audited=task.audited,
                drawn=task.drawn,
            )
            for task in TASKS.values()
        ],
        default_task=DEFAULT_TASK,
        reward_modes=list(get_args(RewardMode)),
        action_schema=_schema(action_model(offered())),
    )


def schemas() -> SchemaReply:
    """Return the response to ``GET /schema``."""
    return SchemaReply(
        action=_schema(action_model(offered())),
        observation=_schema(Observation),
        state=_schema(State),
    )


def metadata() -> Metadata:
    """Return the response to ``GET /metadata``."""
    return Metadata(name=NAME, description=DESCRIPTION, version=__version__, author=AUTHOR)


def readiness() -> Readiness:
    """Return the response to ``GET /ready`` of a server that is ready."""
    return Readiness(status="ready")


def health(active_sessions: int, max_sessions: int) -> Health:
    """Return the response to ``GET /health``."""
    return Health(
        status="healthy",
        version=__version__,
        dynamics_version=DYNAMICS_VERSION,
        active_sessions=active_sessions,
        max_sessions=max_sessions,
    )


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of a model, which takes about a millisecond to make."""
    return model.model_json_schema()
