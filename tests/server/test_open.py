"""``open`` on a server: the numbers of its problem, no report of wrong labels without audit, and restarts."""

from __future__ import annotations

import json
from asyncio import run
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast
from unittest.mock import patch

import pytest
from fastapi.testclient import TestClient

from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.models import Reply
from dataselect_env.core.open import noise
from dataselect_env.core.source import task_at
from dataselect_env.core.tasks import TASKS
from dataselect_env.server.app import create_app
from dataselect_env.server.pool_view import DEMONSTRATION_PREFIX
from dataselect_env.server.settings import Settings
from dataselect_env.server.store import open_store
from tests.helpers.actions import select, stop
from tests.helpers.sessions import open_session, resume_session

OPEN = TASKS["open"]
SCRIPT = [
    {**select(), "batch_size": 5, "strategy_weights": {"uncertainty": 1}},
    {**select(), "batch_size": 6, "strategy_weights": {"confident_random": 1, "diversity": 1}},
    {**select(), "batch_size": 5, "strategy_weights": {"neighbours_uncertainty": 1}},
]


def seed_of(*, audited: bool) -> int:
    """Return a seed whose problem is audited or not, without the noise trap, with room for the script."""
    tasks = ((seed, task_at(OPEN, seed)) for seed in range(200))
    return next(
        seed
        for seed, task in tasks
        if task.audited == audited and not task.noise_trap and task.max_steps > len(SCRIPT) and task.budget > 20
    )


AUDITED, SILENT = seed_of(audited=True), seed_of(audited=False)


def ask(client: TestClient, tool: str, **arguments: Any) -> dict[str, Any]:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    found: dict[str, Any] = client.post("/mcp", json=body).json()["result"]
    return found


def answers(client: TestClient, seed: int) -> list[str]:
    """Return all that a client gets to see of an episode, over HTTP, WebSocket and MCP, to the end and after it."""
    name = f"{DEMONSTRATION_PREFIX}open"
    choices = {"task_id": "open", "seed": seed, "episode_id": name}
    seen = [client.post("/reset", json=choices).text]
    for action in (*SCRIPT, stop()):
        seen.append(client.post("/step", json={**action, "episode_id": name}).text)
        seen.append(client.get("/pool", params={"episode_id": name}).text)
    seen.append(client.post("/grader", json={"episode_id": name}).text)
    with client.websocket_connect("/ws") as socket:
        socket.send_json({"type": "reset", "data": {**choices, "episode_id": "ws"}})
        seen.append(socket.receive_text())
        for action in (*SCRIPT, stop()):
            socket.send_json({"type": "step", "data": action})
            seen.append(socket.receive_text())
    seen.append(json.dumps(ask(client, "start_episode", **{**choices, "episode_id": "mcp"})))
    for action in SCRIPT:
        weights = cast("dict[str, float]", action["strategy_weights"])
        bought = ask(client, "select_batch", batch_size=action["batch_size"], episode_id="mcp", **weights)
        seen.append(json.dumps(bought))
    seen += [json.dumps(ask(client, tool, episode_id="mcp")) for tool in ("stop", "get_state", "get_grade")]
    return seen


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(create_app(Settings(store="memory:"))) as client:
        yield client


@contextmanager
def mask_inverted() -> Iterator[None]:
    """Swap right and wrong in the noise mask; given labels stay."""
    mislabel = noise.mislabel

    def inverted(*arguments: Any) -> Any:
        pool = mislabel(*arguments)
        return replace(pool, mislabelled=~pool.mislabelled)

    with patch.object(noise, "mislabel", inverted):
        yield


def test_without_audit_no_answer_depends_on_which_labels_are_wrong() -> None:
    seen = []
    for context in (mask_inverted, None):
        with TestClient(create_app(Settings(store="memory:"))) as client:
            if context is None:
                seen.append(answers(client, SILENT))
            else:
                with context():
                    seen.append(answers(client, SILENT))
    assert seen[0] == seen[1]
    assert not any('"error"' in answer for answer in seen[0])


def test_with_audit_they_do() -> None:
    with TestClient(create_app(Settings(store="memory:"))) as client:
        told = answers(client, AUDITED)
    with TestClient(create_app(Settings(store="memory:"))) as client, mask_inverted():
        assert answers(client, AUDITED) != told


def test_without_audit_pool_and_grade_show_no_wrong_label(client: TestClient) -> None:
    answers(client, SILENT)
    pool = client.get("/pool", params={"episode_id": f"{DEMONSTRATION_PREFIX}open"}).json()
    assert (pool["done"], pool["mislabelled"]) == (True, None)
    assert [step["mislabelled"] for step in pool["purchases"]] == [[]] * 4
    assert [len(step["samples"]) for step in pool["purchases"]] == [5, 6, 5, 0]
    grade = client.post("/grader", json={"episode_id": "ws"}).json()
    assert (grade["breakdown"]["avg_noise_ratio"], grade["breakdown"]["noise_score"]) == (None, 0)


@pytest.mark.parametrize("seed", [AUDITED, SILENT])
def test_tools_speak_of_the_problem(client: TestClient, seed: int) -> None:
    task = task_at(OPEN, seed)
    started = ask(client, "start_episode", task_id="open", seed=seed, episode_id="one")
    text = started["content"][0]["text"]
    assert f"- budget: {task.budget} samples, in at most {task.max_steps} steps\n" in text
    assert f"declared share of wrong labels in the pool: {task.flip_y:g}" in text
    assert f"step: 0 of {task.max_steps}\n" in text
    assert text.count("passes_confident: ") == 1
    assert started["structuredContent"]["problem"]["budget"] == task.budget
    bought = ask(client, "select_batch", episode_id="one", batch_size=5, held_out_random=1)
    assert f"step: 1 of {task.max_steps}\n" in bought["content"][0]["text"]
    assert ("mislabelled" in bought["content"][0]["text"]) == task.audited
    assert "problem" not in bought["structuredContent"]


@pytest.mark.parametrize("seed", [AUDITED, SILENT])
def test_an_episode_goes_on_after_a_restart(store_url: str, seed: int) -> None:
    expected = DataSelectEnv()
    replies = [expected.reset(task_id="open", seed=seed, episode_id="one")]
    replies += [expected.step(action) for action in SCRIPT]
    store = open_store(store_url)
    session = open_session(store, "http")
    assert run(session.handle("reset", {"task_id": "open", "seed": seed, "episode_id": "one"})) == replies[0]
    assert run(session.handle("step", SCRIPT[0])) == replies[1]
    run(store.close())
    store = open_store(store_url)
    resumed = resume_session(store, run(store.load("one")))
    found = [cast("Reply", run(resumed.handle("step", action))) for action in SCRIPT[1:]]
    assert found == replies[2:]
    run(store.close())
