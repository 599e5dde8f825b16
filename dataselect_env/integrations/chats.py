"""Chats: episodes of a policy as conversations, in the form that chat templates and trainers read.

A chat has the same messages as an episode that a language model plays: through tools, as with
:class:`~dataselect_env.integrations.trl_env.DataSelectToolEnv`, or in JSON, as with
:class:`~dataselect_env.integrations.dialogue.Dialogue`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from dataselect_env.core.actions import with_strategies
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import Action
from dataselect_env.core.problem import as_described
from dataselect_env.core.tasks import Task, get_task, split_of
from dataselect_env.evaluation.rollout import Rollout
from dataselect_env.integrations.rows import joined, opening
from dataselect_env.rendering import prompts
from dataselect_env.server.mcp.tools import TOOLS, BatchArguments

Form = Literal["tools", "json"]
"""How the agent acts in a chat: it calls tools, or it answers with a JSON object."""

CHARACTERS_PER_TOKEN = 3
"""For estimates: what SmolLM2's tokenizer makes of these chats, in which every digit is a token."""


def estimated_tokens(text: str) -> int:
    """Return the number of tokens of a text, estimated from its length."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def tool_schemas(task: Task) -> list[dict[str, Any]]:
    """Return the tools ``select_batch`` and ``stop`` as functions, with the strategies that the task offers."""
    return [_as_function(name, task) for name in ("select_batch", "stop")]


def _as_function(name: str, task: Task) -> dict[str, Any]:
    arguments = with_strategies(BatchArguments, task.extra_strategies) if task.extra_strategies else BatchArguments
    manifest = TOOLS[name].manifest(arguments if name == "select_batch" else None)
    schema = manifest["inputSchema"]
    properties = {name: field for name, field in schema["properties"].items() if name != "episode_id"}
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": manifest["description"],
            "parameters": {**schema, "properties": properties},
        },
    }


def chat(played: Rollout, form: Form = "tools") -> dict[str, Any]:
    """Return an episode as a row of a data set.

    Args:
        played: The episode of a policy that plays by actions.
        form: How the agent acts.

    Returns:
        ``messages`` and, for the form ``tools``, ``tools``; ``policy``, ``task_id``, ``seed``, ``split``, ``score``,
        ``passed`` and ``steps`` of the episode; and ``tokens``, an estimate of :func:`count_tokens`.

    Raises:
        InvalidInput: The policy is an oracle, which plays without actions.
    """
    if played.actions is None:
        raise InvalidInput(f"policy: {played.policy} plays without actions, so it has no chats", field="policy")
    task = as_described(get_task(played.task_id), played.replies[0].problem)
    observations = [prompts.render_reply(task, reply) for reply in played.replies]
    messages: list[dict[str, Any]] = joined(opening(played.task_id, tools=form == "tools"), observations[0])
    if form == "tools":
        messages += _calls(played.actions, observations[1:])
    else:
        messages += _answers(played.actions, observations[1:])
    content: dict[str, Any] = {"messages": messages}
    if form == "tools":
        content["tools"] = tool_schemas(task)
    return {
        **content,
        "policy": played.policy,
        "task_id": played.task_id,
        "seed": played.seed,
        "split": split_of(played.seed),
        "score": played.grade.score,
        "passed": played.grade.passed,
        "steps": len(played.actions),
        "tokens": count_tokens(content),
    }


def _answers(actions: Sequence[Action], observations: Sequence[str]) -> list[dict[str, Any]]:
    """Return the turns of an agent that answers in JSON; its last action is the last message."""
    turns: list[dict[str, Any]] = []
    for action, observation in zip(actions, observations, strict=True):
        turns += [
            {"role": "assistant", "content": prompts.answer(action)},
            {"role": "user", "content": observation},
        ]
    return turns[:-1]


def _calls(actions: Sequence[Action], observations: Sequence[str]) -> list[dict[str, Any]]:
    """Return the turns of an agent that calls tools; the last message, after the grade, calls none."""
    turns: list[dict[str, Any]] = []
    for action, observation in zip(actions, observations, strict=True):
        function = {"name": action.action_type, "arguments": _arguments(action)}
        turns += [
            {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": function}]},
            {"role": "tool", "name": action.action_type, "content": observation},
        ]
    return [*turns, {"role": "assistant", "content": "The episode is over."}]


def _arguments(action: Action) -> dict[str, Any]:
    if action.action_type == "stop":
        return {}
    return {"batch_size": action.batch_size, **prompts.mix(action)}


def count_tokens(row: dict[str, Any], count: Callable[[str], int] = estimated_tokens) -> int:
    """Return the number of tokens in all messages and tools of a chat, without the marks of a chat template.

    Args:
        row: The chat.
        count: Returns the number of tokens of a text.
    """
    return sum(map(count, _texts(row)))


def _texts(row: dict[str, Any]) -> Iterator[str]:
    for message in row["messages"]:
        yield message["content"]
        for one in message.get("tool_calls", ()):
            yield json.dumps(one["function"])
    for tool in row.get("tools", ()):
        yield json.dumps(tool)


def best(rows: Sequence[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    """Return the rows with the ``number`` highest scores of each task, in their order; earlier ones win ties."""
    chosen: set[int] = set()
    for task_id in dict.fromkeys(row["task_id"] for row in rows):
        places = [place for place, row in enumerate(rows) if row["task_id"] == task_id]
        chosen |= set(sorted(places, key=lambda place: -rows[place]["score"])[:number])
    return [row for place, row in enumerate(rows) if place in chosen]
