"""check_store on boards: stores that break a rule about agents, attempts or standings fail by it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dataselect_env.core.models import Grade
from dataselect_env.server.store.base import EpisodeHeader, StoredStep
from dataselect_env.server.store.boards import Agent, Board, Standing
from dataselect_env.server.store.retention import Retention
from dataselect_env.testing import check_store
from dataselect_env.testing.checked_store import RULES
from tests.helpers.broken import requires
from tests.helpers.storing import DictStore


class FindsNoAgents(DictStore):
    async def agent(self, name: str) -> Agent | None:
        await super().agent(name)
        return None


class KeepsTheFirstToken(DictStore):
    async def register(self, name: str, token_hash: str) -> None:
        if await self.agent(name) is None:
            await super().register(name, token_hash)


class LetsAgentsTryAgain(DictStore):
    async def create(self, header: EpisodeHeader, so_far: Grade | None = None) -> None:
        board = header.board
        if board is not None and header.agent is not None:
            self.kept.pop((board, header.agent, header.seed), None)
        await super().create(header, so_far)


class CountsWhenStarted(DictStore):
    async def append(
        self, episode_id: str, number: int, step: StoredStep, grade: Grade | None, so_far: Grade | None = None
    ) -> None:
        await super().append(episode_id, number, step, grade)
        if so_far is not None:
            self.change(episode_id, state="finished" if grade else "running")


class ForgetsUnfinishedAttempts(DictStore):
    async def prune(self, keep: Retention) -> bool:
        more = await super().prune(keep)
        self.kept = {key: one for key, one in self.kept.items() if one.state != "lapsed"}
        return more


class CountsOneTooMany(DictStore):
    async def standings(self, board: Board) -> list[Standing]:
        return [replace(one, episodes=one.episodes + 1) for one in await super().standings(board)]


class CountsAgents(DictStore):
    async def counted(self, board: Board) -> int:
        return len(await self.standings(board))


class KnowsNoBoards(DictStore):
    async def boards(self) -> list[Board]:
        await super().boards()
        return []


class ShowsSealedEpisodes(DictStore):
    shows_sealed = True


class ListsSealedEpisodes(ShowsSealedEpisodes):
    async def latest(self, transport: str) -> str | None:
        found = await super().latest(transport)
        return None if found == "hidden" else found


BROKEN: dict[str, dict[type[DictStore], str]] = {
    "agents": {
        FindsNoAgents: "agent('new') is None",
        KeepsTheFirstToken: "agents returned [('a', 'one'), ('b', 'hash')]",
    },
    "attempts": {
        LetsAgentsTryAgain: "create(EpisodeHeader, Grade) should raise AttemptUsed, but returned",
        CountsWhenStarted: "episode_id='s-0', started_at='', points=250000, passed=False, state='running')], not [",
        ForgetsUnfinishedAttempts: "attempts of new are [",
    },
    "latest": {ShowsSealedEpisodes: "latest is the id of a sealed episode"},
    "recent": {ListsSealedEpisodes: "recent returned the sealed episodes ["},
    "standings": {
        CountsOneTooMany: "standings are [Standing(agent='new', episodes=3, ",
        CountsAgents: "counted returned 1, not 2",
        KnowsNoBoards: "boards returned [], not [Board(",
    },
}


@pytest.mark.parametrize("rule", BROKEN)
def test_a_store_that_breaks_a_rule_of_boards_fails_by_it(rule: str) -> None:
    for store, shown in BROKEN[rule].items():
        requires(RULES[rule], lambda: check_store(store, reopen=store), shown)  # noqa: B023
