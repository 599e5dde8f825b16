"""Write result files of bench/sealed, and render README.md from them: ``python -m bench.sealed.page``.

A script is a line in ``RENDERERS``: its result file has its name, and so has the marked part of the page.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docs.render import MARKED, table

HERE = Path(__file__).parent
PAGE = HERE / "README.md"
Results = dict[str, Any]


def save(name: str, results: Results) -> None:
    """Write the results of a script, and the page from all results."""
    (HERE / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    write()


def write() -> None:
    """Render the page in place."""
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def fill(results: Results) -> str:
    """Return what was counted and checked, and how long requests took."""
    counts = {**results["counts"], "problems": results["problems"]}
    numbers = table("what | count", ((name, f"{count:,}") for name, count in counts.items()))
    rows = (
        (name, f"{one['answers']:,}", *(f"{one[column]:.1f}" for column in ("median", "p99", "most")))
        for name, one in results["latencies"].items()
    )
    machine = results["machine"]
    return (
        f"{numbers}\n{table('request | answers | median, ms | 99 %, ms | at most, ms', rows)}\n"
        f"Measured on {machine['cores']} cores of {machine['processor']} in {results['seconds']} s.\n"
    )


RENDERERS: dict[str, Callable[[Results], str]] = {"fill": fill}
"""What makes the part of the page from the results of a script, by its name."""


def rendered(text: str) -> str:
    """Return the page with up-to-date parts."""

    def made(name: str) -> str:
        file = HERE / f"{name}.json"
        if not file.exists():
            return "Not measured yet.\n"
        return RENDERERS[name](json.loads(file.read_text(encoding="utf-8")))

    return MARKED.sub(lambda found: f"{found[1]}{made(found[2])}{found[3]}", text)


if __name__ == "__main__":
    write()
