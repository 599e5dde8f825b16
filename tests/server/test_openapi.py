import json
import re
import time
from typing import Any

import jsonschema
import pytest
from fastapi.testclient import TestClient

from bench import render_examples
from dataselect_env.core.errors import EnvError
from dataselect_env.server.app import create_app
from dataselect_env.server.openapi import EPISODE_EXAMPLES, example_answers
from dataselect_env.server.settings import Settings
from tests.helpers.actions import select, stop


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(Settings(store="memory:")).openapi()


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(path, operation) for path, methods in document["paths"].items() for operation in methods.values()]


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"].values()
    text = str([document["paths"], *({**schema, "examples": None} for schema in schemas)])
    names = set(re.findall(r"'#/components/schemas/([^']+)'", text))
    assert {"ResetRequest", "StepRequest", "StepEnvelope", "Reply", "ErrorBody"} <= names
    assert names <= set(document["components"]["schemas"])
    assert "#/$defs" not in text


def test_every_error_answer_has_the_one_shape_and_an_example_of_it(document: dict[str, Any]) -> None:
    statuses = set()
    for path, operation in operations(document):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                content = answer["content"]["application/json"]
                if path == "/mcp" and "jsonrpc" in content["example"]:  # an answer of the protocol itself
                    assert set(content["example"]) == {"jsonrpc", "id", "error"}
                    continue
                assert content["schema"] == {"$ref": "#/components/schemas/ErrorBody"}, path
                assert {"code", "message"} <= set(content["example"]) <= {"code", "message", "field"}
                statuses.add(int(status))
    assert statuses >= {400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 503}


def test_every_status_that_an_error_can_have_is_documented(document: dict[str, Any]) -> None:
    documented = {int(status) for _, operation in operations(document) for status in operation["responses"]}
    of_servers = [error for error in EnvError.__subclasses__() if error.__module__ == EnvError.__module__]
    assert {error.status for error in of_servers} - {405} <= documented


def test_examples_fit_their_schemas(document: dict[str, Any]) -> None:
    for name, example in example_answers().items():
        schema = {**document["components"]["schemas"][name], "components": document["components"]}
        jsonschema.validate(example, schema)
        assert schema["examples"] == [example]


def test_examples_of_an_episode_are_rendered_from_the_code() -> None:
    """Choices exactly; other numbers as far as libraries of linear algebra agree."""

    def assert_equal(found: Any, expected: Any, place: str = "") -> None:
        if isinstance(expected, dict):
            assert list(found) == list(expected), place
            for name in expected:
                assert_equal(found[name], expected[name], f"{place}.{name}")
        elif isinstance(expected, list):
            assert len(found) == len(expected), place
            for number, value in enumerate(expected):
                assert_equal(found[number], value, f"{place}[{number}]")
        elif isinstance(expected, float):
            assert found == pytest.approx(expected, rel=1e-6), f"{place}: run python -m bench.render_examples"
        else:
            assert found == expected, f"{place}: run python -m bench.render_examples"

    assert_equal(json.loads(EPISODE_EXAMPLES.read_text()), json.loads(render_examples.render()))


def test_the_document_is_made_when_the_server_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataselect_env.server.app.DOCUMENT_DELAY", 0.0)
    app = create_app(Settings(store="memory:"))
    with TestClient(app):
        deadline = time.monotonic() + 60
        while app.openapi_schema is None:  # and nobody asks for it
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_every_answer_and_request_has_an_example(document: dict[str, Any]) -> None:
    for path, operation in operations(document):
        if path in ("/metrics", "/episodes/{episode_id}/trace") or "204" in operation["responses"]:  # text; no answer
            continue
        content = operation["responses"]["200"]["content"]["application/json"]
        name = content["schema"].get("$ref", "").rpartition("/")[2]
        if path not in ("/mcp", "/baseline", "/list_environments", "/{env_name}/splits"):
            assert document["components"]["schemas"][name]["examples"], path
        if "requestBody" in operation:
            assert "example" in operation["requestBody"]["content"]["application/json"], path


def test_documented_requests_work_as_they_stand(document: dict[str, Any], client: TestClient) -> None:
    def example(path: str) -> Any:
        return document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]

    assert client.post("/reset", json=example("/reset")).status_code == 200
    assert client.post("/step", json=example("/step")).status_code == 200
    for route in ("tasks", "num_tasks", "task", "task_range"):
        assert client.post(f"/DataSelectEnv/{route}", json=example(f"/{{env_name}}/{route}")).status_code == 200


def test_links_lead_from_a_reset_through_steps_to_the_grade(document: dict[str, Any], client: TestClient) -> None:
    names = {operation["operationId"]: path for path, operation in operations(document)}

    def follow(path: str, answer: dict[str, Any], link: str) -> tuple[str, dict[str, Any]]:
        """Return where a link of an answer leads, and what it takes along."""
        found = document["paths"][path]["post"]["responses"]["200"]["links"][link]
        taken = {**found.get("parameters", {}), **found.get("requestBody", {})}
        return names[found["operationId"]], {
            name: answer[source.removeprefix("$response.body#/")] for name, source in taken.items()
        }

    first = client.post("/reset", json={"task_id": "medium"}).json()
    client.post("/reset")
    path, taken = follow("/reset", first, "step")
    second = client.post(path, json={**select(), **taken}).json()
    path, taken = follow(path, second, "step")
    client.post(path, json={**stop(), **taken})
    path, taken = follow("/step", second, "state")
    assert client.get(path, params=taken).json()["end_reason"] == "stop"
    path, taken = follow("/step", second, "grader")
    assert client.post(path, json=taken).json()["episode_id"] == first["episode_id"]


def test_every_request_states_its_limits(document: dict[str, Any]) -> None:
    for path, operation in operations(document):
        if "requestBody" in operation:
            assert f"{Settings().max_message_bytes:,} bytes" in operation["requestBody"]["description"], path
    for name in ("ResetRequest", "StepRequest", "StepEnvelope", "GraderRequest", "TaskRequest"):
        for field, schema in document["components"]["schemas"][name]["properties"].items():
            for kind in schema.get("anyOf", [schema]):
                if kind.get("type") == "string":
                    assert {"maxLength", "enum"} & set(kind), (name, field)
                if kind.get("type") in ("integer", "number"):
                    assert {"minimum", "exclusiveMinimum"} & set(kind), (name, field)
