"""Records of episodes: what they contain, and what they refuse."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from dataselect_env.core.models import Action
from dataselect_env.core.tasks import TASKS
from dataselect_env.evaluation.evaluate import Plan, evaluate
from dataselect_env.evaluation.records import (
    End,
    EpisodeRecord,
    Header,
    Host,
    RecordedAction,
    Versions,
    record,
    record_schema,
)
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.policies import get_policy
from docs import render_own
from tests.helpers.recording import played, served

MODELS = (Versions, Host, Header, RecordedAction, EpisodeRecord, End)


@pytest.mark.parametrize("model", MODELS)
def test_every_field_is_described(model: type[EpisodeRecord]) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_a_record_names_the_policy_as_the_plan_does() -> None:
    assert record("my:own", rollout(get_policy("stop"), "easy", 3)).key == ("my:own", "easy", 3)


def test_actions_are_those_that_were_played() -> None:
    episode = rollout(get_policy("probing"), "hard", 20_001)
    found = record("probing", episode)
    assert episode.actions is not None
    assert found.actions is not None
    assert len(found.actions) == len(episode.replies) - 1 > 1
    assert tuple(one.as_action() for one in found.actions) == episode.actions


def test_oracles_play_without_actions() -> None:
    assert record("oracle", rollout(get_policy("oracle"), "hard", 3)).actions is None


def test_an_action_keeps_what_counts() -> None:
    action = Action.select(7, diversity=2, random=0)
    assert RecordedAction.of(action).model_dump() == {
        "action_type": "select_batch",
        "batch_size": 7,
        "strategy_weights": {"diversity": 2.0},
    }
    assert RecordedAction.of(Action.stop()).as_action() == Action.stop()


def test_weights_of_extra_strategies_are_kept() -> None:
    name = TASKS["open"].extra_strategies[0]
    found = evaluate(Plan(policies=(name,), tasks=("open",), seeds=(3,)))[0]
    assert found.actions is not None
    assert found.actions[0].strategy_weights == {name: 1.0}
    assert dict(found.actions[0].as_action().strategy_weights)[name] == 1.0


@pytest.mark.parametrize(
    "change",
    [
        {"seed": None},
        {"index": 3},
        {"score": 1.5},
        {"seed": 2**32},
        {"seed": -1},
        {"rewards": []},
        {"actions": []},
        {"curve": []},
        {"curve": [[0, 0.5]]},
        {"index": -1, "seed": None},
        {"unknown": 1},
        {"passed": 1},
    ],
    ids=str,
)
def test_what_no_episode_can_be_is_refused(change: dict[str, Any]) -> None:
    line = json.loads(played("random", seeds=(3, 4))[1][0].model_dump_json())
    EpisodeRecord.model_validate_json(json.dumps(line))
    with pytest.raises(ValidationError):
        EpisodeRecord.model_validate_json(json.dumps({**line, **change}))


def test_the_schema_accepts_every_line() -> None:
    schema = jsonschema.Draft202012Validator(record_schema())
    schema.check_schema(record_schema())
    for header, records in (played("random", "oracle"), served("probing")):
        for line in (header, *records, End(episodes=3, sha256="0" * 64)):
            assert [error.message for error in schema.iter_errors(json.loads(line.model_dump_json()))] == []
    assert not schema.is_valid({"policy": "random"})


def test_the_schema_in_the_docs_is_up_to_date() -> None:
    text = render_own.RECORD_SCHEMA.read_text(encoding="utf-8")
    assert text == render_own.record_schema_text(), "run python -m docs.render"
