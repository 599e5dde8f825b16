"""Resources of a server's process, and facts about the machine."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.machine import processor
from dataselect_env.core.threads import cores
from dataselect_env.evaluation.records import Versions


@dataclass(frozen=True)
class Usage:
    """Resources of a process at one moment.

    Attributes:
        resident: Resident memory, in MB.
        peak: Peak resident memory, in MB.
        files: Open file descriptors, including sockets.
        threads: Threads.
    """

    resident: float
    peak: float
    files: int
    threads: int


def usage(pid: int) -> Usage:
    """Return the current resources of a process; Linux only."""
    folder = Path("/proc") / str(pid)
    lines = (folder / "status").read_text(encoding="utf-8").splitlines()
    status = dict(line.split(":", 1) for line in lines)
    kilobytes = {name: int(status[name].split()[0]) for name in ("VmRSS", "VmHWM")}
    return Usage(
        resident=round(kilobytes["VmRSS"] / 1024, 1),
        peak=round(kilobytes["VmHWM"] / 1024, 1),
        files=len(os.listdir(folder / "fd")),
        threads=int(status["Threads"]),
    )


def about_this_run(seconds: float) -> dict[str, Any]:
    """Return the versions, the machine and the time that every result file records."""
    return {
        "versions": Versions.current().model_dump(),
        "machine": {"processor": processor(), "cores": cores(), "system": platform.system()},
        "seconds": round(seconds),
    }


def as_row(found: Usage) -> dict[str, float]:
    """Return a usage as JSON data."""
    return asdict(found)
