"""Numbers of any numeric type are accepted; booleans and strings are not."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from dataselect_env import Action, DataSelectEnv
from dataselect_env.core.actions import action_model
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import ResetRequest
from dataselect_env.core.validation import parse

SEVENS = (7, 7.0, np.int8(7), np.int64(7), np.uint32(7), np.float64(7), np.float32(7), np.array(7), Fraction(14, 2))


@pytest.mark.parametrize("seven", SEVENS, ids=repr)
def test_integers_of_any_type(seven: Any) -> None:
    action = Action.select(seven, random=1)
    assert (action.batch_size, type(action.batch_size)) == (7, int)
    request = parse(ResetRequest, {"seed": seven, "index": seven, "split": "test"})
    assert (request.seed, request.index, type(request.seed)) == (7, 7, int)
    assert DataSelectEnv().reset(seed=seven).seed == 7


NO_INTEGERS = (
    *(True, np.True_, "7", 7.5, float("nan"), float("inf"), [7], np.float32(7.5), None),
    *(np.array([7]), np.array([7, 8]), Fraction(10**400, 3)),
)


@pytest.mark.parametrize("value", NO_INTEGERS, ids=repr)
def test_what_is_no_integer(value: Any) -> None:
    action = {"action_type": "select_batch", "batch_size": value, "strategy_weights": {"random": 1}}
    with pytest.raises(InvalidInput, match="batch_size"):
        parse(Action, action)


@pytest.mark.parametrize("half", [0.5, np.float32(0.5), np.float16(0.5), Fraction(1, 2)], ids=repr)
@pytest.mark.parametrize("model", [Action, action_model(("margin",))])
def test_weights_of_any_type(model: type[Action], half: Any) -> None:
    weights = model.select(7, diversity=half, uncertainty=np.float64(1)).strategy_weights
    assert (weights.diversity, weights.uncertainty) == (0.5, 1.0)
    assert type(weights.diversity) is type(weights.uncertainty) is float


@pytest.mark.parametrize(
    "value", [True, np.True_, "1", None, [1], 10**400, -1, float("inf")], ids=lambda one: repr(one)[:9]
)
def test_what_is_no_weight(value: Any) -> None:
    action = {"action_type": "select_batch", "batch_size": 7, "strategy_weights": {"random": value, "diversity": 1}}
    with pytest.raises(InvalidInput, match=r"strategy_weights\.random"):
        parse(Action, action)


def test_a_stop_needs_no_other_field() -> None:
    assert parse(Action, {"action_type": "stop"}) == Action.stop()
    env = DataSelectEnv()
    env.reset(seed=1)
    assert env.step({"action_type": "stop"}).done
    with pytest.raises(InvalidInput, match="batch_size"):
        parse(Action, {"action_type": "select_batch"})
    with pytest.raises(InvalidInput, match="batch_size"):
        parse(Action, {"action_type": "stop", "batch_size": -1})
    assert set(Action.model_json_schema()["required"]) == {"action_type", "batch_size", "strategy_weights"}
