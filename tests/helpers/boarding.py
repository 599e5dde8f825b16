"""Made-up agents with made-up scores, put on a leaderboard through the methods of a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dataselect_env.server.store.base import EpisodeHeader, EpisodeStore
from dataselect_env.server.store.boards import Board
from dataselect_env.testing.checked_store import GRADE, STEP


def started(board: Board, agent: str, place: int) -> EpisodeHeader:
    """Return the header of an episode of an agent at a place of a board."""
    return EpisodeHeader(
        episode_id=f"{board.name}-{agent}-{place}",
        transport="http",
        task_id=board.task_id,
        seed=place,
        reward_mode="shaped",
        dynamics_version=board.dynamics_version,
        task_digest=board.task_digest,
        agent=agent,
        key_id=board.key_id,
    )


async def play(store: EpisodeStore, header: EpisodeHeader, score: float | None) -> None:
    """Play an episode that ends with a score; None leaves it running."""
    grade = GRADE.model_copy(update={"score": score or 0.0, "passed": (score or 0.0) > 0.5})
    await store.create(header, grade)
    if score is not None:
        await store.append(header.episode_id, 1, STEP, grade, grade)


async def fill(store: EpisodeStore, board: Board, scores: Mapping[str, Sequence[float | None]], first: int = 0) -> None:
    """Play a score of each agent at each place, from ``first``; None leaves the episode running."""
    for agent, some in scores.items():
        for place, score in enumerate(some, start=first):
            await play(store, started(board, agent, place), score)
