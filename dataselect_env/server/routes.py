"""The HTTP routes of episodes and of the server itself (SPEC section 3); the Task API has its own module.

Bodies are read here and validated by the service, as a WebSocket frame's are, so that both transports refuse the same
things with the same words; the OpenAPI document gets its request bodies from :func:`body_of`.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from dataselect_env.core.errors import (
    EnvError,
    EpisodeNotFound,
    EpisodeOver,
    ForbiddenOrigin,
    InternalError,
    InvalidInput,
    InvalidJSON,
    PayloadTooLarge,
    RequestTimeout,
    StoreUnavailable,
    TooManyRequests,
    Unauthorized,
)
from dataselect_env.core.models import (
    EPISODE_ID_LENGTH,
    Action,
    ErrorBody,
    GraderReply,
    GraderRequest,
    Reply,
    ResetRequest,
    State,
    StepEnvelope,
    StepRequest,
)
from dataselect_env.evaluation.baseline import BaselineReport
from dataselect_env.server import catalogue, metrics
from dataselect_env.server.catalogue import Health, Metadata, Readiness, SchemaReply, TaskList
from dataselect_env.server.json_input import parse_json
from dataselect_env.server.pool_view import PoolView
from dataselect_env.server.service import Service

router = APIRouter()


def service_of(request: Request) -> Service:
    """Return the service of the application that got this request."""
    service: Service = request.app.state.get_service()
    return service


async def read_json(request: Request) -> Any:
    """Return the request's body as parsed JSON, None when there is none; its content type does not matter.

    Raises:
        PayloadTooLarge: The body is larger than the server reads.
        RequestTimeout: It takes longer than the server waits.
        InvalidJSON: It is not JSON.
    """
    settings = service_of(request).settings
    body = bytearray()
    try:
        async with asyncio.timeout(settings.body_timeout):
            async for chunk in request.stream():
                body += chunk
                if len(body) > settings.max_message_bytes:
                    raise PayloadTooLarge(
                        f"The body is larger than the {settings.max_message_bytes} bytes that this server reads."
                    )
    except TimeoutError:
        raise RequestTimeout(f"The body was not there within {settings.body_timeout:g} s.") from None
    return parse_json(bytes(body))


def json_reply(model: BaseModel) -> Response:
    """Return ``model`` as the JSON body of a response."""
    return Response(model.model_dump_json(), media_type="application/json")


def body_of(*models: type[BaseModel], required: bool, example: dict[str, Any]) -> dict[str, Any]:
    """Return what OpenAPI says about a request body that is one of ``models``."""
    references: list[dict[str, Any]] = [{"$ref": f"#/components/schemas/{model.__name__}"} for model in models]
    if not required:
        references.append({"type": "null"})  # counts as no body
    schema = references[0] if len(references) == 1 else {"anyOf": references}
    return {
        "requestBody": {"required": required, "content": {"application/json": {"schema": schema, "example": example}}}
    }


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says about the error answers of a route; any can fail with those of ``ANY_ROUTE``."""
    return error_answers(*statuses, *ANY_ROUTE)


def error_answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says about error answers."""
    return {
        status: {
            "model": ErrorBody,
            "description": ERROR_ANSWERS[status][0],
            "content": {"application/json": {"example": ERROR_ANSWERS[status][1].body()}},
        }
        for status in statuses
    }


ANY_ROUTE = (401, 403, 429, 500, 503)
PROBE = (500, 503)
"""What a route that everybody may ask can fail with."""
READS_BODY = (400, 408, 413, 422)

ERROR_ANSWERS: dict[int, tuple[str, EnvError]] = {
    400: (
        "Not JSON, or an index that a split does not have",
        InvalidJSON("This is not JSON: expecting value, at line 1 column 1."),
    ),
    401: (
        "The server asks for a token (`DATASELECT_TOKEN`), and there was none or a wrong one",
        Unauthorized("This server asks for a token: send the header Authorization: Bearer TOKEN."),
    ),
    403: (
        "A browser shows a page of a foreign site, which may not use the server",
        ForbiddenOrigin("Pages of this origin may not use this server."),
    ),
    404: (
        "No such episode, task, split or environment",
        EpisodeNotFound("episode_id: there is no such episode", field="episode_id"),
    ),
    408: ("The body did not arrive in time", RequestTimeout("The body was not there within 30 s.")),
    409: (
        "Not in this order: no episode yet, episode over or still running, id in use, another task, other dynamics",
        EpisodeOver("The episode is over; reset starts another one."),
    ),
    413: ("Body too large", PayloadTooLarge("The body is larger than the 262144 bytes that this server reads.")),
    422: (
        "A field is missing, unknown, of the wrong type or out of range",
        InvalidInput("batch_size: Input should be greater than or equal to 0", field="batch_size"),
    ),
    429: (
        "More requests than the server allows one client; `Retry-After` has the seconds to wait",
        TooManyRequests("One client may send 100 requests a second here; try again in 1 s."),
    ),
    500: ("A defect of the server", InternalError("The server failed at this request; nothing has changed.")),
    503: (
        "The store cannot be reached, or the server is stopping",
        StoreUnavailable("The episode store cannot be reached right now."),
    ),
}

EXAMPLE_ACTION = Action.select(20, uncertainty=0.2, diversity=0.5, random=0.3).model_dump(exclude={"metadata"})
EXAMPLE_RESET = {"task_id": "medium", "seed": 7}


@router.post(
    "/reset",
    response_model=Reply,
    responses=errors(*READS_BODY, 404, 409),
    openapi_extra=body_of(ResetRequest, required=False, example=EXAMPLE_RESET),
    tags=["Episode"],
)
async def reset(request: Request) -> Response:
    """Start an episode; an empty body starts the default task with a drawn seed."""
    return json_reply(await service_of(request).http.handle("reset", await read_json(request)))


@router.post(
    "/step",
    response_model=Reply,
    responses=errors(*READS_BODY, 404, 409),
    openapi_extra=body_of(StepRequest, StepEnvelope, required=True, example=EXAMPLE_ACTION),
    tags=["Episode"],
)
async def step(request: Request) -> Response:
    """Play one action, plain or wrapped as ``{"action": ...}``."""
    return json_reply(await service_of(request).http.handle("step", await read_json(request)))


@router.get("/state", response_model=State, responses=errors(404, 409, 422), tags=["Episode"])
async def state(
    request: Request,
    episode_id: Annotated[
        str | None, Query(min_length=1, max_length=EPISODE_ID_LENGTH, description="Default: the most recently started.")
    ] = None,
) -> Response:
    """Tell where an episode stands."""
    return json_reply(await service_of(request).http.handle("state", {"episode_id": episode_id}))


@router.post(
    "/grader",
    response_model=GraderReply,
    responses=errors(*READS_BODY, 404, 409),
    openapi_extra=body_of(GraderRequest, required=True, example={"episode_id": "my-episode-1", "task_id": "medium"}),
    tags=["Episode"],
)
async def grader(request: Request) -> Response:
    """Grade a finished episode, whichever transport played it, also after a restart."""
    return json_reply(service_of(request).grade(await read_json(request)))


@router.get("/pool", response_model=PoolView, responses=errors(404, 409, 422), tags=["Episode"])
async def pool(
    request: Request,
    episode_id: Annotated[str, Query(min_length=1, max_length=EPISODE_ID_LENGTH, description="Of any transport.")],
    *,
    points: Annotated[bool, Query(description="Whether to tell where the samples lie; that never changes.")] = True,
) -> Response:
    """Tell what a picture of an episode's pool may show: where samples lie; once it is over, what was bought."""
    return json_reply(await run_in_threadpool(service_of(request).pool, episode_id, points=points))


@router.get("/tasks", response_model=TaskList, responses=errors(), tags=["Environment"])
async def tasks() -> Response:
    """List all tasks with the action schema."""
    return json_reply(catalogue.task_list())


@router.get("/baseline", response_model=BaselineReport, responses=errors(), tags=["Environment"])
async def baseline(request: Request) -> Response:
    """Play the reference policies on all tasks at fixed seeds; the first call takes seconds, later ones are instant."""
    return json_reply(await run_in_threadpool(service_of(request).baseline))


@router.get("/health", response_model=Health, responses=error_answers(*PROBE), tags=["Server"])
async def health(request: Request) -> Response:
    """Tell whether the server works, and how full it is; the store is not asked."""
    service = service_of(request)
    return json_reply(catalogue.health(len(service.sessions), service.settings.max_sessions))


@router.get("/ready", response_model=Readiness, responses=error_answers(*PROBE), tags=["Server"])
async def ready(request: Request) -> Response:
    """Tell whether episodes can be played: the store is asked."""
    await service_of(request).check_ready()
    return json_reply(catalogue.readiness())


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"description": "Counters and gauges", "content": {"text/plain": {}}}, **errors()},
    tags=["Server"],
)
async def prometheus(request: Request) -> Response:
    """Return counters and gauges, of all workers together, in the text format of Prometheus."""
    return Response(await run_in_threadpool(service_of(request).metrics_text), media_type=metrics.CONTENT_TYPE)


@router.get("/metadata", response_model=Metadata, responses=errors(), tags=["Environment"])
async def metadata() -> Response:
    """Tell what this environment is."""
    return json_reply(catalogue.metadata())


@router.get("/schema", response_model=SchemaReply, responses=errors(), tags=["Environment"])
async def schema() -> Response:
    """Give the JSON schemas of action, observation and state."""
    return json_reply(catalogue.schemas())
