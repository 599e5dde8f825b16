"""The rows of a leaderboard: order, ranks, intervals, and differences between neighbours.

An agent that has not played the whole split could stop after a lucky start, or play only the places that suit it. It is
listed below the ranked agents, without a rank and without a comparison: no interval allows for such a choice.

Rows are made in blocks of ``BLOCK``, and p values are corrected within a block. The numbers of a row therefore do not
depend on the part of the board that was requested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from dataselect_env.core.tasks import DYNAMICS_VERSION, PINNED, SEALED, TASKS
from dataselect_env.core.validation import WireModel
from dataselect_env.evaluation.statistics import (
    DRAWS,
    MOST_CELLS,
    Difference,
    corrected,
    difference,
    mean_interval,
    strata_of,
)
from dataselect_env.server.store.boards import COUNTING_SPLIT, POINTS, Attempt, Board, Standing

Integers = npt.NDArray[np.int64]
BLOCK = 50
"""Rows of a block, and therefore the most comparisons that are corrected together."""
MOST_SCORES = 60
"""Most scores of an agent in a row, enough for a small picture."""
FEWEST_DRAWS = 2_000
"""Draws of the Bayesian bootstrap where an agent has many episodes: 50 comparisons can still be significant."""
RESOLUTION = 10**12
"""Two means that differ do so by more than one part in this number: no agent has a million episodes on a board."""


class Comparison(WireModel):
    """The mean difference between an agent and the next one, over the places that both have played."""

    agent: str = Field(description="The next agent.")
    mean: float = Field(description="Mean difference of the scores.")
    low: float = Field(description="Lower end of its 95 % interval.")
    high: float = Field(description="Upper end of its 95 % interval.")
    pairs: int = Field(ge=2, description="Number of places that both have played.")
    p: float = Field(ge=0, le=1, description="Two-sided p value of the hypothesis that the mean difference is 0.")
    p_corrected: float = Field(
        ge=0, le=1, description=f"The same, corrected for the comparisons among places 1 to {BLOCK}, and so on (Holm)."
    )
    significant: bool = Field(description="Whether the corrected p value is below 0.05.")


class Row(WireModel):
    """An agent on a leaderboard."""

    rank: int | None = Field(ge=1, description="Rank; equal means share one. Null unless the whole split was played.")
    agent: str = Field(description="Name of the agent.")
    mean: float = Field(ge=0, le=1, description="Mean score.")
    low: float | None = Field(description="Lower end of its 95 % interval; null with a single episode.")
    high: float | None = Field(description="Upper end of its 95 % interval; null with a single episode.")
    episodes: int = Field(ge=1, description="Episodes that count.")
    coverage: float = Field(ge=0, le=1, description="Share of the split that was played.")
    passed: float = Field(ge=0, le=1, description="Share of the episodes that passed.")
    next: Comparison | None = Field(description="Comparison with the next ranked agent; null if there is none.")
    scores: list[float] = Field(
        description="Scores by seed on the open split; in ascending order on a sealed split, where no score is shown by"
        f" index. Of more than {MOST_SCORES}, means of neighbours."
    )
    first_at: str = Field(description="Earliest start of an episode in UTC, ISO 8601.")
    last_at: str = Field(description="Latest start of an episode in UTC, ISO 8601.")


@dataclass(frozen=True, slots=True)
class Entry:
    """An agent in the order of a board; ``rank`` is None unless it has played the whole split."""

    rank: int | None
    standing: Standing


def ordered(standings: Sequence[Standing], size: int) -> list[Entry]:
    """Return the agents in the order of the board.

    Agents that have played all ``size`` places come first, by mean. The others follow by the number of their episodes.
    """
    complete = sorted((one for one in standings if one.episodes >= size), key=lambda one: (-_mean(one), one.agent))
    others = (one for one in standings if one.episodes < size)
    entries: list[Entry] = []
    for place, one in enumerate(complete):
        is_tied = place > 0 and _mean(one) == _mean(complete[place - 1])
        entries.append(Entry(entries[-1].rank if is_tied else place + 1, one))
    rest = sorted(others, key=lambda one: (-one.episodes, -_mean(one), one.agent))
    return [*entries, *(Entry(None, one) for one in rest)]


def _mean(one: Standing) -> int:
    """Return the mean as an integer: equal exactly where the means are."""
    return one.points * RESOLUTION // one.episodes


@dataclass(frozen=True, slots=True)
class Played:
    """The attempts of an agent that count, as arrays: thousands of objects would keep the garbage collector busy.

    Attributes:
        places: Their places, (attempts,), ascending.
        points: Their points, (attempts,).
        passed: How many passed.
        first_at, last_at: Earliest and latest start.
    """

    places: Integers
    points: Integers
    passed: int
    first_at: str
    last_at: str

    @classmethod
    def of(cls, attempts: Sequence[Attempt]) -> Self:
        """Return those of an agent's attempts that count, at least one."""
        counting = [one for one in attempts if one.state != "running"]
        return cls(
            np.array([one.place for one in counting], dtype=np.int64),
            np.array([one.points for one in counting], dtype=np.int64),
            sum(one.passed for one in counting),
            min(one.started_at for one in counting),
            max(one.started_at for one in counting),
        )


def make_rows(
    board: Board,
    size: int,
    entries: Sequence[Entry],
    following: Entry | None,
    played: Mapping[str, Played],
) -> tuple[Row, ...]:
    """Return the rows of a block; takes milliseconds to seconds.

    Args:
        board: The board.
        size: Number of places in its split.
        entries: The agents of the block.
        following: The agent after the block, if there is one.
        played: What all these agents have played, by name.
    """
    ranked = [one for one in (*entries, following) if one is not None and one.rank is not None]
    names = [one.standing.agent for one in ranked]
    differences = [_difference(board, played[one], played[other]) for one, other in pairwise(names)]
    compared = iter(_comparisons(names[1:], differences))
    return tuple(
        _row(board, size, one, played[one.standing.agent], next(compared, None) if one.rank else None)
        for one in entries
    )


def _row(board: Board, size: int, entry: Entry, played: Played, following: Comparison | None) -> Row:
    count, scores = len(played.points), (played.points / POINTS).tolist()
    low = high = None
    if count > 1:
        found = mean_interval(scores, _strata(board, played.places), draws=_draws(count))
        low, high = found.low, found.high
    return Row(
        rank=entry.rank,
        agent=entry.standing.agent,
        mean=int(played.points.sum()) / count / POINTS,
        low=low,
        high=high,
        episodes=count,
        coverage=min(1.0, count / size),
        passed=played.passed / count,
        next=following,
        scores=_few(sorted(scores) if board.split == SEALED else scores),
        first_at=played.first_at,
        last_at=played.last_at,
    )


def _difference(board: Board, ours: Played, theirs: Played) -> Difference | None:
    """Return the difference over the places that both have; None if these are fewer than two."""
    places, mine, others = np.intersect1d(ours.places, theirs.places, assume_unique=True, return_indices=True)
    if len(places) < 2:
        return None
    one, other = (ours.points[mine] / POINTS).tolist(), (theirs.points[others] / POINTS).tolist()
    return difference(one, other, _strata(board, places), draws=_draws(len(places)))


def _comparisons(names: Sequence[str], differences: Sequence[Difference | None]) -> list[Comparison | None]:
    """Return the differences to agents of these names, corrected for their number."""
    made = iter(corrected([one for one in differences if one is not None]))
    return [
        None if one is None else _comparison(name, next(made)) for name, one in zip(names, differences, strict=True)
    ]


def _comparison(name: str, one: Difference) -> Comparison:
    return Comparison(agent=name, **one.model_dump(), significant=one.significant)


def _strata(board: Board, places: Integers) -> list[str] | None:
    """Return the hidden worlds of seeds; None where they are unknown, or must not become known."""
    is_open = board.split == COUNTING_SPLIT and board.dynamics_version == DYNAMICS_VERSION
    return strata_of(TASKS[board.task_id], places.tolist()) if is_open and board.task_id in PINNED else None


def _draws(episodes: int) -> int:
    """Return how many draws of the bootstrap a number of episodes allows."""
    return min(DRAWS, max(FEWEST_DRAWS, MOST_CELLS // episodes))


def _few(scores: Sequence[float]) -> list[float]:
    """Return at most ``MOST_SCORES`` means of neighbouring scores, with three decimals."""
    groups = np.array_split(scores, min(len(scores), MOST_SCORES))
    return [round(float(group.mean()), 3) for group in groups]
