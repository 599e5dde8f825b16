"""Reference policies: what an agent can be compared with, in process and over any client.

A policy sees what an agent sees: the :class:`~dataselect_env.tasks.Task` at the start, then one
:class:`~dataselect_env.models.Reply` a step. Each answers with an :class:`~dataselect_env.models.Action`.

A policy of your own is a function (or a class) in any module that can be imported, named ``module:attribute``:

    >>> def thrifty(task, rng):
    ...     '''Buys batches of 5 at random until half of the budget is spent.'''
    ...     def act(reply):
    ...         spent = task.budget - reply.observation.remaining_budget
    ...         return Action.stop() if 2 * spent >= task.budget else Action.select(5, random=1)
    ...     return act
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from dataselect_env.errors import InvalidInput
from dataselect_env.models import Action, Reply
from dataselect_env.tasks import Task

if TYPE_CHECKING:
    import numpy as np

Act = Callable[[Reply], Action]
"""Chooses the next action from the last reply; called until a reply is ``done``."""
Start = Callable[[Task, "np.random.Generator"], Act]
"""Called once an episode; all randomness of the policy comes from the generator, so that an episode can be repeated."""

BATCH_SIZE = 10
"""Samples that the constant reference policies ask for in each step."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A way to play.

    Attributes:
        name: What ``get_policy`` and reports call it; the policy's random stream depends on it.
        description: What it does, one sentence.
        start: Called once an episode with the task and a random generator; returns the function from reply to action.
    """

    name: str
    description: str
    start: Start


def constant(name: str, description: str, action: Action) -> Policy:
    """Return the policy that answers every reply with the same action."""

    def start(_task: Task, _rng: np.random.Generator) -> Act:
        return lambda _reply: action

    return Policy(name, description, start)


POLICIES: dict[str, Policy] = {
    policy.name: policy
    for policy in (
        constant(
            "balanced",
            f"Batches of {BATCH_SIZE}: two fifths by uncertainty, two fifths by diversity, one fifth at random.",
            Action.select(BATCH_SIZE, uncertainty=0.4, diversity=0.4, random=0.2),
        ),
        constant("random", f"Batches of {BATCH_SIZE} at random.", Action.select(BATCH_SIZE, random=1)),
        constant("uncertainty", f"Batches of {BATCH_SIZE} by uncertainty.", Action.select(BATCH_SIZE, uncertainty=1)),
        constant("diversity", f"Batches of {BATCH_SIZE} by diversity.", Action.select(BATCH_SIZE, diversity=1)),
        constant("stop", "Stops at once and buys nothing.", Action.stop()),
    )
}
"""The reference policies by name, in the order in which reports list them."""


def get_policy(name: str) -> Policy:
    """Return the reference policy of this name, or a user's own named ``module:attribute``.

    The attribute is a :class:`Policy`, or a function or class that is called as :attr:`Policy.start` is; the first
    line of its docstring describes it. Importing a module runs its code: never pass on a name from a client.

    Raises:
        InvalidInput: There is no such policy, or it cannot be imported or called; the message says which.
    """
    if ":" in name:
        return _load(name)
    policy = POLICIES.get(name)
    if policy is None:
        raise _refusal(f"there is no such policy; choose one of {', '.join(POLICIES)}, or module:attribute")
    return policy


def _load(name: str) -> Policy:
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever a user's module does while it is imported
        raise _refusal(f"could not import the module of {name} ({type(error).__name__}: {error})") from error
    try:
        found = attrgetter(attribute)(module)
    except AttributeError as error:
        raise _refusal(f"module {module_name} has no attribute {attribute!r}") from error
    if isinstance(found, Policy):
        return found
    if not callable(found):
        raise _refusal(f"{name} should be a Policy or a function start(task, rng), not {type(found).__name__}")
    description = (inspect.getdoc(found) or "A policy without a docstring.").splitlines()[0]
    return Policy(name, description, found)


def _refusal(problem: str) -> InvalidInput:
    return InvalidInput(f"policy: {problem}", field="policy")
