import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.testclient import WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from dataselect_env.core.episode import Episode
from dataselect_env.core.errors import PayloadTooLarge
from dataselect_env.server import websocket
from dataselect_env.server.app import create_app
from dataselect_env.server.service import Service
from dataselect_env.server.settings import Settings
from dataselect_env.server.store.sqlite import SQLiteStore
from dataselect_env.server.websocket import check_size
from tests.helpers.actions import SCRIPT, select
from tests.helpers.hosting import UPGRADE, frame, hosted
from tests.helpers.sessions import open_session


def ask(socket: WebSocketTestSession, frame: str) -> dict[str, Any]:
    socket.send_text(frame)
    answer: dict[str, Any] = socket.receive_json()
    return answer


def error_of(answer: dict[str, Any]) -> dict[str, Any]:
    assert answer["type"] == "error"
    error: dict[str, Any] = answer["data"]
    assert set(error) == {"code", "message", "field"}
    return error


def test_a_step_is_validated_and_written_as_json_once(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    service, session = Service(Settings(), store), open_session(store, "websocket")
    validate, dump = BaseModel.__dict__["model_validate"].__func__, BaseModel.model_dump_json
    validated, written = [], []

    def note_validation(model: type[BaseModel], *args: Any, **kwargs: Any) -> object:
        validated.append(model.__name__)
        return validate(model, *args, **kwargs)

    def note_json(one: BaseModel, **kwargs: Any) -> str:
        written.append(type(one).__name__)
        return dump(one, **kwargs)

    asyncio.run(websocket.answer(session, service, '{"type": "reset"}'))
    monkeypatch.setattr(BaseModel, "model_validate", classmethod(note_validation))
    monkeypatch.setattr(BaseModel, "model_dump_json", note_json)
    asyncio.run(websocket.answer(session, service, json.dumps({"type": "step", "data": select()})))
    assert validated == ["Envelope", "StepRequest", "Reply"]
    assert written == ["StepRequest", "Reply"]  # the action for the store, the reply for the client


MALFORMED = [
    ("", "VALIDATION_ERROR"),
    ("junk", "INVALID_JSON"),
    ("{", "INVALID_JSON"),
    ('{"type": "reset", "data": {"seed": NaN}}', "INVALID_JSON"),
    ('{"type": "reset", "data": {"seed": Infinity}}', "INVALID_JSON"),
    ('{"type": "reset", "data": {"seed": ' + "9" * 5_000 + "}}", "INVALID_JSON"),
    ("[" * 100_000, "INVALID_JSON"),
    ('{"a":' * 40_000 + "1" + "}" * 40_000, "INVALID_JSON"),
    ("null", "VALIDATION_ERROR"),
    ("3", "VALIDATION_ERROR"),
    ("[1]", "VALIDATION_ERROR"),
    ("{}", "UNKNOWN_TYPE"),
    ('{"type": "buy"}', "UNKNOWN_TYPE"),
    ('{"type": ["reset"]}', "UNKNOWN_TYPE"),
    ('{"type": "reset", "data": []}', "VALIDATION_ERROR"),
    ('{"type": "reset", "data": "easy"}', "VALIDATION_ERROR"),
    ('{"type": "reset", "extra": 1}', "VALIDATION_ERROR"),
    ('{"type": "reset", "data": {"sead": 1}}', "VALIDATION_ERROR"),
    ('{"type": "reset", "data": {"seed": 1e400}}', "INVALID_JSON"),
    ('{"type": "reset", "data": {"task_id": "\\ud800"}}', "INVALID_JSON"),
    ('{"type": "reset", "data": {"episode_id": "\\ud800"}}', "INVALID_JSON"),
    ('{"type": "step"}', "VALIDATION_ERROR"),
    ('{"type": "step", "data": null}', "VALIDATION_ERROR"),
    ('{"type": "step", "data": {"\\ud800": 1}}', "INVALID_JSON"),
    ('{"type": "state", "data": {"a": 1}}', "VALIDATION_ERROR"),
]


def test_every_malformed_frame_is_answered_and_costs_nothing(client: TestClient) -> None:
    with client.websocket_connect("/ws") as disturbed, client.websocket_connect("/ws") as undisturbed:
        for socket in (disturbed, undisturbed):
            ask(socket, '{"type": "reset", "data": {"seed": 5}}')
        for action in SCRIPT:
            for frame, code in MALFORMED:
                assert error_of(ask(disturbed, frame))["code"] == code, frame[:60]
            disturbed.send_bytes(b"\x00\xff")
            assert error_of(disturbed.receive_json())["code"] == "INVALID_JSON"
            step = json.dumps({"type": "step", "data": action})
            assert ask(disturbed, step)["data"]["observation"] == ask(undisturbed, step)["data"]["observation"]


def test_error_messages_tell_what_is_allowed_and_repeat_nothing_that_was_sent(client: TestClient) -> None:
    with client.websocket_connect("/ws") as socket:
        assert "reset, step, state" in error_of(ask(socket, '{"type": "SECRET"}'))["message"]
        error = error_of(ask(socket, '{"type": "reset", "data": {"task_id": "SECRET"}}'))
        assert "easy, medium, hard" in error["message"]
        assert "SECRET" not in error["message"]
        assert error["field"] == "task_id"


def test_data_may_be_left_out_or_null(client: TestClient) -> None:
    with client.websocket_connect("/ws") as socket:
        for frame in ('{"type": "reset"}', '{"type": "reset", "data": null}', '{"type": "reset", "data": {}}'):
            assert ask(socket, frame)["data"]["task_id"] == "easy"
        assert ask(socket, '{"type": "state", "data": {}}')["data"]["step_count"] == 0


def test_mcp_is_answered_as_json_rpc(client: TestClient) -> None:
    with client.websocket_connect("/ws") as socket:
        request = {"jsonrpc": "2.0", "id": 7, "method": "ping"}
        answer = ask(socket, json.dumps({"type": "mcp", "data": request}))
        assert answer == {"type": "mcp", "data": {"jsonrpc": "2.0", "id": 7, "result": {}}}
        assert ask(socket, '{"type": "mcp"}')["data"]["error"]["code"] == -32600


def test_mcp_tools_act_on_the_connections_own_episode(client: TestClient) -> None:
    def call(name: str, **arguments: object) -> dict[str, Any]:
        params = {"name": name, "arguments": arguments}
        request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        told: dict[str, Any] = ask(socket, json.dumps({"type": "mcp", "data": request}))["data"]["result"]
        return told

    with client.websocket_connect("/ws") as socket:
        assert call("stop")["structuredContent"]["code"] == "NO_EPISODE"
        ask(socket, '{"type": "reset", "data": {"seed": 8}}')
        assert call("select_batch", batch_size=5, random=1)["structuredContent"]["step"] == 1
        assert ask(socket, json.dumps({"type": "step", "data": select()}))["data"]["step"] == 2
        assert call("get_state")["structuredContent"]["seed"] == 8


def test_an_oversize_frame_is_answered_and_ends_the_connection(client: TestClient) -> None:
    limit = Settings().max_message_bytes
    for send in ("send_text", "send_bytes"):
        with client.websocket_connect("/ws") as socket:
            getattr(socket, send)(" " * (limit + 1) if send == "send_text" else b" " * (limit + 1))
            assert error_of(socket.receive_json())["code"] == "PAYLOAD_TOO_LARGE"
            with pytest.raises(WebSocketDisconnect) as closed:
                socket.receive_json()
        assert closed.value.code == 1009


@pytest.mark.parametrize("letter", ["x", "\u00e9", "\u20ac", "\U0001f600"])
def test_frames_are_measured_in_bytes(letter: str) -> None:
    limit = 12_000
    most = limit // len(letter.encode())
    check_size({"type": "websocket.receive", "text": letter * most}, limit)
    with pytest.raises(PayloadTooLarge, match="12000"):
        check_size({"type": "websocket.receive", "text": letter * (most + 1)}, limit)


def test_only_an_mcp_frame_needs_a_backend_of_the_tools(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def needed(*_: object) -> None:
        raise LookupError("an MCP class")

    monkeypatch.setattr("dataselect_env.server.websocket.SessionBackend", needed)
    with client.websocket_connect("/ws") as socket:
        assert ask(socket, '{"type": "reset"}')["data"]["step"] == 0
        assert ask(socket, json.dumps({"type": "step", "data": select()}))["data"]["step"] == 1
        assert ask(socket, '{"type": "state"}')["data"]["step_count"] == 1
        ping = {"type": "mcp", "data": {"jsonrpc": "2.0", "id": 7, "method": "ping"}}
        assert error_of(ask(socket, json.dumps(ping)))["code"] == "INTERNAL_ERROR"


def test_close_closes_without_an_answer(client: TestClient) -> None:
    with client.websocket_connect("/ws") as socket:
        socket.send_text('{"type": "close"}')
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
    assert closed.value.code == 1000


def test_a_full_server_says_so_at_once_and_a_place_freed_is_free() -> None:
    with TestClient(create_app(Settings(store="memory:", max_sessions=2))) as client:
        with client.websocket_connect("/ws"), client.websocket_connect("/ws") as second:
            assert client.get("/health").json()["active_sessions"] == 2
            with client.websocket_connect("/ws") as third:
                error = error_of(third.receive_json())
                assert error["code"] == "CAPACITY_REACHED"
                assert "2" in error["message"]
                with pytest.raises(WebSocketDisconnect) as closed:
                    third.receive_json()
            assert closed.value.code == 1000
            second.send_text('{"type": "close"}')
            with pytest.raises(WebSocketDisconnect):
                second.receive_json()
            with client.websocket_connect("/ws") as fourth:
                assert ask(fourth, '{"type": "reset"}')["type"] == "observation"
        assert client.get("/health").json()["active_sessions"] == 0


@pytest.mark.parametrize(
    ("limits", "code"),
    [({"idle_timeout": 0.2}, "SESSION_IDLE"), ({"session_lifetime": 0.2}, "SESSION_EXPIRED")],
)
def test_a_session_that_is_silent_or_old_is_told_so_and_closed(limits: dict[str, float], code: str) -> None:
    settings = Settings(store="memory:", **limits)  # type: ignore[arg-type]
    with TestClient(create_app(settings)) as client:
        with client.websocket_connect("/ws") as socket:
            assert error_of(socket.receive_json())["code"] == code
            with pytest.raises(WebSocketDisconnect) as closed:
                socket.receive_json()
            assert closed.value.code == 4408
            assert client.get("/health").json()["active_sessions"] == 0
        assert f'dataselect_errors_total{{code="{code}"}} 1' in client.get("/metrics").text


def test_a_defect_is_answered_without_its_inside_and_the_episode_survives(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*_: object) -> None:
        raise ZeroDivisionError("a secret of somebody's")

    step = json.dumps({"type": "step", "data": select()})
    with client.websocket_connect("/ws") as socket:
        ask(socket, '{"type": "reset", "data": {"seed": 1}}')
        ask(socket, step)
        with monkeypatch.context() as patched:
            patched.setattr(Episode, "_reason_to_end", defect)  # when the batch has been trained on
            for _ in range(2):
                error = error_of(ask(socket, step))
                assert error["code"] == "INTERNAL_ERROR"
                assert "secret" not in error["message"]
        assert ask(socket, step)["data"]["step"] == 2


def test_a_step_that_waits_for_the_store_holds_up_nobody(tmp_path: Path) -> None:
    with (
        TestClient(create_app(Settings(store=f"sqlite:///{tmp_path}/episodes.db"))) as client,
        closing(sqlite3.connect(tmp_path / "episodes.db", isolation_level=None)) as other,
        client.websocket_connect("/ws") as socket,
    ):
        assert ask(socket, '{"type": "reset"}')["type"] == "observation"
        other.execute("BEGIN IMMEDIATE")
        socket.send_text(json.dumps({"type": "step", "data": select()}))
        assert client.get("/health").json()["status"] == "healthy"
        assert other.execute("SELECT count(*) FROM steps").fetchone() == (0,)
        other.execute("COMMIT")
        assert socket.receive_json()["data"]["step"] == 1
        assert other.execute("SELECT count(*) FROM steps").fetchone() == (1,)


JUNK = frame(0x1, b"x")


def test_a_client_that_floods_the_server_with_junk_is_cut_off() -> None:
    settings = Settings(store="memory:")
    with hosted(create_app(settings), settings) as server, closing(server.connect()) as client:
        client.sendall(UPGRADE)
        assert b" 101 " in client.recv(4_096)
        client.sendall(JUNK * 10 * websocket.MOST_UNAWAITED)
        answer, close = b"", b"\x88\x02" + (1008).to_bytes(2, "big")
        while not answer.endswith(close):
            answer += client.recv(4_096)
    assert websocket.MOST_UNAWAITED < answer.count(b"INVALID_JSON") < 2 * websocket.MOST_UNAWAITED


def test_a_client_that_waits_may_send_as_much_junk_as_it_likes() -> None:
    app = create_app(Settings(store="memory:"))
    with TestClient(app) as client, client.websocket_connect("/ws") as socket:
        for _ in range(3 * websocket.MOST_UNAWAITED):
            assert error_of(ask(socket, "x"))["code"] == "INVALID_JSON"
