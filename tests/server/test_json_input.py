import pytest

from dataselect_env.core.errors import EpisodeOver, InvalidJSON, as_client_error
from dataselect_env.server.json_input import parse_json


@pytest.mark.parametrize(
    ("text", "value"), [("", None), (b" \n", None), ("null", None), ('{"a": [2.5]}', {"a": [2.5]})]
)
def test_json_is_read(text: str | bytes, value: object) -> None:
    assert parse_json(text) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "line 1 column 2"),
        ("[NaN]", "JSON has no NaN"),
        ("[-Infinity]", "JSON has no -Infinity"),
        (b"\xff\xfe\xfd", "not UTF-8"),
        ("9" * 5_000, "too many digits"),
        ('{"a": 1e999}', "too large"),
        ('["\\ud800"]', "surrogate"),
        ("[" * 100_000, "nested too deeply"),
        ("{} {}", "extra data"),
    ],
)
def test_whatever_is_not_json_is_refused_with_the_reason(text: str | bytes, reason: str) -> None:
    with pytest.raises(InvalidJSON, match=reason):
        parse_json(text)


def test_a_client_sees_our_errors_and_nothing_of_defects() -> None:
    ours = EpisodeOver("The episode is over.")
    assert as_client_error(ours) is ours
    told = as_client_error(RuntimeError("password in a path"))
    assert told.code == "INTERNAL_ERROR"
    assert "password" not in told.message
