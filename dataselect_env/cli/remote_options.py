"""Options of ``evaluate`` that play on a running server."""
# ruff: noqa: PLC0415  (modules are imported on use, so that --help answers at once)

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dataselect_env.cli.console import AnyCommand, UsageError
from dataselect_env.core.tasks import SEALED

if TYPE_CHECKING:
    from dataselect_env.integrations.remote_player import RemotePlayer

TOKEN_VARIABLE = "DATASELECT_AGENT_TOKEN"  # noqa: S105  (the name of a variable)
TOKEN_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


def remote_options(command: AnyCommand) -> AnyCommand:
    """Add ``--url``, ``--agent``, ``--agent-token-file`` and ``--server-order``."""
    token = click.option(
        "--agent-token-file",
        type=TOKEN_FILE,
        help=f"File with the token of a registered agent. Default: {TOKEN_VARIABLE}, if it is set.",
    )
    agent = click.option("--agent", help="Name under which the episodes count on the server.")
    order = click.option(
        "--server-order",
        is_flag=True,
        help=f"Let the server choose the indices of the {SEALED} split, as some servers require.",
    )
    url = click.option("--url", help="Address of a running server to play on. Default: play in this process.")
    return url(agent(token(order(command))))


def remote_player(
    url: str | None, split: str | None, agent: str | None, token_file: Path | None, policies: tuple[str, ...]
) -> RemotePlayer | None:
    """Return what plays on the server; None without ``--url``.

    Raises:
        UsageError: The options contradict each other.
        InvalidInput: ``url`` is not the address of a server.
    """
    sealed = split == SEALED
    for option, given in ((f"--split {SEALED}", sealed), ("--agent", agent), ("--agent-token-file", token_file)):
        if given and url is None:
            raise UsageError(f"{option}: name the server with --url")
    if sealed and agent is None:
        raise UsageError(f"--agent: episodes of the {SEALED} split count under the name of an agent; give one")
    if sealed and len(policies) != 1:
        raise UsageError(
            f"--policies: an agent has one attempt at each episode of the {SEALED} split; name one policy, not"
            f" {len(policies)}"
        )
    if url is None:
        return None
    from dataselect_env.evaluation.records import Host
    from dataselect_env.integrations.remote_player import RemotePlayer, recorded_url

    token = os.environ.get(TOKEN_VARIABLE) if token_file is None else token_file.read_text(encoding="utf-8").strip()
    return RemotePlayer(url, Host(url=recorded_url(url), agent=agent, sealed=sealed), (agent and token) or None)


def playable(policies: tuple[str, ...]) -> tuple[str, ...]:
    """Return the policies without oracles, which cannot play on a server; say which are left out.

    Raises:
        UsageError: All are oracles.
    """
    from dataselect_env.policies import get_policy
    from dataselect_env.policies.policy import OraclePolicy

    oracles = [name for name in policies if isinstance(get_policy(name), OraclePolicy)]
    if len(oracles) == len(policies):
        raise UsageError("--policies: oracles see hidden labels and cannot play on a server; name another policy")
    if oracles:
        click.echo(f"Not on a server, as they see hidden labels: {', '.join(oracles)}.", err=True)
    return tuple(name for name in policies if name not in oracles)
