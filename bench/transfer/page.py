"""Render README.md and its picture from results.json.

python -m bench.transfer.page
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.transfer.report import CONTENDERS, REFERENCES, RESULTS, YARDSTICKS
from dataselect_env.rendering import palette
from docs.render import MARKED, table

HERE = Path(__file__).parent
PAGE, PICTURE, GENERAL = HERE / "README.md", HERE / "transfer.png", HERE / "general.json"
DATA, NOISE = ("digits", "breast-cancer", "wine"), ("clean", "uniform", "worlds")
COLOURS = {"rule": palette.GREY, "tuned": palette.VERMILION, "yardstick": palette.GREEN}
Results = dict[str, Any]


def load() -> Results:
    """Return the results of report.py."""
    results: Results = json.loads(RESULTS.read_text(encoding="utf-8"))
    return results


def short(name: str) -> str:
    """Return a policy's name without the module that it comes from."""
    return name.rsplit(":", 1)[1] if name.startswith("bench.") else name


def kind_of(name: str) -> str:
    """Return the kind of a policy, which decides its colour in the picture."""
    if name in YARDSTICKS:
        return "yardstick"
    return "rule" if "nothing" in CONTENDERS[name] else "tuned"


def verdict(results: Results, name: str, reference: str) -> tuple[int, int, float]:
    """Return on how many tasks a policy is above and below the reference, and the mean difference over the tasks."""
    gaps = [rows[name][f"less {reference}"] for rows in results["tasks"].values() if name != reference]
    above = sum(gap["significant"] and gap["mean"] > 0 for gap in gaps)
    below = sum(gap["significant"] and gap["mean"] < 0 for gap in gaps)
    return above, below, sum(gap["mean"] for gap in gaps) / max(1, len(gaps))


def summary(results: Results) -> str:
    """Return one row per contender: on how many tasks it is above and below each reference, and by how much."""
    heading = " | ".join(f"against {reference}" for reference in REFERENCES)
    return table(f"policy | tuned on | {heading}", _summary(results))


def _summary(results: Results) -> Iterator[tuple[object, ...]]:
    for name, tuned_on in CONTENDERS.items():
        cells = []
        for reference in REFERENCES:
            above, below, mean = verdict(results, name, reference)
            cells.append("" if name == reference else f"{above} above, {below} below, {mean:+.3f}")
        yield f"`{short(name)}`", tuned_on, *cells


def learned() -> str:
    """Return a sentence on how well the policy ``general`` learned its training tasks."""
    sources = json.loads(GENERAL.read_text(encoding="utf-8"))["held_out"].values()
    above = sum(source["ppo - probing"]["low"] > 0 for source in sources)
    return (
        f"`general` is above `probing` on held-out seeds of {above} of the {len(sources)} synthetic tasks that it was"
        " trained on.\n"
    )


def scores(results: Results) -> str:
    """Return mean scores by task."""
    names = (REFERENCES[0], *CONTENDERS, *YARDSTICKS)
    rows = (
        (f"`{short(name)}`", *(f"{rows[name]['score']['mean']:.3f}" for rows in results["tasks"].values()))
        for name in names
    )
    return table(f"policy | {' | '.join(results['tasks'])}", rows)


def constants(results: Results) -> str:
    """Return the best constant of each task."""
    return table("task | best constant", ((task, f"`{name}`") for task, name in results["best_constants"].items()))


RENDERERS = {"learned": lambda _: learned(), "summary": summary, "scores": scores, "constants": constants}


def rendered(text: str, results: Results) -> str:
    """Return the page with up-to-date tables."""
    return MARKED.sub(lambda found: f"{found[1]}{RENDERERS[found[2]](results)}{found[3]}", text)


def draw(results: Results) -> None:
    """Draw differences to random, one panel per data set and kind of noise."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (the tables do without)

    names = [*CONTENDERS, *YARDSTICKS][::-1]
    figure = Figure(figsize=(11, 9), layout="constrained")
    grid = figure.subplots(len(DATA), len(NOISE), sharex=True, sharey=True)
    for data, line in zip(DATA, grid, strict=True):
        for noise, ax in zip(NOISE, line, strict=True):
            for height, name in enumerate(names):
                gap = results["tasks"][f"{data}-{noise}"][name][f"less {REFERENCES[0]}"]
                kind = kind_of(name)
                ax.plot([gap["low"], gap["high"]], [height] * 2, color=COLOURS[kind], linewidth=2)
                ax.plot(gap["mean"], height, "o", color=COLOURS[kind], markersize=4.5)
            ax.axvline(0, color=palette.NOTE, linewidth=0.8)
            ax.set_title(f"{data}, {noise}", loc="left", fontsize=10, fontweight="bold")
            ax.set_yticks(range(len(names)), [short(name) for name in names], fontsize=8)
            ax.spines[["top", "right"]].set_visible(False)
            ax.grid(axis="x", color=palette.FAINT, linewidth=0.7)
    colours = "grey: rules, orange: tuned on synthetic tasks, green: yardsticks"
    figure.supxlabel(f"grade less that of {REFERENCES[0]}, 95 % intervals; {colours}", fontsize=9)
    figure.savefig(PICTURE, dpi=110)


def main() -> None:
    """Write the page and the picture."""
    results = load()
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    draw(results)


if __name__ == "__main__":
    main()
