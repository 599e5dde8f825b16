"""The real server under the limits, and its stop."""

import asyncio
import json
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from dataselect_env.server.process import options
from dataselect_env.server.settings import Settings
from dataselect_env.server.store.sqlite import SQLiteStore
from tests.helpers.actions import select
from tests.helpers.serving import ROOT, Server, running_server

TOKEN = "only-for-us"  # noqa: S105


def tell(client: ClientConnection, kind: str, **data: Any) -> Any:
    client.send(json.dumps({"type": kind, "data": data}))
    return json.loads(client.recv(timeout=60))


def test_the_settings_reach_the_server() -> None:
    settings = Settings(
        ping_interval=7, ping_timeout=8, stop_timeout=9, max_message_bytes=2_048, trusted_proxies="10.1.1.1"
    )
    config = uvicorn.Config(FastAPI(), **{**options(settings), "log_config": None})
    assert (config.ws_ping_interval, config.ws_ping_timeout, config.timeout_graceful_shutdown) == (7, 8, 9)
    assert (config.ws_max_size, config.forwarded_allow_ips) == (2_048, "10.1.1.1")
    assert not config.server_header


def play_on(client: ClientConnection, steps: dict[str, int]) -> None:
    """Play episodes without end, and keep how many steps of each the server acknowledged."""
    while True:
        episode_id = tell(client, "reset", seed=1)["data"]["episode_id"]
        steps[episode_id] = 0
        for _ in range(5):
            steps[episode_id] = tell(client, "step", **select(5))["data"]["step"]


def play_until_closed(server: Server, steps: dict[str, int], closes: list[int], ready: threading.Barrier) -> None:
    """Play on a connection of its own; keep the code that the server closes it with."""
    with connect(server.ws_url) as client:
        ready.wait(60)
        with pytest.raises(ConnectionClosed) as closed:
            play_on(client, steps)
    assert closed.value.rcvd is not None
    closes.append(closed.value.rcvd.code)


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_stop_loses_nothing_says_so_and_ends_with_status_0(tmp_path: Path, workers: str) -> None:
    acknowledged: dict[str, int] = {}
    closes: list[int] = []
    with running_server(store="sqlite:///episodes.db", cwd=tmp_path, env={"DATASELECT_WORKERS": workers}) as server:
        ready = threading.Barrier(5)
        players = [
            threading.Thread(target=play_until_closed, args=(server, acknowledged, closes, ready)) for _ in range(4)
        ]
        for player in players:
            player.start()
        with connect(server.ws_url) as idle:
            ready.wait(60)
            while sum(acknowledged.values()) < 40:
                time.sleep(0.01)
            assert server.terminate() == 0
            with pytest.raises(ConnectionClosed) as closed:
                idle.recv(timeout=60)
        for player in players:
            player.join(60)
        assert closed.value.rcvd is not None
        assert [*closes, closed.value.rcvd.code] == [1012] * 5
        assert "stopping" in closed.value.rcvd.reason
        assert "Traceback" not in server.log
        with pytest.raises(OSError, match="refused"):
            connect(server.ws_url)
    store = SQLiteStore(tmp_path / "episodes.db")
    for episode_id, steps in acknowledged.items():
        assert (
            steps <= len(asyncio.run(store.load(episode_id)).steps) <= steps + 1
        )  # one may have been stored, its answer unread
    asyncio.run(store.close())


@pytest.mark.slow
def test_a_silent_client_is_told_and_frees_its_place_and_its_episode_stays(tmp_path: Path) -> None:
    limits = {"DATASELECT_IDLE_TIMEOUT": "5", "DATASELECT_MAX_SESSIONS": "1"}
    with running_server(env=limits, store="sqlite:///episodes.db", cwd=tmp_path) as server:
        with connect(server.ws_url) as silent:
            episode_id = tell(silent, "reset", seed=5)["data"]["episode_id"]
            assert json.loads(silent.recv(timeout=60))["data"]["code"] == "SESSION_IDLE"
            with pytest.raises(ConnectionClosed) as closed:
                silent.recv(timeout=60)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4408
        assert server.get("/health")["active_sessions"] == 0
        with connect(server.ws_url) as another:
            assert tell(another, "reset")["type"] == "observation"
    store = SQLiteStore(tmp_path / "episodes.db")
    assert asyncio.run(store.load(episode_id)).header.seed == 5
    asyncio.run(store.close())


@pytest.mark.slow
def test_a_client_that_answers_no_ping_frees_its_place() -> None:
    limits = {"DATASELECT_PING_INTERVAL": "2", "DATASELECT_PING_TIMEOUT": "2"}
    with running_server(env=limits) as server, connect(server.ws_url, ping_interval=None) as deaf:
        assert server.get("/health")["active_sessions"] == 1
        deaf.protocol.receive_data = lambda data: None  # type: ignore[method-assign]  # noqa: ARG005
        deadline = time.monotonic() + 60
        while server.get("/health")["active_sessions"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("own_server", [True, False])
def test_an_oversize_frame_is_refused_whatever_limit_the_server_below_has(own_server: bool) -> None:
    plain_uvicorn = (sys.executable, "-m", "uvicorn", "server.app:app", "--port", "{port}")
    limit = Settings().max_message_bytes
    with running_server(cwd=ROOT, command=None if own_server else plain_uvicorn) as server:
        for text in ("x" * (limit + 1), "\U0001f600" * (limit // 4 + 1)):
            with connect(server.ws_url) as client:
                client.send(text)
                if not own_server:  # uvicorn itself closes without a word
                    assert json.loads(client.recv(timeout=60))["data"]["code"] == "PAYLOAD_TOO_LARGE"
                with pytest.raises(ConnectionClosed) as closed:
                    client.recv(timeout=60)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009


@pytest.mark.slow
def test_the_official_client_shows_a_token_and_hears_why_without() -> None:
    from openenv.core.generic_client import GenericEnvClient

    with running_server(env={"DATASELECT_TOKEN": TOKEN}) as server:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        with GenericEnvClient(base_url=server.base_url, headers=bearer).sync() as client:
            assert client.reset(seed=1).observation["remaining_budget"] == 300
        with pytest.raises(ConnectionError, match="401"), GenericEnvClient(base_url=server.base_url).sync():
            pass
        with pytest.raises(InvalidStatus) as refused:
            connect(server.ws_url)
        assert refused.value.response.body is not None
        assert json.loads(refused.value.response.body)["code"] == "UNAUTHORIZED"
        with (
            pytest.raises(urllib.error.HTTPError, match="401") as unread,
            urllib.request.urlopen(server.base_url + "/tasks"),
        ):
            pass
        unread.value.close()
        assert "server" not in unread.value.headers
        assert TOKEN not in server.log


@pytest.mark.slow
def test_the_log_is_json_when_it_is_asked_for() -> None:
    with running_server(env={"DATASELECT_LOG_FORMAT": "json"}) as server:
        request = urllib.request.Request(
            server.base_url + "/reset", data=b'{"episode_id": "ep-7"}', headers={"X-Request-ID": "req-7"}
        )
        urllib.request.urlopen(request).close()
        server.terminate()
        lines = [json.loads(line) for line in server.log.splitlines()]
    (line,) = [line for line in lines if line.get("request_id") == "req-7"]
    assert (line["message"], line["status"], line["episode_id"]) == ("POST /reset", 200, "ep-7")
    assert line["ms"] > 0


@pytest.mark.slow
def test_a_body_that_never_comes_is_not_waited_for() -> None:
    with (
        running_server(env={"DATASELECT_BODY_TIMEOUT": "0.3"}) as server,
        socket.create_connection(("127.0.0.1", server.port)) as slow,
    ):
        slow.sendall(b"POST /reset HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        slow.settimeout(60)
        assert b"408" in slow.recv(4_096).splitlines()[0]
