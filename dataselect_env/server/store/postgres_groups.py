"""Group statements: rows that are ready in the same turn of the event loop share a statement and its round trip.

A group of rows travels as one JSON text, which the database turns into a table: of the ways to send many rows this one
costs least time on both machines, and it needs one prepared statement whatever the number of rows.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass
from typing import Any, TypeAlias

import psycopg

from dataselect_env.server.store.postgres_pool import Connection, Connections

LARGEST_GROUP = 256
"""Rows of one statement."""
GROUPS_AT_ONCE = 2
"""Statements of one kind under way; rows that come meanwhile wait, and share the next one."""


Answer: TypeAlias = tuple[Any, ...] | Exception | None
"""A row of a statement's result, None if there is none, or why the statement failed."""


@dataclass(slots=True, eq=False)
class _Request:
    """A row and the future of its answer."""

    row: dict[str, Any]
    answer: asyncio.Future[Answer]


class GroupStatement:
    """A statement about many episodes, one row about each.

    Args:
        connections: Where it is executed.
        statement: Has one parameter, a JSON list of the rows. Each row of its result begins with the ``episode_id`` of
            a row that it was given.
        writes: Whether it changes the database.
    """

    def __init__(self, connections: Connections, statement: str, *, writes: bool = False) -> None:
        self._connections = connections
        self._statement = statement
        self._writes = writes
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: deque[_Request] = deque()
        self._under_way: dict[str, _Request] = {}
        self._groups: set[asyncio.Task[None]] = set()

    async def execute(self, row: dict[str, Any]) -> tuple[Any, ...] | None:
        """Return the rest of the result's row for a row, None if there is none.

        Rows about one episode are executed one after the other. A row whose caller is cancelled is executed all the
        same.

        Args:
            row: Values by name; ``episode_id`` is one of them.

        Raises:
            psycopg.Error: The statement failed.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # what another loop left undone when it ended
            self._loop, self._waiting, self._under_way, self._groups = loop, deque(), {}, set()
        await self.settled(row["episode_id"])
        request = _Request(row, loop.create_future())
        self._under_way[row["episode_id"]] = request
        self._waiting.append(request)
        if len(self._waiting) == 1:
            loop.call_soon(self._begin)  # after whatever else is ready in this turn
        answer = await asyncio.shield(request.answer)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def settled(self, episode_id: str) -> None:
        """Return when no row about an episode is under way."""
        while (request := self._under_way.get(episode_id)) is not None:
            if self._loop is not asyncio.get_running_loop():
                return  # the loop of the row has ended
            await asyncio.shield(request.answer)

    async def all_settled(self) -> None:
        """Return when all rows that are under way now have been executed."""
        for episode_id in tuple(self._under_way):
            await self.settled(episode_id)

    def _begin(self) -> None:
        if len(self._groups) < GROUPS_AT_ONCE:
            group = asyncio.create_task(self._execute_waiting())
            self._groups.add(group)
            group.add_done_callback(self._groups.discard)

    async def _execute_waiting(self) -> None:
        while self._waiting:
            group = [self._waiting.popleft() for _ in range(min(LARGEST_GROUP, len(self._waiting)))]
            for request, answer in zip(group, await self._answers(group), strict=True):
                del self._under_way[request.row["episode_id"]]
                request.answer.set_result(answer)

    async def _answers(self, group: list[_Request]) -> list[Answer]:
        """Return the answer to each row; where one of them makes the statement fail, each is executed alone."""
        try:
            found = await self._execute(group)
        except Exception as error:
            if len(group) == 1 or isinstance(error, psycopg.OperationalError):
                return [error] * len(group)
            return [answer for request in group for answer in await self._answers([request])]
        return [found.get(request.row["episode_id"]) for request in group]

    async def _execute(self, group: list[_Request]) -> dict[str, tuple[Any, ...]]:
        rows = json.dumps([request.row for request in group])

        async def execute(connection: Connection) -> list[tuple[Any, ...]]:
            return await (await connection.execute(self._statement.encode(), (rows,), prepare=True)).fetchall()

        return {row[0]: row[1:] for row in await self._connections.run(execute, writes=self._writes)}
