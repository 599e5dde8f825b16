"""Interfaces of policies: one for policies that see replies only, another one for oracles.

A :class:`Policy` sees what an agent sees: the :class:`~dataselect_env.core.tasks.Task` at the start, then one
:class:`~dataselect_env.core.models.Reply` per step. It plays in process and over any client. An :class:`OraclePolicy`
sees the episode itself, with every hidden label, and plays in process only.
"""

from __future__ import annotations

import dataclasses
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from dataselect_env.core.actions import action_model
from dataselect_env.core.episode import Episode
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import Action, Reply
from dataselect_env.core.results import StepResult
from dataselect_env.core.tasks import Task

if TYPE_CHECKING:
    import numpy as np

Act = Callable[[Reply], Action]
"""Returns the next action for the last reply; called until a reply is ``done``."""
Start = Callable[[Task, "np.random.Generator"], Act]
"""Called once per episode. All randomness must come from the generator, so that an episode can be repeated."""

Move = Callable[[Episode], StepResult]
"""Buys a batch in an episode or stops it, and returns the result."""
StartOracle = Callable[[Task, "np.random.Generator"], Move]
"""Like :data:`Start`; the move is called once per step until the episode is over."""

LONGEST_REASON = 300
"""Characters of an exception's text that a :class:`PolicyError` repeats."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy of an agent.

    An episode is a function of the task, the replies and the generator: it does not depend on the other episodes that
    the policy plays, before or at the same time, and it does not change a reply. A policy that cannot play a task, such
    as one without ground truth, raises InvalidInput in ``start``. :func:`dataselect_env.testing.check_policy` checks
    all of it.

    Attributes:
        name: Name in ``get_policy`` and in reports; the policy's random stream depends on it.
        description: What it does, one sentence.
        start: Called once per episode with the task and a random generator; returns the function from reply to action.
        needs: Extra query strategies that a task must offer for it.
    """

    name: str
    description: str
    start: Start
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OraclePolicy:
    """A policy that sees the ground truth: a yardstick, not an agent. It cannot play over a transport.

    Attributes:
        name, description: As for a :class:`Policy`.
        start: Called once per episode with the task and a random generator; returns the move.
    """

    name: str
    description: str
    start: StartOracle


AnyPolicy = Policy | OraclePolicy


class PolicyError(InvalidInput):
    """A user's own policy raised an exception; the message names the policy, the line and the reason."""


def constant(name: str, description: str, action: Action) -> Policy:
    """Return the policy that always takes the same action."""

    def start(_task: Task, _rng: np.random.Generator) -> Act:
        return lambda _reply: action

    return Policy(name, description, start)


def constant_by_task(name: str, description: str, actions: Mapping[str, Action]) -> Policy:
    """Return the policy that always takes the action of the task in ``actions``.

    On other tasks it raises InvalidInput.
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


def pace(task: Task, pinned: int) -> int:
    """Return the batch size for a step: ``pinned`` on pinned tasks, on others the budget over the steps."""
    return pinned if task.pinned else -(-task.budget // task.max_steps)


def paced(name: str, description: str, pinned: int, **weights: float) -> Policy:
    """Return the policy that buys :func:`pace` samples in every step with these weights."""

    def start(task: Task, _rng: np.random.Generator) -> Act:
        action = action_model(task.extra_strategies).select(pace(task, pinned), **weights)
        return lambda _reply: action

    return Policy(name, description, start)


def bought(task: Task, reply: Reply) -> int:
    """Return the number of samples bought so far in the episode."""
    return task.budget - reply.observation.remaining_budget


def guarded(policy: AnyPolicy) -> AnyPolicy:
    """Return the policy with its exceptions turned into a :class:`PolicyError` that names the line."""

    def guard(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: object) -> Any:
            try:
                return function(*arguments)
            except Exception as error:
                raise _failure(policy, error) from error

        return call

    def start(task: Task, rng: np.random.Generator) -> Any:
        found = guard(policy.start)(task, rng)
        return guard(found) if callable(found) else found  # the caller refuses anything else

    return dataclasses.replace(policy, start=cast("Any", start))


def _failure(policy: AnyPolicy, error: Exception) -> PolicyError:
    frames = traceback.extract_tb(error.__traceback__)
    source = getattr(sys.modules.get(policy.start.__module__), "__file__", None)
    own = [frame for frame in frames if frame.filename == source] or frames
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_REASON]
    return PolicyError(f"policy {policy.name} failed in {own[-1].filename}, line {own[-1].lineno}: {reason}")
