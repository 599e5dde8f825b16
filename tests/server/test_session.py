import dataclasses
from asyncio import run
from typing import Any, cast

import pytest

from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.errors import (
    DynamicsMismatch,
    EnvError,
    EpisodeExists,
    EpisodeNotFound,
    EpisodeOver,
    InvalidInput,
    NoEpisode,
    StoreUnavailable,
)
from dataselect_env.core.models import Operation, Reply, ResetRequest, State
from dataselect_env.server.session import Session
from dataselect_env.server.store.base import StoredStep
from dataselect_env.server.store.sqlite import SQLiteStore
from dataselect_env.server.threads import SPACING
from tests.helpers.actions import SCRIPT, select, stop
from tests.helpers.sessions import open_session, resume_session
from tests.helpers.turns import growth_by_turn


def play(session: Session, actions: list[dict[str, Any]]) -> list[Reply]:
    return [cast(Reply, run(session.handle("step", action))) for action in actions]


@pytest.fixture
def session(store: SQLiteStore) -> Session:
    session = open_session(store, "http")
    run(session.handle("reset", {"task_id": "medium", "seed": 3, "episode_id": "one"}))
    return session


@pytest.mark.parametrize("operation", ["step", "state"])
def test_nothing_goes_before_a_reset(store: SQLiteStore, operation: Operation) -> None:
    with pytest.raises(NoEpisode, match="reset starts one"):
        run(open_session(store, "http").handle(operation, select()))


def test_every_acknowledged_step_is_in_the_store(session: Session, store: SQLiteStore) -> None:
    for number, action in enumerate(SCRIPT, start=1):
        reply = play(session, [action])[0]
        step = run(store.load("one")).steps[-1]
        assert len(run(store.load("one")).steps) == number
        assert (step.reward, step.performance) == (reply.reward, reply.observation.current_performance)
    assert reply.info is not None
    assert run(store.load("one")).grade == reply.info.grade


def test_others_have_their_turn_between_resets(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reset on new data takes milliseconds on the event loop, and many clients may reset at the same time."""
    resets = 0
    start = DataSelectEnv.start

    def count(env: DataSelectEnv, request: ResetRequest) -> Reply:
        nonlocal resets
        resets += 1
        return start(env, request)

    monkeypatch.setattr(DataSelectEnv, "start", count)
    requests = [open_session(store, "http").handle("reset", {"seed": seed}) for seed in range(20)]
    by_turn = run(growth_by_turn(lambda: resets, *requests))
    assert resets == 20
    assert max(by_turn) == 1
    assert len(by_turn) > 20 * SPACING


def test_an_action_may_come_wrapped_or_plain_and_name_its_episode(session: Session) -> None:
    play(session, [select(), {"action": select()}, {**select(), "episode_id": "one"}])
    play(session, [{"action": select(), "episode_id": "one", "request_id": "r", "timeout_s": 1.5}])
    assert cast(State, run(session.handle("state", None))).step_count == 4
    with pytest.raises(EpisodeNotFound):
        play(session, [{**select(), "episode_id": "another"}])


BAD_STEPS: list[object] = [
    [],
    "select_batch",
    {},
    {"action": None},
    {"action": select(), "extra": 1},
    {**select(), "batch_size": True},
    {**select(), "batch_size": "10"},
    {**select(), "batch_size": -1},
    {**select(), "action_type": "buy"},
    {**select(), "strategy_weights": {"uncertainty": 0}},
    {**select(), "strategy_weights": {"entropy": 1}},
    {**select(), "strategy_weights": {"random": float("nan")}},
    {**select(), "strategy_weights": {"random": float("inf")}},
    {**select(), "strategy_weights": {"random": -1, "diversity": 2}},
]


def test_whatever_is_refused_leaves_the_episode_as_it_was(session: Session, store: SQLiteStore) -> None:
    other = open_session(store, "http")
    run(other.handle("reset", {"task_id": "medium", "seed": 3, "episode_id": "undisturbed"}))
    for action in SCRIPT:
        for bad in BAD_STEPS:
            with pytest.raises(InvalidInput):
                run(session.handle("step", bad))
        with pytest.raises(EnvError):
            run(session.handle("reset", {"task_id": "impossible"}))
        with pytest.raises(EpisodeExists):
            run(session.handle("reset", {"episode_id": "undisturbed"}))
        disturbed, undisturbed = play(session, [action])[0], play(other, [action])[0]
        assert disturbed.observation == undisturbed.observation
        assert disturbed.info == undisturbed.info
    with pytest.raises(EpisodeOver):
        play(session, [stop()])


class BrokenStore(SQLiteStore):
    """A store that can be told to fail."""

    broken = False

    async def append(self, *arguments: Any) -> None:
        if self.broken:
            raise StoreUnavailable("not now")
        await super().append(*arguments)


def test_a_step_that_could_not_be_stored_has_not_happened() -> None:
    store = BrokenStore(None)
    session, undisturbed = open_session(store, "http"), open_session(store, "http")
    for one in (session, undisturbed):
        run(one.handle("reset", {"task_id": "hard", "seed": 5}))
    for action in SCRIPT:
        store.broken = True
        before = run(session.handle("state", None))
        with pytest.raises(StoreUnavailable):
            play(session, [action])
        assert run(session.handle("state", None)) == before
        store.broken = False
        assert play(session, [action])[0].observation == play(undisturbed, [action])[0].observation
    run(store.close())


def test_a_resumed_episode_goes_on_as_if_nothing_had_happened(session: Session, store: SQLiteStore) -> None:
    through = open_session(store, "http")
    run(through.handle("reset", {"task_id": "medium", "seed": 3}))
    play(session, SCRIPT[:2])
    play(through, SCRIPT[:2])
    resumed = resume_session(store, run(store.load("one")))
    for after, reference in zip(play(resumed, SCRIPT[2:]), play(through, SCRIPT[2:]), strict=True):
        assert after.observation == reference.observation
        assert after.info == reference.info
        assert after.episode_id == "one"


def test_an_episode_of_other_dynamics_is_not_continued(session: Session, store: SQLiteStore) -> None:
    stored = run(store.load("one"))
    foreign = dataclasses.replace(stored, header=dataclasses.replace(stored.header, dynamics_version=99))
    with pytest.raises(DynamicsMismatch, match="version 99"):
        resume_session(store, foreign)


def test_a_replay_that_gives_other_rewards_is_not_continued(session: Session, store: SQLiteStore) -> None:
    play(session, SCRIPT[:1])
    stored = run(store.load("one"))
    step = stored.steps[0]
    drifted = StoredStep(step.action, step.bought, step.mislabelled, step.performance, step.reward + 1e-6)
    with pytest.raises(DynamicsMismatch, match="numerical libraries"):
        resume_session(store, dataclasses.replace(stored, steps=(drifted,)))


def test_a_session_plays_one_episode_after_the_other(session: Session, store: SQLiteStore) -> None:
    play(session, SCRIPT[:1])
    second = cast(Reply, run(session.handle("reset", None)))
    assert second.episode_id != "one"
    assert cast(State, run(session.handle("state", None))).step_count == 0
    assert len(run(store.load("one")).steps) == 1


def test_state_takes_no_data(session: Session) -> None:
    with pytest.raises(InvalidInput):
        run(session.handle("state", {"episode_id": "one"}))
