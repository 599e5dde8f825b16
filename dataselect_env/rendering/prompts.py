"""Text for language models: tasks and replies as text, and answers as actions.

Every number and every description comes from the table of tasks or from the wire types.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from dataselect_env.core.actions import action_model, describe
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import Action, Grade, GradeBreakdown, ObservationFields, Reply, StrategyWeights
from dataselect_env.core.problem import Problem
from dataselect_env.core.strategies.pool_statistics import STATISTICS
from dataselect_env.core.tasks import MIN_BATCH, Task
from dataselect_env.core.validation import parse
from dataselect_env.rendering.guide import AUDIT_FROM_ESTIMATE, guide

OBSERVED = tuple(name for name in ObservationFields.model_fields if name != "metadata")
WEIGHTS = tuple(StrategyWeights.model_fields)
THOUGHTS = re.compile(r"^.*</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
"""The reasoning that some models write before their answer."""
DIGITS = 4
"""Decimals of every number that is not a count."""
UNAUDITED = "it is not reported which labels are wrong, and noise_estimate is a guess from the samples bought"
DRAWN = "- each seed draws a problem with numbers of its own, within these limits\n"
OBJECT_START = re.compile(r'\{(?=\s*["}])')
MAX_BROKEN_OBJECTS = 100
"""Largest number of invalid JSON objects in an answer. It keeps the work linear in the length of the answer."""


def mix(action: Action) -> dict[str, float]:
    """Return the weights of an action that are not 0, by strategy; whole numbers as integers."""
    return {
        name: int(weight) if weight == int(weight) else weight for name, weight in action.strategy_weights if weight
    }


def answer(action: Action) -> str:
    """Return the answer in JSON that means an action."""
    if action.action_type == "stop":
        return json.dumps({"action_type": "stop"})
    return json.dumps(
        {"action_type": action.action_type, "batch_size": action.batch_size, "strategy_weights": mix(action)}
    )


def example_answer() -> str:
    """Return an example of an answer that buys a batch."""
    return answer(Action.select(MIN_BATCH, uncertainty=1))


def stop_answer() -> str:
    """Return the answer that ends the episode."""
    return answer(Action.stop())


def fields(model: type[BaseModel], names: tuple[str, ...]) -> str:
    """Return one line for each of these fields of a model: its name and its description."""
    return "\n".join(f"- {name}: {model.model_fields[name].description}" for name in names)


def rules(*, observation_only: bool = False) -> str:
    """Return the rules that hold for every task.

    Args:
        observation_only: Whether the agent sees the fields of the observation alone, without purchase and reward.
    """
    seen = (
        " Then you see its performance, but neither a reward nor the number of wrong labels in the batch."
        if observation_only
        else " Then you see its performance, a reward and,"
        " if batches are audited, the number of wrong labels in the batch."
    )
    return (
        "You curate training data under a budget. Some samples of the pool carry a wrong label, and you do not see"
        " which. In each step you buy a batch: you choose the number of samples, and the weights of the query"
        f" strategies that pick them. A classifier is trained on the batch.{seen} The episode ends when you stop, when"
        " the budget is spent or when all steps are taken. It is graded at the end, and only the grade counts.\n\n"
        f"Strategies, with weights of at least 0:\n{fields(StrategyWeights, WEIGHTS)}\n\n"
        f"After each step you see:\n{fields(ObservationFields, OBSERVED)}"
        f"{f'{chr(10)}{AUDIT_FROM_ESTIMATE}' if observation_only else ''}"
    )


def instructions(task: Task, *, observation_only: bool = False) -> str:
    """Return the rules, the description of a task and what decides its score, for an agent that starts to play it."""
    return f"{rules(observation_only=observation_only)}\n\n{describe_task(task)}\n\n{guide(task)}"


def describe_task(task: Task) -> str:
    """Return the description of a task: its limits, what passes and how it is scored.

    Args:
        task: The task as it is listed, or with the numbers of an episode's problem.
    """
    weights = (("noise_score", task.noise_weight), ("efficiency", task.efficiency_weight))
    parts = ("performance_score", *(name for name, weight in weights if weight))
    extra = "".join(f"- further strategy {name}: {describe(name)}\n" for name in task.extra_strategies)
    most = "at most " if task.varies else ""
    unknown = "" if task.audited else f"; {UNAUDITED}"
    return (
        f"Task {task.task_id}: {task.summary}\n"
        f"- budget: {most}{task.budget} samples, in at most {task.max_steps} steps\n"
        f"- declared share of wrong labels in the pool: {most}{task.flip_y:g}{unknown}\n"
        f"{DRAWN if task.varies else ''}"
        f"{extra}"
        f"- passes with: {task.success_criteria}\n"
        f"- score: {task.score_formula}\n"
        f"{fields(GradeBreakdown, parts)}"
    )


def describe_problem(problem: Problem) -> str:
    """Return what an agent may know of an episode's problem before it buys, with statistics of the pool."""
    low, high = problem.performance_range
    statistics = problem.statistics.items()
    largest = "" if problem.max_batch is None else f", at most {problem.max_batch}"
    audit = "after each batch you see how many of its labels are wrong" if problem.audited else UNAUDITED
    return "\n".join(
        [
            "The problem of this episode:",
            f"- data: {problem.n_classes} classes, {problem.n_features} features",
            f"- seed set: {problem.seed_size} samples with right labels, which the model has been trained on",
            f"- pool: {problem.pool_size} samples with given labels, some of which may be wrong",
            f"- budget: {problem.budget} samples, in at most {problem.max_steps} steps",
            f"- batch: at least {problem.min_batch} samples{largest}",
            f"- declared share of wrong labels in the pool: {problem.declared_noise_rate:g}; the true share may differ",
            f"- audit: {audit}",
            f"- performance: {low:g} scores 0, {high:g} scores 1; passes above {problem.pass_performance:g}",
            f"- strategies: {', '.join(problem.strategies)}",
            "Statistics of the pool, from features, given labels, the seed set and the model:",
            *(f"- {name}: {value:.{DIGITS}f} ({STATISTICS.get(name, '')})" for name, value in statistics),
        ]
    )


def system_prompt(task: Task) -> str:
    """Return the system prompt for a language model that plays ``task`` by answering in text."""
    return (
        f"{instructions(task)}\n\n"
        "You may think before you answer. End each message with one JSON object; the last one counts. To buy a batch,"
        " such as the smallest one by uncertainty:\n"
        f"{example_answer()}\n"
        f"- batch_size: {Action.model_fields['batch_size'].description}\n"
        f"- strategy_weights: {action_model(task.extra_strategies).model_fields['strategy_weights'].description}\n"
        f"To stop:\n{stop_answer()}"
    )


def render_reply(task: Task, reply: Reply) -> str:
    """Return a reply as text, one fact per line, named as in the wire types.

    The reply to a reset starts with the description of its problem, if it has one; the last reply ends with the grade.

    Args:
        task: Task of the episode, with the numbers of its problem.
        reply: The reply.
    """
    lines = [] if reply.problem is None else [describe_problem(reply.problem)]
    lines.append(f"step: {reply.step} of {'at most ' if task.varies else ''}{task.max_steps}")
    info = reply.info
    if info is not None and info.batch_size:
        chosen = ", ".join(f"{name} {count}" for name, count in info.bought_by.items())
        lines.append(f"bought: {info.batch_size} ({chosen})")
    if info is not None and info.noise_ratio is not None:
        lines.append(
            f"mislabelled: {info.mislabelled} of {info.batch_size} (noise_ratio {info.noise_ratio:.{DIGITS}f})"
        )
    if reply.reward is not None:
        lines.append(f"reward: {reply.reward:.{DIGITS}f}")
    lines += [f"{name}: {_number(getattr(reply.observation, name))}" for name in OBSERVED]
    if info is not None and info.grade is not None:
        lines += [f"The episode is over: {info.end_reason}.", render_grade(info.grade)]
    return "\n".join(lines)


def render_grade(grade: Grade) -> str:
    """Return a grade with its parts, one fact per line."""
    lines = [f"score: {grade.score:.{DIGITS}f}", f"passed: {'yes' if grade.passed else 'no'}"]
    lines += [f"{name}: {_number(value)}" for name, value in grade.breakdown if value is not None]
    return "\n".join(lines)


def parse_answer(text: str, task: Task | None = None) -> Action:
    """Return the action in a language model's answer.

    The last JSON object that looks like an action counts; text around it is ignored. The object may be wrapped as a
    tool call or in ``action``, have the weights beside ``batch_size``, omit ``action_type``, and write numbers as text.

    Args:
        text: The answer.
        task: The task that is played; needed only for tasks with extra strategies.

    Raises:
        InvalidInput: The answer has no valid action; the message says why, and can be shown to the model.

    Example:
        >>> parse_answer('I will explore: {"batch_size": 10, "diversity": 1}').strategy_weights.as_tuple()
        (0.0, 1.0, 0.0)
    """
    spoken = THOUGHTS.sub("", text).strip()
    extra = () if task is None else task.extra_strategies
    names = (*WEIGHTS, *extra)
    candidates = [plain for found in _objects(spoken) if (plain := _unwrapped(found, names)) is not None]
    if not candidates:
        if spoken.strip(" .`'\"*\n").lower() == "stop":
            return Action.stop()
        raise _no_action("")
    chosen = candidates[-1]
    if chosen.get("action_type") == "stop":
        return Action.stop()
    return parse(action_model(extra), chosen)


def _number(value: object) -> str:
    return f"{value:.{DIGITS}f}" if isinstance(value, float) else str(value)


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the outermost JSON objects of a text.

    Raises:
        InvalidInput: More than ``MAX_BROKEN_OBJECTS`` objects are invalid.
    """
    decoder, start, broken = json.JSONDecoder(), OBJECT_START.search(text), 0
    while start is not None:
        try:
            found, end = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            end, broken = start.end(), broken + 1
            if broken > MAX_BROKEN_OBJECTS:
                raise _no_action(", but too much that is not valid JSON") from None
        else:
            yield found
        start = OBJECT_START.search(text, end)


def _no_action(problem: str) -> InvalidInput:
    return InvalidInput(
        f"There is no action in the answer{problem}; it should be a JSON object like {example_answer()}"
    )


def _unwrapped(found: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any] | None:
    """Return an object that looks like an action in the form that :class:`Action` reads; None for other objects."""
    name = found.get("name", found.get("tool", found.get("action", found.get("action_type"))))
    inner = found.get("arguments", found.get("parameters", name))
    if isinstance(inner, dict):
        found, name = inner, name if isinstance(name, str) else inner.get("action_type")
    known = {*Action.model_fields, *names}
    if not known & found.keys() and name not in ("select_batch", "stop"):
        return None
    weights = found.get("strategy_weights", {name: found[name] for name in names if name in found})
    rest = {key: value for key, value in found.items() if key not in names and key not in ("action", "name", "tool")}
    if isinstance(weights, dict):
        weights = {key: _as_number(value) for key, value in weights.items()}
    if "batch_size" in rest:
        size = _as_number(rest["batch_size"])
        rest["batch_size"] = int(size) if isinstance(size, float) and size.is_integer() else size
    return {**rest, "action_type": name or "select_batch", "strategy_weights": weights}


def _as_number(value: object) -> object:
    """Return text that is a number as a number, and everything else unchanged."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
