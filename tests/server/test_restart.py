"""The real server, killed and started again: nothing that was acknowledged is lost."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from dataselect_env.core.tasks import TASKS
from tests.helpers.actions import SCRIPT
from tests.helpers.players import InProcess, without_id
from tests.helpers.serving import Server, running_server

pytestmark = pytest.mark.slow


def post(server: Server, path: str, body: Any) -> Any:
    request = urllib.request.Request(server.base_url + path, data=json.dumps(body).encode())
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def ask(socket: ClientConnection, kind: str, data: Any) -> Any:
    socket.send(json.dumps({"type": kind, "data": data}))
    return json.loads(socket.recv())["data"]


def expected(task_id: str) -> list[dict[str, Any]]:
    """Return the replies of SCRIPT played in process."""
    one = InProcess()
    one.reset(task_id=task_id, seed=6)
    return [without_id(one.step(action)) for action in SCRIPT]


def test_everything_acknowledged_survives_a_kill(store_url: str) -> None:
    with running_server(store=store_url) as server:
        grades = {}
        for task_id in TASKS:
            with connect(server.ws_url) as socket:
                episode_id = ask(socket, "reset", {"task_id": task_id, "seed": 6})["episode_id"]
                replies = [ask(socket, "step", action) for action in SCRIPT]
                assert [without_id(reply) for reply in replies] == expected(task_id)
                grades[episode_id] = replies[-1]["info"]["grade"]
            post(server, "/reset", {"task_id": task_id, "seed": 6, "episode_id": f"http-{task_id}"})
            for action in SCRIPT[:2]:
                post(server, "/step", {**action, "episode_id": f"http-{task_id}"})
        server.kill()

    with running_server(store=store_url) as server:
        for episode_id, grade in grades.items():
            told = post(server, "/grader", {"episode_id": episode_id})
            assert {name: told[name] for name in grade} == grade
        for task_id in TASKS:
            replies = [post(server, "/step", {**a, "episode_id": f"http-{task_id}"}) for a in SCRIPT[2:]]
            assert [without_id(reply) for reply in replies] == expected(task_id)[2:]
        assert server.get("/state")["episode_id"] == f"http-{list(TASKS)[-1]}"


def test_a_configured_store_that_cannot_be_written_refuses_to_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with (
        pytest.raises(AssertionError, match=r"Error: DATASELECT_STORE: there is no folder") as ended,
        running_server(store=f"sqlite:///{tmp_path}/file/episodes.db"),
    ):
        pass
    assert "Traceback" not in str(ended.value)


def test_a_default_store_that_cannot_be_written_gives_way_to_a_temporary_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with running_server(store="", env={"XDG_DATA_HOME": str(tmp_path / "file"), "TMPDIR": str(tmp_path)}) as server:
        post(server, "/reset", {})
        assert "cannot be written" in server.log
        assert list(tmp_path.glob("dataselect-env-*/episodes.db"))


def test_a_terminated_server_ends_by_itself(store_url: str) -> None:
    with running_server(store=store_url) as server:
        post(server, "/reset", {"episode_id": "one"})
        assert server.terminate() == 0
        assert "Traceback" not in server.log
        assert "p%40ss" not in server.log
