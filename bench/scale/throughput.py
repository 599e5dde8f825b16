"""What a step costs on one to three servers over PostgreSQL behind nginx, and on one server with each store.

    python -m bench.scale.throughput --save

All processes and the client share this machine's cores, so that more servers cannot be faster here: what counts is the
CPU time of a step in each process, and how long a step waits. The load is that of bench/speed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any

import click

from bench.reliability.process import about_this_run
from bench.results import save_option
from bench.scale import page
from bench.scale.cluster import Cluster, Replica, running_cluster
from bench.speed import load
from bench.speed.server import OURS, cpu_seconds

WARM_UP, SECONDS, ROUNDS = 0.5, 1.5, 2
REPLICAS = (1, 2, 3)
CONNECTIONS = (1, 16, 64)
TRANSPORTS: tuple[load.Transport, ...] = ("websocket", "http")
Figures = dict[str, float]
Processes = dict[str, list[int]]
"""Ids of processes by what they are."""


def with_children(pid: int) -> list[int]:
    """Return a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def cpu_of(processes: Processes) -> dict[str, float]:
    """Return the CPU time of each kind of process so far, in seconds; those that have ended do not count."""
    return {
        name: sum(cpu_seconds(pid) for pid in pids if Path(f"/proc/{pid}").exists()) for name, pids in processes.items()
    }


def measure(port: int, processes: Processes, transport: load.Transport, connections: int) -> Figures:
    """Return the figures of one case: latencies, and the CPU time of a step by kind of process."""
    marks: list[dict[str, float]] = []
    plan = load.Plan(port, transport, WARM_UP, SECONDS, mark=lambda: marks.append(cpu_of(processes)))
    rounds: list[Figures] = []
    for _ in range(ROUNDS):
        marks.clear()
        got = load.run(plan, [OURS.script(transport, number) for number in range(connections)])
        steps = len(got.latencies)
        cuts = quantiles(got.latencies, n=100)
        cpu = {f"{name}, CPU us a step": (marks[1][name] - marks[0][name]) / steps * 1e6 for name in processes}
        rounds.append(
            {"steps a second": steps / got.seconds, "p50, ms": cuts[49] * 1e3, "p95, ms": cuts[94] * 1e3, **cpu}
        )
    return {name: median(one[name] for one in rounds) for name in rounds[0]}


def cases(port: int, processes: Processes) -> dict[str, Figures]:
    """Return the figures of all transports and numbers of connections."""
    return {
        f"{transport}, {connections}": measure(port, processes, transport, connections)
        for transport in TRANSPORTS
        for connections in CONNECTIONS
    }


def of_cluster(cluster: Cluster) -> Processes:
    """Return the processes of a cluster; those of PostgreSQL are the ones of now."""
    database = cluster.database.process
    assert database is not None  # noqa: S101
    return {
        "servers": [replica.running.pid for replica in cluster.replicas],
        "nginx": with_children(cluster.nginx.pid),
        "PostgreSQL": with_children(database.pid),
    }


def main_results() -> dict[str, Any]:
    """Return the figures of each number of servers behind nginx, and of one server without it on both stores."""
    behind: dict[str, Any] = {}
    direct: dict[str, Any] = {}
    for count in REPLICAS:
        with running_cluster(count) as cluster:
            load.run(_warm_up(cluster.port), [OURS.script("websocket", number) for number in range(16)])
            behind[str(count)] = cases(cluster.port, of_cluster(cluster))
            if count == 1:
                direct["postgresql"] = cases(cluster.replicas[0].port, of_cluster(cluster))
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        replica = Replica(f"sqlite:///{folder}/episodes.db", Path(folder) / "server.log")
        replica.start()
        try:
            replica.until_ready()
            direct["sqlite"] = cases(replica.port, {"servers": [replica.running.pid]})
        finally:
            replica.end()
    return {"behind": behind, "direct": direct}


def _warm_up(port: int) -> load.Plan:
    """Return a plan that opens the connections of all pools before processes are counted."""
    return load.Plan(port, "websocket", WARM_UP, WARM_UP, mark=lambda: None)


@click.command()
@save_option
def main(*, save: bool) -> None:
    """Measure the cost of a step."""
    begun = perf_counter()
    results = main_results()
    about = {"seconds a round": SECONDS, "rounds": ROUNDS}
    page.conclude(
        "throughput", {**about_this_run(perf_counter() - begun), **about, **results, "problems": []}, save=save
    )


if __name__ == "__main__":
    main()
