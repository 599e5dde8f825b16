"""Write result files of bench/sealed, and render README.md from them: ``python -m bench.sealed.page``.

A script is a line in ``RENDERERS``: its result file has its name, and so has the marked part of the page.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from bench import results as results_of
from bench.results import Results
from docs.render import MARKED, table

HERE = Path(__file__).parent
PAGE = HERE / "README.md"


def save(name: str, results: Results) -> None:
    """Write the results of a script, and the page from all results."""
    results_of.save(HERE, name, results)
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


def attack(results: Results) -> str:
    """Return the means on both splits, and the differences of attacks to the best honest policy."""
    parts = [f"{results['episodes']} episodes a task and split, {results['plans']} plans an episode.\n"]
    for task_id, splits in results["tasks"].items():
        rows = []
        for name in next(iter(splits.values()))["agents"]:
            cells = [_cell(splits[split], name) for split in ("test", "sealed")]
            rows.append((name, *(part for cell in cells for part in cell)))
        heads = "`test` | difference to the best honest | `sealed` | difference to the best honest"
        parts.append(table(f"`{task_id}` | {heads}", rows))
    return "\n".join(parts)


def _cell(split: Results, name: str) -> tuple[str, str]:
    """Return the mean of an agent and, of an attack, its difference to the best honest policy, with intervals."""
    one = split["agents"][name]
    grade, gap = one["grade"], one.get("difference")
    mean = f"{grade['mean']:.3f} [{grade['low']:.3f}, {grade['high']:.3f}]"
    if name == split["best_honest"]:
        return mean, "best honest policy"
    return mean, "" if gap is None else f"{gap['mean']:+.3f} [{gap['low']:+.3f}, {gap['high']:+.3f}]"


RENDERERS: dict[str, Callable[[Results], str]] = {"attack": attack, "fill": fill}
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
