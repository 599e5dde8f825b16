"""Actions of tasks that offer extra strategies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataselect_env.core.actions import (
    action_model,
    describe,
    offered,
    request_models,
    stored_action,
    weights_of,
)
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import Action, StepEnvelope, StepRequest
from dataselect_env.core.strategies.sampling import STRATEGIES
from dataselect_env.core.tasks import TASKS
from dataselect_env.core.validation import parse
from tests.helpers.owning import FURTHER, WINE, forgotten
from tests.helpers.owning import offered as offer

TWO = ("margin", "k_center")
WEIGHT = st.floats(0, 1e6)


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    with forgotten():
        yield


def message(**weights: float) -> dict[str, Any]:
    return {"action_type": "select_batch", "batch_size": 9, "strategy_weights": weights}


def test_the_action_of_the_built_in_tasks_does_not_change() -> None:
    assert action_model(()) is Action
    assert request_models(()) == (StepRequest, StepEnvelope)
    before = Action.model_json_schema()
    offer(**WINE, strategies=FURTHER)
    action_model(tuple(FURTHER))
    assert Action.model_json_schema() == before


def test_a_further_strategy_has_a_weight_that_says_what_it_does() -> None:
    model = action_model(TWO)
    schema = model.model_json_schema()
    weights = next(one for one in schema["$defs"].values() if "margin" in one["properties"])
    assert list(weights["properties"]) == [*STRATEGIES, *TWO]
    assert describe("margin") in weights["properties"]["margin"]["description"]
    assert schema["title"] == Action.model_json_schema()["title"]
    assert issubclass(model, Action)


def test_a_strategy_that_is_not_known_has_no_description() -> None:
    assert describe("margin")
    assert describe("nonsense") == ""


def test_models_are_made_once() -> None:
    assert action_model(TWO) is action_model(("margin", "k_center"))
    assert action_model(TWO).select(9, margin=1) == parse(action_model(TWO), message(margin=1.0))


@pytest.mark.parametrize(
    ("weights", "field"),
    [
        ({"margin": -1.0}, "strategy_weights.margin"),
        ({"margin": float("nan")}, "strategy_weights.margin"),
        ({"margin": float("inf")}, "strategy_weights.margin"),
        ({"margin": "1"}, "strategy_weights.margin"),
        ({"margin": 0.0}, "strategy_weights"),
        ({}, "strategy_weights"),
        ({"margn": 1.0}, "strategy_weights.margn"),
        ({"density_weighted": 1.0}, "strategy_weights.density_weighted"),
    ],
    ids=str,
)
def test_weights_that_are_none_are_refused_with_their_field(weights: dict[str, Any], field: str) -> None:
    for model in (action_model(TWO), request_models(TWO)[0]):
        with pytest.raises(InvalidInput) as caught:
            parse(model, message(**weights))
        assert caught.value.field == field
    with pytest.raises(InvalidInput) as caught:
        parse(request_models(TWO)[1], {"action": message(**weights)})
    assert caught.value.field == f"action.{field}"


def test_the_refusal_of_an_unknown_weight_names_those_there_are() -> None:
    with pytest.raises(InvalidInput, match=r"strategy_weights\.margn: .*uncertainty, diversity, random, margin, k_cen"):
        parse(action_model(TWO), message(margn=1.0))


@given(extra=st.permutations(FURTHER), count=st.integers(1, 4), data=st.data())
def test_weights_go_to_their_strategies_whatever_the_order(extra: list[str], count: int, data: st.DataObject) -> None:
    names = (*STRATEGIES, *extra[:count])
    given_weights = data.draw(st.dictionaries(st.sampled_from(names), WEIGHT, min_size=1))
    if not any(given_weights.values()):
        given_weights[names[-1]] = 1.0
    action = action_model(tuple(extra[:count])).select(9, **given_weights)
    expected = tuple(given_weights.get(name, 0.0) for name in names)
    assert weights_of(action, names) == expected
    swapped = (*STRATEGIES, *reversed(extra))  # another task with the same strategies in another order
    assert dict(zip(swapped, weights_of(action, swapped), strict=True)) == {
        name: given_weights.get(name, 0.0) for name in swapped
    }
    stored = stored_action(action.model_dump_json(exclude={"metadata"}))
    assert type(stored) is type(action)
    assert stored == action


def test_a_built_in_action_has_three_weights_on_every_task() -> None:
    action = Action.select(5, diversity=2, random=1)
    assert weights_of(action, STRATEGIES) == (0.0, 2.0, 1.0)
    assert weights_of(action, (*STRATEGIES, *TWO)) == (0.0, 2.0, 1.0)
    assert stored_action(action.model_dump_json()) == action
    assert type(stored_action(action.model_dump_json())) is Action


def test_weight_for_a_strategy_that_is_not_offered_is_refused() -> None:
    action = action_model(TWO).select(5, random=1, k_center=1)
    with pytest.raises(InvalidInput, match=r"allowed are uncertainty, diversity, random, margin$") as caught:
        weights_of(action, (*STRATEGIES, "margin"))
    assert caught.value.field == "strategy_weights.k_center"
    without = action_model(TWO).select(5, random=1, k_center=0)
    assert weights_of(without, (*STRATEGIES, "margin")) == (0.0, 0.0, 1.0, 0.0)


def test_stop_is_an_action_of_every_task() -> None:
    for extra in ((), TWO):
        stop = action_model(extra).stop()
        assert type(stop) is action_model(extra)
        assert stop.action_type == "stop"


def test_all_further_strategies_of_all_tasks_are_known_once() -> None:
    own = TASKS["open"].extra_strategies
    assert offered() == own
    offer("mine", **WINE, strategies=["margin", "k_center"])
    offer("yours", **WINE, strategies=["cluster_medoid", "margin"])
    assert offered() == (*own, "margin", "k_center", "cluster_medoid")
