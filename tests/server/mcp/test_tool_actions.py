"""OpenEnv's tool actions over the WebSocket play the episode of the connection."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi.testclient import TestClient

from dataselect_env import Action, DataSelectEnv
from dataselect_env.server.mcp.tools import TOOLS
from tests.helpers.serving import running_server


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "step", "data": {"type": "call_tool", "tool_name": tool, "arguments": arguments}}


def test_calls_of_tools_and_other_messages_share_the_episode(client: TestClient) -> None:
    env = DataSelectEnv()
    env.reset(task_id="hard", seed=3)
    with client.websocket_connect("/ws") as socket:

        def ask(message: dict[str, Any]) -> dict[str, Any]:
            socket.send_json(message)
            frame: dict[str, Any] = socket.receive_json()
            return frame

        listed = ask({"type": "step", "data": {"type": "list_tools"}})
        assert [tool["name"] for tool in listed["data"]["observation"]["tools"]] == list(TOOLS)
        ask({"type": "reset", "data": {"task_id": "hard", "seed": 3}})
        bought = ask(call("select_batch", batch_size=13, diversity=1))
        assert (bought["type"], bought["data"]["observation"]["tool_name"]) == ("observation", "select_batch")
        assert bought["data"]["reward"] == env.step(Action.select(13, diversity=1)).reward
        assert ask({"type": "state"})["data"]["step_count"] == 1
        refused = ask(call("select_batch", batch_size=-1, random=1))["data"]
        assert (refused["observation"]["result"]["isError"], refused["reward"], refused["done"]) == (True, None, False)
        assert ask(call("stop"))["data"]["done"] is True
        assert ask(call("reset"))["data"]["field"] == "tool_name"
        wrong = {"type": "step", "data": {"type": "call_tool", "tool_name": "stop", "arguments": [1]}}
        assert ask(wrong)["data"]["field"] == "arguments"


@pytest.mark.slow
def test_openenvs_tool_client_steps() -> None:
    from openenv.core.env_server.mcp_types import CallToolAction, ListToolsAction
    from openenv.core.mcp_client import MCPToolClient

    async def play(url: str) -> tuple[list[str], float, bool]:
        async with MCPToolClient(base_url=url) as agent:
            await agent.reset(task_id="hard", seed=3)
            listed = await agent.step(ListToolsAction())
            batch = {"batch_size": 13, "diversity": 1}
            bought = await agent.step(CallToolAction(tool_name="select_batch", arguments=batch))
            over = await agent.step(CallToolAction(tool_name="stop", arguments={}))
            return [tool.name for tool in listed.observation.tools], bought.reward, over.done

    env = DataSelectEnv()
    env.reset(task_id="hard", seed=3)
    with running_server() as server:
        told = asyncio.run(play(server.base_url))
    assert told == (list(TOOLS), env.step(Action.select(13, diversity=1)).reward, True)
