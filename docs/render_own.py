"""Tables of docs/own-data.md, and the JSON schemas of task files and records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dataselect_env.core.strategies.filters import FILTERS
from dataselect_env.core.strategies.registry import NATIVE, NATIVE_FILTERS, STRATEGIES
from dataselect_env.custom.definitions import file_schema
from dataselect_env.evaluation.records import record_schema

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "docs" / "tasks.schema.json"
RECORD_SCHEMA = ROOT / "docs" / "records.schema.json"
RESULTS = ROOT / "bench" / "custom"

Row = tuple[object, ...]


def schema_text() -> str:
    """Return the text of docs/tasks.schema.json, the JSON schema of task files."""
    return json.dumps(file_schema(), indent=2) + "\n"


def record_schema_text() -> str:
    """Return the text of docs/records.schema.json, the JSON schema of records."""
    return json.dumps(record_schema(), indent=2) + "\n"


def fields() -> Iterator[Row]:
    """Yield one row per field of a task."""
    definitions = file_schema()["$defs"]
    yield from _fields(definitions, definitions["TaskDefinition"], "")


def _fields(definitions: dict[str, Any], schema: dict[str, Any], prefix: str) -> Iterator[Row]:
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        options = [field, *field.get("anyOf", []), *field.get("allOf", [])]
        inner = next((one["$ref"].rsplit("/", 1)[1] for one in options if "$ref" in one), None)
        default = field.get("default")
        plain = default is not None and not isinstance(default, dict | list)
        need = "required" if name in required else f"`{json.dumps(default)}`" if plain else ""
        yield (
            f"`{prefix}{name}`",
            need,
            field.get("description", definitions.get(inner or "", {}).get("description", "")),
        )
        if inner is not None:
            yield from _fields(definitions, definitions[inner], f"{prefix}{name}.")


def strategies() -> Iterator[Row]:
    """Yield one row per extra strategy of the package."""
    for name in NATIVE:
        found = STRATEGIES[name]
        yield f"`{name}`", found.description, found.source


def filters() -> Iterator[Row]:
    """Yield one row per filter on labels of the package."""
    for name in NATIVE_FILTERS:
        found = FILTERS[name]
        yield f"`{name}`", f"samples {found.description}", found.source


def noise_estimates() -> Iterator[Row]:
    """Yield one row per data set and strategy: the noise estimate by rate."""
    rows = results("noise_estimate")["rows"]
    for data, strategy in dict.fromkeys((row["data"], row["strategy"]) for row in rows):
        estimates = [row for row in rows if (row["data"], row["strategy"]) == (data, strategy)]
        yield data, strategy, *(f"{row['estimate']:.2f} ± {row['spread']:.2f}" for row in estimates)


def noise_estimate_rates() -> list[str]:
    """Return the noise rates that were measured, as column titles."""
    return [f"{rate:.0%} wrong" for rate in dict.fromkeys(row["rate"] for row in results("noise_estimate")["rows"])]


def cost() -> Iterator[Row]:
    """Yield one row per strategy: milliseconds of a step by number of classes."""
    classes = results("cost")["classes"]
    for name in next(iter(classes.values()))["step_ms"]:
        steps = [found["step_ms"][name] for found in classes.values()]
        yield name, *(f"{step['median']:.0f} ({step['q1']:.0f} to {step['q3']:.0f})" for step in steps)
    yield "reset", *(f"{found['reset_ms']:.0f}" for found in classes.values())
    yield "loading, seconds", *(f"{found['load_s']:.1f}" for found in classes.values())
    yield "peak memory, MB", *(f"{found['peak_mb']:.0f}" for found in classes.values())


def cost_classes() -> list[str]:
    """Return the numbers of classes that were measured, as column titles."""
    return [f"{number} classes" for number in results("cost")["classes"]]


POLICY_NAMES = {"stop": "trusted rows alone", "every row": "every row of the table"}
"""Names of policies on the page, where others say more."""


def curation_worth() -> Iterator[Row]:
    """Yield one row per way to choose rows: accuracy, and share of wrong labels, for each data set and noise."""
    rows = results("curation")["rows"]
    for policy in dict.fromkeys(row["policy"] for row in rows):
        cells = []
        for row in rows:
            if row["policy"] == policy:
                found, wrong = row["accuracy"], "" if policy == "stop" else f"; {row['wrong']:.0%}"
                cells.append(f"{found['mean']:.3f} [{found['low']:.3f}, {found['high']:.3f}]{wrong}")
        yield POLICY_NAMES.get(policy, f"`{policy}`"), *cells


def curation_titles() -> list[str]:
    """Return the data sets and kinds of noise that were measured, as column titles."""
    return list(dict.fromkeys(f"{row['data']}, {row['noise']}" for row in results("curation")["rows"]))


def curation_cost() -> str:
    """Return how long a curation of a large table takes, in one sentence."""
    found = results("curation")["cost"]
    seconds = found["seconds"]
    return (
        f"On one core, choosing {found['budget']} of {found['rows']:,} rows with {found['columns']} columns takes"
        f" {seconds['choice']:.0f} s, and\nwith the comparison {seconds['choice_and_comparison']:.0f} s. `python -m"
        " bench.custom.curation` measures all of this again.\n"
    )


def results(name: str) -> dict[str, Any]:
    """Return the results of one script of bench/custom."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found
