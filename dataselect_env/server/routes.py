"""HTTP routes of episodes and of the server; the Task API and MCP have their own modules.

Routes parse request bodies, and the service validates them as it does WebSocket messages, so both transports report the
same errors. :func:`body_of` describes the bodies for the OpenAPI document.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from dataselect_env.core.errors import (
    EnvError,
    EpisodeNotFound,
    EpisodeOver,
    ForbiddenOrigin,
    HeadersTooLarge,
    InternalError,
    InvalidInput,
    InvalidJSON,
    PayloadTooLarge,
    RequestTimeout,
    StoreUnavailable,
    TooManyRequests,
    Unauthorized,
    URITooLong,
)
from dataselect_env.core.models import (
    EPISODE_ID_LENGTH,
    Action,
    ErrorBody,
    GraderRequest,
    Reply,
    ResetRequest,
    State,
    StepEnvelope,
    StepRequest,
)
from dataselect_env.core.receipts import GraderReply
from dataselect_env.evaluation.baseline import BaselineReport
from dataselect_env.server import catalogue, metrics
from dataselect_env.server.catalogue import Health, Metadata, Readiness, SchemaReply, TaskList
from dataselect_env.server.json_input import parse_json
from dataselect_env.server.keyring import KeyList
from dataselect_env.server.pool_view import Layout, PoolView
from dataselect_env.server.service import Service

router = APIRouter()


def service_of(request: Request) -> Service:
    """Return the service of the application that received a request."""
    service: Service = request.app.state.get_service()
    return service


async def read_json(request: Request) -> Any:
    """Return the parsed JSON body of a request, None if it is empty; the content type is ignored.

    Raises:
        PayloadTooLarge: The body exceeds the size limit.
        RequestTimeout: The body did not arrive in time.
        InvalidJSON: The body is not JSON.
    """
    settings = service_of(request).settings
    body = bytearray()
    try:
        async with asyncio.timeout(settings.body_timeout):
            async for chunk in request.stream():
                body += chunk
                if len(body) > settings.max_message_bytes:
                    raise PayloadTooLarge(f"The body exceeds the limit of {settings.max_message_bytes} bytes.")
    except TimeoutError:
        raise RequestTimeout(f"The body did not arrive within {settings.body_timeout:g} s.") from None
    return parse_json(bytes(body))


def json_reply(model: BaseModel) -> Response:
    """Return a response with ``model`` as its JSON body."""
    return Response(model.model_dump_json(), media_type="application/json")


def body_of(*models: type[BaseModel], required: bool, example: dict[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI description of a request body that is one of ``models``."""
    references: list[dict[str, Any]] = [{"$ref": f"#/components/schemas/{model.__name__}"} for model in models]
    if not required:
        references.append({"type": "null"})  # the same as no body
    schema = references[0] if len(references) == 1 else {"anyOf": references}
    return {
        "requestBody": {"required": required, "content": {"application/json": {"schema": schema, "example": example}}}
    }


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of the error responses of a route, with those of ``ANY_ROUTE``."""
    return error_responses(*statuses, *ANY_ROUTE)


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of error responses."""
    return {
        status: {
            "model": ErrorBody,
            "description": ERROR_RESPONSES[status][0],
            "content": {"application/json": {"example": ERROR_RESPONSES[status][1].body()}},
        }
        for status in statuses
    }


ANY_ROUTE = (401, 403, 414, 429, 431, 500, 503)
PROBE = (414, 431, 500, 503)
"""Error statuses of a route without access control."""
READS_BODY = (400, 408, 413, 422)

ERROR_RESPONSES: dict[int, tuple[str, EnvError]] = {
    400: (
        "Not JSON, or an index that a split does not have",
        InvalidJSON("This is not JSON: expecting value, at line 1 column 1."),
    ),
    401: (
        "The server requires a token (`DATASELECT_TOKEN`), and it was missing or wrong",
        Unauthorized("This server requires a token: send the header Authorization: Bearer TOKEN."),
    ),
    403: (
        "The request comes from a web page of another site, which may not use the server",
        ForbiddenOrigin("Pages of this origin may not use this server."),
    ),
    404: (
        "No such episode, task, split or environment",
        EpisodeNotFound("episode_id: there is no such episode", field="episode_id"),
    ),
    408: ("The body did not arrive in time", RequestTimeout("The body did not arrive within 30 s.")),
    409: (
        "Wrong order or conflict: no episode yet, episode over or still running, id in use, other task, other dynamics",
        EpisodeOver("The episode is over; reset starts another one."),
    ),
    413: ("Body too large", PayloadTooLarge("The body exceeds the limit of 262144 bytes.")),
    414: ("Address too long", URITooLong("The address of a request should have at most 16384 bytes.")),
    422: (
        "A field is missing, unknown, of the wrong type or out of range",
        InvalidInput("batch_size: Input should be greater than or equal to 0", field="batch_size"),
    ),
    429: (
        "The client exceeds the rate limit; `Retry-After` has the seconds to wait",
        TooManyRequests("The limit is 100 requests per second and client; try again in 1 s."),
    ),
    431: (
        "Headers too many or too large",
        HeadersTooLarge("The headers of a request should have at most 16384 bytes."),
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
    """Start an episode; an empty body starts the default task with a random seed."""
    return json_reply(await service_of(request).http.handle("reset", await read_json(request)))


@router.post(
    "/step",
    response_model=Reply,
    responses=errors(*READS_BODY, 404, 409),
    openapi_extra=body_of(StepRequest, StepEnvelope, required=True, example=EXAMPLE_ACTION),
    tags=["Episode"],
)
async def step(request: Request) -> Response:
    """Play one action, either plain or wrapped as ``{"action": ...}``."""
    return json_reply(await service_of(request).http.handle("step", await read_json(request)))


@router.get("/state", response_model=State, responses=errors(404, 409, 422), tags=["Episode"])
async def state(
    request: Request,
    episode_id: Annotated[
        str | None, Query(min_length=1, max_length=EPISODE_ID_LENGTH, description="Default: the most recently started.")
    ] = None,
) -> Response:
    """Return the state of an episode."""
    return json_reply(await service_of(request).http.handle("state", {"episode_id": episode_id}))


@router.post(
    "/grader",
    response_model=GraderReply,
    responses=errors(*READS_BODY, 404, 409),
    openapi_extra=body_of(GraderRequest, required=True, example={"episode_id": "my-episode-1", "task_id": "medium"}),
    tags=["Episode"],
)
async def grader(request: Request) -> Response:
    """Return the grade of a finished episode of any transport, also after a restart."""
    return json_reply(await service_of(request).grade(await read_json(request)))


@router.get("/pool", response_model=PoolView, responses=errors(404, 409, 422), tags=["Episode"])
async def pool(
    request: Request,
    episode_id: Annotated[
        str, Query(min_length=1, max_length=EPISODE_ID_LENGTH, description="Id of an episode of any transport.")
    ],
    *,
    points: Annotated[
        bool, Query(description="Whether to include the positions of the samples; they never change.")
    ] = True,
    layout: Annotated[Layout, Query(description="What the positions are.")] = "components",
) -> Response:
    """Return the positions of the pool's samples and, once the episode is over, what was bought."""
    shown = await service_of(request).pool(episode_id, points=points, layout=layout)
    return Response(shown, media_type="application/json")


@router.get("/keys", response_model=KeyList, responses=errors(), tags=["Environment"])
async def keys(request: Request) -> Response:
    """List the public keys that check receipts; empty if the server has no secret."""
    return json_reply(KeyList(keys=service_of(request).keyring.public_keys()))


@router.get("/tasks", response_model=TaskList, responses=errors(), tags=["Environment"])
async def tasks() -> Response:
    """List all tasks, with the schema of an action."""
    return json_reply(catalogue.task_list())


@router.get("/baseline", response_model=BaselineReport, responses=errors(), tags=["Environment"])
async def baseline(request: Request) -> Response:
    """Return the results of the reference policies at fixed seeds; the first call plays them, which takes seconds."""
    return json_reply(await service_of(request).baseline())


@router.get("/health", response_model=Health, responses=error_responses(*PROBE), tags=["Server"])
async def health(request: Request) -> Response:
    """Report that the process works, and its open sessions; for liveness probes. Does not use the store."""
    service = service_of(request)
    return json_reply(catalogue.health(len(service.sessions), service.settings.max_sessions))


@router.get("/ready", response_model=Readiness, responses=error_responses(*PROBE), tags=["Server"])
async def ready(request: Request) -> Response:
    """Report whether episodes can be played: writes to the store and reads it back; for readiness probes."""
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
    return Response(await service_of(request).metrics_text(), media_type=metrics.CONTENT_TYPE)


@router.get("/metadata", response_model=Metadata, responses=errors(), tags=["Environment"])
async def metadata() -> Response:
    """Describe this environment."""
    return json_reply(catalogue.metadata())


@router.get("/schema", response_model=SchemaReply, responses=errors(), tags=["Environment"])
async def schema() -> Response:
    """Return the JSON schemas of action, observation and state."""
    return json_reply(catalogue.schemas())
