"""OpenEnv's Task API, which lists splits and task specifications; ``reset`` plays one.

The wire format is that of OpenEnv 0.10: ``GET`` lists environments and splits, ``POST`` returns the tasks of a split.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import lru_cache
from typing import TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from dataselect_env.core.errors import NotFound
from dataselect_env.core.models import SpecIndex, SplitName
from dataselect_env.core.specs import TaskSpec, get_spec, get_spec_range
from dataselect_env.core.tasks import SPLITS, TASKS, get_split
from dataselect_env.core.validation import WireModel, parse
from dataselect_env.server.catalogue import NAME
from dataselect_env.server.routes import READS_BODY, body_of, errors, read_json
from dataselect_env.server.threads import SHOW

router = APIRouter(tags=["Task API"])
EXAMPLE_SPLIT = {"split": "test"}
AT_ONCE = 256
"""Specifications in one piece of a response."""


class SplitRequest(WireModel):
    """A split."""

    split: SplitName = Field(description=f"One of {', '.join(SPLITS)}.")


class TaskRequest(SplitRequest):
    """One index in a split."""

    index: SpecIndex = Field(description="From 0 to num_tasks - 1.")


class TaskRangeRequest(SplitRequest):
    """A range of indices in a split, with the meaning of a Python slice."""

    start: int | None = Field(None, description="First index; default: 0.")
    stop: int | None = Field(None, description="Index after the last; default: the end of the split.")


class SplitDescription(WireModel):
    """A split and its purpose."""

    name: str = Field(description="Name in requests.")
    type: str = Field(description="train, validation or test.")


class TaskSpecification(WireModel):
    """A task with a seed."""

    id: str = Field(description="Id of this specification, unique over all splits.")
    split: str = Field(description="Split that it belongs to.")
    index: int = Field(ge=0, description="Index in the split; reset accepts split and index.")
    task_id: str = Field(description="Id of the task.")
    seed: int = Field(ge=0, description="Seed of the episode.")
    difficulty: str = Field(description="Difficulty of the task.")
    group: str = Field(
        description="Group of specifications with the same seed, and so with the same data set, under every task."
    )


class TaskCount(WireModel):
    """Size of a split."""

    num_tasks: int = Field(ge=0, description="Number of task specifications in the split.")


class OneTask(WireModel):
    """A task specification."""

    task: TaskSpecification


class ManyTasks(WireModel):
    """Task specifications in order of their indices."""

    tasks: list[TaskSpecification]


class AllTasks(ManyTasks):
    """All task specifications of a split."""

    env_name: str = Field(description="Name of the environment.")


RequestT = TypeVar("RequestT", bound=SplitRequest)


async def read(request: Request, env_name: str, model: type[RequestT]) -> RequestT:
    """Return the body of a request to the environment ``env_name`` as a ``model``.

    Raises:
        EnvError: This server has no such environment, or the body is not valid.
    """
    check_name(env_name)
    return parse(model, await read_json(request))


def check_name(env_name: str) -> None:
    """Accept the environment's name in any case.

    Raises:
        NotFound: The name is that of another environment.
    """
    if env_name.lower() != NAME.lower():
        raise NotFound(f"There is no such environment; this server has {NAME}.")


def specification(spec: TaskSpec) -> TaskSpecification:
    """Return the wire type of a task specification."""
    return TaskSpecification.model_validate(spec, from_attributes=True)


def spec_texts(split: str) -> list[bytes]:
    """Return the JSON of each task specification of a split; cached, since splits have thousands."""
    return _spec_texts(split, tuple((task.task_id, task.difficulty) for task in TASKS.values()))


@lru_cache(maxsize=len(SPLITS))
def _spec_texts(split: str, _tasks: tuple[tuple[str, str], ...]) -> list[bytes]:
    """Return the texts for the tasks that are registered now, which is all that specifications depend on."""
    return [specification(spec).model_dump_json().encode() for spec in get_spec_range(split)]


async def listed(split: str, chosen: slice, end: bytes = b"") -> Response:
    """Return specifications of a split as ``{"tasks": [...]}``; the response is made while it is sent.

    Args:
        split: Name of the split.
        chosen: Which specifications.
        end: What follows in the object.
    """
    texts = (await SHOW.run(spec_texts, get_split(split).name))[chosen]

    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"tasks":['
        for begin in range(0, len(texts), AT_ONCE):
            yield (b"," if begin else b"") + b",".join(texts[begin : begin + AT_ONCE])
        yield b"]" + end + b"}"

    return StreamingResponse(pieces(), media_type="application/json")


@router.get("/list_environments", responses=errors())
async def list_environments() -> list[str]:
    """List the environments of this server."""
    return [NAME]


@router.get("/{env_name}/splits", responses=errors(404, 422))
async def splits(env_name: str) -> list[SplitDescription]:
    """List the splits; their seeds and data sets are disjoint."""
    check_name(env_name)
    return [SplitDescription(name=name, type=name) for name in SPLITS]


@router.post(
    "/{env_name}/num_tasks",
    responses=errors(*READS_BODY, 404),
    openapi_extra=body_of(SplitRequest, required=True, example=EXAMPLE_SPLIT),
)
async def num_tasks(env_name: str, request: Request) -> TaskCount:
    """Count the task specifications of a split."""
    body = await read(request, env_name, SplitRequest)
    return TaskCount(num_tasks=get_split(body.split).num_tasks)


@router.post(
    "/{env_name}/tasks",
    responses=errors(*READS_BODY, 404),
    openapi_extra=body_of(SplitRequest, required=True, example=EXAMPLE_SPLIT),
    response_model=AllTasks,
)
async def tasks(env_name: str, request: Request) -> Response:
    """List all task specifications of a split."""
    body = await read(request, env_name, SplitRequest)
    return await listed(body.split, slice(None), b',"env_name":"%s"' % NAME.encode())


@router.post(
    "/{env_name}/task",
    responses=errors(*READS_BODY, 404),
    openapi_extra=body_of(TaskRequest, required=True, example={**EXAMPLE_SPLIT, "index": 0}),
)
async def task(env_name: str, request: Request) -> OneTask:
    """Return one task specification."""
    body = await read(request, env_name, TaskRequest)
    return OneTask(task=specification(get_spec(body.split, body.index)))


@router.post(
    "/{env_name}/task_range",
    responses=errors(*READS_BODY, 404),
    openapi_extra=body_of(TaskRangeRequest, required=True, example={**EXAMPLE_SPLIT, "start": 0, "stop": 3}),
    response_model=ManyTasks,
)
async def task_range(env_name: str, request: Request) -> Response:
    """Return the task specifications of a range of indices."""
    body = await read(request, env_name, TaskRangeRequest)
    return await listed(body.split, slice(body.start, body.stop))
