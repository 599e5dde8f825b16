"""Wire types: validation, error messages and schemas."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from dataselect_env import DataSelectEnv
from dataselect_env.core import validation
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import (
    Action,
    GraderRequest,
    Observation,
    Reply,
    ResetRequest,
    State,
    StepEnvelope,
    StepRequest,
    StrategyWeights,
)
from dataselect_env.core.validation import WireModel, parse

ACTION: dict[str, Any] = {
    "action_type": "select_batch",
    "batch_size": 10,
    "strategy_weights": {"uncertainty": 0.5, "diversity": 1, "random": 0.0},
}
ACTION_FIELDS = "action_type, batch_size, strategy_weights"
INTEGER, NUMBER = "valid integer", "valid number"


def refusal(model: type[WireModel], data: object) -> InvalidInput:
    with pytest.raises(InvalidInput) as error:
        parse(model, data)
    return error.value


def schema_fields(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return every field of a JSON schema, including fields of nested objects."""
    owners = [schema, *schema.get("$defs", {}).values()]
    return [pair for owner in owners for pair in owner.get("properties", {}).items()]


# --- strictness -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        (True, INTEGER),
        ("7319", INTEGER),
        (7319.5, INTEGER),
        (float("nan"), INTEGER),
        (float("inf"), INTEGER),
        (None, INTEGER),
        ([7319], INTEGER),
        (-7319, "greater than or equal to 0"),
    ],
    ids=repr,
)
def test_batch_size_is_an_integer_from_zero(value: object, allowed: str) -> None:
    error = refusal(Action, ACTION | {"batch_size": value})
    assert error.field == "batch_size"
    assert error.message.startswith("batch_size: ")
    assert allowed in error.message
    assert "7319" not in error.message


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        (True, NUMBER),
        ("7319", NUMBER),
        (None, NUMBER),
        (10**400, NUMBER),
        (float("nan"), "finite number"),
        (float("inf"), "finite number"),
        (float("-inf"), "finite number"),
        (-7319.5, "greater than or equal to 0"),
    ],
    ids=lambda value: repr(value)[:12],
)
def test_weights_are_finite_numbers_from_zero(value: object, allowed: str) -> None:
    for name in StrategyWeights.model_fields:
        error = refusal(Action, ACTION | {"strategy_weights": {"random": 1.0, name: value}})
        assert error.field == f"strategy_weights.{name}"
        assert allowed in error.message
        assert "7319" not in error.message


@pytest.mark.parametrize("weights", [{}, {"random": 0}, {"uncertainty": 0.0, "diversity": -0.0, "random": 0}])
def test_some_weight_must_be_positive(weights: dict[str, float]) -> None:
    error = refusal(Action, ACTION | {"strategy_weights": weights})
    assert error.field == "strategy_weights"
    assert "greater than 0" in error.message


@pytest.mark.parametrize("weight", [5e-324, 1, 1e308])
def test_any_positive_weight_is_enough(weight: float) -> None:
    weights = parse(Action, ACTION | {"strategy_weights": {"diversity": weight}}).strategy_weights
    assert weights.as_tuple() == (0.0, weight, 0.0)


@pytest.mark.parametrize("field", ACTION)
def test_each_field_of_an_action_is_required(field: str) -> None:
    error = refusal(Action, {name: value for name, value in ACTION.items() if name != field})
    assert (error.field, error.message) == (field, f"{field}: Field required")


def test_action_type_is_one_of_two() -> None:
    error = refusal(Action, ACTION | {"action_type": "secret-7319"})
    assert error.field == "action_type"
    assert "'select_batch' or 'stop'" in error.message
    assert "7319" not in error.message


@pytest.mark.parametrize(
    ("model", "data", "field", "allowed"),
    [
        (Action, ACTION | {"greed": 7319}, "greed", ACTION_FIELDS),
        (StepRequest, ACTION | {"greed": 7319}, "greed", ACTION_FIELDS),
        (Action, ACTION | {"strategy_weights": {"greed": 7319}}, "strategy_weights.greed", "uncertainty, diversity"),
        (StepEnvelope, {"action": ACTION | {"greed": 7319}}, "action.greed", ACTION_FIELDS),
        (StepEnvelope, {"action": ACTION, "greed": 7319}, "greed", "action, episode_id"),
        (ResetRequest, {"greed": 7319}, "greed", "task_id, seed, episode_id, reward_mode, split, index"),
        (GraderRequest, {"episode_id": "e", "greed": 7319}, "greed", "episode_id, task_id"),
    ],
)
def test_unknown_fields_are_refused_with_the_known_ones(
    model: type[WireModel], data: dict[str, Any], field: str, allowed: str
) -> None:
    error = refusal(model, data)
    assert error.field == field
    assert f"{field}: unknown field; allowed are {allowed}" in error.message
    assert "7319" not in error.message


@pytest.mark.parametrize("data", [None, [7319], "7319", 7319, True])
def test_only_objects_are_messages(data: object) -> None:
    for model in (Action, ResetRequest, GraderRequest):
        error = refusal(model, data)
        assert (error.field, error.message) == (None, "Input should be a JSON object")


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("seed", True, INTEGER),
        ("seed", "7319", INTEGER),
        ("seed", -7319, "greater than or equal to 0"),
        ("seed", 2**32, "less than 4294967296"),
        ("index", "7319", INTEGER),
        ("index", True, INTEGER),
        ("task_id", 7319, "valid string"),
        ("task_id", "7319" * 20, "at most 64 characters"),
        ("split", "7319" * 20, "at most 64 characters"),
        ("reward_mode", "7319", "'shaped' or 'grade'"),
        ("episode_id", "", "at least 1 character"),
        ("episode_id", "7319" * 64, "at most 255 characters"),
        ("episode_id", "7319\n", "printable"),
        ("episode_id", "\u202e7319", "printable"),
        ("episode_id", "\x007319", "printable"),
        ("episode_id", "7319\ud800", "valid string"),
    ],
)
def test_reset_says_what_it_allows(field: str, value: object, allowed: str) -> None:
    error = refusal(ResetRequest, {field: value})
    assert error.field == field
    assert error.message.startswith(f"{field}: ")
    assert allowed in error.message
    assert "7319" not in error.message.replace("4294967296", "")


def test_every_field_of_a_reset_may_be_left_out_or_null() -> None:
    assert parse(ResetRequest, {}) == parse(ResetRequest, dict.fromkeys(ResetRequest.model_fields))


@pytest.mark.parametrize("episode_id", ["a", "x" * 255, "Märchen 7", "../../etc/passwd"])
def test_any_printable_episode_id_is_accepted(episode_id: str) -> None:
    assert parse(ResetRequest, {"episode_id": episode_id}).episode_id == episode_id


def test_hostile_field_names_are_cut_and_made_printable() -> None:
    error = refusal(Action, ACTION | {"\u202e\n" + "x" * 100_000: 1})
    assert error.field is not None
    assert error.field.startswith("??xxx")
    assert len(error.field) < 100
    assert len(error.message) < 300
    assert error.message.isprintable()


def test_field_names_that_are_no_text_are_refused_in_text() -> None:
    error = refusal(Action, ACTION | {"\ud800": 1})
    assert error.message.isprintable()


def test_a_thousand_problems_make_a_short_message() -> None:
    error = refusal(Action, ACTION | {f"field-{number}": number for number in range(1_000)})
    assert len(error.message) < 1_000


# --- frozen and described -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*ACTION, "something_new"])
def test_a_message_cannot_be_changed(name: str) -> None:
    action = Action.select(10, random=1)
    with pytest.raises(ValidationError):
        setattr(action, name, 1)


def test_short_ways_to_write_an_action() -> None:
    assert Action.select(10, uncertainty=0.5, diversity=1) == parse(Action, ACTION)
    assert Action.stop().action_type == "stop"
    assert parse(Action, Action.stop().model_dump()) == Action.stop()


@pytest.mark.parametrize("model", [Action, Observation, State])
def test_schema_describes_every_field(model: type[WireModel]) -> None:
    fields = schema_fields(model.model_json_schema())
    assert set(model.model_fields) <= {name for name, _ in fields}
    assert [name for name, field in fields if not field.get("description")] == []


def test_fields_are_the_specification() -> None:
    observation = {"remaining_budget", "diversity_score", "noise_estimate", "current_performance", "samples_available"}
    assert set(Action.model_fields) == {*ACTION, "metadata"}
    assert set(StrategyWeights.model_fields) == {"uncertainty", "diversity", "random"}
    assert set(Observation.model_fields) == observation | {"done", "reward", "metadata"}
    assert Action.model_json_schema()["required"] == list(ACTION)


def test_replies_satisfy_their_schemas() -> None:
    env = DataSelectEnv()
    replies = [env.reset(seed=7), env.step(Action.select(10, random=1)), env.step(Action.stop())]
    for model, instances in ((Reply, replies), (State, [env.state])):
        schema = model.model_json_schema(mode="serialization")
        for instance in instances:
            text = instance.model_dump_json()
            jsonschema.validate(json.loads(text), schema)
            assert type(instance).model_validate_json(text) == instance


def test_thousands_of_unknown_names_cost_no_more_than_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes pydantic about a microsecond; 20,000 of them held up the server."""
    validated: list[int] = []
    validate = Action.model_validate

    def count(data: dict[str, Any]) -> Action:
        validated.append(len(data) + len(data.get("strategy_weights", {})))
        return validate(data)

    monkeypatch.setattr(Action, "model_validate", count)
    few, many = ({f"n{place}": 1 for place in range(number)} for number in (10, 20_000))
    refused = [
        [
            refusal(Action, data).body()
            for data in ({**ACTION, **more}, {**ACTION, "strategy_weights": {"random": 1, **more}}, more)
        ]
        for more in (few, many)
    ]
    assert refused[0] == refused[1]
    assert len(validated) == 2 * 3
    assert max(validated) <= len(ACTION) + 3 + validation.MOST_UNKNOWN
