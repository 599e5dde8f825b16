"""Render README.md and its picture from the result files.

python -m bench.speed.page
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.speed.in_process import LANES, PARTS
from dataselect_env.rendering import palette
from docs.render import MARKED, table

HERE = Path(__file__).parent
PAGE, PICTURE = HERE / "README.md", HERE / "in_process.png"
SCRIPTS = ("in_process", "instructions", "strategies", "server", "startup", "pool_size", "stored_episodes")
"""In the order of the page; each writes a result file of that name."""
Results = dict[str, Any]

STEP, FLOOR, LOCKSTEP = 40, 2, 120
RESET, NEW_RESET = 50, 8
SERVED, OF_ECHO = 30, 0.8
START_SECONDS, START_MEMORY, PLAYING_MEMORY = 1, 100, 200
GOAL_LANES, GOAL_CONNECTIONS = 64, "websocket, 16 connections"


def load() -> Results:
    """Return the latest results of every script."""
    return {name: json.loads((HERE / f"{name}.json").read_text(encoding="utf-8")) for name in SCRIPTS}


def median(spread: dict[str, float], digits: int = 1) -> str:
    """Return a median with its quartiles."""
    return f"{spread['median']:,.{digits}f} ({spread['q1']:,.{digits}f} to {spread['q3']:,.{digits}f})"


def verdict(fine: bool) -> str:
    return "holds" if fine else "**falls short**"


def goals(every: Results) -> str:
    """Return one row per goal: the measurement and whether the goal holds, by medians."""
    return table("goal | measured | verdict", (*_in_process_goals(every), *_server_goals(every), *_growth_goals(every)))


def _in_process_goals(every: Results) -> Iterator[tuple[str, str, str]]:
    tasks = every["in_process"]["tasks"]

    def row(goal: str, ratio: str, holds: Callable[[float], bool]) -> tuple[str, str, str]:
        spreads = {task: figures["ratios"][ratio] for task, figures in tasks.items()}
        measured = ", ".join(f"{task} {median(spread)}" for task, spread in spreads.items())
        return goal, measured, verdict(all(holds(spread["median"]) for spread in spreads.values()))

    lockstep = f"textbook step / step among {GOAL_LANES} lanes"
    yield row(f"B1 step, >= {STEP} x the textbook's", "textbook step / step", lambda ratio: ratio >= STEP)
    yield row(f"B1 step, <= {FLOOR} x the floor", "step / floor", lambda ratio: ratio <= FLOOR)
    yield row(f"B2 reset, >= {RESET} x the textbook's", "textbook reset / reset", lambda ratio: ratio >= RESET)
    new = "textbook reset / reset on a new data set"
    yield row(f"B2 the same on a new data set, >= {NEW_RESET} x", new, lambda ratio: ratio >= NEW_RESET)
    yield row(f"B3 {GOAL_LANES} lanes, >= {LOCKSTEP} x the textbook's step", lockstep, lambda ratio: ratio >= LOCKSTEP)


def _server_goals(every: Results) -> Iterator[tuple[str, str, str]]:
    ratios = every["server"]["cases"][GOAL_CONNECTIONS]["ratios"]
    textbook, echo = ratios["steps a second / textbook's"], ratios["steps a second / echo's"]
    yield f"B4 {GOAL_CONNECTIONS}, >= {SERVED} x the textbook", median(textbook), verdict(textbook["median"] >= SERVED)
    yield f"B4 the same, >= {OF_ECHO} of an echo", median(echo, 2), verdict(echo["median"] >= OF_ECHO)
    figures = every["startup"]["figures"]
    seconds = figures["to the first healthy answer, s"]
    yield (
        f"B5 first healthy answer, <= {START_SECONDS} s",
        median(seconds, 2),
        verdict(seconds["median"] <= START_SECONDS),
    )
    for name, limit in (("resident memory then, MB", START_MEMORY), ("resident memory after it, MB", PLAYING_MEMORY)):
        memory = figures[name]
        when = "then" if limit == START_MEMORY else "after the first episode"
        yield f"B5 resident memory {when}, <= {limit} MB", median(memory), verdict(memory["median"] <= limit)


def _growth_goals(every: Results) -> Iterator[tuple[str, str, str]]:
    pools = {int(size): spread["median"] for size, spread in every["pool_size"]["microseconds"].items()}
    growth, factor = max(pools.values()) / pools[min(pools)], max(pools) / min(pools)
    yield "B6 at most linear in the pool", f"{growth:.0f} x for {factor:.0f} x the pool", verdict(growth <= factor)
    stored = every["stored_episodes"]["stored episodes"]
    steps = {int(size): found["microseconds"]["step"] for size, found in stored.items()}
    none, most = steps[min(steps)], steps[max(steps)]
    measured = f"{median(none, 0)} us with none, {median(most, 0)} us with {max(steps):,} episodes stored"
    yield "B6 no growth with stored episodes: quartiles overlap", measured, verdict(most["q1"] <= none["q3"])


def in_short(every: Results) -> str:
    """Return the main figures in three sentences, by medians."""
    tasks = every["in_process"]["tasks"].values()
    steps = [figures["microseconds"]["step"]["median"] for figures in tasks]
    ratios = [figures["ratios"]["textbook step / step"]["median"] for figures in tasks]
    served = every["server"]["cases"][GOAL_CONNECTIONS]["figures"]["dataselect"]["steps a second"]["median"]
    start = every["startup"]["figures"]["to the first healthy answer, s"]["median"]
    text = (
        f"In process, a step takes {min(steps):.0f} to {max(steps):.0f} microseconds on one core, {min(ratios):.0f} to "
        f"{max(ratios):.0f} times faster than the same dynamics in plain scikit-learn calls. One server process "
        f"answers {round(served, -1):,.0f} steps a second over 16 WebSocket connections and stores each on disk before "
        f"it answers. It starts in {start:.1f} s."
    )
    return textwrap.fill(text, 120, break_on_hyphens=False) + "\n"


def in_process(results: Results) -> str:
    """Return times and ratios of every task."""
    tasks = results["tasks"]
    rows = [
        (f"{name}, us", *(median(one["microseconds"][name], 0) for one in tasks.values())) for name in _first(tasks)
    ]
    ratios = next(iter(tasks.values()))["ratios"]
    rows += [(f"**{name}**", *(median(one["ratios"][name]) for one in tasks.values())) for name in ratios]
    return table(" | ".join(["median (quartiles)", *tasks]), rows)


def _first(tasks: Results) -> list[str]:
    return list(next(iter(tasks.values()))["microseconds"])


def parts(results: Results) -> str:
    """Return where the time of a step goes."""
    tasks = results["tasks"]
    rows = ((name, *(f"{one['parts of a step'][name]:.0f}" for one in tasks.values())) for name in (*PARTS, "rest"))
    return table(" | ".join(["part of a step, us", *tasks]), rows)


def instructions(results: Results) -> str:
    """Return the instructions of a step and a reset, and the ratios to the textbook's."""
    found = results["instructions"]

    def of_textbook(name: str) -> str:
        other = found["textbook reset" if "reset" in name else "textbook step"]
        return f"{other / found[name]:.1f} x fewer than the textbook's"

    rows = ((name, f"{value:,.0f}", "" if "textbook" in name else of_textbook(name)) for name, value in found.items())
    return table("on medium | instructions | ", rows)


def strategies(results: Results) -> str:
    """Return the cost of a step with each strategy, in base steps."""
    titles = [title for title in next(iter(results["strategies"].values())) if title.endswith("base steps")]
    rows = (
        (name, median(found["cached data set, us"], 0), *(median(found[title]) for title in titles))
        for name, found in results["strategies"].items()
    )
    return table(" | ".join([f"a step of {results['task']} by", "cached data set, us", *titles]), rows)


def server(results: Results) -> str:
    """Return the throughput and latency of each contender, and the ratios."""
    rows = []
    for case, found in results["cases"].items():
        for name, figures in found["figures"].items():
            names = ("steps a second", "server CPU, us a step", "p50, ms", "p95, ms", "p99, ms")
            rows.append((case, name, *(median(figures[figure]) for figure in names)))
        ratios = found["ratios"]
        textbook, echo = (ratios[f"steps a second / {other}"] for other in ("textbook's", "echo's"))
        rows.append((case, f"**{median(textbook)} x textbook, {median(echo, 2)} x echo**", "", "", "", "", ""))
    return table("load | contender | steps a second | server CPU, us a step | p50, ms | p95, ms | p99, ms", rows)


def startup(results: Results) -> str:
    """Return seconds and memory of a start."""
    return table("measured | median (quartiles)", ((name, median(one, 2)) for name, one in results["figures"].items()))


def pool_size(results: Results) -> str:
    """Return the time of a step by pool size."""
    rows = ((f"{int(size):,}", median(spread, 0)) for size, spread in results["microseconds"].items())
    return table("samples in the pool | step, us", rows)


def stored_episodes(results: Results) -> str:
    """Return the time of each operation by episodes stored."""
    sizes = results["stored episodes"]
    names = list(next(iter(sizes.values()))["microseconds"])
    rows = (
        (f"{int(size):,}", f"{found['megabytes']:.0f} MB", *(median(found["microseconds"][name], 0) for name in names))
        for size, found in sizes.items()
    )
    return table(" | ".join(["stored", "file", *(f"{name}, us" for name in names)]), rows)


def versions(every: Results) -> str:
    """Return the versions and the machine of each result."""
    facts = ("package", "dynamics", "python", "numpy", "scikit-learn", "machine", "way of training")
    rows = ((name, *(results["versions"][fact] for fact in facts)) for name, results in every.items())
    return table(" | ".join(["script", *facts]), rows)


def draw(every: Results) -> Figure:
    """Return the picture: where a step's time goes, steps a second by lanes, a step's time by pool size."""
    tasks = every["in_process"]["tasks"]
    with rc_context(palette.STYLE):
        figure = Figure(figsize=(10, 3), layout="constrained")
        first, second, third = figure.subplots(1, 3)
        _draw_parts(first, tasks)
        for task, found in tasks.items():
            spreads = [found["microseconds"][f"step among {count} lanes"] for count in LANES]
            second.plot(LANES, [1e6 / spread["median"] for spread in spreads], "o-", label=task)
        second.set(xscale="log", title="Lanes in one process", xlabel="lanes", ylabel="steps a second", ylim=(0, None))
        second.set_xticks(LANES, [str(count) for count in LANES])
        second.legend(fontsize=8)
        sizes = {int(size): one["median"] / 1e3 for size, one in every["pool_size"]["microseconds"].items()}
        smallest = min(sizes)
        third.plot(sizes.keys(), sizes.values(), "o-", color=palette.BLUE, label="measured")
        linear = [sizes[smallest] * size / smallest for size in sizes]
        third.plot(sizes.keys(), linear, "--", color=palette.GREY, label="linear")
        third.set(xscale="log", yscale="log", title="A step by pool size", xlabel="samples in the pool", ylabel="ms")
        third.legend(fontsize=8)
    return figure


def _draw_parts(ax: Axes, tasks: Results) -> None:
    for place, found in enumerate(tasks.values()):
        left = 0.0
        for number, (name, value) in enumerate(found["parts of a step"].items()):
            ax.barh(place, value, left=left, color=f"C{number}", label=name if place == 0 else None)
            left += value
        ax.plot([found["microseconds"]["floor"]["median"]] * 2, [place - 0.4, place + 0.4], color="black")
    ax.set(title="Where a step goes (black: the floor)", xlabel="us", yticks=range(len(tasks)), yticklabels=[*tasks])
    ax.set_ylim(-0.6, len(tasks) + 1.1)
    ax.legend(fontsize=6.5, ncols=2, loc="upper right")


RENDERERS: dict[str, Callable[[Results], str]] = {
    "parts": lambda every: parts(every["in_process"]),
    "in_process": lambda every: in_process(every["in_process"]),
    "instructions": lambda every: instructions(every["instructions"]),
    "strategies": lambda every: strategies(every["strategies"]),
    "server": lambda every: server(every["server"]),
    "startup": lambda every: startup(every["startup"]),
    "pool_size": lambda every: pool_size(every["pool_size"]),
    "stored_episodes": lambda every: stored_episodes(every["stored_episodes"]),
    "goals": goals,
    "versions": versions,
}


def rendered(text: str, every: Results) -> str:
    """Return the page with up-to-date tables.

    Raises:
        KeyError: A table in it does not exist.
    """
    return MARKED.sub(lambda found: f"{found[1]}{RENDERERS[found[2]](every)}{found[3]}", text)


def main() -> None:
    """Write the page and its picture."""
    every = load()
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8"), every), encoding="utf-8")
    draw(every).savefig(PICTURE, dpi=150)


if __name__ == "__main__":
    main()
