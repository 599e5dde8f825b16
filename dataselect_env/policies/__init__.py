"""Registry of policies: by name, by group, or a user's own.

Your own policy is a function or a class in any module that can be imported, under the name ``module:attribute``:

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
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING

from dataselect_env.core.actions import action_model
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import Action, StrategyWeights
from dataselect_env.core.strategies.registry import get_strategy
from dataselect_env.core.tasks import Task
from dataselect_env.core.validation import parse
from dataselect_env.policies.degenerate import DEGENERATE_POLICIES
from dataselect_env.policies.learned import ppo, ppo_of
from dataselect_env.policies.oracle import ORACLES
from dataselect_env.policies.policy import Act, AnyPolicy, OraclePolicy, Policy, Start, constant, paced
from dataselect_env.policies.reference import REFERENCE_POLICIES
from dataselect_env.policies.scorer import general

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
    "constant_name",
    "expand",
    "get_policy",
    "own_module",
    "plays",
]

_REFERENCE: tuple[AnyPolicy, ...] = (*REFERENCE_POLICIES, ppo, general, *ORACLES)
POLICIES: dict[str, AnyPolicy] = {policy.name: policy for policy in (*_REFERENCE, *DEGENERATE_POLICIES)}
"""All policies by name, in the order of reports."""

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
"""Names by group; the ladder goes from its lowest rung to its highest."""


def expand(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names with each group replaced by its members, without repetitions, in order of first mention."""
    return tuple(dict.fromkeys(member for name in names for member in GROUPS.get(name, (name,))))


def get_policy(name: str) -> AnyPolicy:
    """Return a policy by its name.

    Args:
        name: One of

            - a name of ``POLICIES``;
            - ``constant:SIZE:STRATEGY=WEIGHT+...``, such as ``constant:13:diversity=1+random=0.5``;
            - ``ppo:TASK``, the network trained on a built-in task;
            - a query strategy that a task may offer, for the policy that buys by it alone;
            - ``module:attribute``, a user's own: a :class:`Policy`, or a function or class that is called like
              :attr:`Policy.start`, described by the first line of its docstring. Importing a module runs its code, so
              never pass on a name from a client.

    Raises:
        InvalidInput: There is no such policy, or it cannot be imported or called; the message says which.
    """
    prefix, colon, rest = name.partition(":")
    if colon:
        return FAMILIES[prefix](rest) if prefix in FAMILIES else _load(name)
    if name in POLICIES:
        return POLICIES[name]
    with suppress(InvalidInput):
        return _strategy_alone(name)
    near = "".join(f"; did you mean {match}?" for match in difflib.get_close_matches(name, POLICIES, 1))
    raise _refusal(
        f"there is no policy {name!r}{near or '.'} Choose one of {', '.join(GROUPS['reference'])}, "
        "one of the group degenerate, or module:attribute"
    )


def own_module(name: str) -> str | None:
    """Return the module of a policy ``module:attribute``; None for every other policy."""
    prefix, colon, _ = name.partition(":")
    return prefix if colon and prefix not in FAMILIES else None


def plays(name: str, task: Task) -> bool:
    """Return whether a policy can play a task, which must offer the strategies or the ground truth that it needs."""
    policy = get_policy(name)
    if isinstance(policy, OraclePolicy):
        return task.has_ground_truth
    return set(policy.needs) <= set(task.extra_strategies)


def constant_name(batch_size: int | str, weights: Mapping[str, float]) -> str:
    """Return the name under which :func:`get_policy` returns the policy that always buys this.

    Args:
        batch_size: Samples, or text such as ``1.5x``: so many times an even share of the budget for each step.
        weights: Weights by strategy.
    """
    return f"constant:{batch_size}:{'+'.join(f'{name}={weight:g}' for name, weight in weights.items())}"


def _constant(text: str) -> Policy:
    """Return the policy ``constant:`` and ``text``, which is ``SIZE:STRATEGY=WEIGHT+...``."""
    size, _, mix = text.partition(":")
    try:
        weights = {key: float(value) for key, _, value in (part.partition("=") for part in mix.split("+"))}
        shares = float(size[:-1]) if size.endswith("x") else None
        batch_size = 0 if shares is not None else int(size)
        if shares is not None and not 0 < shares < math.inf:
            raise ValueError(size)
    except ValueError:
        raise _refusal(
            f"constant:{text} should look like constant:13:diversity=1+random=0.5, or constant:1.5x:random=1 for 1.5"
            " even shares of the budget"
        ) from None

    def start(task: Task, _rng: np.random.Generator) -> Act:
        given = dict.fromkeys(StrategyWeights.model_fields, 0.0) | weights
        wanted = batch_size if shares is None else max(task.min_batch, round(shares * task.budget / task.max_steps))
        data = {"action_type": "select_batch", "batch_size": wanted, "strategy_weights": given}
        action = parse(action_model(task.extra_strategies), data)
        return lambda _reply: action

    how = f"Batches of {batch_size}" if shares is None else f"Batches of {shares:g} even shares of the budget"
    return Policy(f"constant:{text}", f"{how}: {mix}.", start)


FAMILIES: dict[str, Callable[[str], Policy]] = {"constant": _constant, "ppo": ppo_of}
"""Functions from the rest of a name to the policy, by the prefix before its colon."""


def _strategy_alone(name: str) -> Policy:
    """Return the policy that buys by one extra strategy alone."""
    strategy = get_strategy(name)
    text = f"Even shares of the budget by {name}: {strategy.description}"
    return replace(paced(name, text, 0, **{strategy.name: 1.0}), needs=(strategy.name,))


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
