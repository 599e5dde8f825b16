"""Measure the validity goals on two blocks of held-out seeds; write results.json, the pictures and the page.

    python -m bench.validity.report            measure everything; takes some minutes
    python -m bench.validity.report --page     only render the page from results.json

The first block begins the test split, the second lies outside all splits. The one tuned choice, the best constant of
each task, comes from the train split (tuning.py).
"""

from __future__ import annotations

import json
import platform
from pathlib import Path
from time import perf_counter
from typing import Any

import click

from bench.machine import processor
from bench.validity import leak, measure, page, pictures
from bench.validity.candidates import FAMILIES, full_name
from dataselect_env.cli.console import progress
from dataselect_env.core.data import WORLDS, dataset_number, world_of
from dataselect_env.core.models import RewardMode
from dataselect_env.core.tasks import PINNED
from dataselect_env.core.threads import cores
from dataselect_env.evaluation.evaluate import Plan, evaluate
from dataselect_env.evaluation.ladder import build_report, rounded
from dataselect_env.evaluation.records import EpisodeRecord, Versions
from dataselect_env.policies import GROUPS, POLICIES, Policy
from dataselect_env.rendering import plots

HERE = Path(__file__).parent
BLOCKS = {"test split": 20_000, "outside of all splits": 1_000_000}
"""First seeds."""
SEEDS = 50
RANDOM_SEEDS = 20
"""Seeds that each random policy plays."""
AUDIT_SEEDS = 20
RANDOM_POLICIES = 200
RANDOM = tuple(full_name(f"random_{number}") for number in range(RANDOM_POLICIES))
RANDOM_FAMILIES = tuple(FAMILIES[number % len(FAMILIES)] for number in range(RANDOM_POLICIES))
REFERENCE = "best-constant"
TELESCOPED = tuple(name for name in GROUPS["reference"] if name != "greedy-oracle")


def play(
    policies: tuple[str, ...], seeds: range, label: str, reward_mode: RewardMode = "shaped"
) -> list[EpisodeRecord]:
    """Play all tasks on these seeds."""
    plan = Plan(policies=policies, tasks=tuple(PINNED), seeds=tuple(seeds), reward_mode=reward_mode)
    with progress(len(plan), label) as advance:
        return evaluate(plan, processes=cores(), progress=advance)


def block(name: str, first: int) -> dict[str, Any]:
    """Measure everything on one block of seeds, and draw the pictures for the first block."""
    seeds, fewer = range(first, first + SEEDS), range(first, first + RANDOM_SEEDS)
    records = play(GROUPS["all"], seeds, f"{name}: policies")
    cells = measure.cells_of(records)
    of_random = measure.cells_of(play(RANDOM, fewer, f"{name}: random policies"))
    graded = play(TELESCOPED, fewer, f"{name}: mode grade", "grade")
    table = measure.ladder(cells)
    agents = [name for name, policy in POLICIES.items() if isinstance(policy, Policy)]
    if first == min(BLOCKS.values()):
        draw(records, of_random, table)
    worlds = [world_of(seed) for seed in seeds]
    return {
        "first_seed": seeds[0],
        "last_seed": seeds[-1],
        "worlds": {world: worlds.count(world) for world in WORLDS},
        "ladder": table,
        "steps": measure.steps(cells),
        "exploits": measure.exploits(cells),
        "random_policies": measure.alignment(of_random, RANDOM, RANDOM_FAMILIES),
        "named_policies": measure.alignment(cells, agents),
        "telescoping": measure.telescoping(graded),
        "separable": measure.separable(cells),
        "leak": {task: leak.audit(task, range(first, first + AUDIT_SEEDS)) for task in PINNED},
        "odds": measure.odds(table),
        "compute_share": measure.compute_share(cells, {seed: dataset_number(seed) for seed in seeds}),
    }


def draw(records: list[EpisodeRecord], of_random: measure.Cells, table: dict[str, Any]) -> None:
    """Draw the pictures of the page."""
    seeds = tuple(dict.fromkeys(one.number for one in records))
    plan = Plan(policies=GROUPS["all"], tasks=tuple(PINNED), seeds=seeds)
    report = build_report(plan, records, REFERENCE)
    plots.figure(report, [plots.LADDER]).savefig(HERE / "ladder.png")
    plots.figure(report, [plots.CURVES]).savefig(HERE / "curves.png")
    pictures.worlds(table).savefig(HERE / "worlds.png")
    pictures.aligned(of_random, RANDOM, RANDOM_FAMILIES).savefig(HERE / "aligned.png")


@click.command()
@click.option("--page", "page_only", is_flag=True, help="Only render the page from results.json.")
def main(*, page_only: bool) -> None:
    """Measure the validity goals."""
    if not page_only:
        begun = perf_counter()
        blocks = {name: block(name, first) for name, first in BLOCKS.items()}
        results = {
            "versions": Versions.current().model_dump(),
            "machine": {"processor": processor(), "cores": cores(), "system": platform.system()},
            "seconds": round(perf_counter() - begun),
            "descriptions": {name: POLICIES[name].description for name in GROUPS["degenerate"]},
            "blocks": rounded(blocks),
        }
        page.RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    page.write()


if __name__ == "__main__":
    main()
