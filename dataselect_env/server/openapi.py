"""The OpenAPI document: FastAPI's description of the routes, with request bodies, links and examples added.

Links name the parts of an answer that go into the next request, so that tools can play whole episodes from the document
alone. Examples of episodes come from a file (bench/render_examples.py), others from the code.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from dataselect_env.core.actions import offered, request_models
from dataselect_env.core.models import GraderRequest, ResetRequest, StepEnvelope, StepRequest
from dataselect_env.core.specs import get_spec_range
from dataselect_env.core.tasks import PINNED, TASKS, get_split
from dataselect_env.core.validation import WireModel
from dataselect_env.server import catalogue, leaderboard_views, task_api
from dataselect_env.server.access import OPEN_PATHS
from dataselect_env.server.catalogue import NAME
from dataselect_env.server.keyring import KeyList, PublicKey
from dataselect_env.server.settings import ENV_PREFIX, Settings

EPISODE_EXAMPLES = Path(__file__).with_name("examples.json")

REQUEST_MODELS: tuple[type[WireModel], ...] = (
    ResetRequest,
    StepRequest,
    StepEnvelope,
    GraderRequest,
    task_api.SplitRequest,
    task_api.TaskRequest,
    task_api.TaskRangeRequest,
)

EPISODE = "$response.body#/episode_id"
EPISODE_LINKS: dict[tuple[str, str], dict[str, Any]] = {
    ("step", "/step"): {"requestBody": {"episode_id": EPISODE}},
    ("state", "/state"): {"parameters": {"episode_id": EPISODE}},
    ("grader", "/grader"): {"requestBody": {"episode_id": EPISODE, "task_id": "$response.body#/task_id"}},
}
"""Requests that may follow a reset or a step, by name and path, with what they take from its answer."""

_making = threading.Lock()


def document(app: FastAPI) -> dict[str, Any]:
    """Return the document of an application; making it takes some tenths of a second, again after a task was added."""
    with _making:
        tasks = (tuple(TASKS), offered())
        if app.openapi_schema is None or app.state.documented_tasks != tasks:
            app.openapi_schema = _make(app)
            app.state.documented_tasks = tasks
        return app.openapi_schema


def _make(app: FastAPI) -> dict[str, Any]:
    made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    _link_episodes(made["paths"])
    _state_body_limit(made["paths"])
    steps = dict(zip((StepRequest, StepEnvelope), request_models(offered()), strict=True))
    _, schemas = models_json_schema(
        [(steps.get(model, model), "validation") for model in REQUEST_MODELS],
        ref_template="#/components/schemas/{model}",
    )
    components = made["components"]["schemas"]
    components.update(schemas["$defs"])
    for name, example in example_answers().items():
        components[name]["examples"] = [example]
    made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    made["security"] = [{}, {"token": []}]  # the operator chooses whether there is a token
    for path in OPEN_PATHS:
        made["paths"][path]["get"]["security"] = []
    return made


def _link_episodes(paths: dict[str, Any]) -> None:
    """Link the answers of reset and step to the requests that may follow."""
    links = {}
    for (name, path), taken in EPISODE_LINKS.items():
        (operation,) = paths[path].values()
        links[name] = {"operationId": operation["operationId"], **taken}
    for path in ("/reset", "/step"):
        paths[path]["post"]["responses"]["200"]["links"] = links


def _state_body_limit(paths: dict[str, Any]) -> None:
    """Add the size limit to the description of each request body."""
    name = "max_message_bytes"
    default = Settings.model_fields[name].default
    for operations in paths.values():
        for operation in operations.values():
            if "requestBody" in operation:
                operation["requestBody"]["description"] = (
                    f"At most {default:,} bytes of JSON, unless {ENV_PREFIX}{name.upper()} sets another limit."
                )


def example_answers() -> dict[str, Any]:
    """Return an example of each wire type of responses, by the name of the type."""
    specs = [task_api.specification(spec) for spec in get_spec_range("test", 0, len(PINNED))]
    answers: tuple[WireModel, ...] = (
        catalogue.task_list(),
        catalogue.schemas(),
        catalogue.metadata(),
        catalogue.health(3, 256),
        catalogue.readiness(),
        KeyList(keys=[PublicKey(key_id="d2bb5dd27bbe35b7", public_key=f"{'A' * 43}=", current=True)]),
        task_api.TaskCount(num_tasks=get_split("test").num_tasks),
        task_api.SplitDescription(name="test", type="test"),
        task_api.OneTask(task=specs[0]),
        task_api.ManyTasks(tasks=specs),
        task_api.AllTasks(tasks=specs, env_name=NAME),
        *leaderboard_views.examples(),
    )
    about_an_episode: dict[str, Any] = json.loads(EPISODE_EXAMPLES.read_text(encoding="utf-8"))
    return about_an_episode | {type(answer).__name__: answer.model_dump(mode="json") for answer in answers}
