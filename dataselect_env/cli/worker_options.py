"""Options that say where episodes are played: worker processes, or a Ray cluster."""
# ruff: noqa: PLC0415  (modules are imported on use, so that --help answers at once)

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dataselect_env.cli.console import AnyCommand

if TYPE_CHECKING:
    from dataselect_env.evaluation.cluster import Cluster

LOCAL = "local"
"""That of ``dataselect_env.evaluation.cluster``; a test compares the two."""
ADDRESS = re.compile(r"local|auto|(ray://)?[^\s/]+:\d{1,5}")
ADDRESS_VARIABLE = "RAY_ADDRESS"


def ray_address(_ctx: click.Context, _param: click.Parameter, given: str | None) -> str | None:
    """Return the address of the cluster, None without ``--ray``; ``RAY_ADDRESS`` if the option has no value."""
    address = os.environ.get(ADDRESS_VARIABLE) or LOCAL if given == "" else given
    if address is not None and not ADDRESS.fullmatch(address):
        source = ADDRESS_VARIABLE if given == "" else "the value"
        raise click.BadParameter(f"{source} is {address}, but should be host:port, ray://host:port, auto or {LOCAL}")
    return address


def ray_option(command: AnyCommand) -> AnyCommand:
    """Add the option ``--ray``."""
    return click.option(
        "--ray",
        is_flag=False,
        flag_value="",
        metavar="[ADDRESS]",
        callback=ray_address,
        help=f"Play on a Ray cluster: host:port, ray://host:port, or auto for one on this machine. Without an address:"
        f" that in {ADDRESS_VARIABLE}, or else a new one on this machine.",
    )(command)


def worker_options(command: AnyCommand) -> AnyCommand:
    """Add the options ``--processes`` and ``--ray``."""
    processes = click.option(
        "--processes",
        type=click.IntRange(1, 100_000),
        help="Worker processes; with --url connections, with --ray CPUs. Default: one per core, or all CPUs.",
    )
    return processes(ray_option(command))


@contextmanager
def workers(
    processes: int | None, address: str | None, *, modules: Iterable[str | None] = (), folder: Path | None = None
) -> Iterator[int | Cluster]:
    """Yield the number of processes, or a connection to the Ray cluster.

    Args:
        processes: Value of ``--processes``.
        address: Value of ``--ray``.
        modules: Names of modules that Ray sends to the nodes, such as those of a user's own policies; None is left out.
        folder: Folder that Ray sends to the nodes, as the working directory of the workers.

    Raises:
        ClusterError: There is no cluster at the address, or Ray is not installed.
    """
    if address is None:
        from dataselect_env.core.threads import cores

        yield processes or cores()
        return
    from dataselect_env.evaluation.cluster import Cluster

    with Cluster(address, cpus=processes, modules=dict.fromkeys(filter(None, modules)), folder=folder) as cluster:
        click.echo(f"Ray: {cluster}.", err=True)
        yield cluster
