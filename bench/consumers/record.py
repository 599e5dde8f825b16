"""The record of a run against a consumer's library: results/<name>.json, from which the page is rendered."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dataselect_env.core.tasks import DYNAMICS_VERSION, PINNED, SPLITS
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.policies import get_policy

RESULTS = Path(__file__).parent / "results"
SEEDS = range(SPLITS["test"].first_seed, SPLITS["test"].first_seed + 4)
POLICY = "best-constant"
"""The policy of the scripted models; its actions do not depend on observations, so every consumer can play them."""


@dataclass
class Record:
    """The record of a run; each of its ``claims`` is a sentence that the run has checked."""

    claims: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def claim(self, holds: bool, sentence: str) -> None:
        """Add a claim that holds.

        Raises:
            AssertionError: It does not hold.
        """
        if not holds:
            raise AssertionError(f"does not hold: {sentence}")
        self.claims.append(sentence)


@contextmanager
def recorded(name: str, extra: str, packages: list[str]) -> Iterator[Record]:
    """Yield an empty record, and write it if all of its claims hold.

    Args:
        name: Name of the result file and of the row in the table.
        extra: Extra of the package that installs the library.
        packages: Packages whose versions are recorded.
    """
    record, started = Record(), time.monotonic()
    yield record
    result = {
        "extra": extra,
        "python": platform.python_version(),
        "versions": {package: version(package) for package in ("dataselect-env", *packages)},
        "dynamics_version": DYNAMICS_VERSION,
        "seconds": round(time.monotonic() - started, 1),
        "claims": record.claims,
        "figures": record.figures,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def scores(seeds: range = SEEDS) -> dict[tuple[str, int], float]:
    """Return the scores of ``POLICY`` as the package plays it, by task and seed."""
    policy = get_policy(POLICY)
    return {(task_id, seed): rollout(policy, task_id, seed).grade.score for task_id in PINNED for seed in seeds}
