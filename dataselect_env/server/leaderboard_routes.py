"""HTTP routes of leaderboards: the boards, a board in parts or as an export, and the attempts of an agent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from dataselect_env.core.models import AGENT_NAME, LONGEST_AGENT_NAME
from dataselect_env.server.leaderboard import MOST_ATTEMPTS, MOST_ROWS
from dataselect_env.server.leaderboard_views import (
    AgentAttempts,
    BoardList,
    CountingSplit,
    ExportFormat,
    Leaderboard,
)
from dataselect_env.server.routes import errors, json_reply, service_of
from dataselect_env.server.store.boards import Board

router = APIRouter(tags=["Leaderboard"])

MOST_SKIPPED = 1_000_000
EXPORT_TYPES: dict[ExportFormat, str] = {"csv": "text/csv", "jsonl": "application/x-ndjson"}
EXPORTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A part of the board, or as csv and jsonl all of it.",
        "content": {kind: {"schema": {"type": "string"}} for kind in EXPORT_TYPES.values()},
    }
}


def chosen_board(
    request: Request,
    *,
    task: Annotated[str | None, Query(max_length=64, description="Task of the board; default: easy.")] = None,
    split: Annotated[
        CountingSplit | None, Query(description="Split; default: sealed where the server has a secret, else test.")
    ] = None,
    key: Annotated[
        str | None,
        Query(pattern="^[0-9a-f]{16}$", description="Key of an earlier secret; default: the current one."),
    ] = None,
    version: Annotated[int | None, Query(ge=1, le=10_000, description="Dynamics; default: the current one.")] = None,
    digest: Annotated[
        str | None,
        Query(pattern="^[0-9a-f]{1,128}$", description="Fingerprint of an earlier definition of a custom task."),
    ] = None,
) -> Board:
    """Return the board that a request means."""
    return service_of(request).leaderboards.choose(task, split, key, version, digest)


ChosenBoard = Annotated[Board, Depends(chosen_board)]
Offset = Annotated[int, Query(ge=0, le=MOST_SKIPPED, description="`following` of the part before.")]


@router.get("/boards", response_model=BoardList, responses=errors())
async def boards(request: Request) -> Response:
    """List the leaderboards with attempts that count."""
    return json_reply(await service_of(request).leaderboards.boards())


@router.get("/leaderboard", response_model=Leaderboard, responses={**EXPORTS, **errors(404, 422)})
async def leaderboard(
    request: Request,
    board: ChosenBoard,
    *,
    offset: Offset = 0,
    limit: Annotated[int, Query(ge=1, le=MOST_ROWS, description="Most agents in the response.")] = 50,
    kind: Annotated[
        Literal["json", "csv", "jsonl"],
        Query(alias="format", description="json: a part of the board. csv, jsonl: all of it, offset and limit aside."),
    ] = "json",
) -> Response:
    """Return agents on a task and split, ranked by mean score, with intervals and comparisons."""
    leaderboards = service_of(request).leaderboards
    if kind == "json":
        return json_reply(await leaderboards.page(board, offset, limit))
    parts = leaderboards.export(board, kind)
    first = await anext(parts)  # an error of the store is still answered with its status
    headers = {"Content-Disposition": f'attachment; filename="leaderboard.{kind}"'}
    return StreamingResponse(_with(first, parts), media_type=EXPORT_TYPES[kind], headers=headers)


async def _with(first: str, others: AsyncIterator[str]) -> AsyncIterator[str]:
    yield first
    async for part in others:
        yield part


@router.get("/leaderboard/{agent}", response_model=AgentAttempts, responses=errors(404, 422))
async def attempts(
    request: Request,
    board: ChosenBoard,
    agent: Annotated[str, Path(max_length=LONGEST_AGENT_NAME, pattern=AGENT_NAME, description="Name of the agent.")],
    *,
    offset: Offset = 0,
    limit: Annotated[int, Query(ge=1, le=MOST_ATTEMPTS, description="Most attempts in the response.")] = 100,
) -> Response:
    """List the attempts of an agent on a board; empty if it has not played there."""
    return json_reply(await service_of(request).leaderboards.attempts(board, agent, offset, limit))
