"""Write result files, and render README.md from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from bench import results as results_of
from bench.results import Results, counted, finish
from docs.render import MARKED, table

HERE = Path(__file__).parent
PAGE = HERE / "README.md"
SCRIPTS = ("crash", "crash_postgresql", "disk", "hostile", "scale", "doors", "stop", "soak", "bystanders")
"""In the order of the page."""

POSTGRESQL_KILLS = 30
DISKS = 3
MINUTES = 30
SESSIONS, MOST_MEMORY = 1_000, 350
MOST_DELAY = 100


def conclude(name: str, results: Results, *, save: bool) -> None:
    """Print the results of a script, save them if asked to, and end with status 1 if there were problems."""
    results = counted(results)
    click.echo(json.dumps(results, indent=1))
    click.echo(RENDERERS[name](results))
    if save:
        results_of.save(HERE, name, results)
        write()
    finish(results)


def write() -> None:
    """Render the page in place: ``python -m bench.reliability.page``."""
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8"), load()), encoding="utf-8")


def load() -> dict[str, Results]:
    """Return the latest results of every script."""
    return results_of.load(HERE, SCRIPTS)


def holds(fine: bool) -> str:
    return "holds" if fine else "**falls short**"


def listed(counts: dict[str, Any]) -> str:
    """Return a table of counts."""
    return table("what | count", ((name, f"{count:,}") for name, count in counts.items()))


def crash(results: Results) -> str:
    return listed({**results["counts"], "acknowledged and lost, changed or corrupt": results["problems"]})


def stop(results: Results) -> str:
    return listed(results["counts"])


def doors(results: Results) -> str:
    return listed(results["counts"])


def disk(results: Results) -> str:
    counts = results["counts"].items()
    rows = ((way, found["answers checked"], found.get("steps played on", 0)) for way, found in counts)
    return table("store on | answers checked | steps played after space was free again", rows)


def hostile(results: Results) -> str:
    http, sockets = results["http"], dict(results["/ws"]["counts"])
    statuses = ", ".join(f"{count:,} x {status}" for status, count in http["statuses"].items())
    frames, honest = sockets.pop("hostile frames"), sockets.pop("honest messages")
    refusals = ", ".join(f"{count:,} x {code}" for code, count in sorted(sockets.items()))
    rpc = ", ".join(f"{count:,} x {status}" for status, count in results["/mcp"]["statuses"].items())
    rows = (
        ("HTTP requests", sum(http["phases"].values()), f"{statuses}; {http['graded']:,} grades reached by links"),
        ("hostile frames on /ws", frames, refusals),
        ("honest messages between them", honest, "as in process"),
        ("hostile bodies to /mcp", sum(results["/mcp"]["statuses"].values()), rpc),
        ("walks of the state machine", results["sessions"]["walks"], "as the model"),
    )
    return table("what | count | answered", ((name, f"{count:,}", answers) for name, count, answers in rows))


def scale(results: Results) -> str:
    """Return the server's memory after each stage, in all and per session."""
    before, sessions = results["stages"]["before"]["resident"], results["sessions"]

    def row(name: str, found: dict[str, float]) -> tuple[str, ...]:
        each = 1024 * (found["resident"] - before) / sessions
        return name, f"{found['resident']:.0f} MB", f"{each:.0f} KB", f"{found['files']:,}", f"{found['threads']}"

    stages = results["stages"]
    shown = [name for name in stages if name in ("before", "connected", "reset", "step 1", "disconnected")]
    last = [name for name in stages if name.startswith("step")][-1]
    shown.insert(-1, last)
    rows = (row(name, stages[name]) for name in dict.fromkeys(shown))
    return table("after | resident memory | per session | open files | threads", rows)


def soak(results: Results) -> str:
    """Return the server's memory, files and threads before, in each quarter of the time, and after."""
    names = ("first quarter (warm-up)", "second quarter", "third quarter", "last quarter")
    stages = {
        "before": results["before"],
        **dict(zip(names, results["quarters"], strict=True)),
        "after": results["after"],
    }
    rows = (
        (name, f"{one['resident']:.1f} MB", f"{one['files']:.0f}", f"{one['threads']:.0f}")
        for name, one in stages.items()
    )
    return table("when (medians) | resident memory | open files | threads", rows)


def bystanders(results: Results) -> str:
    """Return what the bystanders see beside each load: medians and maxima in ms, and the ratios to an idle server."""
    idle = results["beside"]["idle"]

    def row(name: str, found: dict[str, Any]) -> tuple[str, ...]:
        times = []
        for kind in ("health", "step"):
            one = found[kind]
            times += [f"{one['median']:.1f} ({one['median'] / idle[kind]['median']:.1f} x)", f"{one['most']:.0f}"]
        return name, *times, f"{found['resident']} MB"

    rows = (row(name, found) for name, found in results["beside"].items())
    return table("beside | /health, ms | at most | a step, ms | at most | resident", rows)


def goals(every: dict[str, Results]) -> str:
    """Return one row per goal: the figures and whether the goal holds."""
    return table(
        "goal | measured | verdict", (row for name, results in every.items() for row in VERDICTS[name](results))
    )


def _crash_verdict(results: Results) -> Iterator[tuple[str, str, str]]:
    counts = results["counts"]
    yield (
        "C1 nothing acknowledged is lost by SIGKILL",
        f"{counts['kills']} kills, {counts['steps acknowledged']:,} steps and {counts['grades given']:,} grades"
        f" acknowledged, {results['problems']} lost or wrong",
        holds(not results["problems"] and counts["kills"] >= 100),
    )


def _postgresql_verdict(results: Results) -> Iterator[tuple[str, str, str]]:
    counts = results["counts"]
    yield (
        "C1 the same with a PostgreSQL store",
        f"{counts['kills']} kills, {counts['steps acknowledged']:,} steps and {counts['grades given']:,} grades"
        f" acknowledged, {results['problems']} lost or wrong",
        holds(not results["problems"] and counts["kills"] >= POSTGRESQL_KILLS),
    )


def _disk_verdict(results: Results) -> Iterator[tuple[str, str, str]]:
    checked = sum(found["answers checked"] for found in results["counts"].values())
    yield (
        "C1 a full or read-only disk costs nothing",
        f"{len(results['counts'])} of {DISKS} ways, {checked:,} answers checked, {results['problems']} wrong",
        holds(not results["problems"] and len(results["counts"]) == DISKS),
    )


def _hostile_verdict(results: Results) -> Iterator[tuple[str, str, str]]:
    requests = sum(results["http"]["phases"].values())
    frames = results["/ws"]["counts"]["hostile frames"]
    yield (
        "C2 every request and frame is answered as documented",
        f"{requests:,} requests, {frames:,} frames, {results['problems']} answered wrongly",
        holds(not results["problems"] and min(requests, frames) >= 10_000),
    )


def _scale_verdict(results: Results) -> Iterator[tuple[str, str, str]]:
    sessions, most = results["sessions"], max(stage["peak"] for stage in results["stages"].values())
    enough = sessions >= SESSIONS
    yield (
        "C3 sessions in one process equal the solo runs",
        f"{sessions:,} sessions, {results['replies']:,} replies, {results['problems']} failed or differ",
        holds(enough and not results["problems"]),
    )
    yield (
        f"C3 resident memory of {SESSIONS:,} sessions <= {MOST_MEMORY} MB",
        f"at most {most:.0f} MB",
        holds(enough and most <= MOST_MEMORY),
    )


def _doors_verdict(results: Results) -> Iterator[tuple[str, str, str]]:
    counts, fine = results["counts"], holds(not results["problems"])
    yield (
        "C4 limits hold, and places are freed and taken again",
        f"{counts['places freed']:,} places freed, {counts['refused at capacity']:,} refused at capacity",
        fine,
    )
    yield (
        "C5 every route needs the token, foreign pages are refused, answers contain nothing internal",
        f"{counts['requests refused']:,} requests refused, {counts['answers searched']:,} answers searched",
        fine,
    )


def _stop_verdict(results: Results) -> Iterator[tuple[str, str, str]]:
    counts = results["counts"]
    yield (
        "C6 a stop answers running steps, stores them, and closes with 1012",
        f"{counts['stops']} stops, {counts['steps acknowledged']:,} steps acknowledged, {results['problems']} problems",
        holds(not results["problems"]),
    )


def _soak_verdict(results: Results) -> Iterator[tuple[str, str, str]]:
    counts, quarters = results["counts"], results["quarters"]
    growth = quarters[3]["resident"] / quarters[1]["resident"] - 1
    yield (
        "C7 memory flat within 5 %, files and threads released",
        f"{results['minutes']:g} minutes, {counts['answers']:,} answers, {counts['connections']:,} connections, memory"
        f" {growth:+.1%}, {results['problems']} problems",
        holds(not results["problems"] and results["minutes"] >= MINUTES),
    )


def _bystanders_verdict(results: Results) -> Iterator[tuple[str, str, str]]:
    beside = results["beside"]
    late = [name for name, found in beside.items() if found["health"].get("most", MOST_DELAY + 1) > MOST_DELAY]
    worst = max(found["health"].get("most", 0) for found in beside.values())
    yield (
        f"C8 no load holds /health up for more than {MOST_DELAY} ms",
        f"{len(beside) - 1} loads, at most {worst:.0f} ms, above the limit beside {len(late)}",
        holds(not late and not results["problems"]),
    )


def versions(every: dict[str, Results]) -> str:
    """Return the versions and the machine of each result."""

    def row(name: str, results: Results) -> tuple[str, ...]:
        made, machine = results["versions"], results["machine"]
        where = f"{machine['cores']} cores of {machine['processor']}, {machine['system']}"
        return name, f"{made['package']}, dynamics {made['dynamics']}", where, f"{results['seconds']:,} s"

    return table("script | version | machine | took", (row(name, results) for name, results in every.items()))


RENDERERS: dict[str, Callable[[Results], str]] = {
    "crash": crash,
    "crash_postgresql": crash,
    "disk": disk,
    "hostile": hostile,
    "scale": scale,
    "doors": doors,
    "stop": stop,
    "soak": soak,
    "bystanders": bystanders,
}
VERDICTS: dict[str, Callable[[Results], Iterator[tuple[str, str, str]]]] = {
    "crash": _crash_verdict,
    "crash_postgresql": _postgresql_verdict,
    "disk": _disk_verdict,
    "hostile": _hostile_verdict,
    "scale": _scale_verdict,
    "doors": _doors_verdict,
    "stop": _stop_verdict,
    "soak": _soak_verdict,
    "bystanders": _bystanders_verdict,
}


def rendered(text: str, every: dict[str, Results]) -> str:
    """Return the page with up-to-date tables.

    Raises:
        KeyError: A table in it does not exist.
    """

    def made(name: str) -> str:
        if name in SCRIPTS:
            return RENDERERS[name](every[name]) if name in every else "Not measured yet.\n"
        return {"goals": goals, "versions": versions}[name](every)

    return MARKED.sub(lambda found: f"{found[1]}{made(found[2])}{found[3]}", text)


if __name__ == "__main__":
    write()
