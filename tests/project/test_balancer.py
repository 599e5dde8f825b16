"""deploy/haproxy.cfg before three real servers over one store."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.sync.client import connect

from dataselect_env import Action
from tests.helpers.serving import LOOPBACK, ROOT, START_DEADLINE, Server, free_port, running_server

pytestmark = pytest.mark.slow

HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
CONFIGURATION = (ROOT / "deploy" / "haproxy.cfg").read_text(encoding="utf-8")
INITIALIZE = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
STEP = Action.select(10, uncertainty=1, diversity=1, random=1).model_dump(mode="json")
SERVERS = 3


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    store = f"sqlite:///{tmp_path_factory.mktemp('store') / 'episodes.db'}"
    with ExitStack() as stack:
        yield [stack.enter_context(running_server(store=store)) for _ in range(SERVERS)]


@pytest.fixture(scope="module")
def client(servers: list[Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """Start the balancer with the addresses of these servers in the place of those that compose looks up."""
    if HAPROXY is None:
        pytest.skip("haproxy is not installed")
    port = free_port()
    lines = "\n".join(f"    server s{one.port} {LOOPBACK}:{one.port}" for one in servers)
    text, found = re.subn(r"^ +server-template .*$", lines, CONFIGURATION, flags=re.MULTILINE)
    assert found == 1
    path = tmp_path_factory.mktemp("balancer") / "haproxy.cfg"
    path.write_text(text.replace("bind :8000", f"bind {LOOPBACK}:{port}"), encoding="utf-8")
    process = subprocess.Popen([HAPROXY, "-f", str(path)], stdin=subprocess.DEVNULL)
    try:
        with httpx2.Client(base_url=f"http://{LOOPBACK}:{port}", trust_env=False, timeout=START_DEADLINE) as http:
            until_ready(http, process)
            yield http
    finally:
        process.terminate()
        process.wait()


def until_ready(http: httpx2.Client, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_DEADLINE
    while True:
        try:
            if http.get("/ready").status_code == httpx2.codes.OK:
                return
        except httpx2.TransportError:
            pass
        assert process.poll() is None, "the balancer has ended"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def answered(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.status_code == httpx2.codes.OK, answer.text
    reply: dict[str, Any] = answer.json()
    return reply


def steps_taken(servers: list[Server]) -> list[int]:
    """Return how many steps each server has answered."""
    pattern = re.compile(r"^dataselect_steps_total\{[^}]*\} (\d+)", re.MULTILINE)
    texts = [httpx2.get(f"{one.base_url}/metrics", trust_env=False).text for one in servers]
    return [sum(map(int, pattern.findall(text))) for text in texts]


def test_an_http_episode_goes_on_at_any_server(client: httpx2.Client, servers: list[Server]) -> None:
    before = steps_taken(servers)
    reply = answered(client.post("/reset", json={"task_id": "easy", "seed": 3}))
    episode = {"episode_id": reply["episode_id"]}
    while not reply["done"]:
        reply = answered(client.post("/step", json={**STEP, **episode}))
    assert reply["step"] > SERVERS
    assert answered(client.post("/grader", json=episode))["score"] >= 0
    taken = [after - one for after, one in zip(steps_taken(servers), before, strict=True)]
    assert sum(taken) == reply["step"]
    assert sum(count > 0 for count in taken) > 1, taken


def test_a_websocket_stays_with_its_server(client: httpx2.Client, servers: list[Server]) -> None:
    before = steps_taken(servers)
    address = str(client.base_url).rstrip("/").replace("http", "ws", 1) + "/ws"
    with connect(address, proxy=None, open_timeout=START_DEADLINE) as socket:
        for kind, data in (("reset", {"task_id": "easy", "seed": 3}), ("step", STEP), ("step", STEP)):
            socket.send(json.dumps({"type": kind, "data": data}))
            assert json.loads(socket.recv(START_DEADLINE))["type"] == "observation"
    taken = [after - one for after, one in zip(steps_taken(servers), before, strict=True)]
    assert sorted(taken) == [0] * (SERVERS - 1) + [2]


def test_an_mcp_session_stays_with_its_server(client: httpx2.Client) -> None:
    def post(method: str, **headers: str) -> httpx2.Response:
        params = INITIALIZE if method == "initialize" else {}
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return client.post("/mcp", json=body, headers={"Accept": "application/json, text/event-stream", **headers})

    sessions = [post("initialize").headers["mcp-session-id"] for _ in range(2 * SERVERS)]
    for session in 2 * sessions:
        assert "result" in answered(post("tools/list", **{"Mcp-Session-Id": session}))


def test_a_stopped_server_gets_no_requests(client: httpx2.Client, servers: list[Server], tmp_path: Path) -> None:
    assert servers[0].terminate() == 0
    for _ in range(4 * SERVERS):  # at once: before the balancer's next check
        answered(client.get("/health"))
