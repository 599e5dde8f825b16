"""The OpenAPI document: what FastAPI knows of the routes, the bodies that they read themselves, links and examples.

Links say what of one answer goes into the next request, so that tools can play whole episodes from the document alone.
Examples of answers come from an episode that is played when the document is first asked for, so they cannot go stale.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from dataselect_env.core.actions import offered, request_models
from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.models import (
    DEFAULT_REWARD_MODE,
    Action,
    GraderReply,
    GraderRequest,
    ResetRequest,
    StepEnvelope,
    StepRequest,
    WireModel,
)
from dataselect_env.core.tasks import DYNAMICS_VERSION, TASKS, get_spec_range, get_split
from dataselect_env.server import catalogue, task_api
from dataselect_env.server.access import OPEN_PATHS
from dataselect_env.server.catalogue import NAME
from dataselect_env.server.pool_view import view
from dataselect_env.server.settings import ENV_PREFIX, Settings
from dataselect_env.server.store.base import EpisodeHeader, StoredEpisode, StoredStep

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
"""What may follow a reset or a step, by name and path, and what it takes from their answer."""


def document(app: FastAPI) -> dict[str, Any]:
    """Return the document of an application; made once."""
    if app.openapi_schema is None:
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
        made["security"] = [{}, {"token": []}]  # the token is the operator's choice
        for path in OPEN_PATHS:
            made["paths"][path]["get"]["security"] = []
        app.openapi_schema = made
    return app.openapi_schema


def _link_episodes(paths: dict[str, Any]) -> None:
    """Say of the answers of reset and step what may follow."""
    links = {}
    for (name, path), taken in EPISODE_LINKS.items():
        (operation,) = paths[path].values()
        links[name] = {"operationId": operation["operationId"], **taken}
    for path in ("/reset", "/step"):
        paths[path]["post"]["responses"]["200"]["links"] = links


def _state_body_limit(paths: dict[str, Any]) -> None:
    """Say of every request body how large it may be."""
    name = "max_message_bytes"
    default = Settings.model_fields[name].default
    for operations in paths.values():
        for operation in operations.values():
            if "requestBody" in operation:
                operation["requestBody"]["description"] = (
                    f"At most {default:,} bytes of JSON, unless the server's {ENV_PREFIX}{name.upper()} is another."
                )


def example_answers() -> dict[str, Any]:
    """Return an example for each wire type that is an answer, by the name of the type."""
    examples = {type(answer).__name__: answer for answer in (*_about_the_environment(), *_about_an_episode())}
    return {name: answer.model_dump(mode="json") for name, answer in examples.items()}


def _about_the_environment() -> Iterator[WireModel]:
    specs = [task_api.specification(spec) for spec in get_spec_range("test", 0, len(TASKS))]
    yield from (
        catalogue.task_list(),
        catalogue.schemas(),
        catalogue.metadata(),
        catalogue.health(3, 256),
        catalogue.readiness(),
    )
    yield task_api.TaskCount(num_tasks=get_split("test").num_tasks)
    yield task_api.SplitDescription(name="test", type="test")
    yield task_api.OneTask(task=specs[0])
    yield task_api.ManyTasks(tasks=specs)
    yield task_api.AllTasks(tasks=specs, env_name=NAME)


def _about_an_episode() -> Iterator[WireModel]:
    header = EpisodeHeader("my-episode-1", "http", "medium", 7, DEFAULT_REWARD_MODE, DYNAMICS_VERSION)
    env = DataSelectEnv()
    env.reset(task_id=header.task_id, seed=header.seed, episode_id=header.episode_id)
    bought = StoredStep(*_played(env, Action.select(20, uncertainty=0.2, diversity=0.5, random=0.3)))
    yield env.state
    last = env.step(Action.stop())
    assert last.info is not None  # noqa: S101  (it is a step's reply)
    assert last.info.grade is not None  # noqa: S101  (the last one)
    yield last
    yield GraderReply(episode_id=last.episode_id, task_id=last.task_id, **last.info.grade.model_dump())
    yield view(StoredEpisode(header, (bought,), last.info.grade), points=False)


def _played(env: DataSelectEnv, action: Action) -> tuple[Action, int, int, float, float]:
    """Play a step and return what the store would keep of it."""
    reply = env.step(action)
    assert reply.info is not None  # noqa: S101  (it is a step's reply)
    performance = reply.observation.current_performance
    return action, reply.info.batch_size, reply.info.mislabelled or 0, performance, reply.reward or 0.0
