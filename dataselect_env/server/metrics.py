"""What the server counts, in the text format that Prometheus reads (version 0.0.4 of its exposition formats).

Each process counts for itself and forgets with its end; the counters are plain numbers, so that a step pays next to
nothing for them.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from pathlib import Path

from dataselect_env import __version__
from dataselect_env.core.errors import EnvError

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "dataselect_"
STEP_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
"""Upper bounds of the classes of step times."""

Labels = tuple[tuple[str, str], ...]


class Histogram:
    """Counts of observations by class.

    Args:
        bounds: Upper bounds of the classes, ascending; above the last one there is one more class.
    """

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one observation."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def samples(self) -> Iterator[tuple[str, Labels, float]]:
        """Yield suffix, labels and value of every line."""
        *cumulated, count = accumulate(self.counts)
        for bound, below in zip(self.bounds, cumulated, strict=True):
            yield "_bucket", (("le", f"{bound:g}"),), below
        yield "_bucket", (("le", "+Inf"),), count
        yield "_sum", (), self.total
        yield "_count", (), count


class Metrics:
    """Counters of one server process."""

    def __init__(self) -> None:
        self.started: Counter[str] = Counter()
        self.finished: Counter[str] = Counter()
        self.steps: Counter[str] = Counter()
        self.step_seconds = Histogram(STEP_SECONDS)
        self.errors: Counter[str] = Counter()
        self.responses: Counter[int] = Counter()

    def count(self, error: EnvError) -> None:
        """Count an error that a client is told."""
        self.errors[error.code] += 1

    def played(self, task_id: str, step: int, done: bool, seconds: float) -> None:
        """Count a reset (step 0) or a step that was stored.

        Args:
            task_id: Task of the episode.
            step: Number of the step.
            done: Whether the episode is over.
            seconds: What it took, the store included.
        """
        if step == 0:
            self.started[task_id] += 1
            return
        self.steps[task_id] += 1
        self.step_seconds.observe(seconds)
        if done:
            self.finished[task_id] += 1

    def text(self, gauges: Mapping[str, tuple[str, float]]) -> str:
        """Return everything as text.

        Args:
            gauges: Meaning and value of what is measured at this moment, by name without the prefix.
        """
        families = [
            _family("episodes_started_total", "counter", "Episodes started.", _by("task", self.started)),
            _family("episodes_finished_total", "counter", "Episodes played to their end.", _by("task", self.finished)),
            _family("steps_total", "counter", "Steps played and stored.", _by("task", self.steps)),
            _family(
                "step_seconds", "histogram", "Seconds that a step took in the server.", self.step_seconds.samples()
            ),
            _family("errors_total", "counter", "Errors told to clients.", _by("code", self.errors)),
            _family("http_responses_total", "counter", "HTTP answers.", _by("status", self.responses)),
            _family("build_info", "gauge", "Version of the package.", [("", (("version", __version__),), 1)]),
            *(_family(name, "gauge", meaning, [("", (), value)]) for name, (meaning, value) in gauges.items()),
            *(
                _family(name, "gauge", meaning, [("", (), value)], prefix="process_")
                for name, (meaning, value) in process_gauges().items()
            ),
        ]
        return "".join(families)


def process_gauges() -> dict[str, tuple[str, float]]:
    """Return what the operating system tells of this process, under Prometheus' own names; nothing but on Linux."""
    folder = Path("/proc/self")
    try:
        pages = int((folder / "statm").read_text().split()[1])
        files = len(os.listdir(folder / "fd"))
    except OSError:
        return {}
    return {
        "resident_memory_bytes": ("Resident memory.", pages * os.sysconf("SC_PAGE_SIZE")),
        "open_fds": ("Open files and sockets.", files),
    }


def _by(label: str, counts: Counter[str] | Counter[int]) -> Iterator[tuple[str, Labels, float]]:
    return (("", ((label, str(name)),), count) for name, count in sorted(counts.items()))


def _family(
    name: str, kind: str, meaning: str, samples: Iterable[tuple[str, Labels, float]], prefix: str = PREFIX
) -> str:
    """Return one metric; label values are codes and names of this package, so none needs escaping."""
    lines = [f"# HELP {prefix}{name} {meaning}", f"# TYPE {prefix}{name} {kind}"]
    for suffix, labels, value in samples:
        inner = ",".join(f'{label}="{text}"' for label, text in labels)
        lines.append(f"{prefix}{name}{suffix}{f'{{{inner}}}' if inner else ''} {value:.17g}")
    return "\n".join(lines) + "\n"
