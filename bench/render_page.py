"""Render dataselect_env/server/web/reference.json, the data of the page, from the code and from measured results.

    python -m bench.render_page

Tasks, splits and policies come from the package, the ladder from bench/validity/results.json. A test checks that it is
up to date.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dataselect_env.core import grading, reward
from dataselect_env.core.strategies.sampling import STRATEGIES
from dataselect_env.core.tasks import BUILT_IN, MIN_BATCH, PINNED, SEED_LIMIT, SPLITS, TASKS
from dataselect_env.policies import GROUPS, get_policy, reference
from dataselect_env.server.page import constant_action, described
from dataselect_env.server.pool_view import DEMONSTRATION_PREFIX

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "dataselect_env" / "server" / "web" / "reference.json"
RESULTS = ROOT / "bench" / "validity" / "results.json"
BLOCK = "test split"

CONSTANTS = ("balanced", "random", "uncertainty", "diversity", "stop", "best-constant")
"""Policies with a constant action; the page needs no code for them."""
RULES = ("plateau", "noise-rule", "probing")
"""Policies that policies.js implements, too; a test plays both and compares."""
RULE_CONSTANTS = (
    "BATCH_SIZE",
    "PATIENCE",
    "SAFE_BATCH",
    "PROBE",
    "PROBE_NOISE",
    "LEAVE_NOISE",
    "CLEAN_BATCH",
)


def policies() -> list[dict[str, Any]]:
    """Return the policies that the page can play."""
    return [
        {
            "name": name,
            "description": get_policy(name).description,
            "actions": {task_id: constant_action(name, TASKS[task_id]) for task_id in BUILT_IN}
            if name in CONSTANTS
            else None,
        }
        for name in (*RULES[::-1], *CONSTANTS)
    ]


def ladder() -> dict[str, Any]:
    """Return the measured grades of the reference policies by task, from the bottom of the ladder to its top."""
    block = json.loads(RESULTS.read_text(encoding="utf-8"))["blocks"][BLOCK]
    return {
        "first_seed": block["first_seed"],
        "last_seed": block["last_seed"],
        "rows": {
            task_id: [
                {
                    "policy": name,
                    "description": get_policy(name).description,
                    "score": round(block["ladder"][task_id][name]["score"], 3),
                    "interval": [round(block["ladder"][task_id][name][end], 3) for end in ("low", "high")],
                }
                for name in GROUPS["ladder"]
            ]
            for task_id in PINNED
        },
    }


def render() -> str:
    """Return the text of the file."""
    content = {
        "tasks": {task_id: described(TASKS[task_id]) for task_id in BUILT_IN},
        "splits": {split.name: {"first_seed": split.first_seed, "seeds": split.seeds} for split in SPLITS.values()},
        "seed_limit": SEED_LIMIT,
        "min_batch": MIN_BATCH,
        "strategies": STRATEGIES,
        "reward_terms": reward.TERMS,
        "reward": {
            "performance": reward.PERFORMANCE_COEFFICIENT,
            "distance": reward.DISTANCE_COEFFICIENT,
            "redundancy": reward.REDUNDANCY_COEFFICIENT,
            "cost": reward.COST_PER_SAMPLE,
            "terminal": reward.TERMINAL_COEFFICIENT,
        },
        "grading": {
            "noise_ceiling": grading.NOISE_CEILING,
            "coverage": grading.COVERAGE,
            "efficiency_price": grading.EFFICIENCY_PRICE,
        },
        "demonstration_prefix": DEMONSTRATION_PREFIX,
        "policies": policies(),
        "rule_constants": {name: getattr(reference, name) for name in RULE_CONSTANTS},
        "ladder": ladder(),
    }
    return json.dumps(content, indent=1) + "\n"


def main() -> None:
    TARGET.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
