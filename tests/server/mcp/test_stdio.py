"""``dataselect-env mcp``, started by the official client as it starts any server."""

import asyncio
import io
import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from dataselect_env import DataSelectEnv
from dataselect_env.server.mcp import protocol, stdio
from dataselect_env.server.settings import Settings
from tests.helpers.serving import ROOT, clean_environ, running_server


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
        for url in (server.base_url, server.ws_url):
            assert asyncio.run(play(["--url", url], tmp_path)) == stopped_at_once()


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "ascii"])
def test_it_speaks_utf_8_in_every_locale(encoding: str) -> None:
    messages = [{"jsonrpc": "2.0", "id": name, "method": "ping"} for name in ("\u00e9", "\u96ea", "\U0001f600")]
    done = subprocess.run(
        [sys.executable, "-m", "dataselect_env", "mcp", "--store", "memory:"],
        input="".join(f"{json.dumps(message, ensure_ascii=False)}\n" for message in messages).encode(),
        env={**clean_environ(), "PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        timeout=120,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["id"] for answer in answers] == [message["id"] for message in messages]


def test_every_line_is_answered_or_passed_over() -> None:
    lines = [b"junk", b"", b"[]", b'{"jsonrpc": "2.0", "method": "notifications/initialized"}', b'{"jsonrpc": "2.0"}']
    lines += [b'{"id": "\xe9"}', b'{"jsonrpc": "2.0", "id": 4, "method": "ping"}']
    out = io.BytesIO()
    with stdio.in_process(Settings(store="memory:")) as ask:
        stdio.converse(ask, io.BytesIO(b"\n".join(lines)), out)
    answers = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [answer.get("error", {}).get("code") for answer in answers] == [-32700, -32600, -32600, -32700, None]
    assert answers[-1] == {"jsonrpc": "2.0", "id": 4, "result": {}}


def test_expired_episodes_leave_its_store(tmp_path: Path) -> None:
    settings = Settings(store=f"sqlite:///{tmp_path}/episodes.db", episode_lifetime=1e-6)
    call = {"name": "start_episode", "arguments": {}}
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    with stdio.in_process(settings) as ask, closing(sqlite3.connect(tmp_path / "episodes.db")) as other:
        for _ in range(5):
            ask(request)
            time.sleep(0.01)  # the store keeps milliseconds
        assert other.execute("SELECT count(*) FROM episodes").fetchone() == (1,)


def test_a_server_that_is_not_there_is_told_in_a_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    from click.testing import CliRunner

    from dataselect_env.cli import main

    result = CliRunner().invoke(main, ["mcp", "--url", "http://127.0.0.1:9"])
    assert result.exit_code == 2
    assert "--url: the server cannot be reached" in result.output


def test_a_session_in_this_process_keeps_the_settings_that_it_was_given() -> None:
    pytest.importorskip("cryptography")

    def start(settings: Settings) -> dict[str, object]:
        arguments = {"task_id": "easy", "split": "sealed", "agent": "me", "index": 1}
        params = {"name": "start_episode", "arguments": arguments}
        with stdio.in_process(settings) as ask:
            answer = ask({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
        assert isinstance(answer, dict)
        found: dict[str, object] = answer["result"]["structuredContent"]
        return found

    assert start(Settings(store="memory:", secret="s" * 32))["index"] == 1
    assert start(Settings(store="memory:", secret="s" * 32, agents="registered"))["code"] == "AGENT_REFUSED"
