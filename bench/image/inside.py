"""Run within the container, by its own Python: play every task, try to leave, and report as JSON.

It imports nothing of this repository but the installed package.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import sys
from importlib import import_module
from importlib.metadata import distributions
from importlib.util import cache_from_source
from pathlib import Path
from urllib.request import urlopen

from dataselect_env import Action, DataSelectEnv
from dataselect_env.core.tasks import TASKS

EXTRAS = ("cryptography.hazmat.primitives.asymmetric.ed25519", "psycopg", "psycopg_pool")
SERVER = ("dataselect_env.server.app", "uvicorn.protocols.http.httptools_impl", "uvicorn.loops.uvloop")
KERNELS = ("_dataselect_env_compiled", "_dataselect_env_generator")
BUILD_TOOLS = ("gcc", "cc", "ld", "strip", "cython", "/wheels")
PROBED_ADDRESS = ("192.0.2.1", 443)
"""An address for documentation (RFC 5737) that no host has: without a network it is refused at once."""


def health() -> str:
    """Return the status that the server in this container reports."""
    with urlopen(f"http://127.0.0.1:{os.environ['PORT']}/health", timeout=60) as reply:
        return str(json.load(reply)["status"])


def play() -> dict[str, float]:
    """Play an episode of every task and return the grades."""
    scores: dict[str, float] = {}
    for task_id, task in TASKS.items():
        env = DataSelectEnv()
        reply = env.reset(task_id=task_id, seed=7)
        while not reply.done:
            reply = env.step(Action.select(task.budget // task.max_steps, uncertainty=1, diversity=2, random=1))
        assert reply.info is not None
        assert reply.info.grade is not None
        scores[task_id] = reply.info.grade.score
    return scores


def uncompiled() -> list[str]:
    """Return the loaded modules of the environment that have no bytecode, and so are compiled at every start."""
    for name in (*EXTRAS, *SERVER, *KERNELS):
        import_module(name)
    files = {name: getattr(module, "__file__", None) or "" for name, module in list(sys.modules.items())}
    return [
        name
        for name, file in files.items()
        if file.startswith(sys.prefix) and file.endswith(".py") and not Path(cache_from_source(file)).exists()
    ]


def writable() -> list[str]:
    """Return the folders in which this process can make a file, the topmost ones."""
    found: list[str] = []
    for folder, names, _ in os.walk("/"):
        names[:] = [name for name in names if os.path.join(folder, name) not in ("/proc", "/sys", "/dev")]
        probe = os.path.join(folder, ".probe")
        try:
            with open(probe, "x"):
                os.remove(probe)
        except OSError:
            continue
        found.append(folder)
        names.clear()
    return found


def reachable() -> bool:
    """Return whether there is any way out to another host."""
    try:
        with socket.create_connection(PROBED_ADDRESS, timeout=5):
            return True
    except TimeoutError:
        return True  # the packet left
    except OSError:
        return False


def status() -> dict[str, str]:
    """Return what the kernel says about the privileges of this process."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    every = dict(line.split(":\t", 1) for line in lines)
    return {name: every[name] for name in ("Uid", "Gid", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp")}


def main() -> None:
    """Print one JSON object."""
    report = {
        "python": platform.python_version(),
        "health": health(),
        "scores": play(),
        "uncompiled": uncompiled(),
        "writable": writable(),
        "other hosts": reachable(),
        "status": status(),
        "build tools": [name for name in BUILD_TOOLS if shutil.which(name) or Path(name).exists()],
        "packages": {one.metadata["Name"]: one.version for one in distributions()},
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
