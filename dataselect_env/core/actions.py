"""Actions of tasks that offer more query strategies than uncertainty, diversity and random.

The built-in tasks take an :class:`~dataselect_env.core.models.Action`. A task file may offer more; the action of such a
task has a weight for each of them beside the three.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import Field, create_model

from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import Action, StepEnvelope, StepRequest, StrategyWeights, WireModel, parse
from dataselect_env.core.numbers import Weight
from dataselect_env.core.strategies.registry import get_strategy
from dataselect_env.core.tasks import TASKS

ModelT = TypeVar("ModelT", bound=WireModel)


class ExtraWeights(StrategyWeights):
    """Weights of more strategies than three; the fields of the others come with the task."""

    def as_tuple(self) -> tuple[float, ...]:
        """Return the weights in the order of the fields."""
        return tuple(getattr(self, name) for name in type(self).model_fields)


@cache
def with_strategies(model: type[ModelT], extra: tuple[str, ...]) -> type[ModelT]:
    """Return a model of weights that also has those of further strategies."""
    fields: dict[str, Any] = {
        name: (Weight, Field(0.0, description=f"Weight of {name}: {describe(name)}")) for name in extra
    }
    return cast("type[ModelT]", create_model(model.__name__, __base__=model, __doc__=model.__doc__, **fields))


def describe(name: str) -> str:
    """Return what a strategy does, one sentence; nothing of one that is not known here."""
    try:
        return get_strategy(name).description
    except InvalidInput:
        return ""


@cache
def action_model(extra: tuple[str, ...]) -> type[Action]:
    """Return the action of tasks that offer these strategies beside the three."""
    model: type[Action] = _with_weights(Action, extra)
    return model


@cache
def request_models(extra: tuple[str, ...]) -> tuple[type[StepRequest], type[StepEnvelope]]:
    """Return what a step's message may be, bare and wrapped, for tasks that offer these strategies."""
    if not extra:
        return StepRequest, StepEnvelope
    action: Any = (action_model(extra), ...)
    return _with_weights(StepRequest, extra), create_model("StepEnvelope", __base__=StepEnvelope, action=action)


def _with_weights(model: type[Action], extra: tuple[str, ...]) -> Any:
    if not extra:
        return model
    told = "Mix of the query strategies, normalised internally."
    weights: Any = (with_strategies(ExtraWeights, extra), Field(description=told))
    return create_model(model.__name__, __base__=model, __doc__=model.__doc__, strategy_weights=weights)


def weights_of(action: Action, strategies: tuple[str, ...]) -> tuple[float, ...]:
    """Return the weights of an action in the order of the strategies that its task offers.

    Raises:
        InvalidInput: It gives weight to a strategy that is not offered, or to none that is.
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
    """Return an action from its JSON, whatever strategies it names."""
    found = json.loads(text)
    extra = tuple(name for name in found["strategy_weights"] if name not in StrategyWeights.model_fields)
    return parse(action_model(extra), found)


def offered() -> tuple[str, ...]:
    """Return the names of all further strategies that some task offers."""
    return tuple(dict.fromkeys(name for task in TASKS.values() for name in task.extra_strategies))
