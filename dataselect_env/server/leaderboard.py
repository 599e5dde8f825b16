"""Leaderboards as they are shown: agents by mean score, with intervals and comparisons, from the sums in the store.

Nothing is computed twice: the order of a board is kept until another attempt counts, and a block of rows as long as its
agents have the same sums. Statistics run on a thread; attempts are read for the agents of the requested blocks only.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Hashable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from dataselect_env.core.errors import InvalidInput, UnknownSplit, UnknownTask
from dataselect_env.core.tasks import DEFAULT_TASK, DYNAMICS_VERSION, SEALED, SPLITS, TASKS, get_task
from dataselect_env.server.keyring import Keyring
from dataselect_env.server.leaderboard_views import (
    LOOKED_UP,
    METHOD,
    AgentAttempts,
    BoardList,
    BoardSummary,
    CountingSplit,
    ExportFormat,
    Leaderboard,
    as_table,
    fields_of,
    listed,
)
from dataselect_env.server.ranking import BLOCK, Entry, Played, Row, make_rows, ordered
from dataselect_env.server.settings import Settings
from dataselect_env.server.store.base import EpisodeStore
from dataselect_env.server.store.boards import COUNTING_SPLIT, Board
from dataselect_env.server.threads import REPORT, SHOW, Once

MOST_ROWS = 100
"""Most agents in one response; exports have all."""
MOST_ATTEMPTS = 1_000
"""Most attempts in one response."""
BOARDS_KEPT = 16
"""Boards whose order stays in memory: a megabyte for 10,000 agents."""
BLOCKS_KEPT = 64
"""Blocks of rows that stay in memory: about 200 kB each."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The order of a board when ``counted`` attempts counted, in a split of ``size`` places."""

    board: Board
    counted: int
    size: int
    entries: tuple[Entry, ...]

    @property
    def ranked(self) -> int:
        """Number of agents with a rank."""
        return sum(one.rank is not None for one in self.entries)


BlockKey = tuple[Board, int, tuple[Entry, ...]]
"""Board, size of its split, agents of the block and the next one."""


class Leaderboards:
    """The leaderboards of a store.

    Args:
        store: Holds attempts and their sums.
        settings: Size of the sealed split.
        keyring: The current key decides which sealed board is shown by default.
    """

    def __init__(self, store: EpisodeStore, settings: Settings, keyring: Keyring) -> None:
        self._store = store
        self._settings = settings
        self._keyring = keyring
        self._rankings: OrderedDict[Board, Ranking] = OrderedDict()
        self._blocks: OrderedDict[BlockKey, tuple[Row, ...]] = OrderedDict()
        self._ranking: Once[tuple[Board, int], Ranking] = Once()
        self._making: Once[BlockKey, tuple[Row, ...]] = Once()

    def choose(
        self,
        task_id: str | None = None,
        split: CountingSplit | None = None,
        key_id: str | None = None,
        version: int | None = None,
        digest: str | None = None,
    ) -> Board:
        """Return the board that a request means.

        Args:
            task_id: Default: the default task.
            split: Default: the sealed split where the server has a secret or a key is named, else the open one.
            key_id: Default: the current key.
            version: Default: the current dynamics.
            digest: Default: that of the task as this server has it.

        Raises:
            UnknownTask: The server has no such task, and no digest was named.
            UnknownSplit: The server has no secret, and no key was named.
            InvalidInput: A key was named for the open split.
        """
        task_id = task_id or DEFAULT_TASK
        if split is None:
            split = "sealed" if self._keyring or key_id is not None else "test"
        if split == COUNTING_SPLIT and key_id is not None:
            raise InvalidInput(f"key: the split {COUNTING_SPLIT} has none; leave it out", field="key")
        if split == SEALED and key_id is None:
            if not self._keyring:
                raise UnknownSplit(
                    f"split: this server does not offer {SEALED}; choose {COUNTING_SPLIT}, or name the key of an"
                    " earlier secret",
                    field="split",
                )
            key_id = self._keyring.current
        if digest is None:
            digest = self._task_digest(task_id)
        return Board(task_id, split, key_id, version or DYNAMICS_VERSION, digest)

    def _task_digest(self, task_id: str) -> str | None:
        if task_id not in TASKS:
            raise UnknownTask(f"task: there is no such task; choose one of {', '.join(TASKS)}", field="task")
        return get_task(task_id).digest

    async def boards(self) -> BoardList:
        """Return all boards with attempts that count."""
        boards = await self._store.boards()
        return BoardList(
            boards=[BoardSummary(**fields_of(one), episodes=await self._store.counted(one)) for one in boards]
        )

    async def page(self, board: Board, offset: int, limit: int) -> Leaderboard:
        """Return at most ``limit`` rows of a board, from ``offset``."""
        ranking = await self._ranked(board)
        end = min(offset + limit, len(ranking.entries))
        first = offset - offset % BLOCK
        rows = [row for start in range(first, end, BLOCK) for row in await self._rows(ranking, start)]
        return Leaderboard(
            **fields_of(board),
            size=ranking.size,
            episodes=ranking.counted,
            agents=len(ranking.entries),
            ranked=ranking.ranked,
            warning=None if board.split == SEALED else LOOKED_UP,
            method=METHOD,
            rows=rows[offset - first : end - first] if offset < end else [],
            following=end if end < len(ranking.entries) else None,
        )

    async def export(self, board: Board, kind: ExportFormat) -> AsyncIterator[str]:
        """Yield all rows of a board as text: a table with a header, or one JSON object a line."""
        ranking = await self._ranked(board)
        for start in range(0, len(ranking.entries) or 1, BLOCK):
            rows = await self._rows(ranking, start) if ranking.entries else ()
            if kind == "csv":
                yield as_table(rows, header=start == 0)
            else:
                yield "".join(f"{row.model_dump_json()}\n" for row in rows)

    async def attempts(self, board: Board, agent: str, offset: int, limit: int) -> AgentAttempts:
        """Return at most ``limit`` attempts of an agent, from ``offset``; none if it has not played on the board."""
        found = await self._store.attempts(board, [agent])
        end = offset + limit
        shown = [listed(one, is_sealed=board.split == SEALED) for one in found[offset:end]]
        following = end if end < len(found) else None
        return AgentAttempts(**fields_of(board), agent=agent, attempts=shown, following=following)

    async def _ranked(self, board: Board) -> Ranking:
        """Return the order of a board."""
        counted = await self._store.counted(board)
        known = self._rankings.get(board)
        if known is None or known.counted != counted:
            known = await self._ranking.run((board, counted), partial(self._rank, board, counted))
            _keep(self._rankings, board, known, BOARDS_KEPT)
        return known

    async def _rank(self, board: Board, counted: int) -> Ranking:
        size = self._settings.sealed_size if board.split == SEALED else SPLITS[board.split].seeds
        standings = await self._store.standings(board)
        return Ranking(board, counted, size, tuple(await SHOW.run(ordered, standings, size)))

    async def _rows(self, ranking: Ranking, start: int) -> tuple[Row, ...]:
        """Return the rows of the block that starts at an index."""
        key = (ranking.board, ranking.size, ranking.entries[start : start + BLOCK + 1])
        rows = self._blocks.get(key)
        if rows is None:
            rows = await self._making.run(key, partial(self._make, *key))
        _keep(self._blocks, key, rows, BLOCKS_KEPT)
        return rows

    async def _make(self, board: Board, size: int, entries: tuple[Entry, ...]) -> tuple[Row, ...]:
        names = [one.standing.agent for one in entries]
        played = {name: Played.of(await self._store.attempts(board, [name])) for name in names}
        following = entries[BLOCK] if len(entries) > BLOCK else None
        return await REPORT.run(make_rows, board, size, entries[:BLOCK], following, played)


K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def _keep(cache: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    """Keep the most recently used values."""
    cache[key] = value
    cache.move_to_end(key)
    if len(cache) > most:
        cache.popitem(last=False)
