"""The real server with a task file: its tasks are listed, played, stored and resumed as the built-in ones are."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from dataselect_env.core.tasks import BUILT_IN
from dataselect_env.custom.task_file import load_tasks
from tests.helpers.owning import forgotten, save
from tests.helpers.players import InProcess, without_id
from tests.helpers.serving import Server, running_server

pytestmark = pytest.mark.slow

TASK_FILE = """\
tasks:
  mine:
    table: {file: t.csv, target: label}
    noise: {uniform: 0.2}
    budget: 40
    max_steps: 6
    strategies: [margin, k_center]
    mixing: ranks
  secret:
    table: {file: t.csv, target: label}
    noise: {unknown: 0.1}
    budget: 40
"""
THREE = {"uncertainty": 1.0, "diversity": 0.0, "random": 1.0}
ACTIONS: list[dict[str, Any]] = [
    {"action_type": "select_batch", "batch_size": size, "strategy_weights": weights}
    for size, weights in ((7, {**THREE, "margin": 2.0, "k_center": 1.0}), (9, THREE), (6, {"k_center": 1.0}))
] + [{"action_type": "stop", "batch_size": 0, "strategy_weights": {"random": 1.0}}]


@pytest.fixture
def task_file(tmp_path: Path) -> Iterator[Path]:
    save(tmp_path)
    path = tmp_path / "tasks.yaml"
    path.write_text(TASK_FILE)
    with forgotten():
        yield path


def post(server: Server, path: str, body: Any) -> Any:
    request = urllib.request.Request(server.base_url + path, data=json.dumps(body).encode())
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def expected() -> list[dict[str, Any]]:
    """Return the replies of ACTIONS played in process."""
    one = InProcess()
    replies = [one.reset(task_id="mine", seed=6)]
    replies += [json.loads(one.env.step(action).model_dump_json()) for action in ACTIONS]
    return [without_id(reply) for reply in replies]


def test_an_own_task_is_served_as_it_is_played_in_process_and_survives_a_kill(task_file: Path) -> None:
    store, env = "sqlite:///episodes.db", {"DATASELECT_TASKS": "tasks.yaml"}
    load_tasks(task_file)
    replies = expected()
    with running_server(store=store, cwd=task_file.parent, env=env) as server:
        told = {task["task_id"]: task for task in server.get("/tasks")["tasks"]}
        assert list(told) == [*BUILT_IN, "mine", "secret"]
        assert told["mine"]["strategies"] == ["uncertainty", "diversity", "random", "margin", "k_center"]
        assert (told["mine"]["has_ground_truth"], told["secret"]["has_ground_truth"]) == (True, False)
        with connect(server.ws_url) as socket:

            def ask(kind: str, data: Any) -> Any:
                socket.send(json.dumps({"type": kind, "data": data}))
                return json.loads(socket.recv())

            found = [ask("reset", {"task_id": "mine", "seed": 6})]
            wrong = {**ACTIONS[0], "strategy_weights": {"margn": 1.0}}
            refusal = ask("step", wrong)
            assert (refusal["type"], refusal["data"]["field"]) == ("error", "strategy_weights.margn")
            found += [ask("step", action) for action in ACTIONS]
            assert [without_id(one["data"]) for one in found] == replies
        assert without_id(post(server, "/reset", {"task_id": "mine", "seed": 6, "episode_id": "one"})) == replies[0]
        for action, reply in zip(ACTIONS[:2], replies[1:], strict=False):
            assert without_id(post(server, "/step", {**action, "episode_id": "one"})) == reply
        server.kill()

    with running_server(store=store, cwd=task_file.parent, env=env) as server:
        for action, reply in zip(ACTIONS[2:], replies[3:], strict=True):
            assert without_id(post(server, "/step", {"action": action, "episode_id": "one"})) == reply
        graded = post(server, "/grader", {"episode_id": "one", "task_id": "mine"})
        assert graded["score"] == replies[-1]["info"]["grade"]["score"]
        last = post(server, "/reset", {"task_id": "secret", "seed": 6})
        last = post(server, "/step", {**ACTIONS[1], "episode_id": last["episode_id"]})
        assert (last["info"]["mislabelled"], last["info"]["noise_ratio"]) == (None, None)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (TASK_FILE.replace("max_steps", "max_stps"), "tasks.yaml, line 6: tasks.mine.max_stps: unknown field; did you"),
        (None, "tasks.yaml: cannot be read: No such file"),
    ],
    ids=["broken", "missing"],
)
def test_a_task_file_that_cannot_be_used_is_one_sentence_and_an_error(
    task_file: Path, text: str | None, sentence: str
) -> None:
    if text is None:
        task_file.unlink()
    else:
        task_file.write_text(text)
    with (
        pytest.raises(AssertionError, match=r"the server ended with status [1-9]") as ended,
        running_server(cwd=task_file.parent, env={"DATASELECT_TASKS": "tasks.yaml"}),
    ):
        pass
    assert f"DATASELECT_TASKS: {sentence}" in str(ended.value)
    assert "Traceback" not in str(ended.value)
