"""Rollouts: a policy plays an episode, in process or over a client."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import Action, Grade, Reply, RewardMode
from dataselect_env.core.problem import as_described
from dataselect_env.core.tasks import get_task
from dataselect_env.policies.oracle import OracleEnv
from dataselect_env.policies.policy import AnyPolicy, OraclePolicy


class Environment(Protocol):
    """What a rollout needs of an environment; :class:`DataSelectEnv` and clients provide it."""

    def reset(self, *, task_id: str, seed: int | None, reward_mode: RewardMode) -> Reply:
        """Start an episode."""

    def step(self, action: Action, /) -> Reply:
        """Play one action; the reply that ends the episode carries the grade."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One finished episode.

    Attributes:
        policy: Name of the policy.
        task_id: Task that was played.
        seed: Seed of the episode, in [0, 2^32); None on a sealed split.
        index: Index in a sealed split; None on other splits.
        replies: The reply to the reset, then one per step.
        actions: The action of each step; None for an oracle, which plays without actions.
        episode_return: Sum of the rewards; in reward mode ``grade`` it equals the score up to rounding.
        grade: The episode's grade.
    """

    policy: str
    task_id: str
    seed: int | None
    index: int | None = None
    replies: tuple[Reply, ...]
    actions: tuple[Action, ...] | None
    episode_return: float
    grade: Grade


def policy_rng(policy_name: str, number: int) -> np.random.Generator:
    """Return the random stream of a policy in an episode; it is the same in every process and on every machine.

    Args:
        policy_name: Name of the policy.
        number: Seed of the episode; on a sealed split, which hides it, the index.
    """
    digest = hashlib.sha256(policy_name.encode()).digest()
    return np.random.default_rng(np.random.SeedSequence((number, int.from_bytes(digest[:8], "big"))))


def play(
    policy: AnyPolicy,
    task_id: str,
    seed: int | None,
    *,
    env: Environment | None = None,
    reward_mode: RewardMode = "shaped",
) -> Iterator[Reply]:
    """Play one episode and yield each reply as it arrives: that of the reset, then one per step.

    Args:
        policy: The policy that plays.
        task_id: Name of the task.
        seed: In [0, 2^32); None lets the environment draw one.
        env: The environment, whose running episode is abandoned. Default: a new :class:`DataSelectEnv`, for an oracle a
            new :class:`OracleEnv`.
        reward_mode: ``shaped`` or ``grade``.

    Raises:
        EnvError: The task is unknown, the seed is out of range, the policy returned something that is not an action, or
            it is an oracle and ``env`` is not an :class:`OracleEnv`.
    """
    return (reply for _, reply in _turns(policy, task_id, seed, env, reward_mode))


Turn = tuple[Action | None, Reply]
"""An action and the reply to it; there is no action before the reply to a reset, and oracles play without actions."""


def _turns(
    policy: AnyPolicy, task_id: str, seed: int | None, env: Environment | None, reward_mode: RewardMode
) -> Iterator[Turn]:
    if env is None:
        env = OracleEnv() if isinstance(policy, OraclePolicy) else DataSelectEnv()
    reply = env.reset(task_id=task_id, seed=seed, reward_mode=reward_mode)
    yield None, reply
    step = _stepper(policy, env, reply)
    while not reply.done:
        action, reply = step(reply)
        yield action, reply


def _stepper(policy: AnyPolicy, env: Environment, first: Reply) -> Callable[[Reply], Turn]:
    """Start a policy on an episode; return the function that plays the next step."""
    if isinstance(policy, OraclePolicy) and not isinstance(env, OracleEnv):
        raise InvalidInput(f"policy: {policy.name} sees hidden labels and needs an OracleEnv", field="policy")
    task = as_described(get_task(first.task_id), first.problem)
    found: Any = policy.start(task, policy_rng(policy.name, first.index or 0 if first.seed is None else first.seed))
    if not callable(found):
        name, kind = policy.name, type(found).__name__
        raise InvalidInput(f"policy: the start of {name} returned {kind}, not a function that plays", field="policy")
    if isinstance(env, OracleEnv) and isinstance(policy, OraclePolicy):
        return lambda _reply: (None, env.move(found))

    def step(reply: Reply) -> Turn:
        action = _checked(policy, found(reply))
        return action, env.step(action)

    return step


def _checked(policy: AnyPolicy, action: object) -> Action:
    if not isinstance(action, Action):
        raise InvalidInput(f"policy: {policy.name} returned {type(action).__name__}, not an Action", field="policy")
    return action


def rollout(
    policy: AnyPolicy,
    task_id: str,
    seed: int | None,
    *,
    env: Environment | None = None,
    reward_mode: RewardMode = "shaped",
) -> Rollout:
    """Play one episode to its end; arguments and errors are those of :func:`play`.

    Example:
        >>> from dataselect_env.policies import get_policy
        >>> rollout(get_policy("stop"), "easy", 20_000).grade.breakdown.budget_used
        0
    """
    actions, replies = zip(*_turns(policy, task_id, seed, env, reward_mode), strict=True)
    return Rollout(
        policy=policy.name,
        task_id=task_id,
        seed=replies[0].seed,
        index=replies[0].index,
        replies=replies,
        actions=None if isinstance(policy, OraclePolicy) else actions[1:],
        episode_return=math.fsum(reply.reward or 0.0 for reply in replies),
        grade=final_grade(replies[-1]),
    )


def final_grade(reply: Reply) -> Grade:
    """Return the grade in the last reply of an episode.

    Raises:
        InvalidInput: There is none: the episode is not over, or the environment does not grade.
    """
    if reply.info is None or reply.info.grade is None:
        raise InvalidInput(f"reply: that of step {reply.step} carries no grade", field="reply")
    return reply.info.grade
