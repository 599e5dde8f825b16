"""Records of episodes, and how numbers are rounded in them."""

from __future__ import annotations

import pytest

from dataselect_env.evaluation.journal import EpisodeRecord, Versions, record
from dataselect_env.evaluation.ladder import Row, rounded
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.policies import get_policy


def test_rounded_keeps_everything_but_digits() -> None:
    assert rounded({"a": 1 / 3, "b": [2, None, "x", 1e-9 / 3], "c": True}) == {
        "a": 0.333333,
        "b": (2, None, "x", 3.33333e-10),
        "c": True,
    }


@pytest.mark.parametrize("model", [Row, EpisodeRecord, Versions])
def test_every_field_is_described(model: type[Row | EpisodeRecord | Versions]) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_a_record_names_the_policy_as_the_plan_does() -> None:
    assert record("my:own", rollout(get_policy("stop"), "easy", 3)).key == ("my:own", "easy", 3)
