"""The MCP tools, with their descriptions, schemas and results.

Descriptions and schemas are rendered from the table of tasks and the wire types; a language model needs no further
instructions. OpenEnv reserves the names reset, step, state and close, so no tool has one of them.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import Field

from dataselect_env.core.actions import action_model, offered, with_strategies
from dataselect_env.core.errors import EnvError, as_client_error
from dataselect_env.core.models import Action, EpisodeId, Reply, ResetRequest, StrategyWeights
from dataselect_env.core.numbers import Count
from dataselect_env.core.problem import as_described
from dataselect_env.core.source import task_at
from dataselect_env.core.tasks import SPLITS, TASKS, get_task
from dataselect_env.core.validation import WireModel, parse
from dataselect_env.rendering import prompts
from dataselect_env.rendering.guide import guide
from dataselect_env.server import catalogue
from dataselect_env.server.mcp.backend import EPISODE_ID_DESCRIPTION, EpisodeArguments, EpisodeBackend

logger = logging.getLogger(__name__)


class BatchArguments(StrategyWeights):
    """Arguments of ``select_batch``: size and weights on one level."""

    batch_size: Count = Field(description=Action.model_fields["batch_size"].description)
    episode_id: EpisodeId | None = Field(None, description=EPISODE_ID_DESCRIPTION)

    def as_tuple(self) -> tuple[float, ...]:
        """Return all weights, in the order of the fields."""
        return tuple(self.weights().values())

    def weights(self) -> dict[str, float]:
        """Return the weights by strategy."""
        return {name: weight for name, weight in self if name not in ("batch_size", "episode_id")}

    def action(self) -> Action:
        """Return the action that buys this batch."""
        weights = {name: weight for name, weight in self.weights().items() if weight}
        extra = tuple(name for name in weights if name not in StrategyWeights.model_fields)
        return action_model(extra).select(self.batch_size, **weights)


class NoArguments(WireModel):
    """Arguments of tools without arguments."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """Result of a tool call: text for a language model, and the same as data for a program."""

    text: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool.

    Attributes:
        name, title, description: Texts that clients show.
        arguments: Type of the arguments, for the built-in tasks.
        call: Runs the tool.
        reads_only: Whether the tool changes nothing.
    """

    name: str
    title: str
    description: str
    arguments: type[WireModel]
    call: Callable[[EpisodeBackend, Any], Awaitable[ToolResult]]
    reads_only: bool = False

    def full_description(self) -> str:
        """Return the description; that of ``start_episode`` includes the tasks registered now."""
        if self.arguments is not ResetRequest:
            return self.description
        return f"{self.description}\n\nTasks: {' '.join(f'{task.task_id}: {task.summary}' for task in TASKS.values())}"

    def model(self) -> type[WireModel]:
        """Return the type of the arguments, with the weights of all strategies that registered tasks offer."""
        extra = offered() if self.arguments is BatchArguments else ()
        return with_strategies(self.arguments, extra) if extra else self.arguments

    def manifest(self, arguments: type[WireModel] | None = None) -> dict[str, Any]:
        """Return the tool's entry in the result of ``tools/list``; ``arguments`` is by default :meth:`model`."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.full_description(),
            "inputSchema": _input_schema(arguments or self.model()),
            "annotations": {"readOnlyHint": self.reads_only, "destructiveHint": False, "openWorldHint": False},
        }


def manifests() -> list[dict[str, Any]]:
    """Return the result of ``tools/list``: the entries of all tools, for the tasks that are registered now."""
    return _manifests(tuple((task.task_id, task.digest, task.summary) for task in TASKS.values()))


@lru_cache(maxsize=1)
def _manifests(_tasks: tuple[tuple[str, str, str], ...]) -> list[dict[str, Any]]:
    return [tool.manifest() for tool in TOOLS.values()]


def stateless_manifests() -> list[dict[str, Any]]:
    """Return the result of ``tools/list`` for clients without a session, who name the episode in every call."""
    listed = []
    for manifest in manifests():
        schema = manifest["inputSchema"]
        if "episode_id" in schema["properties"] and manifest["name"] != "start_episode":
            named = {"type": "string", "description": "Id that start_episode returned."}
            schema = {
                **schema,
                "properties": {**schema["properties"], "episode_id": named},
                "required": [*schema.get("required", ()), "episode_id"],
            }
        listed.append({**manifest, "inputSchema": schema})
    return listed


async def call(backend: EpisodeBackend, name: str, arguments: Mapping[str, object]) -> dict[str, Any]:
    """Call a tool and return the result of ``tools/call``, which also reports errors.

    Raises:
        KeyError: There is no such tool.
    """
    tool = TOOLS[name]
    model = tool.model()
    try:
        result, failed = await tool.call(backend, parse(model, _given(model, arguments))), False
    except EnvError as error:
        result, failed = ToolResult(error.message, error.body()), True
    except Exception as defect:
        logger.exception("the tool %s failed", name)
        reported = as_client_error(defect)
        result, failed = ToolResult(reported.message, reported.body()), True
    return {"content": [{"type": "text", "text": result.text}], "structuredContent": result.data, "isError": failed}


def _given(model: type[WireModel], arguments: Mapping[str, object]) -> dict[str, object]:
    """Return the arguments without optional ones that are null or empty text: some clients send every argument."""
    optional = {name for name, field in model.model_fields.items() if not field.is_required()}
    return {name: value for name, value in arguments.items() if name not in optional or value not in (None, "")}


async def _list_tasks(_backend: EpisodeBackend, _: NoArguments) -> ToolResult:
    text = "\n\n".join(prompts.describe_task(task) for task in TASKS.values())
    return ToolResult(text, catalogue.task_list().model_dump(mode="json", exclude={"action_schema"}))


async def _start_episode(backend: EpisodeBackend, arguments: ResetRequest) -> ToolResult:
    reply = await backend.handle("reset", arguments.model_dump(exclude_none=True))
    assert isinstance(reply, Reply)  # noqa: S101  (the type of the reply to a reset)
    result = _render(reply)
    task = as_described(get_task(reply.task_id), reply.problem)
    told = f"{prompts.describe_task(task)}\n\n{guide(task)}\n\n{result.text}"
    return ToolResult(f"episode_id: {reply.episode_id}\n{told}", result.data)


async def _select_batch(backend: EpisodeBackend, batch: BatchArguments) -> ToolResult:
    return await _play(backend, batch.action(), batch.episode_id)


async def _stop(backend: EpisodeBackend, arguments: EpisodeArguments) -> ToolResult:
    return await _play(backend, Action.stop(), arguments.episode_id)


async def _play(backend: EpisodeBackend, action: Action, episode_id: str | None) -> ToolResult:
    reply = await backend.handle("step", {**action.model_dump(), "episode_id": episode_id})
    assert isinstance(reply, Reply)  # noqa: S101  (the type of the reply to a step)
    return _render(reply)


async def _get_state(backend: EpisodeBackend, arguments: EpisodeArguments) -> ToolResult:
    state = (await backend.handle("state", arguments.model_dump())).model_dump(mode="json")
    return ToolResult("\n".join(f"{name}: {value}" for name, value in state.items() if value is not None), state)


async def _get_grade(backend: EpisodeBackend, arguments: EpisodeArguments) -> ToolResult:
    reply = await backend.grade(arguments.model_dump())
    text = f"episode_id: {reply.episode_id}\ntask_id: {reply.task_id}\n{prompts.render_grade(reply)}"
    return ToolResult(text, reply.model_dump(mode="json"))


def _render(reply: Reply) -> ToolResult:
    """Return a reply as text and data, without the duplicates that it has for OpenEnv's clients."""
    data = reply.model_dump(mode="json", exclude={"metadata": True, "observation": {"metadata"}})
    task = get_task(reply.task_id)  # only the reply to a reset describes the problem
    task = task if reply.seed is None else task_at(task, reply.seed)
    return ToolResult(prompts.render_reply(task, reply), data)


def _input_schema(model: type[WireModel]) -> dict[str, Any]:
    """Return the JSON schema of a tool's arguments, without ``anyOf``, which not every client or model understands.

    Optional fields may be left out or null; ``nullable`` says so to adapters that send every argument. The names of
    tasks and splits are listed.
    """
    schema = model.model_json_schema()
    choices = {"task_id": list(TASKS), "split": list(SPLITS)}
    properties = {}
    for name, field in schema.get("properties", {}).items():
        plain = {key: value for key, value in field.items() if key not in ("anyOf", "default", "title", "examples")}
        for option in field.get("anyOf", []):
            plain |= {} if option == {"type": "null"} else option
        if name in choices:
            plain = {"type": "string", "enum": choices[name], "description": field["description"]}
        if field.get("default") is not None:
            plain["default"] = field["default"]
        if name not in schema.get("required", ()):
            plain["nullable"] = True
        properties[name] = plain
    required = {"required": schema["required"]} if "required" in schema else {}
    return {"type": "object", "properties": properties, "additionalProperties": False, **required}


TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool(
            "list_tasks",
            "List the tasks",
            "List the tasks with their goals, budgets, numbers of steps, success criteria and score formulas.",
            NoArguments,
            _list_tasks,
            reads_only=True,
        ),
        Tool(
            "start_episode",
            "Start an episode",
            f"Start an episode. Call this first, then select_batch until the episode is over.\n\n{prompts.rules()}",
            ResetRequest,
            _start_episode,
        ),
        Tool(
            "select_batch",
            "Buy a batch",
            "Buy one batch of samples and train the classifier on it. Returns the purchase, the number of wrong labels"
            " in it if batches are audited, the reward and the next observation; the last step returns the grade. The"
            " weights set the mix of the query strategies; only their ratios matter, and at least one must be greater"
            " than 0.",
            BatchArguments,
            _select_batch,
        ),
        Tool(
            "stop",
            "Stop",
            "End the episode without buying more, and return its grade.",
            EpisodeArguments,
            _stop,
        ),
        Tool(
            "get_state",
            "Get the state",
            "Return the state of the episode: steps, remaining budget, performance, whether and why it is over.",
            EpisodeArguments,
            _get_state,
            reads_only=True,
        ),
        Tool(
            "get_grade",
            "Get the grade",
            "Return the grade of a finished episode, with its components; refused while the episode is running.",
            EpisodeArguments,
            _get_grade,
            reads_only=True,
        ),
    )
}
