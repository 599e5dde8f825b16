import pytest

from dataselect_env.server.mcp import jsonrpc
from dataselect_env.server.mcp.jsonrpc import RpcError


def test_a_request_is_read_with_its_parameters() -> None:
    request = jsonrpc.read({"jsonrpc": "2.0", "id": "a", "method": "tools/list", "params": {"x": 1}})
    assert (request.method, request.params, request.is_notification) == ("tools/list", {"x": 1}, False)
    assert request.result({"y": 2}) == {"jsonrpc": "2.0", "id": "a", "result": {"y": 2}}


def test_a_notification_is_told_from_a_request_whose_id_is_null() -> None:
    assert jsonrpc.read({"jsonrpc": "2.0", "method": "ping"}).is_notification
    assert not jsonrpc.read({"jsonrpc": "2.0", "id": None, "method": "ping"}).is_notification


@pytest.mark.parametrize(
    ("message", "code", "request_id"),
    [
        (None, jsonrpc.INVALID_REQUEST, None),
        ([], jsonrpc.INVALID_REQUEST, None),
        ({}, jsonrpc.INVALID_REQUEST, None),
        ({"jsonrpc": "1.0", "id": 1, "method": "tools/list"}, jsonrpc.INVALID_REQUEST, 1),
        ({"jsonrpc": "2.0", "id": 1, "method": 5}, jsonrpc.INVALID_REQUEST, 1),
        ({"jsonrpc": "2.0", "id": [1], "method": "tools/list"}, jsonrpc.INVALID_REQUEST, None),
        ({"jsonrpc": "2.0", "id": True, "method": "tools/list"}, jsonrpc.INVALID_REQUEST, None),
        ({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": [1]}, jsonrpc.INVALID_PARAMS, 1),
    ],
)
def test_what_is_no_request_gets_an_error_with_its_id(message: object, code: int, request_id: object) -> None:
    with pytest.raises(RpcError) as refused:
        jsonrpc.read(message)
    answer = refused.value.response()
    assert (answer["jsonrpc"], answer["id"], answer["error"]["code"]) == ("2.0", request_id, code)
