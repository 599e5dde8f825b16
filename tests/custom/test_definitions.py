"""What a task file may say: every field's bounds, and what contradicts each other."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import ValidationError

from dataselect_env.custom.definitions import BUNDLED, TaskDefinition, TaskFile, file_schema
from tests.helpers.owning import WINE

FILE = {"file": "t.csv", "target": "label"}
GENERATOR: dict[str, Any] = {"generator": {}}
TABLE: dict[str, Any] = {"table": FILE}
SCHEMA = jsonschema.Draft202012Validator(file_schema())


def refused(fields: dict[str, Any]) -> tuple[tuple[int | str, ...], str]:
    """Return where the first mistake of a definition is, and what is said of it."""
    with pytest.raises(ValidationError) as caught:
        TaskDefinition.model_validate(fields)
    first = caught.value.errors()[0]
    return first["loc"], first["msg"]


@pytest.mark.parametrize(
    "fields",
    [
        TABLE,
        GENERATOR,
        *({"table": {"bundled": name}} for name in BUNDLED),
        {"table": {"openml": "credit-g", "version": 1}},
        {"table": {**FILE, "classes": ["no", 1], "columns": ["a"], "categorical": ["a"], "max_rows": 30}},
        {"table": {**FILE, "true_target": "truth"}},
        {"generator": {"n_classes": 3, "class_shares": [0.5, 0.25, 0.25]}},
        {**TABLE, "noise": {"uniform": 0}},
        {**TABLE, "noise": {"unknown": 0.49}},
        {**TABLE, "noise": {"confusion": {"a": {"b": 0.5, "c": 0.5}}}},
        {**TABLE, "noise": {"instance": {"rate": 0.2, "where": "fringe", "sharpness": 0}}},
        {**TABLE, "noise": {"annotators": {"a": {"rate": 0.1, "share": 0.25}, "b": {"rate": 0.2, "share": 0.75}}}},
        {**TABLE, "noise": {"annotators": {"a": {"rate": 0.1}}}},
        {**TABLE, "score": {"weights": {"performance": 0.2, "noise": 0.3, "efficiency": 0.5}}},
        {**TABLE, "noise": {"unknown": 0.1}, "score": {"weights": {"performance": 0.5, "efficiency": 0.5}}},
        {**TABLE, "budget": 5, "min_batch": 1, "max_batch": 1},
        {**TABLE, "budget": 50.0, "split": {"seed": 1e2}, "learner": {"warm_up_passes": 3.0}},
        {"table": {**FILE, "classes": [0.0, 1]}},
        {**TABLE, "split": {"pool": 100}, "budget": 100},
    ],
    ids=str,
)
def test_what_makes_sense_is_taken(fields: dict[str, Any]) -> None:
    TaskDefinition.model_validate(fields)
    assert SCHEMA.is_valid({"tasks": {"mine": fields}})


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"budget": 4}, ("budget",)),
        ({"budget": "50"}, ("budget",)),
        ({"budget": 50.5}, ("budget",)),
        ({"budget": True}, ("budget",)),
        ({"budget": None}, ("budget",)),
        ({"max_steps": 0}, ("max_steps",)),
        ({"max_steps": 1_001}, ("max_steps",)),
        ({"min_batch": 0}, ("min_batch",)),
        ({"max_batch": 0}, ("max_batch",)),
        ({"mixing": "votes"}, ("mixing",)),
        ({"noise_trap": 1}, ("noise_trap",)),
        ({"strategies": "margin"}, ("strategies",)),
        ({"strategies": [1]}, ("strategies", 0)),
        ({"summary": "x" * 301}, ("summary",)),
        ({"stepz": 3}, ("stepz",)),
        ({"split": {"seed": 1}}, ("split", "seed")),
        ({"split": {"validation": 9}}, ("split", "validation")),
        ({"split": {"pool": 4}}, ("split", "pool")),
        ({"noise": {"uniform": 0.5}}, ("noise", "uniform")),
        ({"noise": {"uniform": -0.1}}, ("noise", "uniform")),
        ({"noise": {"uniform": float("nan")}}, ("noise", "uniform")),
        ({"noise": {"unknown": 0.5}}, ("noise", "unknown")),
        ({"noise": {"confusion": {}}}, ("noise", "confusion")),
        ({"noise": {"confusion": {"a": {"b": 1.1}}}}, ("noise", "confusion", "a", "b")),
        ({"noise": {"instance": {"rate": 0.5}}}, ("noise", "instance", "rate")),
        ({"noise": {"instance": {"rate": 0.1, "where": "edge"}}}, ("noise", "instance", "where")),
        ({"noise": {"instance": {"rate": 0.1, "sharpness": 101}}}, ("noise", "instance", "sharpness")),
        ({"noise": {"annotators": {}}}, ("noise", "annotators")),
        ({"noise": {"annotators": {"a": {"rate": 0.1, "share": 0}}}}, ("noise", "annotators", "a", "share")),
        ({"learner": {"alpha": 0}}, ("learner", "alpha")),
        ({"learner": {"warm_up_passes": 0}}, ("learner", "warm_up_passes")),
        ({"score": {"metric": "accuracy"}}, ("score", "metric")),
        ({"score": {"performance_range": [0.5]}}, ("score", "performance_range")),
        ({"score": {"performance_range": [0.5, 1.5]}}, ("score", "performance_range", 1)),
        ({"score": {"passes": {"performance": 2}}}, ("score", "passes", "performance")),
        ({"score": {"weights": {"performance": -1}}}, ("score", "weights", "performance")),
        ({"table": {**FILE, "file": ""}}, ("table", "file")),
        ({"table": {**FILE, "classes": ["one"]}}, ("table", "classes")),
        ({"table": {**FILE, "columns": []}}, ("table", "columns")),
        ({"table": {**FILE, "max_rows": 29}}, ("table", "max_rows")),
        ({"table": {"bundled": "iris"}}, ("table", "bundled")),
        ({"table": {"openml": "x", "version": 0}}, ("table", "version")),
    ],
    ids=str,
)
def test_what_does_not_fit_is_told_with_its_place(change: dict[str, Any], place: tuple[int | str, ...]) -> None:
    assert refused({**TABLE, **change})[0] == place


@pytest.mark.parametrize(
    ("fields", "place", "words"),
    [
        ({}, (), "one of table, generator"),
        ({**TABLE, **GENERATOR}, (), "one of table, generator"),
        ({"table": {}}, ("table",), "one of file, bundled, openml"),
        ({"table": {**FILE, "bundled": "wine"}}, ("table",), "one of file, bundled, openml"),
        ({"table": {"file": "t.csv"}}, ("table",), "target"),
        ({"table": {**FILE, "version": 1}}, ("table",), "version"),
        ({"table": {"bundled": "wine", "target": "x"}}, ("table",), "its own labels"),
        ({"table": {"bundled": "wine", "annotator": "x"}}, ("table",), "its own labels"),
        ({"generator": {"n_features": 10, "n_informative": 8, "n_redundant": 3}}, ("generator",), "n_features"),
        ({"generator": {"n_informative": 2, "n_classes": 5}}, ("generator",), "2 to the power"),
        ({"generator": {"class_shares": [1.0]}}, ("generator",), "class_shares"),
        ({"generator": {"class_shares": [0.5, 0.4]}}, ("generator",), "class_shares"),
        ({"generator": {"class_shares": [1.0, 0.0]}}, ("generator",), "class_shares"),
        ({**TABLE, "noise": {}}, ("noise",), "one of uniform"),
        ({**TABLE, "noise": {"uniform": 0.1, "unknown": 0.1}}, ("noise",), "one of uniform"),
        ({**TABLE, "noise": {"confusion": {"a": {"b": 0.6, "c": 0.6}}}}, ("noise",), "class a exceed 1"),
        ({**TABLE, "noise": {"confusion": {"a": {"a": 0.1}}}}, ("noise",), "leave it out"),
        ({**TABLE, "noise": {"annotators": {"a": {"rate": 0.1, "share": 0.9}}}}, ("noise",), "add up to 1"),
        (
            {**TABLE, "noise": {"annotators": {"a": {"rate": 0.1, "share": 1}, "b": {"rate": 0.1}}}},
            ("noise",),
            "add up to 1",
        ),
        ({**TABLE, "score": {"weights": {"performance": 0.9}}}, ("score", "weights"), "add up to 1"),
        ({**TABLE, "score": {"performance_range": [0.6, 0.6]}}, ("score",), "should rise"),
        ({**TABLE, "budget": 10, "min_batch": 11}, (), "min_batch should not exceed the budget"),
        ({**TABLE, "min_batch": 10, "max_batch": 9}, (), "max_batch should be at least min_batch"),
        ({**TABLE, "split": {"pool": 99}}, (), "budget should not exceed split.pool"),
        ({"table": {**FILE, "true_target": "t"}, "noise": {"uniform": 0.1}}, (), "leave noise out"),
        ({**GENERATOR, "noise": {"unknown": 0.1}}, (), "noise.unknown is for tables"),
        (
            {
                **TABLE,
                "noise": {"unknown": 0.1},
                "score": {"weights": {"performance": 0.5, "noise": 0.5}},
            },
            (),
            "Without ground truth",
        ),
        (
            {**TABLE, "noise": {"unknown": 0.1}, "score": {"passes": {"noise": 0.2}}},
            (),
            "Without ground truth",
        ),
        ({**TABLE, "audited": False, "score": {"passes": {"noise": 0.2}}}, (), "Without an audit, neither"),
        ({**TABLE, "audited": False, "score": {"weights": {"performance": 0.5, "noise": 0.5}}}, (), "Without an audit"),
    ],
    ids=str,
)
def test_what_contradicts_itself_is_told(fields: dict[str, Any], place: tuple[int | str, ...], words: str) -> None:
    found, message = refused(fields)
    assert found == place
    assert words in message


@pytest.mark.parametrize(
    ("noise", "known"), [(None, True), ({"uniform": 0.1}, True), ({"unknown": 0.0}, False), ({"unknown": 0.2}, False)]
)
def test_the_truth_is_unknown_only_where_it_is_said(noise: dict[str, Any] | None, known: bool) -> None:
    assert TaskDefinition.model_validate({**TABLE, "noise": noise}).has_ground_truth is known


@pytest.mark.parametrize("name", ["a", "0", "a-b_c", "x" * 64])
def test_names_of_tasks(name: str) -> None:
    assert list(TaskFile.model_validate({"tasks": {name: WINE}}).tasks) == [name]


@pytest.mark.parametrize("name", ["", "A", "a b", "-a", "_a", "ä", "a\n", "x" * 65])
def test_what_is_no_name_of_a_task(name: str) -> None:
    with pytest.raises(ValidationError):
        TaskFile.model_validate({"tasks": {name: WINE}})


def test_a_file_without_tasks_is_none() -> None:
    with pytest.raises(ValidationError):
        TaskFile.model_validate({"tasks": {}})


# --- the published schema -------------------------------------------------------------------------------------------


def accepted(text: str) -> bool:
    return bool(SCHEMA.is_valid(yaml.safe_load(text)))


def test_the_schema_is_one_and_every_field_has_a_description() -> None:
    schema = file_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for name, part in {"TaskFile": schema, **schema["$defs"]}.items():
        for field, told in part["properties"].items():
            assert told.get("description") or "$ref" in told, f"{name}.{field}"
        assert part["additionalProperties"] is False, name


def test_an_editor_with_the_schema_tells_right_from_wrong() -> None:
    right = "tasks: {mine: {table: {bundled: wine}, noise: {uniform: 0.2}, budget: 40}}"
    assert accepted(right)
    assert accepted("tasks: {mine: {generator: {n_classes: 3}, strategies: [margin]}}")
    for old, new in (("budget", "bugdet"), ("40", "4"), ("40", "many"), ("wine", "beer"), ("0.2", "0.5")):
        assert not accepted(right.replace(old, new)), new
