"""The command ``agents``: register the agents of a server, with tokens, so that nobody plays under another's name."""
# ruff: noqa: PLC0415  (modules are imported on use, so that --help answers at once)

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dataselect_env.cli.console import Command, Commands, UsageError, named_options, say

ResultT = TypeVar("ResultT")

if TYPE_CHECKING:
    from dataselect_env.server.store.base import EpisodeStore


def agent_name(_ctx: click.Context, _param: click.Parameter, text: str) -> str:
    """Return the name of an agent; it is one that requests may have."""
    from dataselect_env.core.models import AGENT_NAME, LONGEST_AGENT_NAME

    if len(text) > LONGEST_AGENT_NAME or not re.fullmatch(AGENT_NAME, text):
        raise click.BadParameter(
            f"a name has letters, digits and the characters . _ -, at most {LONGEST_AGENT_NAME} of them"
        )
    return text


store_option = click.option("--store", help="Episode store of the server. Default: DATASELECT_STORE, as for serve.")
name_argument = click.argument("name", callback=agent_name)


@click.group(cls=Commands)
def agents() -> None:
    """Register agents, so that only they can play under their names.

    An agent sends its name and its token with each reset, as agent and agent_token. DATASELECT_AGENTS=registered
    refuses all other names.
    """


@agents.command(cls=Command)
@name_argument
@click.option("--renew", is_flag=True, help="Replace the token of an agent that is registered.")
@store_option
def add(name: str, *, renew: bool, store: str | None) -> None:
    """Register an agent and print its token, which is shown only once."""
    from dataselect_env.server.entries import hash_of, new_token

    token = new_token()

    async def register() -> None:
        async with _opened(store) as found:
            one = await found.agent(name)
            if one is not None and one.token_hash is not None and not renew:
                raise UsageError(f"{name} is registered; --renew replaces its token")
            await found.register(name, hash_of(token))

    _run(register())
    click.echo(f"Token of {name}, which is shown only once and goes into agent_token:", err=True)
    say(token)


@agents.command(cls=Command)
@name_argument
@store_option
def revoke(name: str, store: str | None) -> None:
    """Revoke the token of an agent: nobody can play under its name until add --renew."""

    async def change() -> None:
        async with _opened(store) as found:
            one = await found.agent(name)
            if one is None or one.token_hash is None:
                raise UsageError(f"{name} is not registered")
            await found.register(name, "")

    _run(change())


@agents.command("list", cls=Command)
@store_option
def show(store: str | None) -> None:
    """List the agents that are registered or have played."""

    async def read() -> list[str]:
        async with _opened(store) as found:
            return [
                f"{one.name:<24} {_status(one.token_hash):<15} since {one.added_at[:10]}"
                for one in await found.agents()
            ]

    lines = _run(read())
    say("\n".join(lines) if lines else "No agent is registered, and none has played.")


def _run(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    import asyncio

    return asyncio.run(work)


def _status(token_hash: str | None) -> str:
    if token_hash is None:
        return "not registered"
    return "registered" if token_hash else "revoked"


@asynccontextmanager
async def _opened(store: str | None) -> AsyncIterator[EpisodeStore]:
    """Yield the store of the options or the environment.

    Raises:
        SettingsError, UsageError: It cannot be used, or ends with this process.
    """
    from dataselect_env.server.settings import Settings
    from dataselect_env.server.store import open_store
    from dataselect_env.server.store.sqlite import MEMORY

    with named_options(store=store) as given:
        settings = Settings.load(**given)
        if settings.store == MEMORY:
            raise UsageError("--store: agents need a store that lasts; memory: ends with its process")
        found = open_store(settings.store, settings.synchronous)
    try:
        yield found
    finally:
        await found.close()
