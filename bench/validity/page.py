"""Render README.md from results.json, tuning.json, one_bit.json and coverage.json."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean, median
from typing import Any

from bench.validity import measure
from dataselect_env.core.tasks import PINNED
from dataselect_env.policies import GROUPS
from docs.render import MARKED, table

HERE = Path(__file__).parent
PAGE, RESULTS, TUNING, ONE_BIT = (HERE / name for name in ("README.md", "results.json", "tuning.json", "one_bit.json"))
COVERAGE = HERE / "coverage.json"
METHODS = ("t over seeds", "t over blocks of ten", "BCa within worlds", "t within worlds", "evaluate")
Results = dict[str, Any]


def signed(found: dict[str, Any]) -> str:
    """Return a difference with its interval."""
    return f"{found['mean']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]"


def listed(values: Iterator[str] | list[str]) -> str:
    return ", ".join(values)


def holds(fine: bool) -> str:
    return "holds" if fine else "**falls short**"


def goals(results: Results) -> str:
    """Return one line for each goal and block: the weakest figure, and whether it holds."""
    rows: list[tuple[str, str, str, str]] = []
    for name, block in results["blocks"].items():
        rows += [(goal, name, *verdict) for goal, verdict in verdicts(block)]
    rows.sort(key=lambda row: row[0])
    return table("goal | seeds | measured | verdict", rows)


def verdicts(block: Results) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the goals of a block with what was measured and the verdict."""
    tasks, hardest = list(PINNED), measure.LADDER_TASKS
    by_pair = {task: {(one["above"], one["below"]): one for one in block["steps"][task]} for task in tasks}
    stop = max(block["ladder"][task]["stop"]["score"] for task in tasks)
    yield "A1 stop at once <= 0.10", (f"at most {stop:.3f}", holds(stop <= measure.STOP_AT_MOST))
    climbs = [by_pair[task][pair] for task in hardest for pair in measure.STEPS[:4]]
    worst = max(climb["p_corrected"] for climb in climbs)
    fine = all(climb["significant"] and climb["mean"] > 0 for climb in climbs)
    yield "A1 uncertainty < random < best constant, medium and hard", (f"largest p {worst:.2g}", holds(fine))
    for goal, pair, lead in (
        ("A1 oracle >= best constant + 0.08", ("oracle", "best-constant"), measure.ORACLE_LEAD),
        ("A2 adaptive >= best constant + 0.08", ("probing", "best-constant"), measure.HEADROOM),
    ):
        found = [by_pair[task][pair] for task in hardest]
        text = listed([f"{task} {signed(one)}" for task, one in zip(hardest, found, strict=True)])
        yield goal, (text, holds(all(one["mean"] >= lead and one["significant"] for one in found)))
    for kind in ("grade", "return"):
        above = [f"{policy} on {task}" for task in tasks for policy in block["exploits"][task][kind]["above"]]
        count = block["exploits"]["easy"]["policies"]
        text = f"{len(above)} of {count} x 3: {listed(above)}" if above else f"none of {count} on any task"
        yield f"A3 none above the best constant in {kind}", (text, holds(not above))
    lowest = min(block["random_policies"][task]["spearman"] for task in tasks)
    yield "A4 Spearman(return, grade) >= 0.9", (f"at least {lowest:.3f}", holds(lowest >= measure.ALIGNMENT))
    gap = max(block[kind][task]["gap"] for kind in ("random_policies", "named_policies") for task in tasks)
    yield "A4 highest return within 0.03 of highest grade", (f"at most {gap:.3f}", holds(gap <= measure.GRADE_GAP))
    found = block["telescoping"]
    fine = found["largest_error"] < 1e-9 and found["lowest"] >= -1 and found["highest"] <= 1
    text = f"off by at most {found['largest_error']:.1g}; rewards {found['lowest']:.2f} to {found['highest']:.2f}"
    yield "A5 rewards of mode grade add up to the grade", (text, holds(fine))
    apart = [block["separable"][task] for task in tasks]
    text = listed(
        [f"{task} {one['mean']:+.2f} (p {one['p_corrected']:.1g})" for task, one in zip(tasks, apart, strict=True)]
    )
    yield "A6 20 seeds tell balanced from best constant", (text, holds(all(one["significant"] for one in apart)))
    leaks = block["leak"].values()
    differ = sum(one["mask"] + one["mask_without_trap"] for one in leaks)
    others = sorted({field for one in leaks for field in one["validation"] if field not in one["allowed"]})
    replays = 2 * sum(one["episodes"] for one in leaks)
    text = f"{differ} of {replays} replays differ; fields beyond the performance's: {listed(others) or 'none'}"
    yield "A8 replies do not depend on hidden labels", (text, holds(not differ and not others))


def ladder(results: Results) -> str:
    """Return the ladder of every task: policies on the ladder, both blocks."""
    blocks = results["blocks"]
    rows = []
    for task in PINNED:
        first = next(iter(blocks.values()))["ladder"][task]
        for policy in sorted(GROUPS["reference"], key=lambda name: -first[name]["score"]):
            found = [block["ladder"][task][policy] for block in blocks.values()]
            one = found[0]
            noise = "" if one["noise"] is None else f"{one['noise']:.0%}"
            grades = [f"{other['score']:.3f} [{other['low']:.3f}, {other['high']:.3f}]" for other in found]
            figures = (f"{one['passed']:.0%}", f"{one['performance']:.3f}", noise, f"{one['bought']:.0f}")
            rows.append((f"`{task}`", policy, *grades, *figures, f"{one['return']:.1f}", f"{one['spread']:.2f}"))
    names = " | ".join(f"grade, {name}" for name in blocks)
    return table(f"task | policy | {names} | passed | performance | noise | bought | return | spread", rows)


def steps(results: Results) -> str:
    """Return the differences between neighbours on the ladder."""
    rows = []
    for task in PINNED:
        for name, block in results["blocks"].items():
            for one in block["steps"][task]:
                star = "yes" if one["significant"] else "**no**"
                rows.append(
                    (
                        f"`{task}`",
                        f"{one['above']} - {one['below']}",
                        name,
                        signed(one),
                        f"{one['p_corrected']:.1g}",
                        star,
                    )
                )
    rows.sort(key=lambda row: (list(PINNED).index(row[0].strip("`")), PAIRS.index(row[1])))
    return table("task | difference in grade | seeds | mean, 95 % interval | p | significant", rows)


PAIRS = [f"{above} - {below}" for above, below in measure.STEPS]


def exploits(results: Results) -> str:
    """Return every degenerate policy with its grade and return on each task, on the first block."""
    found = next(iter(results["blocks"].values()))["ladder"]
    rows = [
        (
            policy,
            results["descriptions"].get(policy, "The best constant of the train split, to compare with."),
            *(f"{found[task][policy]['score']:.3f} / {found[task][policy]['return']:.1f}" for task in PINNED),
        )
        for policy in ("best-constant", *GROUPS["degenerate"])
    ]
    return table("policy | what it does and would exploit | " + " | ".join(PINNED), rows)


def closest(results: Results) -> str:
    """Return for each task the degenerate policy that comes closest to the best constant, in grade and in return."""
    rows = []
    for task in PINNED:
        for kind in ("grade", "return"):
            for name, block in results["blocks"].items():
                one = block["exploits"][task][kind]
                decided = "yes" if one["difference"]["significant"] else "**no**"
                rows.append((f"`{task}`", kind, name, one["best"], signed(one["difference"]), decided))
    return table("task | in | seeds | closest | less best constant, 95 % interval | significant", rows)


def alignment(results: Results) -> str:
    """Return A4 for random and for named policies."""
    rows = []
    for task in PINNED:
        for name, block in results["blocks"].items():
            random, named = block["random_policies"][task], block["named_policies"][task]
            families = listed([f"{family} {value:.3f}" for family, value in random["families"].items()])
            rows.append((
                f"`{task}`", name, f"{random['spearman']:.3f} ({families})", f"{random['gap']:.3f}",
                f"{named['spearman']:.3f}", f"{named['gap']:.3f}",
            ))  # fmt: skip
    return table("task | seeds | Spearman, 200 random policies | gap | Spearman, named policies | gap", rows)


def odds(results: Results) -> str:
    """Return the headroom under other odds of the worlds."""
    rows = [
        (f"`{task}`", name, *(f"{value:+.3f}" for value in block["odds"][task].values()))
        for task in measure.LADDER_TASKS
        for name, block in results["blocks"].items()
    ]
    return table("task | seeds | " + " | ".join(f"{share:.0%}" for share in measure.ODDS), rows)


def one_bit(_results: Results) -> str:
    """Return what the first batch by uncertainty reveals, and the grades with the noise trap and without it."""
    cases = json.loads(ONE_BIT.read_text(encoding="utf-8"))["cases"]
    rows = (
        (
            f"`{case['task']}`",
            "on" if case["trap"] else "off",
            " / ".join(map(str, case["probes"])),
            *(f"{grade:.3f}" for grade in case["grades"].values()),
        )
        for case in cases
    )
    policies = " | ".join(cases[0]["grades"])
    return table(f"task | noise trap | probes with 0 / 1 / ... / 5 wrong labels | {policies}", rows)


def coverage(_results: Results) -> str:
    """Return how often the intervals of each method cover the true mean, and how wide they are."""
    groups: dict[tuple[bool, str, int], list[Results]] = {}
    for row in json.loads(COVERAGE.read_text(encoding="utf-8"))["rows"]:
        groups.setdefault((row["paired"], row["task"], row["seeds"]), []).append(row)
    rows = [
        (
            "differences" if paired else "grades",
            f"`{task}`",
            seeds,
            *(covered([row[method] for row in groups[paired, task, seeds] if method in row]) for method in METHODS),
        )
        for paired, task, seeds in sorted(groups, key=lambda key: (key[0], list(PINNED).index(key[1]), key[2]))
    ]
    return table("of | task | seeds | " + " | ".join(METHODS), rows)


def covered(cases: list[dict[str, float]]) -> str:
    """Return lowest and median coverage, and the mean width."""
    if not cases:
        return ""
    shares = [case["coverage"] for case in cases]
    return f"{min(shares):.2f} / {median(shares):.2f} ({fmean(case['width'] for case in cases):.3f})"


def compute(results: Results) -> str:
    """Return the share of the gain that training alone brings."""
    rows = []
    for task in PINNED:
        for name, block in results["blocks"].items():
            one = block["compute_share"][task]
            figures = (f"{one[part]:.3f}" for part in ("start", "seed_set_alone", "oracle"))
            rows.append((f"`{task}`", name, one["passes"], *figures, f"{one['share']:.0%}"))
    return table("task | seeds | passes | start | seed set alone | oracle | share", rows)


def tuning(_results: Results) -> str:
    """Return what the search for the best constants found."""
    found = json.loads(TUNING.read_text(encoding="utf-8"))
    rows = []
    for task, one in found["tasks"].items():
        entries = [f"{entry['policy']} {entry['score']:.3f} / {entry['return']:.1f}" for entry in one["highest"]]
        rows.append((f"`{task}`", f"**{one['chosen']['policy']}**", listed(entries)))
    first, last = found["seeds"]
    text = f"Seeds {first} to {last} of the {found['split']} split, {found['grid']} entries; grade / return:\n\n"
    return text + table("task | chosen | highest grades", rows)


def versions(results: Results) -> str:
    """Return the versions and the machine of the measurement."""
    found, machine = results["versions"], results["machine"]
    return (
        f"dataselect-env {found['package']}, dynamics {found['dynamics']}, numpy {found['numpy']}, scikit-learn "
        f"{found['scikit_learn']}, Python {found['python']}; {machine['cores']} cores of {machine['processor']}, "
        f"{machine['system']}; {results['seconds'] / 60:.1f} minutes.\n"
    )


RENDERERS: dict[str, Callable[[Results], str]] = {
    "alignment": alignment,
    "closest": closest,
    "compute": compute,
    "coverage": coverage,
    "exploits": exploits,
    "goals": goals,
    "ladder": ladder,
    "odds": odds,
    "one_bit": one_bit,
    "steps": steps,
    "tuning": tuning,
    "versions": versions,
}


def rendered(text: str, results: Results) -> str:
    """Return the page with up-to-date tables.

    Raises:
        KeyError: A table in it does not exist.
    """
    return MARKED.sub(lambda found: f"{found[1]}{RENDERERS[found[2]](results)}{found[3]}", text)


def write() -> None:
    """Render the page in place."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
