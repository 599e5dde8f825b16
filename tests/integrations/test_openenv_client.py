"""The typed OpenEnv client, and how AutoEnv finds it."""

from __future__ import annotations

import asyncio
import sys
import tomllib
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from openenv import AutoAction, AutoEnv
from openenv.auto._discovery import reset_discovery
from openenv.core.env_client import EnvClient

from dataselect_env import DataSelectEnv, __version__
from dataselect_env.core.models import State
from dataselect_env.core.tasks import TASKS
from dataselect_env.integrations.openenv_client import (
    Action,
    DataSelectEnvClient,
    EpisodeLostError,
    Observation,
    ServerError,
)
from tests.helpers.serving import ROOT, Server, running_server
from tests.helpers.talking import talking_server

pytestmark = pytest.mark.slow

COMPANION = ROOT / "packages" / "openenv-dataselect-env" / "pyproject.toml"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server(env={"DATASELECT_MAX_SESSIONS": "8"}) as server:
        yield server


@pytest.mark.parametrize("task_id", TASKS)
def test_results_are_those_of_the_environment_in_process(server: Server, task_id: str) -> None:
    env = DataSelectEnv()
    with DataSelectEnvClient(server.base_url).sync() as client:
        result = client.reset(task_id=task_id, seed=3, episode_id=f"typed-{task_id}")
        assert result.reply == env.reset(task_id=task_id, seed=3, episode_id=f"typed-{task_id}")
        while not result.done:
            action = Action.select(20, diversity=1)
            result = client.step(action)
            assert result.reply == env.step(action)
        assert isinstance(result.observation, Observation)
        assert (result.observation.done, result.observation.reward) == (True, result.reward)
        assert result.grade is not None
        assert result.metadata["info"]["grade"]["score"] == result.grade.score
        assert client.state() == env.state


def test_it_is_awaited_in_async_code(server: Server) -> None:
    async def play() -> tuple[State, State]:
        async with DataSelectEnvClient(server.base_url) as client:
            await client.reset(seed=1)
            other = await client.new_session()
            await other.reset(seed=2)
            await client.step(Action.select(5, random=1))
            return await client.state(), await other.state()

    first, second = asyncio.run(play())
    assert (first.seed, first.step_count, second.seed, second.step_count) == (1, 1, 2, 0)


def test_the_servers_words_are_in_the_exception(server: Server) -> None:
    with DataSelectEnvClient(server.base_url).sync() as client:
        with pytest.raises(ServerError, match=r"reset starts one\. \(NO_EPISODE\)"):
            client.step(Action.stop())
        with pytest.raises(ServerError, match="choose one of easy, medium, hard") as unknown:
            client.reset(task_id="impossible")
        assert (unknown.value.code, unknown.value.field) == ("UNKNOWN_TASK", "task_id")
        client.reset(seed=1)
        with pytest.raises(RuntimeError, match="batch_size: Input should be greater than or equal to 0"):
            client.step({**Action.stop().model_dump(), "batch_size": -1})
        assert client.step(Action.stop()).done
        with pytest.raises(ServerError, match="EPISODE_OVER"):
            client.step(Action.stop())


def test_a_full_server_says_so(server: Server) -> None:
    clients = [DataSelectEnvClient(server.base_url).sync() for _ in range(9)]
    for client in clients[:8]:
        client.reset(seed=1)
    with pytest.raises(ServerError, match="All 8 sessions of this server are in use"):
        clients[8].reset(seed=1)
    for client in clients:
        client.close()


@pytest.mark.parametrize("error", [RuntimeError(), MemoryError(), TimeoutError(), asyncio.CancelledError()])
def test_a_call_without_its_answer_ends_the_connection(server: Server, error: BaseException) -> None:
    """Or the answer, which arrives later, would be taken for that of the next call, and so on."""

    async def play() -> None:
        async with DataSelectEnvClient(server.base_url) as client:
            await client.reset(seed=1)
            with patch.object(EnvClient, "_receive", side_effect=error), pytest.raises(type(error)):
                await client.step(Action.stop())
            with pytest.raises(EpisodeLostError):
                await client.state()
            for seed in (99, 100):
                assert (await client.reset(seed=seed)).reply.seed == seed

    asyncio.run(play())


def test_a_call_that_was_interrupted_while_it_waits_does_not_disturb_the_next_one() -> None:
    with talking_server(ignored=["step"]) as url, DataSelectEnvClient(url).sync() as client:
        client.reset(seed=1)
        with patch.object(Future, "result", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
            client.step(Action.stop())
        for seed in (99, 100):
            assert client.reset(seed=seed).reply.seed == seed


def test_numbers_of_numpy_are_sent(server: Server) -> None:
    with DataSelectEnvClient(server.base_url).sync() as client:
        assert client.reset(seed=np.int64(7)).reply.seed == 7
        action = {"action_type": "select_batch", "batch_size": np.int32(9), "strategy_weights": {"random": 1}}
        with pytest.raises(TypeError):
            client.step({**action, "batch_size": object()})
        assert client.step(action).reply.info.batch_size == 9


@pytest.mark.parametrize("operation", ["step", "state"])
def test_an_episode_that_went_with_its_connection_is_not_taken_for_another(server: Server, operation: str) -> None:
    with DataSelectEnvClient(server.base_url).sync() as client:
        lost = client.reset(seed=1).reply.episode_id
        client.disconnect()  # what a lost connection leaves behind: the next call connects anew
        with pytest.raises(EpisodeLostError, match=f"the episode {lost}; its finished steps are stored"):
            client.step(Action.stop()) if operation == "step" else client.state()
        assert client.reset(seed=2).reply.seed == 2
        assert client.step(Action.stop()).reply.seed == 2


def test_auto_env_finds_it_by_the_companion_distribution(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    companion = tomllib.loads(COMPANION.read_text(encoding="utf-8"))["project"]
    installed = tmp_path / "openenv_dataselect_env-1.0.0.dist-info"  # all that installing it leaves behind
    installed.mkdir()
    text = f"Metadata-Version: 2.1\nName: {companion['name']}\nVersion: {companion['version']}\n"
    (installed / "METADATA").write_text(text, encoding="utf-8")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # where AutoEnv remembers what it found
    reset_discovery()
    try:
        assert AutoEnv.get_env_class("dataselect") is DataSelectEnvClient
        assert AutoAction.from_env("dataselect-env") is Action
        with AutoEnv.from_env("dataselect", base_url=server.base_url).sync() as client:
            assert client.reset(task_id="hard", seed=1).reply.task_id == "hard"
    finally:
        reset_discovery()
    assert companion["version"] == __version__
    assert companion["dependencies"] == ["dataselect-env[client]"]
