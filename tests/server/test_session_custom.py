"""Sessions on tasks of a user's own: further strategies are stored, resumed and refused."""

from __future__ import annotations

import asyncio
import threading
from asyncio import run
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from dataselect_env import DataSelectEnv
from dataselect_env.core.actions import action_model
from dataselect_env.core.errors import DynamicsMismatch, InvalidInput, UnknownTask
from dataselect_env.core.models import Reply, State
from dataselect_env.core.tasks import TASKS
from dataselect_env.policies.policy import pace
from dataselect_env.server.session import Session
from dataselect_env.server.store.sqlite import SQLiteStore
from tests.helpers.owning import OWN, forgotten, info_of, offered, plain, script, select
from tests.helpers.sessions import open_session, resume_session


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    with forgotten():
        yield


def ask(session: Session, operation: Any, data: Any) -> Reply:
    return cast(Reply, run(session.handle(operation, data)))


@pytest.mark.parametrize("name", ["ranks", "quotas", "unknown", "six"])
def test_a_stored_episode_is_resumed_with_its_further_strategies(store: SQLiteStore, name: str) -> None:
    task = offered(**OWN[name])
    through, session = open_session(store, "http"), open_session(store, "http")
    ask(through, "reset", {"task_id": "mine", "seed": 3, "episode_id": "through"})
    ask(session, "reset", {"task_id": "mine", "seed": 3, "episode_id": "one"})
    actions = script(task, 3)
    for action in actions[:2]:
        assert plain(ask(session, "step", action)) == plain(ask(through, "step", {"action": action}))
    stored = run(store.load("one"))
    sent = [action["strategy_weights"] for action in actions[:2]]
    assert [dict(step.action.strategy_weights) for step in stored.steps] == sent
    resumed = resume_session(store, stored)
    for action in actions[2:]:
        after, reference = ask(resumed, "step", action), ask(through, "step", action)
        assert plain(after) == plain(reference)
        if after.done:
            break
    assert after.done
    assert run(store.load("one")).grade == info_of(after).grade


def test_a_file_keeps_them_for_another_process(tmp_path: Path) -> None:
    task = offered(**OWN["quotas"])
    store = SQLiteStore(tmp_path / "episodes.db")
    session = open_session(store, "http")
    ask(session, "reset", {"task_id": "mine", "seed": 3, "episode_id": "one"})
    before = ask(session, "step", select(9, k_center=2.0, margin=1.0))
    run(store.close())
    offered(**OWN["quotas"])  # as another process makes it
    again = SQLiteStore(tmp_path / "episodes.db")
    stored = run(again.load("one"))
    assert stored.steps[0].action == action_model(task.extra_strategies).select(9, k_center=2, margin=1)
    assert stored.steps[0].reward == before.reward
    assert resume_session(again, stored).step_count == 1
    run(again.close())


def test_an_episode_of_a_task_that_changed_is_not_continued(store: SQLiteStore) -> None:
    offered(**OWN["wine"])
    session = open_session(store, "http")
    ask(session, "reset", {"task_id": "mine", "seed": 3, "episode_id": "one"})
    ask(session, "step", select(9, random=1.0))
    offered(**{**OWN["wine"], "noise": {"uniform": 0.4}})
    with pytest.raises(DynamicsMismatch, match="definition"):
        resume_session(store, run(store.load("one")))
    del TASKS["mine"]
    with pytest.raises(UnknownTask):
        resume_session(store, run(store.load("one")))


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_session_refuses_weights_that_its_task_does_not_offer(store: SQLiteStore, wrapped: bool) -> None:
    offered(**OWN["two"])
    session = open_session(store, "http")
    for task_id, weight in (("mine", "k_center"), ("easy", "margin")):
        ask(session, "reset", {"task_id": task_id, "seed": 3})
        action = select(9, **{weight: 1.0})
        with pytest.raises(InvalidInput, match="allowed are uncertainty, diversity, random") as caught:
            ask(session, "step", {"action": action} if wrapped else action)
        assert caught.value.field == ("action." if wrapped else "") + f"strategy_weights.{weight}"
        assert session.step_count == 0
        assert ask(session, "step", {"action": select(9, random=1.0)} if wrapped else select(9, random=1.0)).step == 1


def test_the_even_share_spends_the_budget() -> None:
    task = offered(**OWN["quotas"])
    env = DataSelectEnv()
    reply = env.reset(task_id="mine", seed=2)
    while not reply.done:
        reply = env.step(action_model(task.extra_strategies).select(pace(task, 0), margin=1))
    assert reply.observation.remaining_budget == 0
    assert reply.step == task.max_steps


@pytest.mark.parametrize(
    "change",
    [
        {"budget": 45},
        {"max_steps": 4},
        {"score": {"performance_range": [0.1, 0.2]}},
        {"strategies": ["margin"]},
        {"noise": {"uniform": 0.1}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_episode_is_not_continued_when_its_task_has_changed(store: SQLiteStore, change: dict[str, Any]) -> None:
    """Some changes give the same rewards so far, and would be graded otherwise in the end."""
    definition = {**OWN["wine"], "strategies": ["k_center"]}
    offered(**definition)
    session = open_session(store, "http")
    ask(session, "reset", {"task_id": "mine", "seed": 3, "episode_id": "one"})
    ask(session, "step", select(6, random=1))
    assert resume_session(store, run(store.load("one"))).step_count == 1
    offered(**{**definition, **change})
    with pytest.raises(DynamicsMismatch, match="another definition of its task"):
        resume_session(store, run(store.load("one")))
    offered(**definition)
    assert resume_session(store, run(store.load("one"))).step_count == 1


class Blocked:
    """``DataSelectEnv.step``, which waits on its thread until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        step = DataSelectEnv.step

        def wait(env: DataSelectEnv, action: Any) -> Reply:
            self.begun.set()
            assert self.go.wait(30)
            return step(env, action)

        monkeypatch.setattr(DataSelectEnv, "step", wait)


def test_a_step_of_a_custom_task_does_not_hold_the_loop(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    task = offered(**OWN["wine"])
    session, blocked = open_session(store, "http"), Blocked(monkeypatch)

    async def play() -> None:
        await session.handle("reset", {"task_id": "mine", "seed": 3})
        step = asyncio.create_task(session.handle("step", script(task, 3)[0]))
        state = asyncio.create_task(session.handle("state", None))
        while not blocked.begun.is_set():
            await asyncio.sleep(0.001)
        assert not state.done()  # it waits for the session, not for the loop
        blocked.go.set()
        assert cast(Reply, await step).step == cast(State, await state).step_count == 1

    run(play())


def test_a_cancelled_step_leaves_the_episode_as_it_was(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    task = offered(**OWN["quotas"])
    session, through = open_session(store, "http"), open_session(store, "http")
    ask(through, "reset", {"task_id": "mine", "seed": 3, "episode_id": "through"})
    expected = [plain(ask(through, "step", action)) for action in script(task, 3)[:2]]

    async def play() -> None:
        await session.handle("reset", {"task_id": "mine", "seed": 3})
        with monkeypatch.context() as patched:
            blocked = Blocked(patched)
            step = asyncio.create_task(session.handle("step", script(task, 3)[1]))
            while not blocked.begun.is_set():
                await asyncio.sleep(0.001)
            step.cancel()
            with pytest.raises(asyncio.CancelledError):
                await step
            assert cast(State, await session.handle("state", None)).step_count == 0
        first = cast(Reply, await session.handle("step", script(task, 3)[0]))
        blocked.go.set()  # the abandoned thread ends while the episode goes on
        second = cast(Reply, await session.handle("step", script(task, 3)[1]))
        assert [plain(first), plain(second)] == expected

    run(play())


def test_a_step_that_was_stored_counts_although_its_request_was_cancelled(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, append = open_session(store, "http"), store.append

    async def hang(*args: Any) -> None:
        await append(*args)
        await asyncio.sleep(30)

    async def play() -> None:
        await session.handle("reset", {"seed": 3, "episode_id": "one"})
        with monkeypatch.context() as patched:
            patched.setattr(store, "append", hang)
            step = asyncio.create_task(session.handle("step", select(9, random=1)))
            while not await store.step_count("one"):
                await asyncio.sleep(0.001)
            step.cancel()
            with pytest.raises(asyncio.CancelledError):
                await step
        assert cast(State, await session.handle("state", None)).step_count == 1
        assert cast(Reply, await session.handle("step", select(9, random=1))).step == 2

    run(play())
