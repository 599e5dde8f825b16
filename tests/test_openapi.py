import re
from typing import Any

import jsonschema
import pytest
from fastapi.testclient import TestClient

from dataselect_env.app import create_app
from dataselect_env.errors import EnvError
from dataselect_env.openapi import example_answers
from dataselect_env.settings import Settings


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
                assert content["schema"] == {"$ref": "#/components/schemas/ErrorBody"}, path
                assert {"code", "message"} <= set(content["example"]) <= {"code", "message", "field"}
                statuses.add(int(status))
    assert statuses >= {400, 404, 409, 413, 422, 500, 503}


def test_every_status_that_an_error_can_have_is_documented(document: dict[str, Any]) -> None:
    documented = {int(status) for _, operation in operations(document) for status in operation["responses"]}
    of_servers = [error for error in EnvError.__subclasses__() if error.__module__ == EnvError.__module__]
    assert {error.status for error in of_servers} - {405} <= documented


def test_examples_fit_their_schemas(document: dict[str, Any]) -> None:
    for name, example in example_answers().items():
        schema = {**document["components"]["schemas"][name], "components": document["components"]}
        jsonschema.validate(example, schema)
        assert schema["examples"] == [example]


def test_every_answer_and_request_has_an_example(document: dict[str, Any]) -> None:
    for path, operation in operations(document):
        if "204" in operation["responses"]:
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
