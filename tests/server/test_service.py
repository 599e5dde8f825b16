import asyncio
import gc
import threading
from asyncio import run

import pytest

from dataselect_env.core.errors import (
    EpisodeNotFound,
    EpisodeRunning,
    InvalidInput,
    ServerStopping,
    TaskMismatch,
    UnknownTask,
)
from dataselect_env.server import pool_view
from dataselect_env.server.pool_view import PoolView
from dataselect_env.server.service import Service
from dataselect_env.server.settings import Settings
from dataselect_env.server.store.base import StoredEpisode
from dataselect_env.server.store.sqlite import SQLiteStore
from tests.helpers.actions import stop


@pytest.fixture
def service(store: SQLiteStore) -> Service:
    return Service(Settings(max_sessions=2, max_live_episodes=2), store)


def start(service: Service, episode_id: str, seed: int = 1) -> None:
    run(service.http.handle("reset", {"episode_id": episode_id, "seed": seed}))


def test_what_cannot_be_graded_is_told_apart(service: Service) -> None:
    start(service, "a")
    with pytest.raises(InvalidInput, match="episode_id"):
        run(service.grade({}))
    with pytest.raises(EpisodeNotFound):
        run(service.grade({"episode_id": "nobody"}))
    with pytest.raises(EpisodeRunning):
        run(service.grade({"episode_id": "a"}))
    run(service.http.handle("step", stop()))
    with pytest.raises(TaskMismatch, match="easy"):
        run(service.grade({"episode_id": "a", "task_id": "hard"}))
    with pytest.raises(UnknownTask):
        run(service.grade({"episode_id": "a", "task_id": "impossible"}))
    assert run(service.grade({"episode_id": "a", "task_id": "easy"})).passed is False


def test_a_server_that_stops_begins_nothing_and_leaves_long_work_undone(service: Service) -> None:
    run(service.check_ready())
    service.sessions.stop()
    for begin in (
        service.sessions.create,
        lambda: run(service.check_ready()),
        lambda: run(service.baseline()),
    ):
        with pytest.raises(ServerStopping):
            begin()


def test_the_first_episode_loads_its_libraries_without_stopping_the_others(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = threading.Event()
    monkeypatch.setattr("dataselect_env.server.service._load_libraries", lambda: loaded.wait(30))

    async def first_episode() -> None:
        playing = asyncio.create_task(service.http.handle("reset", {"seed": 7}))
        await asyncio.sleep(0.05)
        assert not playing.done()  # and here we are: whoever asks meanwhile is answered
        loaded.set()
        await playing

    run(first_episode())
    assert loaded.is_set()


def test_garbage_collections_leave_the_libraries_out(service: Service) -> None:
    """A full collection examined all of their objects, which stopped the server for 60 ms."""
    start(service, "a")
    assert gc.get_freeze_count() > 10_000


def test_the_same_view_is_made_once_for_all_who_ask(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    view = pool_view.view

    def count(stored: StoredEpisode, *, points: bool, layout: str) -> PoolView:
        made.append(len(stored.steps))
        return view(stored, points=points)

    monkeypatch.setattr(pool_view, "view", count)

    async def ask() -> None:
        await service.http.handle("reset", {"episode_id": "a", "seed": 1})
        views = [service.pool("a", points=False) for _ in range(60)]
        early = asyncio.gather(*views)
        await asyncio.sleep(0)  # they have begun
        await service.http.handle("step", stop())
        assert '"done":true' in await service.pool("a", points=False)  # whoever knows of a step sees it
        assert len(set(await early)) == 1

    run(ask())
    assert len(made) == 2


def test_a_defect_in_the_removal_of_episodes_does_not_end_it(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls = []

    async def prune(*_: object) -> bool:
        calls.append(0)
        if len(calls) == 1:
            raise ZeroDivisionError("a defect")
        service.sessions.stop()
        return False

    monkeypatch.setattr("dataselect_env.server.store.sqlite.SQLiteStore.prune", prune)
    monkeypatch.setattr("dataselect_env.server.service.PRUNE_INTERVAL", 0)
    run(service.prune())
    assert len(calls) == 2
    assert "tried again later" in caplog.text
