"""The sealed split on a server: who may start which episode, once, and what nobody gets to see."""

from __future__ import annotations

import asyncio
import base64
import json
from asyncio import run
from collections.abc import Iterator
from typing import Any

import pytest

from dataselect_env.core.errors import (
    AgentRefused,
    AttemptUsed,
    DynamicsMismatch,
    EnvError,
    InvalidInput,
    NoEpisode,
    SealedEpisode,
    TaskIndexOutOfRange,
    UnknownSplit,
)
from dataselect_env.core.models import Reply
from dataselect_env.core.receipts import Receipt
from dataselect_env.core.sealed import is_sealed
from dataselect_env.core.tasks import DYNAMICS_VERSION, SEALED, SPLITS
from dataselect_env.server.entries import hash_of, new_token
from dataselect_env.server.service import Service
from dataselect_env.server.session import Session
from dataselect_env.server.settings import Settings
from dataselect_env.server.store.base import EpisodeFilter, EpisodeStore
from dataselect_env.server.store.boards import Board, points_of
from dataselect_env.server.store.retention import Retention
from tests.helpers.actions import select
from tests.helpers.store_labs import StoreLab

pytest.importorskip("cryptography")
SECRET = "s" * 32
STOP = {"action_type": "stop"}


@pytest.fixture
def store(lab: StoreLab) -> EpisodeStore:
    """A store of each kind."""
    found: EpisodeStore = lab.store
    return found


def make_service(store: EpisodeStore, **settings: Any) -> Service:
    return Service(Settings(store="memory:", **{"secret": SECRET, "sealed_size": 5, **settings}), store)


@pytest.fixture
def service(store: EpisodeStore) -> Service:
    return make_service(store)


@pytest.fixture
def session(service: Service, store: EpisodeStore) -> Iterator[Session]:
    return Session(store, "websocket", service.entries)  # type: ignore[return-value]


def ask(session: Session, operation: Any, data: object = None) -> Any:
    return run(session.handle(operation, data))


def reset(session: Session, **data: Any) -> Reply:
    reply: Reply = ask(session, "reset", {"task_id": "medium", "split": SEALED, "agent": "me", **data})
    return reply


def board_of(service: Service, task_id: str = "medium") -> Board:
    return Board(task_id, SEALED, service.keyring.current, DYNAMICS_VERSION, None)


# --- places ---------------------------------------------------------------------------------------------------------


def test_an_index_counts_once_for_an_agent_finished_or_not(session: Session) -> None:
    reset(session, index=2)
    with pytest.raises(AttemptUsed, match="me has started this episode before, and only the first attempt counts"):
        reset(session, index=2)
    assert reset(session, index=3).index == 3
    assert reset(session, index=2, agent="another").index == 2
    assert reset(session, index=2, task_id="hard").index == 2


def test_every_agent_gets_the_same_episode_at_an_index(session: Session) -> None:
    actions = [select(20, uncertainty=1), select(10, random=1), STOP]
    played = []
    for agent in ("a", "b"):
        replies = [reset(session, index=1, agent=agent), *(ask(session, "step", action) for action in actions)]
        played.append([(reply.observation, reply.reward) for reply in replies])
    assert played[0] == played[1]


def test_without_an_index_the_server_hands_out_each_once_in_an_order_of_its_own(session: Session) -> None:
    handed = [reset(session).index for _ in range(5)]
    assert sorted(one for one in handed if one is not None) == [0, 1, 2, 3, 4]
    assert [reset(session, agent="b").index for _ in range(5)] != handed
    with pytest.raises(AttemptUsed, match="me has started all episodes before"):
        reset(session)


def test_requests_that_come_together_get_different_indices(service: Service, store: EpisodeStore) -> None:
    async def play() -> list[Any]:
        sessions = [Session(store, "websocket", service.entries) for _ in range(5)]
        data = {"task_id": "medium", "split": SEALED, "agent": "me"}
        return [*await asyncio.gather(*(one.handle("reset", data) for one in sessions))]

    assert sorted(reply.index for reply in run(play()) if reply.index is not None) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        ({"agent": None}, InvalidInput, "agent: is missing"),
        ({"agent": "not a name"}, InvalidInput, "agent: String should match pattern"),
        ({"seed": 7}, InvalidInput, "seed: the split sealed has none"),
        ({"index": 5}, TaskIndexOutOfRange, "index: must lie in 0 to 4 for split sealed"),
        ({"index": -1}, TaskIndexOutOfRange, "index: must lie in 0 to 4 for split sealed"),
        ({"split": "test", "agent": None, "agent_token": "x"}, InvalidInput, "agent: is missing, and agent_token"),
    ],
)
def test_what_a_sealed_reset_may_not_have(session: Session, data: Any, kind: type[EnvError], message: str) -> None:
    with pytest.raises(kind, match=message):
        reset(session, **data)
    assert session.episode_id is None


def test_a_server_may_choose_every_index_itself(store: EpisodeStore) -> None:
    session = Session(store, "http", make_service(store, sealed_order="server").entries)
    with pytest.raises(InvalidInput, match="index: this server chooses it"):
        reset(session, index=0)
    assert reset(session).index is not None


def test_a_server_without_a_secret_offers_no_sealed_split(store: EpisodeStore) -> None:
    session = Session(store, "http", make_service(store, secret=None).entries)
    with pytest.raises(UnknownSplit, match="this server does not offer sealed; choose one of train, validation, test"):
        reset(session, index=0)


# --- agents ---------------------------------------------------------------------------------------------------------


def test_a_registered_agent_needs_its_token_on_every_split(session: Session, store: EpisodeStore) -> None:
    token = new_token()
    run(store.register("me", hash_of(token)))
    for data in ({}, {"agent_token": "wrong"}, {"split": "test"}, {"split": "test", "agent_token": token[:-1]}):
        with pytest.raises(AgentRefused, match="me is a registered agent, and its token is missing or wrong"):
            reset(session, **data)
    assert reset(session, agent_token=token).index is not None
    assert (reset(session, split="test", agent_token=token).seed or 0) in SPLITS["test"]
    run(store.register("me", ""))
    with pytest.raises(AgentRefused):
        reset(session, agent_token="")


def test_a_server_may_take_registered_agents_only(store: EpisodeStore) -> None:
    session = Session(store, "http", make_service(store, agents="registered").entries)
    with pytest.raises(AgentRefused, match="me is not registered"):
        reset(session)
    run(store.register("me", hash_of("token")))
    assert reset(session, agent_token="token").index is not None  # noqa: S106


def test_the_number_of_names_is_limited(store: EpisodeStore) -> None:
    session = Session(store, "http", make_service(store, max_agents=2).entries)
    for agent in ("a", "b", "a"):
        reset(session, agent=agent)
    with pytest.raises(AgentRefused, match="as many agents as it takes"):
        reset(session, agent="c")


# --- what nobody gets to see ----------------------------------------------------------------------------------------


def test_the_store_has_the_index_and_the_key_and_no_seed(service: Service, session: Session, lab: StoreLab) -> None:
    reply = reset(session, index=4)
    header = run(lab.store.load(reply.episode_id)).header
    assert (header.seed, header.key_id, header.split) == (4, service.keyring.current, SEALED)
    dump = repr([lab.execute(f"SELECT * FROM {table}") for table in ("episodes", "attempts", "agents")])  # noqa: S608
    assert reply.episode_id in dump
    sealed = service.entries.sealed(header)
    assert sealed is not None
    assert is_sealed(sealed.seed)
    assert str(sealed.seed) not in dump
    assert SECRET not in dump


def test_the_pool_of_a_sealed_episode_is_never_shown(service: Service, session: Session) -> None:
    episode_id = reset(session).episode_id
    for _ in range(2):
        for points in (True, False):
            with pytest.raises(SealedEpisode, match="never shown"):
                run(service.pool(episode_id, points=points))
        if ask(session, "state").step_count == 0:
            ask(session, "step", STOP)


def test_over_http_only_the_id_leads_to_a_sealed_episode(service: Service, store: EpisodeStore) -> None:
    sealed_id = run(service.http.handle("reset", {"split": SEALED, "agent": "me", "task_id": "medium"})).episode_id
    with pytest.raises(NoEpisode):
        run(service.http.handle("step", STOP))
    assert run(service.views.recent(EpisodeFilter(), 10, None)).episodes == []
    open_id = run(service.http.handle("reset", {"seed": 1})).episode_id
    assert run(service.http.handle("step", STOP)).episode_id == open_id
    assert run(service.http.handle("step", {**STOP, "episode_id": sealed_id})).episode_id == sealed_id
    assert run(make_service(store).http.handle("state", None)).episode_id == open_id


def test_its_player_may_see_the_steps_of_a_sealed_episode_as_they_were_told(service: Service, session: Session) -> None:
    episode_id = reset(session, index=2).episode_id
    reply = ask(session, "step", select(30, uncertainty=1))
    shown = json.loads(run(service.views.show(episode_id)))
    assert (shown["seed"], shown["index"], shown["split"], shown["agent"]) == (None, 2, SEALED, "me")
    assert shown["not_replayed"] == "The episode is sealed: a replay could identify its data."
    (step,) = shown["steps"]
    assert (step["reward"], step["performance"]) == (reply.reward, reply.observation.current_performance)
    assert (step["mislabelled"], step["observation"]) == (reply.info.mislabelled, None)


# --- attempts, grades and receipts ----------------------------------------------------------------------------------


def test_an_attempt_has_the_grade_so_far_and_counts_at_the_end(
    service: Service, session: Session, store: EpisodeStore
) -> None:
    reply = reset(session, index=0, task_id="easy")
    board = board_of(service, "easy")
    (attempt,) = run(store.attempts(board, ["me"]))
    assert (attempt.place, attempt.state, attempt.episode_id) == (0, "running", reply.episode_id)
    assert session._env is not None
    for weights in ({"uncertainty": 1}, {"diversity": 1}):
        ask(session, "step", select(120, **weights))
        (later,) = run(store.attempts(board, ["me"]))
        assert (later.points, later.state) == (points_of(session._env.grade), "running")
    assert later.points != attempt.points
    assert run(store.standings(board)) == []
    grade = ask(session, "step", STOP).info.grade
    (standing,) = run(store.standings(board))
    assert (standing.agent, standing.episodes, standing.points) == ("me", 1, points_of(grade))


def test_an_unfinished_attempt_counts_as_if_it_had_been_stopped(
    service: Service, session: Session, store: EpisodeStore
) -> None:
    reset(session, index=0)
    ask(session, "step", select(30, uncertainty=1))
    expected = session._env.grade if session._env else None
    assert expected is not None
    keep = Retention(episodes=1_000, days=1, lifetime=-1)
    assert not run(store.prune(keep))
    (standing,) = run(store.standings(board_of(service)))
    assert (standing.episodes, standing.points) == (1, points_of(expected))
    with pytest.raises(EnvError, match="no such episode"):
        ask(session, "step", STOP)
    assert len(run(store.standings(board_of(service)))) == 1


def test_a_grade_comes_with_a_receipt_that_the_public_key_confirms(service: Service, session: Session) -> None:
    episode_id = reset(session, index=1).episode_id
    ask(session, "step", select(30, uncertainty=1))
    score = ask(session, "step", STOP).info.grade.score
    reply = run(service.grade({"episode_id": episode_id}))
    receipt = reply.receipt
    assert receipt is not None
    assert (receipt.agent, receipt.index, receipt.seed, receipt.split, receipt.score) == ("me", 1, None, SEALED, score)
    (key,) = service.keyring.public_keys()
    assert receipt.is_signed_by(key.public_key)
    assert len(base64.b64decode(key.public_key)) == 32
    forged = Receipt.model_validate({**receipt.model_dump(), "score": 1.0})
    assert not forged.is_signed_by(key.public_key)


def test_open_episodes_get_receipts_too_and_none_without_a_secret(service: Service, store: EpisodeStore) -> None:
    for name, one in (("a", service), ("b", make_service(store, secret=None))):
        session = Session(store, "http", one.entries)
        ask(session, "reset", {"seed": 1, "episode_id": name})
        ask(session, "step", STOP)
        receipt = run(one.grade({"episode_id": name})).receipt
        assert (receipt is None) == (name == "b")
        assert receipt is None or (receipt.seed, receipt.index, receipt.split) == (1, None, "train")


def test_after_a_restart_a_sealed_episode_goes_on_and_after_a_loss_of_the_secret_it_is_only_graded(
    service: Service, store: EpisodeStore
) -> None:
    data = {"task_id": "medium", "split": SEALED, "agent": "me", "index": 0, "episode_id": "e"}
    script = [select(20, diversity=1), select(10, random=1), STOP]
    first = Session(store, "http", service.entries)
    ask(first, "reset", data)
    ask(first, "step", script[0])
    rotated = make_service(store, secret=f"{'n' * 32} {SECRET}")
    again = Session.resume(store, run(store.load("e")), rotated.entries)
    whole = Session(store, "http", service.entries)
    ask(whole, "reset", {**data, "agent": "other", "episode_id": "f"})
    expected = [ask(whole, "step", action) for action in script][1:]
    assert [(one.observation, one.reward) for one in expected] == [
        (one.observation, one.reward) for one in (ask(again, "step", action) for action in script[1:])
    ]
    lost = make_service(store, secret="l" * 32)
    with pytest.raises(DynamicsMismatch, match="a secret that this server no longer has"):
        Session.resume(store, run(store.load("e")), lost.entries)
    assert run(lost.grade({"episode_id": "e"})).receipt is None


@pytest.mark.parametrize("task_id", ["easy", "open"])
def test_other_tasks_are_sealed_too(session: Session, task_id: str) -> None:
    reply = reset(session, task_id=task_id, index=0)
    assert (reply.seed, reply.index) == (None, 0)
    assert (reply.problem is not None) == (task_id == "open")
    assert ask(session, "step", STOP).info.grade is not None
