"""Render the tables of README.md and docs/ from the code, so that every number is defined once.

    python -m docs.render

A table is between ``<!-- rendered: NAME -->`` and ``<!-- /rendered: NAME -->``. A test fails when one is out of date.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from dataselect_env import __version__
from dataselect_env.core import data, errors, grading, learner, models, noise_estimate, reward
from dataselect_env.core.models import Action, ObservationFields, StepInfo
from dataselect_env.core.open import distribution
from dataselect_env.core.problem import Problem
from dataselect_env.core.strategies.pool_statistics import STATISTICS
from dataselect_env.core.strategies.sampling import trap_strength
from dataselect_env.core.tasks import DYNAMICS_VERSION, MIN_BATCH, PINNED, SPLITS, TASKS, Task
from dataselect_env.core.validation import WireModel
from dataselect_env.policies import GROUPS, get_policy
from dataselect_env.server import limits
from dataselect_env.server.settings import ENV_PREFIX, Settings
from dataselect_env.server.store import retention
from dataselect_env.testing import checked_store, environments, policies, sources, strategies
from dataselect_env.testing.rules import Rule
from docs import render_own

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RESULTS = ROOT / "bench" / "validity" / "results.json"
MARKED = re.compile(r"(<!-- rendered: (\w+) -->\n).*?(<!-- /rendered: \2 -->)", re.DOTALL)


def table(heading: str, rows: Iterable[Iterable[object]]) -> str:
    """Return a Markdown table; ``heading`` has the column titles, separated by bars."""
    titles = [title.strip() for title in heading.split("|")]
    lines = [titles, ["---"] * len(titles), *([str(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def tasks() -> str:
    return table(
        "task | wrong labels | budget | steps | passes | score",
        (
            (
                f"`{task.task_id}`",
                f"{most(task)}{task.flip_y:.0%}",
                f"{most(task)}{task.budget}",
                f"{most(task)}{task.max_steps}",
                task.success_criteria,
                task.score_formula,
            )
            for task in TASKS.values()
        ),
    )


def most(task: Task) -> str:
    """Return the word before the numbers of a task that are upper limits."""
    return "up to " if task.varies else ""


def splits() -> str:
    numbers = data.accepted_datasets()
    return table(
        "split | seeds | task specs | data sets",
        (
            (
                f"`{split.name}`",
                f"{split.first_seed:,} to {split.first_seed + split.seeds - 1:,}",
                f"{split.num_tasks:,}",
                f"{len(numbers[split.name]):,}",
            )
            for split in SPLITS.values()
        ),
    )


def settings() -> str:
    rows = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default in {None, ""} else f"`{field.default}`"
        rows.append((f"`{ENV_PREFIX}{name.upper()}`", default, field.description))
    return table("variable | default | meaning", rows)


def fixed_limits() -> str:
    rows = {
        "length of an `episode_id`, in characters": models.EPISODE_ID_LENGTH,
        "burst under a rate limit, in seconds of its rate": f"{limits.BURST_SECONDS:g}",
        "client addresses tracked by the rate limit": f"{limits.REMEMBERED_CLIENTS:,}",
        "prefix that identifies an IPv6 client, in bits": limits.IPV6_CLIENT_BITS,
        "episodes in a store in memory": f"{retention.MEMORY_EPISODES:,}",
        "episodes removed from the store at a time": retention.REMOVED_AT_ONCE,
        "jump of the clock after which removal by age pauses, in hours": f"{retention.JUMP / timedelta(hours=1):g}",
        "pause of removal by age, in hours": f"{retention.PAUSE / timedelta(hours=1):g}",
    }
    return table("limit | value", rows.items())


def error_codes() -> str:
    return table(
        "code | status | meaning",
        (
            (f"`{kind.code}`", kind.status, (kind.__doc__ or "").splitlines()[0])
            for kind in errors.EnvError.__subclasses__()
            if kind.__module__ == errors.__name__  # not those of clients
        ),
    )


def fields(model: type[WireModel]) -> str:
    """Return a table of the fields of a wire type."""
    properties: dict[str, dict[str, Any]] = model.model_json_schema()["properties"]
    return table(
        "field | type | meaning",
        ((f"`{name}`", kind(schema), schema.get("description", "")) for name, schema in properties.items()),
    )


def kind(schema: dict[str, Any]) -> str:
    """Return the type and range of a JSON schema in words."""
    if "anyOf" in schema:
        return " or ".join(kind(option) for option in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    name = str(schema.get("type", "object"))
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{name}, {low:g} to {high:g}"
    return name if low is None else f"{name} from {low:g}"


def constants() -> str:
    generator = ", ".join(f"{name} {value}" for name, value in data.GENERATOR.items())
    rows = {
        "generator": generator,
        "warm-started performance of an accepted data set": "{:.2f} to {:.2f}".format(*data.WARM_START_BAND),
        "seeds in the confident world": f"{data.CONFIDENT_SEEDS_A_BLOCK} of every {data.SEEDS_A_BLOCK}",
        "sharpness of the worlds": data.SHARPNESS,
        "noise trap, in nats": ", ".join(f"{name} {trap_strength(TASKS[name].flip_y):g}" for name in PINNED),
        "`alpha` of the SGDClassifier": learner.ALPHA,
        "warm-up passes": learner.WARM_UP_PASSES,
        "samples bought per training pass": learner.SAMPLES_PER_PASS,
        "training passes per batch, at most": learner.MOST_PASSES,
        "minimum batch": MIN_BATCH,
        "`noise_estimate`: weight of the declared rate, in samples": noise_estimate.NOISE_PRIOR_STRENGTH,
        "noise ceiling": grading.NOISE_CEILING,
        "coverage": grading.COVERAGE,
        "efficiency price": grading.EFFICIENCY_PRICE,
    }
    return table("constant | value", rows.items())


def reward_terms() -> str:
    rows = {
        "performance_gain": f"{reward.PERFORMANCE_COEFFICIENT:g} x change of performance",
        "diversity_bonus": f"{reward.DISTANCE_COEFFICIENT:g} x distance",
        "redundancy": f"-{reward.REDUNDANCY_COEFFICIENT:g} x redundancy",
        "noise_penalty": "-(1 + 2 flip_y) x noise_ratio",
        "cost": f"-{reward.COST_PER_SAMPLE:g} x samples bought",
        "baseline": f"{reward.BASELINE:g}",
        "terminal": f"{reward.TERMINAL_COEFFICIENT:g} x grade, in the last step; otherwise 0",
    }
    return table("term | value", ((f"`{name}`", value) for name, value in rows.items()))


def versions() -> str:
    return f"Package version {__version__}, `DYNAMICS_VERSION` {DYNAMICS_VERSION}.\n"


def ladder() -> str:
    """Return the grades of the policies on the ladder, measured by bench/validity on the test split."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    by_task = results["blocks"]["test split"]["ladder"]

    def grade(task_id: str, policy: str) -> str:
        row = by_task[task_id][policy]
        return f"{row['score']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"

    return table(
        f"policy | {' | '.join(PINNED)} | what it does",
        (
            (policy, *(grade(task_id, policy) for task_id in PINNED), get_policy(policy).description)
            for policy in GROUPS["ladder"]
        ),
    )


def validation() -> str:
    """Return how many tests of the quality bar have each status in the tables of docs/validation.md."""
    page = (ROOT / "docs" / "validation.md").read_text(encoding="utf-8")
    counts = Counter(re.findall(r"^\| \d+ \| [^|]+ \| \**([a-z ]+?)\** \|", page, re.MULTILINE))
    return table("status | tests", counts.most_common())


def speed() -> str:
    """Return in three sentences how fast a step, a served step and a start are."""
    from bench.speed import page  # noqa: PLC0415  (it imports this module)

    return page.in_short(page.load())


def transfer() -> str:
    """Return mean grades on real tables."""
    from bench.transfer import page  # noqa: PLC0415  (it imports this module)

    return page.summary()


def marked(rows: Iterable[tuple[str, ...]]) -> Iterable[tuple[str, ...]]:
    """Return the rows with their first cell in code style."""
    return ((f"`{name}`", *cells) for name, *cells in rows)


def rules(of_check: dict[str, Rule]) -> str:
    """Return the rules of a check, with the name of what documents each."""
    return table("rule | documented in", ((rule.text, f"`{rule.documented}`") for rule in of_check.values()))


RENDERERS: dict[str, Callable[[], str]] = {
    "action": lambda: fields(Action),
    "constants": constants,
    "curation_cost": render_own.curation_cost,
    "curation_worth": lambda: table(
        " | ".join(["model fitted on", *render_own.curation_titles()]), render_own.curation_worth()
    ),
    "noise_estimates": lambda: table(
        " | ".join(["data", "bought by", *render_own.noise_estimate_rates()]), render_own.noise_estimates()
    ),
    "errors": error_codes,
    "filters": lambda: table("filter | what passes | source", render_own.filters()),
    "fixed_limits": fixed_limits,
    "info": lambda: fields(StepInfo),
    "ladder": ladder,
    "open_draws": lambda: table("what | drawn from", distribution.rows()),
    "open_families": lambda: table("family | splits | what it makes", marked(distribution.family_rows())),
    "open_noise": lambda: table("kind | splits | where labels are wrong", marked(distribution.noise_rows())),
    "observation": lambda: fields(ObservationFields),
    "own_cost": lambda: table(" | ".join(["bought by", *render_own.cost_classes()]), render_own.cost()),
    "own_fields": lambda: table("field | default | meaning", render_own.fields()),
    "problem": lambda: fields(Problem),
    "reward": reward_terms,
    "rules_env": lambda: rules(environments.RULES),
    "rules_policy": lambda: rules(policies.RULES),
    "rules_source": lambda: rules(sources.RULES),
    "rules_store": lambda: rules(checked_store.RULES),
    "rules_strategy": lambda: rules(strategies.RULES),
    "settings": settings,
    "speed": speed,
    "splits": splits,
    "statistics": lambda: table("statistic | meaning", marked(STATISTICS.items())),
    "strategies": lambda: table("name | what it picks | source", render_own.strategies()),
    "tasks": tasks,
    "transfer": transfer,
    "validation": validation,
    "versions": versions,
}


def rendered(text: str) -> str:
    """Return a document with up-to-date tables.

    Raises:
        KeyError: A table in it does not exist.
    """
    return MARKED.sub(lambda found: f"{found[1]}{RENDERERS[found[2]]()}{found[3]}", text)


def main() -> None:
    render_own.SCHEMA.write_text(render_own.schema_text(), encoding="utf-8")
    render_own.RECORD_SCHEMA.write_text(render_own.record_schema_text(), encoding="utf-8")
    for path in DOCUMENTS:
        path.write_text(rendered(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
