"""Answers about leaderboards: their fields, examples and texts, and rows as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, Final, Literal

from pydantic import Field

from dataselect_env.core.tasks import DYNAMICS_VERSION, SEALED
from dataselect_env.core.validation import WireModel
from dataselect_env.server.ranking import BLOCK, Comparison, Row
from dataselect_env.server.store.boards import POINTS, Attempt, AttemptState, Board

ExportFormat = Literal["csv", "jsonl"]
CountingSplit = Literal["sealed", "test"]
METHOD: Final = (
    "Agents that have played the whole split are ranked by mean score; equal means share a rank. The others follow"
    " without a rank, by the number of their episodes: whoever may stop at any time could stop after a lucky start."
    " Intervals cover the mean with 95 % confidence. Differences to the next agent are paired by index or seed, and"
    f" their p values are corrected (Holm) for the comparisons among places 1 to {BLOCK}, {BLOCK + 1} to {2 * BLOCK},"
    " and so on."
)
LOOKED_UP: Final = (
    "The seeds of this split are public: anyone can rebuild its episodes, try plans on the copies, and play the best"
    " one. Scores on this board can be looked up and prove nothing."
)


class BoardFields(WireModel):
    """What a leaderboard compares."""

    task_id: str = Field(description="Task of the episodes.")
    split: CountingSplit = Field(description="Split of the episodes.")
    key_id: str | None = Field(description="Id of the secret of a sealed split; null on the open split.")
    dynamics_version: int = Field(ge=1, description="Version of the dynamics.")
    task_digest: str | None = Field(description="Fingerprint of a custom task; null for a built-in one.")


class BoardSummary(BoardFields):
    """A board with attempts that count."""

    episodes: int = Field(ge=1, description="Attempts that count.")


class BoardList(WireModel):
    """All boards with attempts that count."""

    boards: list[BoardSummary] = Field(description="Ordered by task, split, key, version and digest.")


class Leaderboard(BoardFields):
    """A part of a leaderboard."""

    size: int = Field(ge=1, description="Number of places in the split, which a ranked agent has all played.")
    episodes: int = Field(ge=0, description="Attempts of all agents that count.")
    agents: int = Field(ge=0, description="Number of agents.")
    ranked: int = Field(ge=0, description="Number of agents with a rank.")
    warning: str | None = Field(description="Why the scores prove nothing; null on a sealed split.")
    method: str = Field(description="How agents are ranked and compared.")
    rows: list[Row] = Field(description="The agents of this part, ranked ones first.")
    following: int | None = Field(description="Value of `offset` for the next part; null at the end.")


class ListedAttempt(WireModel):
    """An attempt of an agent."""

    place: int = Field(ge=0, description="Index in the sealed split, or seed.")
    state: AttemptState = Field(
        description="running: does not count yet. lapsed: was not finished in time, counts as if it had been stopped."
    )
    score: float | None = Field(description="Score; null while the episode runs, and on a sealed split.")
    passed: bool | None = Field(description="Whether the episode passed; null while it runs, and on a sealed split.")
    episode_id: str | None = Field(
        description="Id of the episode; null on a sealed split, where its actions could be copied."
    )
    started_at: str = Field(description="Start of the episode in UTC, ISO 8601.")


class AgentAttempts(BoardFields):
    """The attempts of an agent on a board."""

    agent: str = Field(description="Name of the agent.")
    attempts: list[ListedAttempt] = Field(description="Ordered by place.")
    following: int | None = Field(description="Value of `offset` for the next part; null at the end.")


def fields_of(board: Board) -> dict[str, Any]:
    """Return the fields that all answers about a board have."""
    return {
        "task_id": board.task_id,
        "split": board.split,
        "key_id": board.key_id,
        "dynamics_version": board.dynamics_version,
        "task_digest": board.task_digest,
    }


def listed(one: Attempt, *, is_sealed: bool) -> ListedAttempt:
    """Return an attempt as it may be shown; on a sealed split no score by index."""
    has_score = one.state != "running" and not is_sealed
    return ListedAttempt(
        place=one.place,
        state=one.state,
        score=one.points / POINTS if has_score else None,
        passed=one.passed if has_score else None,
        episode_id=None if is_sealed else one.episode_id,
        started_at=one.started_at,
    )


COLUMNS = ("rank", "agent", "mean", "low", "high", "episodes", "coverage", "passed", "first_at", "last_at")
"""Columns of a table; those of the comparison follow, with a prefix."""


def as_table(rows: Sequence[Row], *, header: bool = False) -> str:
    """Return rows as comma-separated values."""
    text = io.StringIO()
    compared = tuple(Comparison.model_fields)
    table = csv.DictWriter(text, (*COLUMNS, *(f"next_{name}" for name in compared)))
    if header:
        table.writeheader()
    for row in rows:
        cells = row.model_dump(include=set(COLUMNS))
        following = {} if row.next is None else row.next.model_dump()
        table.writerow(cells | {f"next_{name}": value for name, value in following.items()})
    return text.getvalue()


def examples() -> tuple[BoardList, Leaderboard, AgentAttempts]:
    """Return an example of each answer."""
    board = Board("medium", SEALED, "d2bb5dd27bbe35b7", DYNAMICS_VERSION, None)
    first_at, last_at = "2026-11-28T02:00:00.000+00:00", "2026-11-28T03:00:00.000+00:00"
    attempt = Attempt("my-agent", 0, "my-episode-1", first_at, 512_345, True, "finished")
    row = Row(
        rank=1,
        agent="my-agent",
        mean=0.512,
        low=0.471,
        high=0.553,
        episodes=100,
        coverage=1.0,
        passed=0.64,
        next=Comparison(
            agent="other", mean=0.031, low=0.012, high=0.05, pairs=100, p=0.002, p_corrected=0.002, significant=True
        ),
        scores=[0.512, 0.47, 0.553],
        first_at=first_at,
        last_at=last_at,
    )
    return (
        BoardList(boards=[BoardSummary(**fields_of(board), episodes=200)]),
        Leaderboard(
            **fields_of(board),
            size=100,
            episodes=200,
            agents=2,
            ranked=2,
            warning=None,
            method=METHOD,
            rows=[row],
            following=1,
        ),
        AgentAttempts(**fields_of(board), agent="my-agent", attempts=[listed(attempt, is_sealed=True)], following=None),
    )
