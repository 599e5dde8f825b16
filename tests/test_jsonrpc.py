import pytest

from dataselect_env import jsonrpc


def test_tools_can_be_listed() -> None:
    request = {"jsonrpc": "2.0", "id": "a", "method": "tools/list", "params": {}}
    assert jsonrpc.answer(request) == {"jsonrpc": "2.0", "id": "a", "result": {"tools": []}}


def test_a_notification_gets_no_answer() -> None:
    assert jsonrpc.answer({"jsonrpc": "2.0", "method": "notifications/initialized"}) is None


@pytest.mark.parametrize(
    ("request_", "code", "request_id"),
    [
        (None, jsonrpc.INVALID_REQUEST, None),
        ([], jsonrpc.INVALID_REQUEST, None),
        ({}, jsonrpc.INVALID_REQUEST, None),
        ({"jsonrpc": "1.0", "id": 1, "method": "tools/list"}, jsonrpc.INVALID_REQUEST, 1),
        ({"jsonrpc": "2.0", "id": 1, "method": 5}, jsonrpc.INVALID_REQUEST, 1),
        ({"jsonrpc": "2.0", "id": [1], "method": "tools/list"}, jsonrpc.INVALID_REQUEST, None),
        ({"jsonrpc": "2.0", "id": True, "method": "tools/list"}, jsonrpc.INVALID_REQUEST, None),
        ({"jsonrpc": "2.0", "id": 1, "method": "tools/call"}, jsonrpc.METHOD_NOT_FOUND, 1),
    ],
)
def test_other_requests_get_an_error_with_their_id(request_: object, code: int, request_id: object) -> None:
    answer = jsonrpc.answer(request_)
    assert answer is not None
    assert answer["jsonrpc"] == "2.0"
    assert answer["id"] == request_id
    assert answer["error"]["code"] == code
