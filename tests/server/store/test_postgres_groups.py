"""Rows that are ready together share a statement, and no row suffers from another."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from dataselect_env.server.store.postgres_groups import GROUPS_AT_ONCE, LARGEST_GROUP, GroupStatement
from dataselect_env.server.store.postgres_pool import Connections


class Cursor:
    """The result of a statement."""

    def __init__(self, rows: list[Any]) -> None:
        self._rows = rows

    async def fetchall(self) -> list[Any]:
        return self._rows


class Executed(Connections):
    """Connections to nothing: each statement returns its rows after a while, and is remembered."""

    def __init__(self) -> None:
        super().__init__("")
        self.statements: list[list[dict[str, Any]]] = []
        self.running = self.most_at_once = 0

    async def run(self, operation: Callable[[Any], Awaitable[Any]], **_: object) -> Any:
        return await operation(self)

    async def execute(self, _: str, parameters: tuple[str], **__: object) -> Cursor:
        rows = json.loads(parameters[0])
        self.statements.append(rows)
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        await asyncio.sleep(0.01)
        self.running -= 1
        if any(row["value"] == "invalid" for row in rows):
            raise psycopg.DataError("invalid")
        if any(row["value"] == "down" for row in rows):
            raise psycopg.OperationalError("down")
        return Cursor([(row["episode_id"], row["value"]) for row in rows if row["value"] != "missing"])


def execute(*values: Any, same: bool = False) -> tuple[Executed, list[Any]]:
    connections = Executed()
    group = GroupStatement(connections, "SELECT")

    async def play() -> list[Any]:
        rows = [{"episode_id": "same" if same else f"e{place}", "value": v} for place, v in enumerate(values)]
        return list(await asyncio.gather(*map(group.execute, rows), return_exceptions=True))

    return connections, asyncio.run(play())


def test_what_is_ready_in_one_turn_shares_a_statement() -> None:
    connections, answers = execute(*range(100))
    assert answers == [(value,) for value in range(100)]
    assert [len(rows) for rows in connections.statements] == [100]


def test_no_statement_grows_without_bounds_and_few_run_at_once() -> None:
    connections, answers = execute(*range(3 * LARGEST_GROUP))
    assert answers == [(value,) for value in range(3 * LARGEST_GROUP)]
    assert max(len(rows) for rows in connections.statements) == LARGEST_GROUP
    assert connections.most_at_once <= GROUPS_AT_ONCE


def test_rows_about_one_episode_are_executed_one_after_the_other() -> None:
    connections, answers = execute(1, 2, 3, same=True)
    assert answers == [(1,), (2,), (3,)]
    assert [len(rows) for rows in connections.statements] == [1, 1, 1]
    assert connections.most_at_once == 1


def test_a_row_that_is_not_in_the_result_has_no_answer() -> None:
    assert execute(1, "missing", 2)[1] == [(1,), None, (2,)]


def test_a_row_that_fails_takes_no_other_with_it() -> None:
    _, answers = execute(1, "invalid", 2)
    assert (answers[0], type(answers[1]), answers[2]) == ((1,), psycopg.DataError, (2,))


def test_a_database_that_is_down_is_asked_once_for_all() -> None:
    connections, answers = execute(1, "down", 2)
    assert [type(answer) for answer in answers] == [psycopg.OperationalError] * 3
    assert len(connections.statements) == 1


@pytest.mark.parametrize("turns", range(4))
def test_a_caller_that_is_cancelled_holds_up_nobody_and_its_row_is_executed(turns: int) -> None:
    connections = Executed()
    group = GroupStatement(connections, "SELECT")

    async def play() -> None:
        first = asyncio.create_task(group.execute({"episode_id": "a", "value": 1}))
        other = asyncio.create_task(group.execute({"episode_id": "b", "value": 2}))
        for _ in range(turns):
            await asyncio.sleep(0)
        first.cancel()
        assert await other == (2,)
        await group.settled("a")
        await group.all_settled()

    asyncio.run(play())
    sent = [row["episode_id"] for rows in connections.statements for row in rows]
    assert sorted(sent) == (["b"] if turns == 0 else ["a", "b"])


def test_what_one_event_loop_left_undone_does_not_hold_up_the_next() -> None:
    connections = Executed()
    group = GroupStatement(connections, "SELECT")

    async def begin() -> None:
        task = asyncio.create_task(group.execute({"episode_id": "a", "value": 1}))
        await asyncio.sleep(0)
        assert not task.done()

    asyncio.run(begin())
    assert asyncio.run(group.execute({"episode_id": "a", "value": 2})) == (2,)
