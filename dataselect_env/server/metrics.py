"""Metrics for Prometheus, of one process or of all workers together.

``PROMETHEUS_MULTIPROC_DIR`` names the folder through which workers share their metrics; ``shared_folder`` makes it
before they start.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    PROCESS_COLLECTOR,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from dataselect_env import __version__
from dataselect_env.core.errors import EnvError

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
NAMESPACE = "dataselect"
STEP_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
"""Upper bounds of the buckets of step times."""


@contextmanager
def shared_folder() -> Iterator[str]:
    """Make the folder of a server with workers, for the processes started in this context; remove it at the end."""
    with tempfile.TemporaryDirectory(prefix="dataselect-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[FOLDER_VARIABLE] = folder
        try:
            yield folder
        finally:
            del os.environ[FOLDER_VARIABLE]


def forget_worker(process: int) -> None:
    """Drop the gauges of a worker that has ended; its counters stay in the sums."""
    mark_process_dead(process)


class Metrics:
    """The metrics of one application; its counters belong to no global registry."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._folder = os.environ.get(FOLDER_VARIABLE)
        self._started = self._counter("episodes_started", "Episodes started.", "task")
        self._finished = self._counter("episodes_finished", "Episodes played to their end.", "task")
        self._steps = self._counter("steps", "Steps played and stored.", "task")
        self._step_seconds = Histogram(
            "step_seconds",
            "Seconds that a step took in the server, the store included.",
            namespace=NAMESPACE,
            registry=self._registry,
            buckets=STEP_SECONDS,
        )
        self._errors = self._counter("errors", "Errors reported to clients.", "code")
        self._responses = self._counter("http_responses", "HTTP responses.", "status")
        self.sessions = self._gauge("sessions", "Open sessions of WebSocket connections and MCP clients.")
        self.sessions_max = self._gauge("sessions_max", "Largest number of open sessions.")
        self.live_episodes = self._gauge("live_episodes", "HTTP episodes in memory.")

    def count_error(self, error: EnvError) -> None:
        """Count an error that is reported to a client."""
        self._errors(error.code).inc()

    def count_response(self, status: int) -> None:
        """Count an HTTP response."""
        self._responses(str(status)).inc()

    def count_step(self, task_id: str, step: int, done: bool, seconds: float) -> None:
        """Count a stored reset (step 0) or step.

        Args:
            task_id: Task of the episode.
            step: Number of the step.
            done: Whether the episode is over.
            seconds: Time that it took, the store included.
        """
        if step == 0:
            self._started(task_id).inc()
            return
        self._steps(task_id).inc()
        self._step_seconds.observe(seconds)
        if done:
            self._finished(task_id).inc()

    def text(self, gauges: Mapping[str, tuple[str, float]]) -> bytes:
        """Return all metrics in the text format of Prometheus, those of all workers where there are several.

        Args:
            gauges: Meaning and value of what was measured for this answer, by name.
        """
        return generate_latest(_Scrape(self._registry, self._folder, gauges))

    def _counter(self, name: str, meaning: str, label: str) -> Callable[[str], Counter]:
        """Return the counters of a family by the value of their label, which has few values."""
        return cache(Counter(name, meaning, [label], namespace=NAMESPACE, registry=self._registry).labels)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(name, meaning, namespace=NAMESPACE, registry=self._registry, multiprocess_mode="livesum")


class _Scrape(Collector):
    """Everything that one answer holds."""

    def __init__(
        self, registry: CollectorRegistry, folder: str | None, gauges: Mapping[str, tuple[str, float]]
    ) -> None:
        self._registry, self._folder, self._gauges = registry, folder, gauges

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        counted: Iterable[Metric]
        if self._folder is None:
            counted = [*self._registry.collect(), *PROCESS_COLLECTOR.collect()]
        else:
            counted = MultiProcessCollector(None, self._folder).collect()
        for metric in counted:
            # Creation times belong to OpenMetrics; in this format each would be a separate metric.
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric
        build = GaugeMetricFamily(f"{NAMESPACE}_build_info", "Version of the package.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build
        for name, (meaning, value) in self._gauges.items():
            yield GaugeMetricFamily(f"{NAMESPACE}_{name}", meaning, value)
