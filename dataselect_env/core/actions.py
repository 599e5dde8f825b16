"""Actions of tasks that offer more query strategies than uncertainty, diversity and random.

The action of such a task is an :class:`~dataselect_env.core.models.Action` with a weight for each extra strategy too.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import Field, create_model

from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import Action, StepEnvelope, StepRequest, StrategyWeights
from dataselect_env.core.numbers import Weight
from dataselect_env.core.strategies.registry import get_strategy
from dataselect_env.core.tasks import TASKS
from dataselect_env.core.validation import WireModel, parse

ModelT = TypeVar("ModelT", bound=WireModel)


class ExtraWeights(StrategyWeights):
    """Weights of the base strategies and of extra ones, whose fields depend on the task."""

    def as_tuple(self) -> tuple[float, ...]:
        """Return the weights in the order of the fields."""
        return tuple(getattr(self, name) for name in type(self).model_fields)


@cache
def with_strategies(model: type[ModelT], extra: tuple[str, ...]) -> type[ModelT]:
    """Return ``model`` with a weight for each extra strategy."""
    fields: dict[str, Any] = {
        name: (Weight, Field(0.0, description=f"Weight of {name}: {describe(name)}")) for name in extra
    }
    return cast("type[ModelT]", create_model(model.__name__, __base__=model, __doc__=model.__doc__, **fields))


def describe(name: str) -> str:
    """Return the description of a strategy, one sentence; empty if this process does not know it."""
    try:
        return get_strategy(name).description
    except InvalidInput:
        return ""


@cache
def action_model(extra: tuple[str, ...]) -> type[Action]:
    """Return the type of action of tasks that offer these extra strategies."""
    model: type[Action] = _with_weights(Action, extra)
    return model


@cache
def request_models(extra: tuple[str, ...]) -> tuple[type[StepRequest], type[StepEnvelope]]:
    """Return the two types of a step request, bare and wrapped, for tasks that offer these extra strategies."""
    if not extra:
        return StepRequest, StepEnvelope
    action: Any = (action_model(extra), ...)
    return _with_weights(StepRequest, extra), create_model("StepEnvelope", __base__=StepEnvelope, action=action)


def _with_weights(model: type[Action], extra: tuple[str, ...]) -> Any:
    if not extra:
        return model
    description = "Mix of the query strategies, normalised internally."
    weights: Any = (with_strategies(ExtraWeights, extra), Field(description=description))
    return create_model(model.__name__, __base__=model, __doc__=model.__doc__, strategy_weights=weights)


def weights_of(action: Action, strategies: tuple[str, ...]) -> tuple[float, ...]:
    """Return the weights of an action in the order of the given strategies.

    Raises:
        InvalidInput: It gives weight to a strategy that is not among them.
    """
    weights = action.strategy_weights
    if type(weights) is StrategyWeights:
        return weights.as_tuple()
    given = {name: value for name, value in weights if value}
    unknown = sorted(given.keys() - set(strategies))
    if unknown:
        raise InvalidInput(
            f"strategy_weights.{unknown[0]}: this task does not offer it; allowed are {', '.join(strategies)}",
            field=f"strategy_weights.{unknown[0]}",
        )
    return tuple(given.get(name, 0.0) for name in strategies)


def stored_action(text: str) -> Action:
    """Return an action from its stored JSON, whatever strategies it names."""
    found = json.loads(text)
    extra = tuple(name for name in found["strategy_weights"] if name not in StrategyWeights.model_fields)
    return parse(action_model(extra), found)


def offered() -> tuple[str, ...]:
    """Return the names of all extra strategies that some task offers."""
    return tuple(dict.fromkeys(name for task in TASKS.values() for name in task.extra_strategies))
