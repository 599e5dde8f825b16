"""``dataselect-env mcp``, started by the official client as it starts any server."""

import asyncio
import io
import json
import sys
from pathlib import Path

import pytest

from dataselect_env import DataSelectEnv
from dataselect_env.server.mcp import protocol, stdio
from dataselect_env.server.settings import Settings
from tests.helpers.serving import running_server


async def play(arguments: list[str], folder: Path) -> float | None:
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    command = StdioServerParameters(
        command=sys.executable, args=["-m", "dataselect_env", "mcp", *arguments], cwd=folder
    )
    async with stdio_client(command) as (read, write), ClientSession(read, write) as agent:
        welcome = await agent.initialize()
        assert welcome.protocolVersion in protocol.VERSIONS
        await agent.call_tool("start_episode", {"task_id": "hard", "seed": 2})
        await agent.call_tool("stop", {})
        graded = await agent.call_tool("get_grade", {})
        assert graded.structuredContent is not None
        score: float = graded.structuredContent["score"]
        return score


def stopped_at_once() -> float:
    env = DataSelectEnv()
    env.reset(task_id="hard", seed=2)
    info = env.step({"action_type": "stop", "batch_size": 0, "strategy_weights": {"random": 1}}).info
    assert info is not None
    assert info.grade is not None
    return info.grade.score


@pytest.mark.slow
def test_it_plays_in_its_own_process(tmp_path: Path) -> None:
    assert asyncio.run(play(["--store", "sqlite:///episodes.db"], tmp_path)) == stopped_at_once()
    assert (tmp_path / "episodes.db").exists()


@pytest.mark.slow
def test_it_plays_at_a_running_server(tmp_path: Path) -> None:
    with running_server() as server:
        assert asyncio.run(play(["--url", server.base_url], tmp_path)) == stopped_at_once()


def test_every_line_is_answered_or_passed_over() -> None:
    lines = ["junk", "", "[]", '{"jsonrpc": "2.0", "method": "notifications/initialized"}', '{"jsonrpc": "2.0"}']
    lines.append('{"jsonrpc": "2.0", "id": 4, "method": "ping"}')
    out = io.StringIO()
    with stdio.in_process(Settings(store="memory:")) as ask:
        stdio.converse(ask, io.StringIO("\n".join(lines)), out)
    answers = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [answer.get("error", {}).get("code") for answer in answers] == [-32700, -32600, -32600, None]
    assert answers[-1] == {"jsonrpc": "2.0", "id": 4, "result": {}}


def test_a_server_that_is_not_there_is_told_in_a_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    from click.testing import CliRunner

    from dataselect_env.cli import main

    result = CliRunner().invoke(main, ["mcp", "--url", "http://127.0.0.1:9"])
    assert result.exit_code == 2
    assert "--url: the server cannot be reached" in result.output
