"""What holds for every task over every transport."""

from contextlib import ExitStack
from typing import Any

import jsonschema
import pytest
from fastapi.testclient import TestClient

from dataselect_env.core.tasks import TASKS
from tests.helpers.actions import SCRIPT, select, stop
from tests.helpers.players import TRANSPORTS, InProcess, OverWebSocket, RefusedError, player, without_id

every_task = pytest.mark.parametrize("task_id", TASKS)
every_transport = pytest.mark.parametrize("transport", TRANSPORTS)


def play(one: Any, actions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Play until the actions or the episode end."""
    replies: list[dict[str, Any]] = []
    for action in actions:
        replies.append(one.step(action))
        if replies[-1]["done"]:
            break
    return replies


@every_task
@every_transport
@pytest.mark.parametrize("reward_mode", ["shaped", "grade"])
def test_an_episode_from_reset_to_grade(client: TestClient, task_id: str, transport: str, reward_mode: str) -> None:
    schema = client.get("/schema").json()
    with player(transport, client) as one:
        first = one.reset(task_id=task_id, seed=11, reward_mode=reward_mode)
        assert (first["reward"], first["done"], first["step"], first["info"]) == (None, False, 0, None)
        assert (first["task_id"], first["seed"]) == (task_id, 11)
        replies = play(one, [select(10)] * 99)
        state = one.state()
    last = replies[-1]
    for reply in [first, *replies]:
        observation = {**reply["observation"], "reward": reply["reward"], "done": reply["done"]}
        jsonschema.validate(observation, schema["observation"])
    jsonschema.validate(state, schema["state"])
    assert last["done"]
    assert state["done"]
    assert state["step_count"] == last["step"] == len(replies)
    assert state["episode_id"] == first["episode_id"]
    for reply in replies:
        assert sum(reply["info"]["reward_terms"].values()) == pytest.approx(reply["reward"], abs=1e-12)
    if reward_mode == "grade":
        assert sum(reply["reward"] for reply in replies) == pytest.approx(last["info"]["grade"]["score"], abs=1e-12)


@every_task
def test_every_transport_gives_the_same_episode(client: TestClient, task_id: str) -> None:
    played = []
    for transport in TRANSPORTS:
        with player(transport, client) as one:
            first = one.reset(task_id=task_id, seed=2_024)
            replies = [first, *play(one, SCRIPT)]
            state = {name: value for name, value in one.state().items() if name != "episode_id"}
            played.append(([without_id(reply) for reply in replies], state))
    assert played[0] == played[1] == played[2]


BAD_RESETS = [
    {"task_id": "impossible"},
    {"task_id": 1},
    {"seed": -1},
    {"seed": 2**32},
    {"seed": "7"},
    {"seed": True},
    {"seed": 1.5},
    {"episode_id": ""},
    {"episode_id": "x" * 256},
    {"episode_id": "line\nbreak"},
    {"reward_mode": "generous"},
    {"split": "dev"},
    {"index": 0},
    {"split": "test", "index": -1},
    {"split": "test", "index": 4_000},
    {"split": "test", "seed": 1},
    {"split": "test", "index": 0, "task_id": "hard"},
    {"split": "test", "index": 0, "seed": 1},
]
BAD_ACTIONS = [
    {},
    {**select(), "batch_size": True},
    {**select(), "batch_size": 10.5},
    {**select(), "batch_size": -1},
    {**select(), "action_type": "buy"},
    {**select(), "extra": 1},
    {**select(), "strategy_weights": {"random": 0}},
    {**select(), "strategy_weights": {"random": "1"}},
    {**select(), "strategy_weights": {"random": -1}},
    {**select(), "strategy_weights": {"margin": 1}},
]


@every_transport
def test_errors_are_the_same_everywhere_and_cost_nothing(client: TestClient, transport: str) -> None:
    reference = InProcess()
    reference.reset(seed=3)
    with player(transport, client) as one:
        with pytest.raises(RefusedError) as refused:
            one.step(select())
        assert refused.value.body["code"] == "NO_EPISODE"
        one.reset(seed=3)
        for bad in BAD_RESETS:
            with pytest.raises(RefusedError) as expected:
                InProcess().reset(**bad)  # type: ignore[arg-type]
            with pytest.raises(RefusedError) as refused:
                one.reset(**bad)  # type: ignore[arg-type]
            assert refused.value.body == expected.value.body
            assert set(refused.value.body) == {"code", "message", "field"}
        for bad in BAD_ACTIONS:
            with pytest.raises(RefusedError) as expected:
                reference.step(bad)
            with pytest.raises(RefusedError) as refused:
                one.step(bad)
            assert refused.value.body["code"] == "VALIDATION_ERROR"
            assert refused.value.body["field"] == expected.value.body["field"]
        assert [without_id(r) for r in play(one, SCRIPT)] == [without_id(r) for r in play(reference, SCRIPT)]
        with pytest.raises(RefusedError) as refused:
            one.step(stop())
        assert refused.value.body["code"] == "EPISODE_OVER"


def test_interleaved_sessions_equal_their_solo_runs(client: TestClient) -> None:
    plans = [(transport, task_id, seed) for transport in TRANSPORTS for task_id in TASKS for seed in (1, 2)]
    solo = {}
    for plan in plans:
        one = InProcess()
        one.reset(task_id=plan[1], seed=plan[2])
        solo[plan] = [without_id(reply) for reply in play(one, SCRIPT)]
    with ExitStack() as stack:
        together = {plan: stack.enter_context(player(plan[0], client)) for plan in plans}
        for plan, one_of_many in together.items():
            one_of_many.reset(task_id=plan[1], seed=plan[2])
        for step, action in enumerate(SCRIPT):
            for plan, one_of_many in together.items():
                if step < len(solo[plan]):
                    assert without_id(one_of_many.step(action)) == solo[plan][step]


@every_task
@pytest.mark.parametrize("transport", ["http", "websocket"])
def test_every_served_episode_is_graded(client: TestClient, task_id: str, transport: str) -> None:
    with player(transport, client) as one:
        episode_id = one.reset(task_id=task_id, seed=4)["episode_id"]
        assert client.post("/grader", json={"episode_id": episode_id}).json()["code"] == "EPISODE_RUNNING"
        grade = play(one, SCRIPT)[-1]["info"]["grade"]
        one.reset(task_id=task_id, seed=5)  # a later reset changes nothing
    asked = client.post("/grader", json={"episode_id": episode_id, "task_id": task_id})
    assert asked.json() == {**grade, "episode_id": episode_id, "task_id": task_id}


def test_each_connection_has_its_own_episode(client: TestClient) -> None:
    with client.websocket_connect("/ws") as first, client.websocket_connect("/ws") as second:
        OverWebSocket(first).reset(seed=1)
        with pytest.raises(RefusedError) as refused:
            OverWebSocket(second).step(select())
    assert refused.value.body["code"] == "NO_EPISODE"
