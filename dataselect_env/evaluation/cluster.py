"""Ray: one function applied to many jobs on all nodes of a cluster; the results are those of worker processes.

Ray schedules tasks, moves data and repeats what a dead worker has lost. This module sizes the tasks, sends what the
workers need, and checks that they run the same versions.
"""
# ruff: noqa: PLC0415  (Ray is optional, and takes a second to import)

from __future__ import annotations

import importlib
import logging
import math
import os
import socket
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self, TypeVar

from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.tasks import TASKS, Task, register
from dataselect_env.core.threads import cores
from dataselect_env.evaluation.records import Versions

LOCAL = "local"
"""Address that starts a cluster on this machine, which ends with the run."""
CLIENT = "ray://"
"""Beginning of an address that is reached through Ray's client, from outside of the cluster."""
REACH_SECONDS = 10.0
"""How long the address may take to accept a connection."""
TARGET_SECONDS = 2.0
"""Wall time of a Ray task. It costs about a millisecond to schedule one, and a dead worker loses the work of one."""
RETRIES = 3
"""How often Ray runs a task again whose worker or node has died."""
AHEAD = 2
"""Tasks submitted for each CPU: one runs, and one waits for it to end."""
COMPILED = ("_dataselect_env_compiled", "_dataselect_env_generator")
"""Modules that are missing where the package was built without a compiler; results then differ in the last bits."""

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")


class ClusterError(InvalidInput):
    """A cluster cannot be used, or has failed; the message says why."""


class Cluster:
    """A connection to a Ray cluster; a context manager. Where Ray is connected already, it uses that connection.

    Args:
        address: ``local`` starts a cluster on this machine. ``host:port`` and ``ray://host:port`` are addresses of a
            running one, and ``auto`` finds one on this machine.
        cpus: Largest number of tasks that run at the same time. Default: one on each CPU of the cluster.
        modules: Names of modules that the workers import first, such as those of a user's own policies. Ray sends the
            files of each module, or of the package that it is in, to the nodes.
        folder: Folder that Ray sends to the nodes, as the working directory of the workers.

    Raises:
        ClusterError: Ray is not installed, or there is no cluster at the address.
    """

    def __init__(
        self,
        address: str = LOCAL,
        *,
        cpus: int | None = None,
        modules: Iterable[str] = (),
        folder: Path | None = None,
    ) -> None:
        self.address = address
        self._cpus, self._modules, self._folder = cpus, tuple(modules), folder
        self._ray: Any = None
        self._connected = False

    def __enter__(self) -> Self:
        try:
            import ray
        except ImportError as error:
            raise ClusterError("Ray is not installed: pip install 'dataselect-env[ray]'") from error
        self._ray = ray
        if not ray.is_initialized():
            self._connected = True
            try:
                self._reach()
                ray.init(self.address, runtime_env=self._sent(), **self._options())
            except BaseException as error:
                ray.shutdown()
                if not isinstance(error, Exception):  # Ray raises bare ones, too
                    raise
                reason = str(error).strip().partition("\n")[0]
                raise ClusterError(f"the Ray cluster at {self.address} cannot be used: {reason}") from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._connected:
            self._ray.shutdown()

    def __str__(self) -> str:
        nodes = sum(node["Alive"] for node in self._ray.nodes())
        return f"{nodes} {'node' if nodes == 1 else 'nodes'} with {self._count_cpus()} CPUs"

    def _reach(self) -> None:
        """Open a connection to the address and close it: Ray tries for minutes before it gives up.

        Raises:
            OSError: Nothing answers there.
        """
        host, colon, port = self.address.removeprefix(CLIENT).rpartition(":")
        if colon:
            socket.create_connection((host, int(port)), REACH_SECONDS).close()

    def _options(self) -> dict[str, Any]:
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
        if self.address != LOCAL:
            return quiet
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        return {**quiet, "num_cpus": self._cpus or cores(), "include_dashboard": False}

    def _sent(self) -> dict[str, Any]:
        """Return Ray's runtime environment: what it sends to the nodes."""
        tops = dict.fromkeys(name.partition(".")[0] for name in self._modules)
        modules = {"py_modules": [_place(importlib.import_module(name)) for name in tops]} if tops else {}
        return modules | ({} if self._folder is None else {"working_dir": str(self._folder)})

    def _count_cpus(self) -> int:
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def run(
        self, jobs: Sequence[JobT], function: Callable[[JobT], ResultT], custom: Sequence[Task] = ()
    ) -> Generator[ResultT, None, None]:
        """Yield the result of each job as it arrives, in any order; closing the generator ends the work at once.

        Args:
            jobs: Picklable jobs; ``str`` of one says in an error what could not be run.
            function: Applied to each job. It may run several times on the same job, as a dead worker's jobs run again.
            custom: Custom tasks that the jobs need; Ray sends each node one copy of their data.

        Raises:
            ClusterError: A worker has other versions, or the workers of ``RETRIES + 1`` tries died.
        """
        ray = self._ray
        task = ray.remote(max_retries=RETRIES, num_cpus=1)(_checked_task())
        needs = (versions(), self._modules, [ray.put(custom)])  # in a list, Ray leaves it to the task to read
        pace, waiting, submitted = _Pace(), dict[Any, Sequence[JobT]](), 0
        try:
            while waiting or submitted < len(jobs):
                places = self._cpus or AHEAD * self._count_cpus()
                while submitted < len(jobs) and len(waiting) < places:
                    end = submitted + pace.size(len(jobs) - submitted, places)
                    chunk = jobs[submitted:end]
                    waiting[task.remote(*needs, ray.cloudpickle.dumps((function, chunk)))] = chunk
                    submitted = end
                (ready,), _ = ray.wait(list(waiting), num_returns=1)
                results, seconds = self._fetch(ready, waiting.pop(ready))
                pace.add(len(results), seconds)
                yield from results
        finally:
            for left in waiting:
                ray.cancel(left, force=True)

    def _fetch(self, ready: Any, chunk: Sequence[JobT]) -> tuple[list[Any], float]:
        """Return the results of a finished task, and the seconds that they took."""
        from ray import exceptions

        try:
            node, found, results, seconds = self._ray.get(ready)
        except exceptions.RayTaskError as error:
            raise error.cause from error
        except exceptions.RayError as error:
            reason = str(error).strip().partition("\n")[0]
            raise ClusterError(
                f"the workers of {RETRIES + 1} tries died while they ran {len(chunk)} jobs, the first of which is"
                f" {chunk[0]}. Ray says: {reason}"
            ) from error
        if results is None:
            raise ClusterError(_refusal(node, found))
        return results, seconds


def _place(module: Any) -> str:
    """Return the folder of a package, or the file of a module."""
    return str(next(iter(module.__path__))) if hasattr(module, "__path__") else str(module.__file__)


class _Pace:
    """Sizes tasks to ``TARGET_SECONDS`` by the time that finished ones took."""

    def __init__(self) -> None:
        self._jobs, self._seconds = 0, 0.0

    def add(self, jobs: int, seconds: float) -> None:
        """Take note of a finished task."""
        self._jobs, self._seconds = self._jobs + jobs, self._seconds + seconds

    def size(self, left: int, places: int) -> int:
        """Return the number of jobs of the next task: one at first, and few at the end, when all workers share them."""
        if not self._jobs:
            return 1
        fitting = int(TARGET_SECONDS * self._jobs / max(self._seconds, 1e-9))
        return max(1, min(fitting, math.ceil(left / places)))


# --- on the workers -------------------------------------------------------------------------------------------------


def _checked_task() -> Callable[..., Any]:
    """Return the function that workers run.

    Ray sends it by value, as it is no attribute of a module. So it also runs on a node without this package, or with
    another version of it, and until it has compared the versions, it uses only what a version has.
    """

    def run_checked(wanted: dict[str, Any], modules: Sequence[str], custom: Sequence[Any], packed: bytes) -> Any:
        import ray

        try:
            from dataselect_env.evaluation.cluster import versions

            found = versions()
        except ImportError:
            found = {}
        if found != wanted:
            return ray.util.get_node_ip_address(), found, None, 0.0
        from dataselect_env.evaluation.cluster import run_chunk

        return None, found, *run_chunk(modules, ray.get(custom[0]), packed)

    return run_checked


def versions() -> dict[str, Any]:
    """Return what must be equal on all nodes, so that the last bit of a result does not depend on where it was made."""
    compiled = all(find_spec(name) for name in COMPILED)
    return {**Versions.current().model_dump(), "compiled code": "present" if compiled else "missing"}


def run_chunk(modules: Sequence[str], custom: Sequence[Task], packed: bytes) -> tuple[list[Any], float]:
    """Apply the function to the jobs in ``packed``; return the results, and the seconds that they took.

    Args:
        modules: Modules to import first.
        custom: Custom tasks to register.
        packed: The pickled function and jobs.
    """
    from ray import cloudpickle

    for name in modules:
        importlib.import_module(name)
    for task in custom:
        known = TASKS.get(task.task_id)
        if known is None or known.digest != task.digest:  # else it has data sets in its cache
            register(task)
    function, jobs = cloudpickle.loads(packed)
    started = time.monotonic()
    results = [function(job) for job in jobs]
    return results, time.monotonic() - started


def _refusal(node: str, found: dict[str, Any]) -> str:
    wanted = versions()
    if not found:
        return f"node {node}: dataselect-env {wanted['package']} is not installed there"
    names = {name: name.replace("_", "-") for name in wanted} | {"package": "dataselect-env"}
    parts = [
        f"{names[name]} {found.get(name)} (here {value})" for name, value in wanted.items() if found.get(name) != value
    ]
    return (
        f"node {node}: its results could differ, as it has {', '.join(parts)}. Install the same versions on all nodes"
    )
