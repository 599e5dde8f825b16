"""Generated HTTP requests: schemathesis runs against a real server, from the server's OpenAPI document.

Needs the extra ``fuzz``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.helpers.serving import Server

CONFIG = Path(__file__).with_name("schemathesis.toml")
LEFT_OUT = "positive_data_acceptance"
"""The one check that is disabled: some rules, such as that an index needs a split, cannot be part of a schema."""
STRICTER = "negative_data_rejection"
"""The check that what does not fit the schema is refused. A short ``stop`` is accepted all the same, as documented."""
PHASES = ("examples", "coverage", "fuzzing", "stateful")
TIMEOUT = 120
"""Seconds after which a request counts as unanswered; the first /baseline takes long."""
FOUND_FAILURES = 1
"""Exit status of schemathesis when a check failed."""


@dataclass
class Tally:
    """Outcome of the requests.

    Attributes:
        phases: Requests by phase.
        statuses: Answers by status; 0 is no answer.
        graded: Answers of /grader with a grade, which only links between operations reach.
        problems: Failed checks, in sentences.
    """

    phases: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    graded: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, scenario: dict[str, Any]) -> None:
        """Count a scenario as schemathesis reports it."""
        recorder = scenario["recorder"]
        for interaction in recorder.get("interactions", {}).values():
            status = (interaction.get("response") or {}).get("status_code", 0)
            self.phases[scenario["phase"]] += 1
            self.statuses[status] += 1
            self.graded += status == 200 and urlsplit(interaction["request"]["uri"]).path == "/grader"
            if status == 0 or status >= 500:
                self.problems.append(f"{recorder['label']}: status {status}")
        for case, checks in recorder.get("checks", {}).items():
            failed = [check for check in checks if check["status"] == "failure"]
            if is_short_stop(recorder["interactions"][case]["request"]):
                failed = [check for check in failed if check["name"] != STRICTER]
            self.problems += [f"{recorder['label']}: {failure_message(check)}" for check in failed]


def is_short_stop(request: dict[str, Any]) -> bool:
    """Return whether a request is a ``stop``, which needs none of the other fields that the schema requires."""
    try:
        body = json.loads(b64decode(request["body"]["$base64"]))
        return bool(body.get("action", body)["action_type"] == "stop")
    except (KeyError, TypeError, ValueError, AttributeError):  # no JSON, or none of this form
        return False


def failure_message(check: dict[str, Any]) -> str:
    """Return the message of a failed check."""
    failure = (check.get("failure_info") or {}).get("failure") or {}
    return f"{check['name']}: {failure.get('message') or failure.get('title') or failure}"[:300]


def scenarios(server: Server, seed: int, examples: int, phases: tuple[str, ...] = PHASES) -> Iterator[dict[str, Any]]:
    """Run schemathesis once and yield the scenarios that it reports.

    Args:
        server: Server to send requests to.
        seed: Seed of the requests.
        examples: Largest number of requests per operation and phase.
        phases: Phases to run.

    Raises:
        RuntimeError: schemathesis failed.
    """
    server.get("/openapi.json")  # it may be built at the first request, and schemathesis waits for ten seconds only
    with tempfile.TemporaryDirectory(prefix="generated-") as folder:
        report = Path(folder) / "report.ndjson"
        options = ["--checks=all", f"--exclude-checks={LEFT_OUT}", "--continue-on-failure", "--no-shrink"]
        options += [f"--max-examples={examples}", f"--seed={seed}", f"--report-ndjson-path={report}", "--no-color"]
        options.append(f"--request-timeout={TIMEOUT}")
        options.append(f"--phases={','.join(phases)}")
        program = (sys.executable, "-m", "schemathesis.cli", f"--config-file={CONFIG}", "run")
        done = subprocess.run(
            [*program, *options, f"{server.base_url}/openapi.json"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in (0, FOUND_FAILURES) or not report.exists():
            raise RuntimeError(f"schemathesis ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
        for line in report.read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            if "ScenarioFinished" in event:
                yield event["ScenarioFinished"]


def fuzz(server: Server, requests: int, seed: int, examples: int, advance: Callable[[int], None] | None) -> Tally:
    """Send at least ``requests`` requests, in runs with different seeds."""
    tally = Tally()
    while (sent := sum(tally.phases.values())) < requests:
        for scenario in scenarios(server, seed, examples):
            tally.add(scenario)
        if advance:
            advance(sum(tally.phases.values()) - sent)
        seed += 1
    return tally
