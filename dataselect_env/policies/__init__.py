"""The registry of policies: by name, by group, or a user's own.

A policy of your own is a function (or a class) in any module that can be imported, named ``module:attribute``:

    >>> def thrifty(task, rng):
    ...     '''Buys batches of 5 at random until half of the budget is spent.'''
    ...     def act(reply):
    ...         spent = task.budget - reply.observation.remaining_budget
    ...         return Action.stop() if 2 * spent >= task.budget else Action.select(5, random=1)
    ...     return act
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Iterable
from operator import attrgetter
from typing import TYPE_CHECKING

from dataselect_env.core.actions import action_model
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import Action, parse
from dataselect_env.core.strategies.registry import get_strategy
from dataselect_env.core.tasks import Task
from dataselect_env.policies.degenerate import DEGENERATE_POLICIES
from dataselect_env.policies.learned import ppo, ppo_of
from dataselect_env.policies.oracle import ORACLES
from dataselect_env.policies.policy import Act, AnyPolicy, OraclePolicy, Policy, Start, constant, paced
from dataselect_env.policies.reference import REFERENCE_POLICIES

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "GROUPS",
    "POLICIES",
    "Act",
    "Action",
    "AnyPolicy",
    "OraclePolicy",
    "Policy",
    "Start",
    "constant",
    "expand",
    "get_policy",
    "plays",
]

CONSTANT = "constant:"
"""A policy of this prefix is written out in its name."""

_REFERENCE: tuple[AnyPolicy, ...] = (*REFERENCE_POLICIES, ppo, *ORACLES)
POLICIES: dict[str, AnyPolicy] = {policy.name: policy for policy in (*_REFERENCE, *DEGENERATE_POLICIES)}
"""All policies by name, in the order in which reports list them."""

GROUPS: dict[str, tuple[str, ...]] = {
    "all": tuple(POLICIES),
    "reference": tuple(policy.name for policy in _REFERENCE),
    "ladder": (
        "stop",
        "uncertainty",
        "balanced",
        "random",
        "best-constant",
        "probing",
        "ppo",
        "oracle",
        "greedy-oracle",
    ),
    "degenerate": ("stop", *(policy.name for policy in DEGENERATE_POLICIES)),
}
"""Names by group; the ladder goes from the bottom to the top."""


def expand(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names with every group's name replaced by its members, each once, in order of first mention."""
    return tuple(dict.fromkeys(member for name in names for member in GROUPS.get(name, (name,))))


def get_policy(name: str) -> AnyPolicy:
    """Return the policy of this name, or a user's own named ``module:attribute``.

    The attribute is a :class:`Policy`, or a function or class that is called as :attr:`Policy.start` is; the first
    line of its docstring describes it. Importing a module runs its code: never pass on a name from a client.

    Raises:
        InvalidInput: There is no such policy, or it cannot be imported or called; the message says which.
    """
    if name.startswith(CONSTANT):
        return _constant(name)
    if name.startswith("ppo:"):
        return ppo_of(name.removeprefix("ppo:"))
    if ":" in name:
        return _load(name)
    policy = POLICIES.get(name) or _strategy_alone(name)
    if policy is None:
        near = "".join(f"; did you mean {match}?" for match in difflib.get_close_matches(name, POLICIES, 1))
        raise _refusal(
            f"there is no policy {name!r}{near or '.'} Choose one of {', '.join(GROUPS['reference'])}, "
            "one of the group degenerate, or module:attribute"
        )
    return policy


def plays(name: str, task: Task) -> bool:
    """Return whether a policy can play a task: it may need strategies, or a truth, that the task does not have."""
    policy = get_policy(name)
    if isinstance(policy, OraclePolicy):
        return task.has_ground_truth
    return name in POLICIES or _strategy_alone(name) is None or name in task.extra_strategies


def _strategy_alone(name: str) -> Policy | None:
    """Return the policy that buys by one further strategy alone, None when there is no such strategy."""
    try:
        strategy = get_strategy(name)
    except InvalidInput:
        return None
    return paced(name, f"Even shares of the budget by {name}: {strategy.description}", 0, **{strategy.name: 1.0})


def _constant(name: str) -> Policy:
    """Return the policy ``constant:SIZE:STRATEGY=WEIGHT+...``."""
    _, _, rest = name.partition(":")
    size, _, mix = rest.partition(":")
    try:
        weights = {key: float(value) for key, _, value in (part.partition("=") for part in mix.split("+"))}
        batch_size = int(size)
    except ValueError:
        raise _refusal(f"{name} should look like constant:13:diversity=1+random=0.5") from None

    def start(task: Task, _rng: np.random.Generator) -> Act:
        given = {"uncertainty": 0.0, "diversity": 0.0, "random": 0.0} | weights
        data = {"action_type": "select_batch", "batch_size": batch_size, "strategy_weights": given}
        action = parse(action_model(task.extra_strategies), data)
        return lambda _reply: action

    return Policy(name, f"Always asks for {batch_size} samples, {mix}.", start)


def _load(name: str) -> AnyPolicy:
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever a user's module does while it is imported
        raise _refusal(f"could not import the module of {name} ({type(error).__name__}: {error})") from error
    try:
        found = attrgetter(attribute)(module)
    except AttributeError as error:
        raise _refusal(f"module {module_name} has no attribute {attribute!r}") from error
    if isinstance(found, Policy | OraclePolicy):
        return found
    if not callable(found):
        raise _refusal(f"{name} should be a Policy or a function start(task, rng), not {type(found).__name__}")
    description = (inspect.getdoc(found) or "A policy without a docstring.").splitlines()[0]
    return Policy(name, description, found)


def _refusal(problem: str) -> InvalidInput:
    return InvalidInput(f"policy: {problem}", field="policy")
