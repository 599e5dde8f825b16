"""Leaderboards from a store: which board is meant, what is computed when, and what is kept."""

from __future__ import annotations

import asyncio
from asyncio import run
from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataselect_env.core.errors import InvalidInput, UnknownSplit, UnknownTask
from dataselect_env.core.tasks import DYNAMICS_VERSION, SEALED, SPLITS
from dataselect_env.server import leaderboard
from dataselect_env.server.keyring import Keyring
from dataselect_env.server.leaderboard import Leaderboards
from dataselect_env.server.leaderboard_views import LOOKED_UP
from dataselect_env.server.ranking import BLOCK
from dataselect_env.server.settings import Settings
from dataselect_env.server.store.base import EpisodeStore
from dataselect_env.server.store.boards import Attempt, Board
from dataselect_env.server.store.retention import Retention
from dataselect_env.server.store.sqlite import SQLiteStore
from tests.helpers.boarding import fill, play, started
from tests.helpers.store_labs import StoreLab

SIZE = 3
BOARD = Board("medium", SEALED, "0123456789abcdef", DYNAMICS_VERSION, None)
OPEN = Board("medium", "test", None, DYNAMICS_VERSION, None)


class CountingStore(SQLiteStore):
    """A store that notes whose attempts are read."""

    def __init__(self) -> None:
        super().__init__(None)
        self.read: list[str] = []

    async def attempts(self, board: Board, agents: Collection[str]) -> list[Attempt]:
        self.read += sorted(agents)
        return await super().attempts(board, agents)


@pytest.fixture
def store(lab: StoreLab) -> EpisodeStore:
    """A store of each kind."""
    found: EpisodeStore = lab.store
    return found


def boards_of(store: EpisodeStore, keyring: Keyring | None = None, **settings: Any) -> Leaderboards:
    return Leaderboards(store, Settings(store="memory:", **{"sealed_size": SIZE, **settings}), keyring or Keyring())


# --- which board ----------------------------------------------------------------------------------------------------


def test_without_a_secret_the_open_board_is_meant(store: EpisodeStore) -> None:
    boards = boards_of(store)
    assert boards.choose() == Board("easy", "test", None, DYNAMICS_VERSION, None)
    assert boards.choose("hard", version=1) == Board("hard", "test", None, 1, None)
    with pytest.raises(UnknownSplit, match="does not offer sealed; choose test"):
        boards.choose(split="sealed")


def test_with_a_secret_the_current_sealed_board_is_meant(store: EpisodeStore) -> None:
    pytest.importorskip("cryptography")
    keyring = Keyring(["n" * 32, "o" * 32])
    boards = boards_of(store, keyring)
    assert boards.choose() == Board("easy", SEALED, keyring.current, DYNAMICS_VERSION, None)
    assert boards.choose(split="test").key_id is None


def test_boards_of_earlier_secrets_and_definitions_can_be_named(store: EpisodeStore) -> None:
    boards = boards_of(store)
    assert boards.choose("gone", None, "a" * 16, 2, "ff") == Board("gone", SEALED, "a" * 16, 2, "ff")
    with pytest.raises(UnknownTask, match="task: there is no such task; choose one of easy"):
        boards.choose("gone")
    with pytest.raises(InvalidInput, match="key: the split test has none"):
        boards.choose("easy", "test", "a" * 16)


# --- what it shows --------------------------------------------------------------------------------------------------


def test_a_board_from_its_first_attempt_to_its_last(store: EpisodeStore) -> None:
    async def follow() -> None:
        boards = boards_of(store)
        empty = await boards.page(BOARD, 0, 10)
        assert (empty.agents, empty.ranked, empty.episodes, empty.rows, empty.following) == (0, 0, 0, [], None)
        assert (empty.size, empty.warning) == (SIZE, None)
        await fill(store, BOARD, {"a": [0.5, 0.6, None], "b": [0.2, 0.2, 0.2]})
        page = await boards.page(BOARD, 0, 10)
        assert [(one.agent, one.rank, one.episodes) for one in page.rows] == [("b", 1, 3), ("a", None, 2)]
        assert (page.agents, page.ranked, page.episodes) == (2, 1, 5)
        await store.prune(Retention(1_000_000, days=365, lifetime=0))  # the unfinished attempt counts from now on
        page = await boards.page(BOARD, 0, 10)
        assert [(one.agent, one.rank, one.mean) for one in page.rows] == [("a", 1, 1.1 / 3), ("b", 2, 0.2)]
        other = await boards.page(Board("hard", SEALED, BOARD.key_id, DYNAMICS_VERSION, None), 0, 10)
        assert other.agents == 0

    run(follow())


def test_the_open_board_warns(store: EpisodeStore) -> None:
    first = SPLITS["test"].first_seed
    run(fill(store, OPEN, {"a": [0.5, 0.6]}, first))
    page = run(boards_of(store).page(OPEN, 0, 10))
    assert (page.warning, page.size) == (LOOKED_UP, 1_000)
    assert page.rows[0].coverage == 0.002


def test_boards_are_listed_with_their_attempts(store: EpisodeStore) -> None:
    run(fill(store, BOARD, {"a": [0.5, None], "b": [0.5]}))
    run(fill(store, OPEN, {"a": [0.5]}, SPLITS["test"].first_seed))
    found = run(boards_of(store).boards()).boards
    assert [(one.task_id, one.split, one.key_id, one.episodes) for one in found] == [
        ("medium", SEALED, BOARD.key_id, 2),
        ("medium", "test", None, 1),
    ]


@given(st.integers(0, 130), st.integers(1, 100))
def test_parts_are_cut_from_the_whole(offset: int, limit: int) -> None:
    async def check() -> None:
        store = SQLiteStore(None)
        await fill(store, BOARD, {f"{number:03}": [0.5] for number in range(BLOCK * 2 + 5)})
        boards = boards_of(store)
        whole = [row for part in (0, 100) for row in (await boards.page(BOARD, part, 100)).rows]
        page = await boards.page(BOARD, offset, limit)
        assert page.rows == whole[offset : offset + limit]
        assert page.following == (offset + limit if offset + limit < len(whole) else None)
        await store.close()

    run(check())


# --- what is computed ------------------------------------------------------------------------------------------------


def test_nothing_is_read_again_until_something_changes() -> None:
    async def check() -> None:
        store = CountingStore()
        names = [f"{number:03}" for number in range(2 * BLOCK)]
        await fill(store, BOARD, {name: [0.5] * SIZE for name in names} | {"late": [0.1, 0.1]})
        boards = boards_of(store)
        first = await boards.page(BOARD, 0, 10)
        assert store.read == names[: BLOCK + 1]  # the block, and the agent that its last one is compared with
        assert await boards.page(BOARD, 0, 10) == first
        assert await boards.page(BOARD, 20, 10) != first
        assert store.read == names[: BLOCK + 1]
        await play(store, started(BOARD, "late", 2), 0.1)
        assert (await boards.page(BOARD, 0, 10)).episodes == first.episodes + 1
        assert store.read == names[: BLOCK + 1]  # the others have the same sums
        await store.close()

    run(check())


def test_requests_that_come_together_share_the_work() -> None:
    async def check() -> None:
        store = CountingStore()
        await fill(store, BOARD, {name: [0.5] * SIZE for name in "abc"})
        boards = boards_of(store)
        pages = await asyncio.gather(*(boards.page(BOARD, 0, 10) for _ in range(20)))
        assert store.read == ["a", "b", "c"]
        assert all(page == pages[0] for page in pages)
        await store.close()

    run(check())


def test_memory_is_bounded(store: EpisodeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaderboard, "BLOCKS_KEPT", 2)
    monkeypatch.setattr(leaderboard, "BOARDS_KEPT", 2)

    async def check() -> None:
        boards = boards_of(store)
        for key in range(5):
            board = Board("medium", SEALED, f"{key:016}", DYNAMICS_VERSION, None)
            await fill(store, board, {"a": [0.5]})
            await boards.page(board, 0, 10)
        assert len(boards._rankings) == len(boards._blocks) == 2

    run(check())


def test_an_export_has_every_row_once(store: EpisodeStore) -> None:
    async def check() -> None:
        await fill(store, BOARD, {f"{number:03}": [0.5] for number in range(BLOCK + 5)})
        boards = boards_of(store)
        parts = [part async for part in boards.export(BOARD, "csv")]
        assert len(parts) == 2
        lines = "".join(parts).splitlines()
        assert lines[0].startswith("rank,agent,mean,low,high,episodes,coverage,passed,first_at,last_at,next_agent,")
        assert [line.split(",")[1] for line in lines[1:]] == [f"{number:03}" for number in range(BLOCK + 5)]

    run(check())
