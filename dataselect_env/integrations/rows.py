"""Rows of a training set of prompts: the episode that a conversation plays, and its first messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

from dataselect_env.core.tasks import SPLITS, TASKS, get_task
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.policies import get_policy
from dataselect_env.rendering import prompts

Message = dict[str, str]
"""A chat message: ``role`` and ``content``."""

TRAIN_SEEDS = range(SPLITS["train"].first_seed, SPLITS["train"].first_seed + 256)
"""Default seeds of :func:`prompt_rows`, from the train split; the other splits are for evaluation."""


def opening(task_id: str, *, tools: bool = False) -> list[Message]:
    """Return the first messages of a conversation, without the first observation.

    Args:
        task_id: Name of the task.
        tools: Whether the agent acts through tools; otherwise the messages explain how to write an action as text.

    Raises:
        UnknownTask: A task does not exist.
    """
    task = get_task(task_id)
    instructions = prompts.instructions(task) if tools else prompts.system_prompt(task)
    return [
        {"role": "system", "content": instructions},
        {"role": "user", "content": f"Play one episode of the task {task.task_id}."},
    ]


def prompt_rows(
    task_ids: Iterable[str] = tuple(TASKS), seeds: Iterable[int] = TRAIN_SEEDS, *, tools: bool = False
) -> list[dict[str, Any]]:
    """Return one row for each task and seed: ``prompt``, ``task_id`` and ``seed``.

    All conversations from one row play the same episode, so that algorithms which compare them, such as GRPO, compare
    the agent's choices and not its luck.

    Example:
        >>> rows = prompt_rows(["easy", "hard"], range(3))
        >>> [(row["task_id"], row["seed"]) for row in rows][:3]
        [('easy', 0), ('hard', 0), ('easy', 1)]

    Args:
        task_ids: Names of the tasks.
        seeds: In [0, 2^32).
        tools: See :func:`opening`.

    Raises:
        UnknownTask: A task does not exist.
    """
    return [
        {"prompt": opening(task_id, tools=tools), "task_id": task_id, "seed": seed}
        for seed, task_id in product(seeds, tuple(task_ids))
    ]


def easiest_first(task_id: str, seeds: Iterable[int], *, policy: str = "random") -> list[int]:
    """Return the seeds in the order of a curriculum: those on which a policy scores highest come first.

    It plays one episode per seed, in this process. Trainers that shuffle their rows have to be told not to.

    Args:
        task_id: Name of the task; the seeds of ``open`` differ most.
        seeds: In [0, 2^32).
        policy: Name of the policy whose scores count; one that needs no skill shows how much a problem gives away.

    Raises:
        EnvError: The task or the policy does not exist.
    """
    chosen = get_policy(policy)
    scores = {seed: rollout(chosen, task_id, seed).grade.score for seed in seeds}
    return sorted(scores, key=lambda seed: -scores[seed])


def joined(prompt: Sequence[Message], text: str) -> list[Message]:
    """Return ``prompt`` with ``text`` appended to its last message."""
    *before, last = prompt
    return [*before, {**last, "content": f"{last['content']}\n\n{text}"}]
