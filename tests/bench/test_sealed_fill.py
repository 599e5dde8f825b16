"""bench/sealed: the check of the filled leaderboard finds what is wrong, and the page is made from the results."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

pytest.importorskip("cryptography")

from bench.sealed import fill, page
from dataselect_env.core.tasks import DYNAMICS_VERSION, SEALED
from dataselect_env.server.ranking import ordered
from dataselect_env.server.store.boards import Board
from dataselect_env.server.store.sqlite import SQLiteStore

BOARD = Board("medium", SEALED, "0123456789abcdef", DYNAMICS_VERSION, None)
AGENTS = 21


def test_the_page_is_rendered_from_results_without_problems() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.rendered(text) == text
    results = json.loads((page.HERE / "fill.json").read_text(encoding="utf-8"))
    assert results["problems"] == len(results["first_problems"]) == 0
    assert results["counts"]["attempts that count"] >= 100_000
    assert results["versions"]["dynamics"] == DYNAMICS_VERSION


def test_the_board_is_recomputed_from_all_grades(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes, one after the other: the second comes too late wherever both play."""
    monkeypatch.setattr(fill, "SIZE", 6)
    path, problems = tmp_path / "board.db", list[str]()
    ledgers = [fill.write_in_process(fill.Job(path, BOARD, AGENTS, process)) for process in range(2)]
    assert ledgers[1]["refused"] == 12  # agents 0 and 20, at six indices
    counted = fill.merged(ledgers, problems)
    asyncio.run(fill.check_store(path, BOARD, counted, problems))
    assert problems == []

    async def order() -> list[tuple[int | None, str, int]]:
        store = SQLiteStore(path)
        entries = ordered(await store.standings(BOARD), 6)
        await store.close()
        return [(one.rank, one.standing.agent, one.standing.episodes) for one in entries]

    assert [one[:3] for one in fill.recomputed(counted)] == asyncio.run(order())
    name, some = next(iter(counted.items()))
    counted[name] = some | {0: (1, True)}
    asyncio.run(fill.check_store(path, BOARD, counted, problems))
    assert problems == [f"the attempts of {name} differ"]


def test_an_attempt_that_two_processes_count_is_a_problem() -> None:
    problems: list[str] = []
    fill.merged([{"counted": [("a", 0, 1, True)]}, {"counted": [("a", 0, 2, True), ("a", 1, 2, True)]}], problems)
    assert problems == ["a at index 0 was acknowledged twice"]
