"""HTTP routes that show stored episodes of every transport; nothing here plays."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from dataselect_env.core.models import EPISODE_ID_LENGTH, LONGEST_AGENT_NAME
from dataselect_env.server.episode_views import MOST_LISTED, EpisodeList, EpisodeView, TraceFormat
from dataselect_env.server.routes import errors, json_reply, service_of
from dataselect_env.server.store.base import EpisodeFilter, Transport

router = APIRouter(tags=["Episodes"])

EpisodeIdInPath = Annotated[
    str, Path(min_length=1, max_length=EPISODE_ID_LENGTH, description="Id of an episode of any transport.")
]
TRACE_TYPES: dict[TraceFormat, str] = {"jsonl": "application/x-ndjson", "csv": "text/csv"}
TRACE_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One JSON object a line, or a table with a header.",
        "content": {kind: {"schema": {"type": "string"}} for kind in TRACE_TYPES.values()},
    }
}


UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "Nothing has changed since `If-None-Match`"}}


@router.get("/episodes", response_model=EpisodeList, responses=errors(422))
async def recent(
    request: Request,
    *,
    task_id: Annotated[str | None, Query(max_length=64, description="Only episodes of this task.")] = None,
    agent: Annotated[
        str | None,
        Query(max_length=LONGEST_AGENT_NAME, description="Only episodes that an agent of this name has played."),
    ] = None,
    transport: Annotated[Transport | None, Query(description="Only episodes of this transport.")] = None,
    state: Annotated[
        Literal["running", "finished"] | None, Query(description="Only running or only finished episodes.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED, description="Most episodes in the response.")] = 20,
    before: Annotated[
        int | None, Query(ge=1, lt=2**63, description="`following` of the part before; default: the newest episodes.")
    ] = None,
) -> Response:
    """List episodes of every transport, most recently started first, in parts."""
    finished = None if state is None else state == "finished"
    wanted = EpisodeFilter(task_id=task_id, transport=transport, finished=finished, agent=agent)
    return json_reply(await service_of(request).views.recent(wanted, limit, before))


# The trace comes first: an id may contain slashes.
@router.get(
    "/episodes/{episode_id:path}/trace", response_class=Response, responses={**TRACE_RESPONSE, **errors(404, 422)}
)
async def trace(
    request: Request,
    episode_id: EpisodeIdInPath,
    kind: Annotated[
        TraceFormat | None,
        Query(alias="format", description="Default: csv if the header Accept asks for text/csv, else jsonl."),
    ] = None,
) -> Response:
    """Return the steps of an episode for analysis: JSON Lines as in `GET /episodes/{episode_id}`, or a table."""
    if kind is None:
        kind = "csv" if TRACE_TYPES["csv"] in request.headers.get("accept", "") else "jsonl"
    text = await service_of(request).views.show(episode_id, kind)
    headers = {"Content-Disposition": f'attachment; filename="trace.{kind}"', "Vary": "Accept"}
    return Response(text, media_type=TRACE_TYPES[kind], headers=headers)


@router.get("/episodes/{episode_id:path}", response_model=EpisodeView, responses={**UNCHANGED, **errors(404, 422)})
async def episode(request: Request, episode_id: EpisodeIdInPath) -> Response:
    """Return an episode of any transport with its steps so far, as its agent saw them.

    A request with `If-None-Match` is answered with 304 until there is another step.
    """
    views = service_of(request).views
    headers = {"ETag": f'W/"{await views.tag(episode_id)}"', "Cache-Control": "no-cache"}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(await views.show(episode_id), media_type="application/json", headers=headers)
