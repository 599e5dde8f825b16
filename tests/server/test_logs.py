"""The log, for people and for programs."""

import json
import logging
import logging.config
import re
import urllib.error
import urllib.request

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from dataselect_env.server.logs import (
    JSONFormatter,
    RequestContext,
    TextFormatter,
    config,
    note_episode,
    request_context,
)
from tests.helpers.serving import running_server


def record(message: str = "a step failed", **facts: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "some.module", "levelno": 40, "levelname": "ERROR", "msg": message})
    if facts:
        made.facts = facts
    return made


def test_json_is_one_object_a_line_whatever_is_logged() -> None:
    told = json.loads(JSONFormatter().format(record('line\nbreak and "quotes"', ms=1.5, missing=None)))
    assert (told["level"], told["logger"], told["ms"]) == ("error", "some.module", 1.5)
    assert told["message"] == 'line\nbreak and "quotes"'
    assert "missing" not in told
    assert "\n" not in JSONFormatter().format(record("a\nb"))


def test_an_exception_is_a_part_of_its_object() -> None:
    made = record()
    try:
        raise ZeroDivisionError("of course")
    except ZeroDivisionError as error:
        made.exc_info = (type(error), error, error.__traceback__)
    told = json.loads(JSONFormatter().format(made))
    assert "ZeroDivisionError: of course" in told["exception"]
    assert "ZeroDivisionError: of course" in TextFormatter().format(made)


def test_lines_tell_the_request_and_the_episode() -> None:
    token = request_context.set(RequestContext("req-1"))
    try:
        note_episode("ep-1")
        note_episode(None)
        told = json.loads(JSONFormatter().format(record()))
        line = TextFormatter().format(record(ms=2))
    finally:
        request_context.reset(token)
    assert (told["request_id"], told["episode_id"]) == ("req-1", "ep-1")
    assert line.endswith("ERROR   a step failed request_id=req-1 episode_id=ep-1 ms=2")
    note_episode("nobody listens")
    assert "episode_id" not in json.loads(JSONFormatter().format(record()))


def test_values_cannot_pass_for_further_values_or_lines() -> None:
    forged = 'x status=200 client="1.2.3.4"\n2026-01-01 INFO a line \x1b[2J'
    line = TextFormatter().format(record(episode_id=forged, client="2001:db8::1", path="/a/b", message_ms=1.5))
    assert "\n" not in line
    assert "\x1b" not in line
    (shown,) = re.findall(r'episode_id=("(?:[^"\\]|\\.)*") client=2001:db8::1 path=/a/b message_ms=1.5$', line)
    assert json.loads(shown) == forged
    assert TextFormatter().format(record("one\ntwo\x85three")).endswith(r"one\x0atwo\x85three")


@pytest.mark.slow
@pytest.mark.parametrize("level", ["debug", "info"])
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_neither_tokens_nor_query_strings_are_logged_at_any_level(level: str, log_format: str) -> None:
    env = {"DATASELECT_LOG_LEVEL": level, "DATASELECT_LOG_FORMAT": log_format, "DATASELECT_TOKEN": "the-secret"}
    with running_server(env=env) as server:
        url = f"{server.ws_url}?session_id=the-query"
        with connect(url, additional_headers={"Authorization": "Bearer the-secret"}) as socket:
            socket.recv()
        with connect(url, subprotocols=[Subprotocol("bearer"), Subprotocol("the-secret")]) as socket:
            socket.recv()
        with pytest.raises(InvalidStatus):
            connect(url, additional_headers={"Authorization": "Bearer the-secret-in-part"})
        for path in ("/health?the-query", "/web?the-query"):
            urllib.request.urlopen(f"{server.base_url}{path}").close()
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{server.base_url}/nothing?the-query")
        server.terminate()
        assert "WS /ws" in server.log
        assert "the-secret" not in server.log
        assert "the-query" not in server.log


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_configuration_is_one_that_the_library_takes(
    log_format: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("uvicorn", "dataselect_env", "py.warnings")
    before = {name: (list(logging.getLogger(name).handlers), logging.getLogger(name).propagate) for name in names}
    try:
        logging.config.dictConfig(config(log_format, "info"))
        logging.getLogger("uvicorn.error").info('%s - "WebSocket %s" [accepted]', "1.2.3.4", "/ws?token=SECRET")
        logging.getLogger("uvicorn.error").info("Started server process")
        logging.getLogger("dataselect_env.server.middleware").debug("too much")
    finally:
        for name, (handlers, propagate) in before.items():
            logging.getLogger(name).handlers = handlers
            logging.getLogger(name).propagate = propagate
            logging.getLogger(name).setLevel(logging.NOTSET)
    (line,) = capsys.readouterr().err.splitlines()
    assert "Started server process" in line
    assert line.startswith("{") == (log_format == "json")
