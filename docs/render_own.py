"""Tables of docs/own-data.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dataselect_env.core.strategies.registry import NATIVE, STRATEGIES
from dataselect_env.custom.definitions import file_schema

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "docs" / "tasks.schema.json"
RESULTS = ROOT / "bench" / "owndata"
TRANSFER = ROOT / "bench" / "transfer" / "results.json"

Row = tuple[object, ...]


def schema_text() -> str:
    """Return the JSON schema of task files as it stands in docs/."""
    return json.dumps(file_schema(), indent=2) + "\n"


def fields() -> Iterator[Row]:
    """Yield one row for each field of a task."""
    definitions = file_schema()["$defs"]
    yield from _fields(definitions, definitions["TaskDefinition"], "")


def _fields(definitions: dict[str, Any], schema: dict[str, Any], prefix: str) -> Iterator[Row]:
    required = schema.get("required", ())
    for name, told in schema["properties"].items():
        options = [told, *told.get("anyOf", []), *told.get("allOf", [])]
        inner = next((one["$ref"].rsplit("/", 1)[1] for one in options if "$ref" in one), None)
        default = told.get("default")
        plain = default is not None and not isinstance(default, dict | list)
        need = "needed" if name in required else f"`{json.dumps(default)}`" if plain else ""
        yield (
            f"`{prefix}{name}`",
            need,
            told.get("description", definitions.get(inner or "", {}).get("description", "")),
        )
        if inner is not None:
            yield from _fields(definitions, definitions[inner], f"{prefix}{name}.")


def strategies() -> Iterator[Row]:
    """Yield one row for each strategy that tasks may offer beside the three."""
    for name in NATIVE:
        found = STRATEGIES[name]
        yield f"`{name}`", found.description, found.source


def doubt() -> Iterator[Row]:
    """Yield one row for each data set and strategy, with the estimate by rate."""
    told = json.loads((RESULTS / "doubt.json").read_text(encoding="utf-8"))["rows"]
    for data, strategy in dict.fromkeys((row["data"], row["strategy"]) for row in told):
        rows = [row for row in told if (row["data"], row["strategy"]) == (data, strategy)]
        yield data, strategy, *(f"{row['estimate']:.2f} ± {row['spread']:.2f}" for row in rows)


def doubt_rates() -> list[str]:
    """Return the rates that estimates were made for."""
    told = json.loads((RESULTS / "doubt.json").read_text(encoding="utf-8"))["rows"]
    return [f"{rate:.0%} wrong" for rate in dict.fromkeys(row["rate"] for row in told)]


def cost() -> Iterator[Row]:
    """Yield one row for each strategy, with a step's milliseconds by number of classes."""
    told = json.loads((RESULTS / "cost.json").read_text(encoding="utf-8"))["classes"]
    for name in next(iter(told.values()))["step_ms"]:
        rows = [found["step_ms"][name] for found in told.values()]
        yield name, *(f"{row['median']:.0f} ({row['q1']:.0f} to {row['q3']:.0f})" for row in rows)
    yield "reset", *(f"{found['reset_ms']:.0f}" for found in told.values())
    yield "loading, seconds", *(f"{found['load_s']:.1f}" for found in told.values())
    yield "most memory, MB", *(f"{found['peak_mb']:.0f}" for found in told.values())


def cost_classes() -> list[str]:
    """Return the numbers of classes that were measured."""
    told = json.loads((RESULTS / "cost.json").read_text(encoding="utf-8"))["classes"]
    return [f"{number} classes" for number in told]
