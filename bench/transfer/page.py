"""The page README.md and its picture, made from results.json.

python -m bench.transfer.page
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.transfer.report import CONTENDERS, REFERENCE, RESULTS, YARDSTICKS
from docs.render import MARKED, table

HERE = Path(__file__).parent
PAGE, PICTURE, GENERAL = HERE / "README.md", HERE / "transfer.png", HERE / "general.json"
DATA, NOISE = ("digits", "breast-cancer", "wine"), ("clean", "uniform", "worlds")
COLOURS = {"rule": "#999999", "tuned": "#D55E00", "yardstick": "#009E73"}
Results = dict[str, Any]


def load() -> Results:
    """Return what report.py wrote."""
    told: Results = json.loads(RESULTS.read_text(encoding="utf-8"))
    return told


def short(name: str) -> str:
    """Return a policy's name without the module that it comes from."""
    return name.rsplit(":", 1)[1] if name.startswith("bench.") else name


def kind_of(name: str) -> str:
    """Return what a policy is in the picture."""
    if name in YARDSTICKS:
        return "yardstick"
    return "rule" if "nothing" in CONTENDERS[name] else "tuned"


def verdict(results: Results, name: str, reference: str) -> tuple[int, int, float]:
    """Return on how many tasks a policy is above and below the reference, and the mean difference over the tasks."""
    gaps = [rows[name][f"less {reference}"] for rows in results["tasks"].values()]
    above = sum(gap["significant"] and gap["mean"] > 0 for gap in gaps)
    below = sum(gap["significant"] and gap["mean"] < 0 for gap in gaps)
    return above, below, sum(gap["mean"] for gap in gaps) / len(gaps)


def summary(results: Results) -> str:
    """Return one row for each contender: on how many tasks it is above and below random and the best constant."""
    return table(
        f"policy | tuned on | above {REFERENCE} | below | mean difference | above the table's best constant | below",
        _summary(results),
    )


def _summary(results: Results) -> Iterator[tuple[object, ...]]:
    number = len(results["tasks"])
    for name, tuned_on in CONTENDERS.items():
        above, below, mean = verdict(results, name, REFERENCE)
        higher, lower, _ = verdict(results, name, "best-constant")
        yield f"`{short(name)}`", tuned_on, f"{above} of {number}", below, f"{mean:+.3f}", higher, lower


def finding(results: Results) -> str:
    """Return what came out, in sentences."""
    number = len(results["tasks"])
    learned = [name for name, tuned_on in CONTENDERS.items() if "network" in tuned_on or name == "probing"]
    against = {name: verdict(results, name, REFERENCE) for name in CONTENDERS}
    safe = [name for name in learned if not against[name][1]]
    higher = sum(verdict(results, name, "best-constant")[0] for name in CONTENDERS)
    leader = max(CONTENDERS, key=lambda name: against[name][2])
    general = against["bench.transfer.general:general"]
    sources = json.loads(GENERAL.read_text(encoding="utf-8"))["held_out"].values()
    learned_well = sum(source["ppo - probing"]["low"] > 0 for source in sources)
    told = ", ".join(f"`{short(name)}` (above on {against[name][0]} of {number})" for name in safe)
    return (
        f"In part. Carried over and never below {REFERENCE}: {told}. The highest mean over the tasks has"
        f" `{short(leader)}` ({against[leader][2]:+.3f}). But what is carried over is above the best constant of the"
        f" table itself on {higher} of {number * len(CONTENDERS)} pairs of policy and task: a search over ten seeds of"
        " one's own table finds what is at least as good. Training on a wider range of synthetic tasks did not help:"
        f" `general`, above `probing` on held-out seeds of {learned_well} of its {len(sources)} sources, is above"
        f" {REFERENCE} on {general[0]} and below on {general[1]} of the {number} tasks. So the claim of the anchor, a"
        " learned strategy that beats the usual ones on data it has never seen, is not confirmed for these networks,"
        " features and tables.\n"
    )


def scores(results: Results) -> str:
    """Return mean scores by task."""
    names = (REFERENCE, *CONTENDERS, *YARDSTICKS)
    rows = (
        (f"`{short(name)}`", *(f"{rows[name]['score']['mean']:.3f}" for rows in results["tasks"].values()))
        for name in names
    )
    return table(f"policy | {' | '.join(results['tasks'])}", rows)


def constants(results: Results) -> str:
    """Return the best constant of each task."""
    return table("task | best constant", ((task, f"`{name}`") for task, name in results["best_constants"].items()))


RENDERERS = {"finding": finding, "summary": summary, "scores": scores, "constants": constants}


def rendered(text: str, results: Results) -> str:
    """Return the page with its tables made anew."""
    return MARKED.sub(lambda found: f"{found[1]}{RENDERERS[found[2]](results)}{found[3]}", text)


def draw(results: Results) -> None:
    """Draw differences to random, a panel for each data set and kind of noise."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (the tables do without)

    names = [*CONTENDERS, *YARDSTICKS][::-1]
    figure = Figure(figsize=(11, 9), layout="constrained")
    grid = figure.subplots(len(DATA), len(NOISE), sharex=True, sharey=True)
    for data, line in zip(DATA, grid, strict=True):
        for noise, ax in zip(NOISE, line, strict=True):
            for height, name in enumerate(names):
                gap = results["tasks"][f"{data}-{noise}"][name][f"less {REFERENCE}"]
                kind = kind_of(name)
                ax.plot([gap["low"], gap["high"]], [height] * 2, color=COLOURS[kind], linewidth=2)
                ax.plot(gap["mean"], height, "o", color=COLOURS[kind], markersize=4.5)
            ax.axvline(0, color="#555555", linewidth=0.8)
            ax.set_title(f"{data}, {noise}", loc="left", fontsize=10, fontweight="bold")
            ax.set_yticks(range(len(names)), [short(name) for name in names], fontsize=8)
            ax.spines[["top", "right"]].set_visible(False)
            ax.grid(axis="x", color="#e6e6e6", linewidth=0.7)
    colours = "grey: rules, orange: tuned on synthetic tasks, green: yardsticks"
    figure.supxlabel(f"grade less that of {REFERENCE}, 95 % intervals; {colours}", fontsize=9)
    figure.savefig(PICTURE, dpi=110)


def main() -> None:
    """Write the page and the picture."""
    results = load()
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    draw(results)


if __name__ == "__main__":
    main()
