import asyncio
import json
from typing import Any, cast

import jsonschema
import pytest

from dataselect_env import DataSelectEnv
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import Action, ObservationFields, ResetRequest, StrategyWeights
from dataselect_env.core.tasks import TASKS
from dataselect_env.core.validation import parse
from dataselect_env.server.entries import hash_of
from dataselect_env.server.mcp import tools
from dataselect_env.server.mcp.backend import EpisodeBackend, SessionBackend
from dataselect_env.server.service import Service
from dataselect_env.server.session import Session
from dataselect_env.server.settings import Settings
from dataselect_env.server.store.sqlite import SQLiteStore
from tests.helpers.owning import WINE, forgotten, offered
from tests.helpers.sessions import open_session

RESERVED = {"reset", "step", "state", "close"}
"""OpenEnv refuses tools of these names (``openenv.core.env_server.mcp_types``)."""


@pytest.fixture
def service(store: SQLiteStore) -> Service:
    return Service(Settings(store="memory:"), store)


@pytest.fixture
def backend(service: Service, store: SQLiteStore) -> SessionBackend:
    return SessionBackend(open_session(store, "mcp"), service)


def call(backend: EpisodeBackend, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return asyncio.run(tools.call(backend, name, arguments))


def told(result: dict[str, Any]) -> dict[str, Any]:
    assert not result["isError"], result
    data: dict[str, Any] = result["structuredContent"]
    return data


def refusal(result: dict[str, Any]) -> tuple[str, str]:
    assert result["isError"]
    return result["structuredContent"]["code"], result["content"][0]["text"]


def test_an_episode_is_the_one_of_every_other_transport(backend: SessionBackend, store: SQLiteStore) -> None:
    env = DataSelectEnv()
    first = env.reset(task_id="hard", seed=7, episode_id="mine")
    started = told(call(backend, "start_episode", {"task_id": "hard", "seed": 7, "episode_id": "mine"}))
    assert started["observation"] == first.observation.model_dump(exclude={"metadata"})
    for size, weights in ((5, {"uncertainty": 1}), (20, {"diversity": 0.5, "random": 0.5})):
        ours = told(call(backend, "select_batch", {"batch_size": size, **weights}))
        reply = env.step(Action.select(size, **weights))
        assert reply.info is not None
        assert (ours["reward"], ours["step"], ours["info"]) == (reply.reward, reply.step, reply.info.model_dump())
    last = told(call(backend, "stop", {}))
    assert last["done"]
    graded = told(call(backend, "get_grade", {}))
    assert graded["score"] == last["info"]["grade"]["score"]
    assert told(call(backend, "get_state", {}))["end_reason"] == "stop"
    assert asyncio.run(store.load("mine")).header.transport == "mcp"


def test_mistakes_are_told_in_our_sentences_and_cost_nothing(backend: SessionBackend) -> None:
    def ask(tool: str, **arguments: object) -> dict[str, Any]:
        return call(backend, tool, arguments)

    assert refusal(ask("get_grade"))[0] == "NO_EPISODE"
    assert refusal(ask("select_batch", batch_size=5, random=1)) == (
        "NO_EPISODE",
        "There is no episode yet; reset starts one.",
    )
    code, message = refusal(ask("start_episode", task_id="impossible"))
    assert code == "UNKNOWN_TASK"
    assert all(task in message for task in TASKS)
    told(ask("start_episode", seed=1))
    assert refusal(ask("select_batch", batch_size=-1, random=1))[1].startswith("batch_size: ")
    assert refusal(ask("select_batch", batch_size=5))[1].endswith("At least one weight should be greater than 0")
    assert "unknown field" in refusal(ask("select_batch", batch_size=5, random=1, size=3))[1]
    assert refusal(ask("get_grade"))[0] == "EPISODE_RUNNING"
    for tool in ("stop", "get_state"):
        assert refusal(ask(tool, episode_id="another"))[0] == "EPISODE_NOT_FOUND"
    assert told(ask("get_state"))["step_count"] == 0
    told(ask("stop"))
    assert refusal(ask("stop"))[0] == "EPISODE_OVER"


@pytest.mark.parametrize("nothing", [None, ""])
def test_optional_arguments_may_be_null_or_empty(service: Service, backend: SessionBackend, nothing: Any) -> None:
    for one in (service.http, backend):
        for field in ResetRequest.model_fields:
            told(call(one, "start_episode", {field: nothing}))
        batch = {"batch_size": 10.0, "uncertainty": nothing, "random": 1, "episode_id": nothing}
        assert told(call(one, "select_batch", batch))["info"]["bought_by"]["random"] == 10
        chosen = {"episode_id": nothing}
        assert [told(call(one, tool, chosen))["done"] for tool in ("stop", "get_state")] == [True, True]
        assert told(call(one, "get_grade", chosen)) == told(call(one, "get_grade", {}))
        assert "batch_size" in refusal(call(one, "select_batch", {"batch_size": nothing, "random": 1}))[1]
        assert "unknown field" in refusal(call(one, "list_tasks", {"all": nothing}))[1]


def test_a_defect_is_told_without_its_inside(backend: SessionBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*_: object) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr("dataselect_env.core.env.Episode", defect)
    result = call(backend, "start_episode", {})
    assert refusal(result)[0] == "INTERNAL_ERROR"
    assert "secret" not in json.dumps(result)


def test_an_episode_without_a_session_goes_by_its_id(service: Service) -> None:
    first = told(call(service.http, "start_episode", {"seed": 1}))["episode_id"]
    told(call(service.http, "start_episode", {"seed": 2}))
    assert told(call(service.http, "select_batch", {"batch_size": 5, "random": 1, "episode_id": first}))["seed"] == 1
    assert told(call(service.http, "get_state", {"episode_id": first}))["step_count"] == 1
    assert told(call(service.http, "get_state", {}))["seed"] == 2
    told(call(service.http, "stop", {}))
    assert told(call(service.http, "get_grade", {}))["episode_id"] != first
    assert refusal(call(service.http, "get_grade", {"episode_id": first}))[0] == "EPISODE_RUNNING"


def test_without_an_episode_there_is_no_grade(service: Service) -> None:
    assert refusal(call(service.http, "get_grade", {}))[0] == "NO_EPISODE"


def test_every_tool_says_what_it_takes_and_what_it_does() -> None:
    manifests = {name: tool.manifest() for name, tool in tools.TOOLS.items()}
    assert not RESERVED & manifests.keys()
    for manifest in manifests.values():
        schema = manifest["inputSchema"]
        jsonschema.Draft202012Validator.check_schema(schema)
        assert manifest["description"]
        for field in schema["properties"].values():
            assert field["description"]
            assert isinstance(field["type"], str)  # flat: no anyOf, no $ref
    batch = manifests["select_batch"]["inputSchema"]
    assert batch["required"] == ["batch_size"]
    assert manifests["start_episode"]["inputSchema"]["properties"]["task_id"]["enum"] == list(TASKS)


def test_descriptions_are_those_of_the_wire_types_and_tasks() -> None:
    batch = tools.TOOLS["select_batch"].manifest()["inputSchema"]["properties"]
    assert batch["batch_size"]["description"] == Action.model_fields["batch_size"].description
    assert batch["diversity"]["description"] == StrategyWeights.model_fields["diversity"].description
    rules = tools.TOOLS["start_episode"].description
    for name, field in ObservationFields.model_fields.items():
        assert name == "metadata" or f"{name}: {field.description}" in rules
    rules = tools.TOOLS["start_episode"].manifest()["description"]
    assert all(task.summary in rules for task in TASKS.values())


def test_the_tasks_are_listed_with_every_number(backend: SessionBackend) -> None:
    result = call(backend, "list_tasks", {})
    for task in TASKS.values():
        text = result["content"][0]["text"]
        assert task.success_criteria in text
        assert f"{task.budget} samples, in at most {task.max_steps} steps" in text
    assert [task["task_id"] for task in told(result)["tasks"]] == list(TASKS)


@pytest.mark.parametrize("weights", [{"margin": 1}, {"margin": 1, "random": 0.5}, {"random": 1}])
def test_a_batch_may_be_bought_by_a_further_strategy_alone(weights: dict[str, float]) -> None:
    with forgotten():
        offered("mine", **{**WINE, "strategies": ["margin"]})
        model = tools.TOOLS["select_batch"].model()
        batch = cast("tools.BatchArguments", parse(model, {"batch_size": 6, **weights}))
        given = {name: weight for name, weight in batch.action().strategy_weights if weight}
        assert given == weights
        with pytest.raises(InvalidInput, match="At least one weight"):
            parse(model, {"batch_size": 6, "margin": 0})


@pytest.mark.parametrize("task_id", ["medium", "open"])
def test_a_sealed_episode_is_played_by_its_index_alone(store: SQLiteStore, task_id: str) -> None:
    pytest.importorskip("cryptography")
    service = Service(Settings(store="memory:", secret="s" * 32), store)
    asyncio.run(store.register("me", hash_of("token")))
    backend = SessionBackend(Session(store, "mcp", service.entries), service)
    arguments = {"task_id": task_id, "split": "sealed", "index": 4, "agent": "me"}
    assert refusal(call(backend, "start_episode", arguments))[0] == "AGENT_REFUSED"
    started = told(call(backend, "start_episode", {**arguments, "agent_token": "token"}))
    assert (started["seed"], started["index"]) == (None, 4)
    bought = call(backend, "select_batch", {"batch_size": 20, "random": 1})
    assert told(bought)["seed"] is None
    most = TASKS[task_id].max_steps
    assert f"step: 1 of {'at most ' if task_id == 'open' else ''}{most}" in bought["content"][0]["text"]
    assert told(call(backend, "get_state", {}))["index"] == 4
    told(call(backend, "stop", {}))
    assert told(call(backend, "get_grade", {}))["receipt"]["index"] == 4
