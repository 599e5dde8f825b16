"""What a policy is: one interface for all that play by the rules, and a separate one for oracles, which do not.

A :class:`Policy` sees what an agent sees: the :class:`~dataselect_env.core.tasks.Task` at the start, then one
:class:`~dataselect_env.core.models.Reply` a step. It plays in process and over any client alike. An
:class:`OraclePolicy` sees the episode itself, with every hidden label, and plays in process only.
"""

from __future__ import annotations

import dataclasses
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from dataselect_env.core.actions import action_model
from dataselect_env.core.episode import Episode, StepResult
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import Action, Reply
from dataselect_env.core.tasks import Task

if TYPE_CHECKING:
    import numpy as np

Act = Callable[[Reply], Action]
"""Chooses the next action from the last reply; called until a reply is ``done``."""
Start = Callable[[Task, "np.random.Generator"], Act]
"""Called once an episode; all randomness of the policy comes from the generator, so that an episode can be repeated."""

Move = Callable[[Episode], StepResult]
"""Buys a batch in an episode or stops it, and returns the result."""
StartOracle = Callable[[Task, "np.random.Generator"], Move]
"""As :data:`Start`; the move is called once a step until the episode is over."""

LONGEST_REASON = 300
"""Characters of a policy's own error that its :class:`PolicyError` repeats."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A way to play.

    An episode is a function of the task, the replies and the generator: it does not depend on the other episodes that
    the policy plays, before or at the same time, and it does not change a reply. A policy that cannot play a task, such
    as one without ground truth, raises InvalidInput in ``start``. :func:`dataselect_env.testing.check_policy` checks
    all of it.

    Attributes:
        name: What ``get_policy`` and reports call it; the policy's random stream depends on it.
        description: What it does, one sentence.
        start: Called once an episode with the task and a random generator; returns the function from reply to action.
    """

    name: str
    description: str
    start: Start


@dataclass(frozen=True, slots=True)
class OraclePolicy:
    """A way to play for one who knows the hidden truth: a yardstick, not an agent. No transport can play it.

    Attributes:
        name, description: As of a :class:`Policy`.
        start: Called once an episode with the task and a random generator; returns the move.
    """

    name: str
    description: str
    start: StartOracle


AnyPolicy = Policy | OraclePolicy


class PolicyError(Exception):
    """A user's own policy raised an exception; the message says which, where and why, in one line."""


def constant(name: str, description: str, action: Action) -> Policy:
    """Return the policy that answers every reply with the same action."""

    def start(_task: Task, _rng: np.random.Generator) -> Act:
        return lambda _reply: action

    return Policy(name, description, start)


def constant_by_task(name: str, description: str, actions: Mapping[str, Action]) -> Policy:
    """Return the policy that answers every reply of a task with that task's action.

    On a task that ``actions`` does not have it raises InvalidInput.
    """

    def start(task: Task, _rng: np.random.Generator) -> Act:
        action = actions.get(task.task_id)
        if action is None:
            raise InvalidInput(
                f"policy: {name} is not known for the task {task.task_id}; dataselect-env evaluate finds it",
                field="policy",
            )
        return lambda _reply: action

    return Policy(name, description, start)


def pace(task: Task, built_in: int) -> int:
    """Return how many samples to buy in a step: on other tasks than the built-in ones an even share of the budget."""
    return built_in if task.built_in else -(-task.budget // task.max_steps)


def paced(name: str, description: str, built_in: int, **weights: float) -> Policy:
    """Return the policy that buys :func:`pace` samples in each step with these weights."""

    def start(task: Task, _rng: np.random.Generator) -> Act:
        action = action_model(task.extra_strategies).select(pace(task, built_in), **weights)
        return lambda _reply: action

    return Policy(name, description, start)


def bought(task: Task, reply: Reply) -> int:
    """Return how many samples were bought in the episode so far."""
    return task.budget - reply.observation.remaining_budget


def guarded(policy: AnyPolicy) -> AnyPolicy:
    """Return a policy whose own exceptions come out as a :class:`PolicyError` that says where they were raised."""

    def guard(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: object) -> Any:
            try:
                return function(*arguments)
            except Exception as error:
                raise _failure(policy, error) from error

        return call

    def start(task: Task, rng: np.random.Generator) -> Any:
        return guard(guard(policy.start)(task, rng))

    return dataclasses.replace(policy, start=cast("Any", start))


def _failure(policy: AnyPolicy, error: Exception) -> PolicyError:
    frames = traceback.extract_tb(error.__traceback__)
    source = getattr(sys.modules.get(policy.start.__module__), "__file__", None)
    own = [frame for frame in frames if frame.filename == source] or frames
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_REASON]
    return PolicyError(f"policy {policy.name} failed in {own[-1].filename}, line {own[-1].lineno}: {reason}")
