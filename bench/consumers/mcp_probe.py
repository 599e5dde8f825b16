"""Plays with the installed MCP clients on a running server, and prints a JSON object. Run by ``mcp_clients``."""
# mypy: ignore-errors
# ruff: noqa: PLC0415  (several generations of the same libraries, only one of which is installed)

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

TASK, SEED = "hard", 1
BATCHES: list[dict[str, Any]] = [{"batch_size": 5, "uncertainty": 1}, {"batch_size": 20, "diversity": 0.7, "random": 1}]
LIBRARIES = ("mcp", "fastmcp")


def data_of(result: Any) -> dict[str, Any]:
    """Return a result's data, whose name depends on the generation of the library."""
    return getattr(result, "structured_content", None) or result.structuredContent


@asynccontextmanager
async def official(url: str) -> AsyncIterator[tuple[Any, str]]:
    """Yield the client of the package ``mcp`` and its revision of the protocol."""
    try:
        from mcp import Client
    except ImportError:
        from mcp import ClientSession
        from mcp.client.streamable_http import streamablehttp_client

        async with streamablehttp_client(url) as (read, write, _), ClientSession(read, write) as agent:
            yield agent, (await agent.initialize()).protocolVersion
    else:
        async with Client(url) as agent:
            yield agent, agent.protocol_version


@asynccontextmanager
async def fastmcp(url: str) -> AsyncIterator[tuple[Any, str]]:
    """Yield the client of the package ``fastmcp`` and its revision of the protocol."""
    from fastmcp import Client

    async with Client(url) as agent:
        welcome = agent.initialize_result
        if welcome is None:  # there was no handshake
            yield agent, agent.session.protocol_version
        else:
            yield agent, getattr(welcome, "protocol_version", None) or welcome.protocolVersion


async def play(client: Any, url: str) -> tuple[list[float], str, bool]:
    """Return an episode's rewards, the revision, and whether a mistake was reported as a result."""
    async with client(url) as (agent, revision):
        await agent.list_tools()
        started = data_of(await agent.call_tool("start_episode", {"task_id": TASK, "seed": SEED}))
        named = {"episode_id": started["episode_id"]}
        moves = [*(("select_batch", {**batch, **named}) for batch in BATCHES), ("stop", named)]
        rewards = [data_of(await agent.call_tool(*move))["reward"] for move in moves]
        try:
            refused = "The episode is over" in str(await agent.call_tool("stop", named))
        except Exception as error:  # fastmcp raises the error of the result
            refused = "The episode is over" in str(error)
        return rewards, revision, refused


def main(url: str) -> None:
    """Play with every client that is installed."""
    installed = {}
    for name in LIBRARIES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    played = {name: asyncio.run(play({"mcp": official, "fastmcp": fastmcp}[name], url)) for name in installed}
    result = {
        "checks": {f"{name} tells a mistake": mistake for name, (_, _, mistake) in played.items()},
        "rewards": {name: rewards for name, (rewards, _, _) in played.items()},
        "revision": {name: revision for name, (_, revision, _) in played.items()},
        "with": installed,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1])
