import asyncio
import gc
import threading
from asyncio import run
from typing import Any

import pytest

from dataselect_env.core.episode import Episode
from dataselect_env.core.errors import (
    EpisodeNotFound,
    InvalidInput,
    NoEpisode,
)
from dataselect_env.core.models import Reply, State
from dataselect_env.server.service import Service
from dataselect_env.server.session import Session
from dataselect_env.server.settings import Settings
from dataselect_env.server.store.retention import Retention
from dataselect_env.server.store.sqlite import SQLiteStore
from tests.helpers.actions import SCRIPT, select, stop
from tests.helpers.sessions import open_session
from tests.helpers.store_labs import StoreLab


@pytest.fixture
def service(store: SQLiteStore) -> Service:
    return Service(Settings(max_sessions=2, max_live_episodes=2), store)


def start(service: Service, episode_id: str, seed: int = 1) -> None:
    run(service.http.handle("reset", {"episode_id": episode_id, "seed": seed}))


def steps_of(service: Service, episode_id: str | None = None) -> int:
    state = run(service.http.handle("state", {"episode_id": episode_id}))
    assert isinstance(state, State)
    return state.step_count


def test_without_an_id_the_most_recently_started_episode_is_meant(service: Service) -> None:
    start(service, "a")
    start(service, "b")
    run(service.http.handle("step", select()))
    run(service.http.handle("step", {**select(), "episode_id": "a"}))
    run(service.http.handle("step", select()))
    assert (steps_of(service, "a"), steps_of(service, "b"), steps_of(service)) == (1, 2, 2)


def test_episodes_out_of_memory_go_on_from_the_store(service: Service) -> None:
    names = ["a", "b", "c", "d"]
    for name in names:
        start(service, name, seed=9)
    observed = []
    for action in SCRIPT:
        replies = [run(service.http.handle("step", {**action, "episode_id": name})) for name in names]
        observed.append({reply.observation.model_dump_json() for reply in replies if isinstance(reply, Reply)})
    assert all(len(same) == 1 for same in observed)


def test_a_new_service_over_the_same_store_goes_on(lab: StoreLab) -> None:
    service = Service(Settings(), lab.store)
    start(service, "a")
    run(service.http.handle("step", select()))
    restarted = Service(service.settings, lab.store)
    assert steps_of(restarted) == 1
    run(restarted.http.handle("step", stop()))
    assert run(restarted.grade({"episode_id": "a"})).episode_id == "a"


def test_services_that_share_a_store_take_turns_at_one_episode(lab: StoreLab) -> None:
    service, another_store = Service(Settings(), lab.store), lab.open_another()
    other = Service(Settings(), another_store)
    start(service, "shared", seed=9)
    start(service, "alone", seed=9)
    for turn, action in enumerate(SCRIPT):
        asked = (service, other)[turn % 2]
        shared = run(asked.http.handle("step", {**action, "episode_id": "shared"}))
        alone = run(service.http.handle("step", {**action, "episode_id": "alone"}))
        assert isinstance(shared, Reply)
        assert isinstance(alone, Reply)
        assert shared.observation == alone.observation
        assert steps_of(service, "shared") == steps_of(other, "shared") == turn + 1
    run(another_store.close())


def test_an_episode_of_a_connection_is_not_played_over_http(service: Service, store: SQLiteStore) -> None:
    session = open_session(store, "websocket")
    run(session.handle("reset", {"episode_id": "own"}))
    with pytest.raises(NoEpisode):
        run(service.http.handle("step", select()))
    with pytest.raises(EpisodeNotFound, match="session"):
        run(service.http.handle("step", {**select(), "episode_id": "own"}))
    run(session.handle("step", stop()))
    assert run(service.grade({"episode_id": "own"})).score == 0


@pytest.mark.parametrize("chosen", ["", 5, ["a"], "x" * 300])
def test_an_id_that_is_none_is_refused(service: Service, chosen: object) -> None:
    with pytest.raises(InvalidInput, match="episode_id"):
        run(service.http.handle("step", {**select(), "episode_id": chosen}))
    with pytest.raises(InvalidInput, match="episode_id"):
        run(service.http.handle("state", {"episode_id": chosen}))


@pytest.mark.parametrize("steps", [0, 1])
@pytest.mark.parametrize("transport", ["http", "session"])
def test_an_episode_that_has_expired_is_gone_for_every_operation(
    service: Service, store: SQLiteStore, transport: str, steps: int
) -> None:
    """It was still in memory, where state found it, while a step and its grade did not."""
    player = service.http if transport == "http" else service.sessions.get(service.sessions.create())
    run(player.handle("reset", {"episode_id": "old"}))
    for _ in range(steps):
        run(player.handle("step", select()))
    run(store.prune(Retention(episodes=1_000, days=1, lifetime=-1)))
    for ask in (
        lambda: run(player.handle("state", {})),
        lambda: run(player.handle("step", select())),
        lambda: run(player.handle("state", {})),
        lambda: run(service.grade({"episode_id": "old"})),
        lambda: run(service.pool("old", points=False)),
    ):
        with pytest.raises(EpisodeNotFound, match="removed when it had expired"):
            ask()
    run(player.handle("reset", {"episode_id": "old"}))  # its id is free
    assert isinstance(state := run(player.handle("state", {})), State)
    assert state.step_count == 0


def sessions_and_episodes() -> list[object]:
    return [thing for thing in gc.get_objects() if isinstance(thing, Session | Episode)]


def test_episodes_out_of_memory_are_out_of_memory(store: SQLiteStore) -> None:
    """Without waiting for a garbage collection: nothing of an evicted session refers to itself."""
    service = Service(Settings(max_live_episodes=2), store)
    gc.collect()
    gc.disable()
    try:
        before = {id(thing) for thing in sessions_and_episodes()}  # left over from other tests
        for seed in range(6):
            start(service, f"episode-{seed}", seed)
            run(service.http.handle("step", select()))
        alive = [thing for thing in sessions_and_episodes() if id(thing) not in before]
        assert len(alive) == 4
    finally:
        gc.enable()


def test_the_most_recent_episode_is_this_process_s_own(service: Service, store: SQLiteStore) -> None:
    other = Service(service.settings, store)
    start(service, "mine")
    start(other, "another's")
    assert isinstance(state := run(service.http.handle("state", None)), State)
    assert state.episode_id == "mine"


def test_among_workers_the_most_recent_episode_is_any_worker_s(store: SQLiteStore) -> None:
    first, second = (Service(Settings(workers=2), store) for _ in range(2))
    start(first, "a")
    start(second, "b")
    for service in (first, second):
        assert isinstance(state := run(service.http.handle("state", None)), State)
        assert state.episode_id == "b"


def test_an_episode_is_rebuilt_once_for_all_who_ask_for_it(
    service: Service, store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(service, "a")
    run(service.http.handle("step", select()))
    restarted, resume = Service(service.settings, store), Session.resume
    calls, go = [], threading.Event()

    def slow(*args: Any) -> Session:
        calls.append(threading.current_thread())
        assert go.wait(30)
        return resume(*args)

    monkeypatch.setattr(Session, "resume", slow)

    async def ask() -> list[Any]:
        states = [asyncio.create_task(restarted.http.handle("state", {"episode_id": "a"})) for _ in range(10)]
        while not calls:
            await asyncio.sleep(0.001)
        go.set()  # the loop goes on while a thread rebuilds the episode
        return await asyncio.gather(*states)

    assert [state.step_count for state in run(ask())] == [1] * 10
    assert len(calls) == 1
    assert calls[0] is not threading.main_thread()


def test_an_episode_in_use_is_not_rebuilt_beside_itself(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sessions of one episode would both play its next step."""
    release: list[asyncio.Event] = []

    async def ask() -> None:
        await service.http.handle("reset", {"episode_id": "a", "seed": 1})
        store, released = service.http._store, asyncio.Event()
        append = store.append

        async def hang(*args: Any) -> None:
            release.append(released)
            await released.wait()
            await append(*args)

        with monkeypatch.context() as patched:
            patched.setattr(store, "append", hang)
            step = asyncio.create_task(service.http.handle("step", {**select(), "episode_id": "a"}))
            while not release:
                await asyncio.sleep(0.001)
        for other in ("b", "c"):  # there is room for two
            await service.http.handle("reset", {"episode_id": other, "seed": 1})
        second = asyncio.create_task(service.http.handle("step", {**select(), "episode_id": "a"}))
        await asyncio.sleep(0.01)
        released.set()
        replies = await asyncio.gather(step, second)
        assert [reply.step for reply in replies if isinstance(reply, Reply)] == [1, 2]

    run(ask())
