"""The environment on a running server: the same spaces, episodes and refusals as in process, and lost connections."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.env_match import check_environments_match
from websockets.sync.client import ClientConnection
from websockets.sync.server import ServerConnection, serve

from dataselect_env import Action, DataSelectEnv
from dataselect_env.core.errors import CapacityReached, EpisodeOver, InvalidInput, NoEpisode, UnknownTask
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.integrations.remote import RemoteEnv, RemoteError, websocket_url
from dataselect_env.policies import get_policy
from dataselect_env.server.mcp.stdio import ServerUnreachable, at_server
from tests.helpers.serving import LOOPBACK, Server, free_port, running_server
from tests.helpers.talking import talking_server

HARD = "dataselect_env.gym:DataSelect-Hard-v0"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server(env={"DATASELECT_MAX_SESSIONS": "3"}) as server:
        yield server


@pytest.fixture
def remote(server: Server) -> Iterator[RemoteEnv]:
    env = RemoteEnv(server.base_url)
    yield env
    env.close()


@pytest.fixture
def talking() -> Iterator[RemoteEnv]:
    with talking_server() as url:
        env = RemoteEnv(url)
        yield env
        env.close()


@pytest.mark.slow
def test_it_passes_gymnasiums_own_check(server: Server) -> None:
    env = gymnasium.make(HARD, url=server.base_url)
    check_env(env.unwrapped, skip_render_check=True)
    env.close()


@pytest.mark.slow
@pytest.mark.parametrize("reward_mode", ["shaped", "grade"])
def test_it_plays_what_is_played_in_process(server: Server, reward_mode: str) -> None:
    choices: Any = {
        "reward_mode": reward_mode,
        "actions": "multi_discrete",
        "observations": "dict",
        "render_mode": "ansi",
    }
    here, there = gymnasium.make(HARD, **choices), gymnasium.make(HARD, url=server.ws_url, **choices)
    check_environments_match(here, there, num_steps=12, seed=3)
    there.close()


@pytest.mark.slow
def test_policies_play_on_it(remote: RemoteEnv) -> None:
    policy = get_policy("probing")
    there = rollout(policy, "medium", 20_001, env=remote)
    assert there.grade == rollout(policy, "medium", 20_001).grade


@pytest.mark.slow
def test_the_server_says_what_was_wrong(remote: RemoteEnv) -> None:
    with pytest.raises(NoEpisode, match="reset starts one"):
        remote.step(Action.stop())
    with pytest.raises(UnknownTask, match="choose one of easy, medium, hard"):
        remote.reset(task_id="harder")
    first = remote.reset(task_id="hard", seed=1)
    with pytest.raises(InvalidInput, match="batch_size") as refusal:
        remote.step({"action_type": "select_batch", "batch_size": "10", "strategy_weights": {"random": 1}})
    assert refusal.value.field == "batch_size"
    assert remote.step(Action.stop()).episode_id == first.episode_id  # the episode survived
    with pytest.raises(EpisodeOver):
        remote.step(Action.stop())


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), MemoryError(), RecursionError(), TimeoutError()])
@pytest.mark.parametrize("operation", ["reset", "step"])
def test_a_call_without_its_answer_ends_the_connection(
    talking: RemoteEnv, error: BaseException, operation: str
) -> None:
    """Or the answer, which arrives later, would be taken for that of the next call, and so on."""
    talking.reset(task_id="hard", seed=7)
    with (
        patch.object(ClientConnection, "recv", side_effect=error),
        pytest.raises(RemoteError if isinstance(error, TimeoutError) else type(error)),
    ):
        talking.step(Action.select(20, diversity=1)) if operation == "step" else talking.reset(seed=8)
    with pytest.raises(NoEpisode):
        talking.step(Action.stop())
    for seed in (99, 100):
        reply = talking.reset(task_id="easy", seed=seed)
        assert (reply.task_id, reply.seed, reply.step) == ("easy", seed, 0)


def test_numbers_of_numpy_are_sent_and_what_cannot_be_sent_costs_nothing(talking: RemoteEnv) -> None:
    assert talking.reset(task_id="hard", seed=np.int64(7)).seed == 7  # type: ignore[arg-type]  # not an int to mypy
    action = {"action_type": "select_batch", "batch_size": np.int32(9), "strategy_weights": {"random": np.float32(1)}}
    with pytest.raises(TypeError):
        talking.step({**action, "batch_size": object()})
    reply = talking.step(action)
    assert reply.info is not None
    assert reply.info.batch_size == 9


@pytest.mark.slow
def test_a_full_server_says_so_and_takes_the_next_reset_when_there_is_room(server: Server) -> None:
    envs = [RemoteEnv(server.base_url) for _ in range(4)]
    for env in envs[:3]:
        env.reset(seed=1)
    with pytest.raises(CapacityReached):
        envs[3].reset(seed=1)
    envs[0].close()
    for _ in range(200):
        try:
            assert envs[3].reset(seed=1).seed == 1
            break
        except CapacityReached:  # the server learns of it a moment later
            time.sleep(0.05)
    else:
        pytest.fail("there is room, but no session")
    for env in envs:
        env.close()


@pytest.mark.slow
def test_a_copy_has_a_connection_of_its_own(remote: RemoteEnv) -> None:
    remote.reset(seed=1)
    copy = pickle.loads(pickle.dumps(remote))  # noqa: S301  (made here)
    with pytest.raises(NoEpisode):
        copy.step(Action.stop())
    assert copy.reset(seed=2).seed == 2
    assert remote.step(Action.stop()).seed == 1
    copy.close()


@pytest.mark.slow
def test_after_a_lost_connection_a_reset_connects_anew(server: Server) -> None:
    with running_server() as mortal:
        env = RemoteEnv(mortal.base_url)
        env.reset(seed=1)
        mortal.kill()
        with pytest.raises(RemoteError, match=r"and its episode are lost; reset starts another one"):
            env.step(Action.stop())
        with pytest.raises(RemoteError, match=f"no connection to {mortal.ws_url}"):
            env.reset(seed=1)
    env.url = server.ws_url  # as if it were there again
    assert env.reset(seed=1).observation == DataSelectEnv().reset(seed=1).observation
    env.close()


@pytest.mark.slow
def test_a_token_is_shown_to_a_server_that_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    token = "a-token-of-this-test"  # noqa: S105
    with running_server(env={"DATASELECT_TOKEN": token}) as server:
        monkeypatch.delenv("DATASELECT_TOKEN", raising=False)
        env = RemoteEnv(server.base_url)
        with pytest.raises(RemoteError, match="401"):
            env.reset()
        with pytest.raises(ServerUnreachable, match="401"), at_server(server.ws_url):
            pass
        monkeypatch.setenv("DATASELECT_TOKEN", token)
        assert env.reset(seed=1).seed == 1
        env.close()
        with at_server(server.ws_url) as ask:
            assert ask({"jsonrpc": "2.0", "id": 4, "method": "ping"}) == {"jsonrpc": "2.0", "id": 4, "result": {}}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("hello", "not JSON"),
        ("[]", "not a reply"),
        ('{"type": "observation", "data": {"observation": {}}}', "not a reply"),
        ('{"type": "error", "data": {"code": "TEAPOT", "message": "I make tea."}}', "I make tea"),
    ],
)
def test_another_kind_of_server(answer: str, message: str) -> None:
    def converse(connection: ServerConnection) -> None:
        for _ in connection:
            connection.send(answer)

    port = free_port()
    with serve(converse, LOOPBACK, port) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        env = RemoteEnv(f"ws://{LOOPBACK}:{port}", timeout=20)
        with pytest.raises(RemoteError, match=message):
            env.reset(seed=1)
        env.close()
        other.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://localhost:7860", "ws://localhost:7860/ws"),
        ("https://user-space.hf.space/", "wss://user-space.hf.space/ws"),
        ("ws://localhost:8000/ws", "ws://localhost:8000/ws"),
        ("wss://example.org/base?key=1", "wss://example.org/base/ws?key=1"),
    ],
)
def test_addresses(url: str, address: str) -> None:
    assert websocket_url(url) == address


@pytest.mark.parametrize("url", ["localhost:7860", "ftp://localhost", "", "http://"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="ws://host:7860"):
        RemoteEnv(url)
