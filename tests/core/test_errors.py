"""Errors: stable codes, matching statuses, one body."""

from __future__ import annotations

import pytest

from dataselect_env.core import errors
from dataselect_env.core.errors import EnvError
from dataselect_env.core.models import ErrorBody

MISTAKES = [kind for kind in EnvError.__subclasses__() if kind.__module__ == errors.__name__]
SERVER_FAULTS = {"CAPACITY_REACHED", "SERVER_STOPPING", "STORE_UNAVAILABLE", "INTERNAL_ERROR"}
PUBLISHED = {
    "INVALID_JSON": 400,
    "UNKNOWN_TYPE": 400,
    "VALIDATION_ERROR": 422,
    "UNKNOWN_TASK": 404,
    "UNKNOWN_SPLIT": 404,
    "TASK_INDEX_OUT_OF_RANGE": 400,
    "NO_EPISODE": 409,
    "EPISODE_OVER": 409,
    "EPISODE_RUNNING": 409,
    "EPISODE_EXISTS": 409,
    "EPISODE_NOT_FOUND": 404,
    "TASK_MISMATCH": 409,
    "DYNAMICS_MISMATCH": 409,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "MALFORMED_REQUEST": 400,
    "URI_TOO_LONG": 414,
    "HEADERS_TOO_LARGE": 431,
    "REQUEST_TIMEOUT": 408,
    "SESSION_IDLE": 408,
    "SESSION_EXPIRED": 408,
    "PAYLOAD_TOO_LARGE": 413,
    "UNAUTHORIZED": 401,
    "FORBIDDEN_ORIGIN": 403,
    "FORBIDDEN_HOST": 403,
    "TOO_MANY_REQUESTS": 429,
    "SERVER_STOPPING": 503,
    "CAPACITY_REACHED": 503,
    "STORE_UNAVAILABLE": 503,
    "INTERNAL_ERROR": 500,
}
"""Published codes: none may change or be removed; others may be added."""


def test_published_codes_keep_their_status() -> None:
    statuses = {mistake.code: mistake.status for mistake in MISTAKES}
    assert {code: statuses.get(code) for code in PUBLISHED} == PUBLISHED


def test_each_mistake_has_a_code_of_its_own() -> None:
    codes = [mistake.code for mistake in MISTAKES]
    assert sorted(codes) == sorted(set(codes))


def test_only_server_faults_have_a_server_status() -> None:
    assert {mistake.code for mistake in MISTAKES if 500 <= mistake.status < 600} == SERVER_FAULTS
    assert all(400 <= mistake.status < 500 for mistake in MISTAKES if mistake.code not in SERVER_FAULTS)


def test_each_mistake_says_what_it_is() -> None:
    for mistake in MISTAKES:
        assert (mistake.__doc__ or "") not in {"", EnvError.__doc__}, mistake.code


@pytest.mark.parametrize("field", [None, "strategy_weights.random"])
def test_body_is_the_one_shape(field: str | None) -> None:
    for mistake in MISTAKES:
        error = mistake("Something is wrong.", field=field)
        assert error.body() == {"code": mistake.code, "message": "Something is wrong.", "field": field}
        assert ErrorBody.model_validate(error.body()).model_dump() == error.body()


def test_an_error_reads_as_its_message() -> None:
    assert str(errors.UnknownTask("no such task")) == "no such task"
