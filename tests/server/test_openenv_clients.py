"""The official OpenEnv client, pointed at the real server."""

import json
import urllib.request
from collections.abc import Iterator

import pytest
from openenv.core.generic_client import GenericEnvClient

from dataselect_env.core.tasks import TASKS
from tests.helpers.actions import select, stop
from tests.helpers.serving import Server, running_server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.mark.parametrize("task_id", TASKS)
def test_it_plays_every_task_to_its_end(server: Server, task_id: str) -> None:
    with GenericEnvClient(base_url=server.base_url).sync() as client:
        result = client.reset(task_id=task_id, seed=1)
        steps = 0
        while not result.done:
            result = client.step(select(20, diversity=1))
            steps += 1
            assert isinstance(result.reward, float)
        state = client.state()
    assert state["step_count"] == steps == result.metadata["step"]
    grade = result.metadata["info"]["grade"]
    body = json.dumps({"episode_id": state["episode_id"], "task_id": task_id}).encode()
    with urllib.request.urlopen(urllib.request.Request(server.base_url + "/grader", data=body)) as response:
        assert json.load(response)["score"] == grade["score"]


def test_it_hands_on_what_was_wrong_and_can_go_on(server: Server) -> None:
    with GenericEnvClient(base_url=server.base_url).sync() as client:
        with pytest.raises(RuntimeError, match=r"reset starts one.*NO_EPISODE"):
            client.step(select())
        client.reset(seed=1)
        with pytest.raises(RuntimeError, match=r"batch_size: .*VALIDATION_ERROR"):
            client.step({**select(), "batch_size": -1})
        assert client.step(select()).metadata["step"] == 1
        assert client.step(stop()).done


def test_sessions_do_not_meet(server: Server) -> None:
    clients = [GenericEnvClient(base_url=server.base_url).sync() for _ in range(3)]
    for seed, client in enumerate(clients):
        client.connect()
        client.reset(seed=seed)
    for _ in range(3):
        for client in clients:
            client.step(select())
    assert [client.state()["seed"] for client in clients] == [0, 1, 2]
    for client in clients:
        client.close()
