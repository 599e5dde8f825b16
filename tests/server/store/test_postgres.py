"""What the PostgreSQL store promises beyond the contract of all stores: lost connections, several servers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from dataselect_env.core.errors import (
    EpisodeConflict,
    EpisodeExists,
    EpisodeNotFound,
    StoreOutcomeUnknown,
    StoreUnavailable,
)
from dataselect_env.core.models import Reply, State
from dataselect_env.server.service import Service
from dataselect_env.server.settings import Settings
from dataselect_env.server.store.postgres import PostgresStore
from dataselect_env.server.store.retention import Retention
from dataselect_env.testing.checked_store import GRADE, STEP, header
from tests.helpers.actions import select
from tests.helpers.losing import LosingProxy, losing_proxy
from tests.helpers.postgres import Postgres, running_postgres
from tests.helpers.sessions import open_session
from tests.helpers.store_labs import StoreLab

pytestmark = pytest.mark.slow
TOKEN = b'"token"'
"""Part of every write."""
PATIENCE = 60.0
"""Seconds that only a broken store takes to find its database again."""


@pytest.fixture
def lossy(postgres: Postgres) -> Iterator[tuple[LosingProxy, StoreLab]]:
    """A store behind a proxy; its tables are reached without the proxy."""
    url = postgres.new_url()
    with losing_proxy(url) as (proxy, through):
        yield proxy, StoreLab(url, PostgresStore(through))


def run(store: PostgresStore, playing: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine, and close the store in the same event loop."""

    async def play() -> None:
        try:
            await playing
        finally:
            await store.close()

    asyncio.run(play())


@pytest.mark.parametrize("delivers", [True, False])
@pytest.mark.parametrize("times", [1, 3])
def test_a_write_whose_connection_is_lost_is_stored_once_and_acknowledged(
    lossy: tuple[LosingProxy, StoreLab], delivers: bool, times: int
) -> None:
    proxy, lab = lossy
    store: PostgresStore = lab.store

    async def play() -> None:
        await store.create(header("warm"))  # the statement is prepared
        proxy.marker, proxy.delivers, proxy.times = TOKEN, delivers, times
        await store.create(header("one"))
        proxy.times = times
        await store.append("one", 1, STEP, GRADE)
        assert proxy.lost >= 2 * times
        with pytest.raises(EpisodeExists):
            await store.create(header("one"))
        with pytest.raises(EpisodeConflict):
            await store.append("one", 1, STEP, GRADE)
        found = await store.load("one")
        assert (found.steps, found.grade) == ((STEP,), GRADE)

    run(store, play())
    assert lab.execute("SELECT count(*) FROM steps") == [(1,)]


def test_a_step_that_another_server_played_meanwhile_is_a_conflict_also_after_a_loss(
    lossy: tuple[LosingProxy, StoreLab],
) -> None:
    proxy, lab = lossy
    store, other = lab.store, PostgresStore(lab.url)

    async def play() -> None:
        await store.create(header("one"))
        await other.append("one", 1, STEP, None)
        proxy.marker = TOKEN
        with pytest.raises(EpisodeConflict):
            await store.append("one", 1, STEP, GRADE)
        assert proxy.lost == 1
        assert (await other.load("one")).grade is None
        await other.close()

    run(store, play())


@pytest.mark.parametrize("delivers", [True, False])
def test_a_write_whose_outcome_stays_unknown_is_reported_as_such_and_the_session_goes_on_from_the_store(
    lossy: tuple[LosingProxy, StoreLab], delivers: bool
) -> None:
    proxy, lab = lossy
    store: PostgresStore = lab.store

    async def play() -> None:
        session = open_session(store, "http")
        await session.handle("reset", {"episode_id": "one", "seed": 1})
        await session.handle("step", select())
        store._connections._patience = 0.5
        proxy.marker, proxy.delivers, proxy.goes_down = TOKEN, delivers, True
        with pytest.raises(StoreOutcomeUnknown, match="get the state"):
            await session.handle("step", select())
        with pytest.raises(StoreUnavailable, match="nothing has changed") as refused:
            await session.handle("reset", {})  # was never sent
        assert not isinstance(refused.value, StoreOutcomeUnknown)
        proxy.marker, proxy.is_down = None, False
        store._connections._patience = PATIENCE
        state = await session.handle("state", None)
        assert isinstance(state, State)
        assert state.step_count == (2 if delivers else 1)
        reply = await session.handle("step", select())
        assert isinstance(reply, Reply)
        assert reply.step == state.step_count + 1

    run(store, play())


def test_a_restart_of_the_database_delays_steps_and_fails_none(caplog: pytest.LogCaptureFixture) -> None:
    with running_postgres() as server:
        store = PostgresStore(server.new_url())
        store._connections._patience = PATIENCE
        acknowledged: dict[str, int] = {}

        async def steps(name: str) -> None:
            await store.create(header(name))
            for number in range(1, 200):
                await store.append(name, number, STEP, None)
                acknowledged[name] = number

        async def play() -> None:
            playing = [asyncio.create_task(steps(f"e{number}")) for number in range(8)]
            for _ in range(2):
                await asyncio.sleep(0.05)
                await asyncio.to_thread(server.stop)
                await asyncio.to_thread(server.start)
            await asyncio.gather(*playing)
            await store.check()
            for name, number in acknowledged.items():
                assert await store.step_count(name) == number == 199

        run(store, play())
    assert caplog.text == ""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")
def test_a_database_that_hangs_is_not_ready_and_answers_again_later() -> None:
    with running_postgres() as server:
        store = PostgresStore(server.new_url())

        async def play() -> None:
            await store.create(header("a"))
            store._connections._patience = 0.5
            with server.frozen():
                with pytest.raises(StoreOutcomeUnknown):
                    await store.append("a", 1, STEP, None)
                outcomes = await asyncio.gather(store.check(), store.load("b"), return_exceptions=True)
            assert [type(one) for one in outcomes] == [StoreUnavailable, StoreUnavailable]
            store._connections._patience = PATIENCE
            await store.check()
            count = await store.step_count("a")
            await store.append("a", count + 1, STEP, None)

        run(store, play())


def test_a_database_that_is_down_is_not_ready_and_clients_get_a_sentence(caplog: pytest.LogCaptureFixture) -> None:
    with running_postgres() as server:
        store = PostgresStore(server.new_url())

        async def play() -> None:
            service = Service(Settings(), store)
            await service.check_ready()
            store._connections._patience = 0.5
            await asyncio.to_thread(server.stop)
            for call in (service.check_ready(), store.create(header("a")), store.load("a"), store.latest("http")):
                with pytest.raises(StoreUnavailable, match="cannot be reached right now") as refused:
                    await call
                assert "postgres" not in str(refused.value).lower()
            await asyncio.to_thread(server.start)
            store._connections._patience = PATIENCE
            await store.create(header("a"))
            await service.check_ready()

        run(store, play())
        assert "p@ss" not in caplog.text
        assert "p%40ss" not in caplog.text


def test_one_event_loop_may_follow_another_whatever_the_pool_was_doing(postgres: Postgres) -> None:
    """The pool's tasks outlive their cancellation while they connect, and once kept a loop from ending."""
    store = PostgresStore(postgres.new_url())

    async def begin(number: int, turns: int) -> None:
        await store.create(header(f"e{number}-{turns}"))
        checking = [asyncio.create_task(store.check()) for _ in range(8)]  # the pool grows
        for _ in range(turns):
            await asyncio.sleep(0)
        assert len(checking) == 8  # kept alive until here

    for number in range(3):
        for turns in range(12):
            asyncio.run(begin(number, turns))
    run(store, store.check())


def test_several_servers_that_prune_at_once_remove_what_one_would(postgres: Postgres) -> None:
    url = postgres.new_url()
    stores = [PostgresStore(url) for _ in range(4)]
    keep = Retention(episodes=50, days=1, lifetime=1e9)

    async def prune(store: PostgresStore) -> None:
        for _ in range(20):
            await store.prune(keep)

    async def play() -> None:
        for number in range(400):
            await stores[number % 4].create(header(f"e{number}"))
            await stores[number % 3].append(f"e{number}", 1, STEP, GRADE)
        await asyncio.gather(*map(prune, stores))
        for store in stores[1:]:
            await store.close()

    run(stores[0], play())
    assert StoreLab(url, stores[0]).names() == [f"e{number}" for number in range(350, 400)]


def test_an_append_beside_the_removal_of_its_episode_is_stored_or_refused(postgres: Postgres) -> None:
    lab = StoreLab(url := postgres.new_url(), PostgresStore(url))
    store: PostgresStore = lab.store

    async def play() -> None:
        for turn in range(30):
            await store.create(header(f"e{turn}"))
            append = store.append(f"e{turn}", 1, STEP, None)
            prune = store.prune(Retention(episodes=1_000, days=1, lifetime=-1))
            stored, _ = await asyncio.gather(append, prune, return_exceptions=True)
            assert stored is None or isinstance(stored, EpisodeNotFound)

    run(store, play())
    assert lab.execute("SELECT count(*) FROM steps WHERE episode NOT IN (SELECT number FROM episodes)") == [(0,)]


def test_refused_ids_do_not_push_out_older_episodes(postgres: Postgres) -> None:
    lab = StoreLab(url := postgres.new_url(), PostgresStore(url))

    async def play() -> None:
        await lab.store.create(header("one"))
        for _ in range(20):
            with pytest.raises(EpisodeExists):
                await lab.store.create(header("one"))
        await lab.store.create(header("two"))

    run(lab.store, play())
    assert lab.execute("SELECT number FROM episodes ORDER BY number") == [(1,), (2,)]


def test_the_most_recent_episode_is_that_of_all_servers(postgres: Postgres) -> None:
    url = postgres.new_url()

    async def play() -> None:
        first, second = (Service(Settings(), PostgresStore(url)) for _ in range(2))
        await first.http.handle("reset", {"episode_id": "a", "seed": 1})
        await second.http.handle("reset", {"episode_id": "b", "seed": 1})
        assert (await first.http.handle("state", None)).episode_id == "b"
        for turn, service in enumerate((first, second) * 2, start=1):  # and goes from server to server
            reply = await service.http.handle("step", select())
            assert (reply.episode_id, reply.step) == ("b", turn)  # type: ignore[union-attr]
        await first.close()
        await second.close()

    asyncio.run(play())
