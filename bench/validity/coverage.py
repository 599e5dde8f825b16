"""How often do confidence intervals cover the true mean? Simulated from thousands of real grades (coverage.json).

    python -m bench.validity.coverage            simulate from the grades there are: some minutes on two cores
    python -m bench.validity.coverage --play     play the episodes anew, keep their grades, and simulate: half an hour

Grades of ``SEEDS`` seeds stand for all there could be; their mean is the true one. A simulated evaluation draws whole
blocks of ten seeds, as consecutive seeds come in blocks. The method of ``dataselect_env.evaluation.statistics`` was
chosen on other seeds (2,000,000 to 2,002,999) than those that are reported here.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from scipy import stats

from dataselect_env.cli.console import progress
from dataselect_env.core.arrays import Floats
from dataselect_env.core.data import SEEDS_A_BLOCK, world_of
from dataselect_env.core.tasks import TASKS
from dataselect_env.evaluation.evaluate import Plan, cores, evaluate
from dataselect_env.evaluation.journal import Versions
from dataselect_env.evaluation.ladder import rounded
from dataselect_env.evaluation.statistics import mean_interval
from dataselect_env.policies import GROUPS

HERE = Path(__file__).parent
GRADES, RESULTS = HERE / "coverage_grades.npz", HERE / "coverage.json"
FIRST_SEED, SEEDS = 3_000_000, 2_000
"""Outside of all splits; a block of ten begins at the first."""
SIZES = (10, 20, 50)
SAMPLES = 1_000
"""Simulated evaluations of each case: the standard error of a coverage of 0.95 is 0.007."""
RESAMPLES = 999
REFERENCE = "best-constant"
OTHER_PAIRS = (("ppo", "probing"), ("oracle", "ppo"))
DECIMALS = 4
"""Of the grades that are kept."""

Ends = tuple[float, float]
Method = Callable[[Floats, Floats, Ends], Ends]
"""From values by block, (blocks, 10), whether their world is confident, (blocks, 10), and the scale, to an interval."""


def t_over_seeds(values: Floats, _confident: Floats, _scale: Ends) -> Ends:
    found = stats.ttest_1samp(values.ravel(), 0).confidence_interval()
    return float(found.low), float(found.high)


def t_over_blocks(values: Floats, _confident: Floats, _scale: Ends) -> Ends:
    found = stats.ttest_1samp(values.mean(axis=1), 0).confidence_interval()
    return float(found.low), float(found.high)


def bca_within_worlds(values: Floats, confident: Floats, _scale: Ends) -> Ends:
    groups = tuple(values[confident == world] for world in (0, 1))
    shares = [group.size / values.size for group in groups]

    def mean(core: Floats, other: Floats, axis: int) -> Floats:
        total: Floats = shares[0] * core.mean(axis=axis) + shares[1] * other.mean(axis=axis)
        return total

    if all(np.ptp(group) == 0 for group in groups):
        return float(values.mean()), float(values.mean())
    found = stats.bootstrap(groups, mean, n_resamples=RESAMPLES, method="BCa", rng=0).confidence_interval
    return float(found.low), float(found.high)


def t_within_worlds(values: Floats, confident: Floats, _scale: Ends) -> Ends:
    """Return Welch's interval for the sum of the worlds' means, each times its share."""
    core, other = values[confident == 0], values[confident == 1]
    weighted = (core * core.size / values.size, -other * other.size / values.size)
    found = stats.ttest_ind(*weighted, equal_var=False).confidence_interval()
    return float(found.low), float(found.high)


def of_evaluate(values: Floats, confident: Floats, scale: Ends) -> Ends:
    found = mean_interval(values.ravel().tolist(), confident.ravel().tolist(), scale=scale, draws=RESAMPLES)
    return found.low, found.high


METHODS: dict[str, Method] = {
    "t over seeds": t_over_seeds,
    "t over blocks of ten": t_over_blocks,
    "BCa within worlds": bca_within_worlds,
    "t within worlds": t_within_worlds,
    "evaluate": of_evaluate,
}


@dataclass(frozen=True, slots=True)
class Case:
    """What intervals are made of: the grades of a policy on a task, or the differences between two."""

    task: str
    policy: str
    less: str | None = None

    @property
    def title(self) -> str:
        """What it is called in the results."""
        return self.policy if self.less is None else f"{self.policy} - {self.less}"


def cases() -> Iterator[Case]:
    for task in TASKS:
        yield from (Case(task, policy) for policy in GROUPS["ladder"])
        pairs = [(policy, REFERENCE) for policy in GROUPS["ladder"] if policy != REFERENCE]
        yield from (Case(task, *pair) for pair in (*pairs, *OTHER_PAIRS))


def play() -> None:
    """Play all policies on all tasks, and keep their grades by block, (blocks, 10)."""
    seeds = tuple(range(FIRST_SEED, FIRST_SEED + SEEDS))
    plan = Plan(policies=GROUPS["ladder"], tasks=tuple(TASKS), seeds=seeds)
    with progress(len(plan), "Playing episodes") as advance:
        records = evaluate(plan, processes=cores(), progress=advance)
    grades: dict[str, list[float]] = {}
    for one in records:
        grades.setdefault(f"{one.task_id} {one.policy}", []).append(round(one.score, DECIMALS))
    arrays = {name: np.array(found, np.float32).reshape(-1, SEEDS_A_BLOCK) for name, found in grades.items()}
    np.savez_compressed(GRADES, **arrays)  # type: ignore[arg-type]


def values_of(case: Case) -> Floats:
    """Return the values of a case by block, (blocks, 10)."""
    with np.load(GRADES) as kept:
        values: Floats = kept[f"{case.task} {case.policy}"].astype(np.float64)
        return values if case.less is None else values - kept[f"{case.task} {case.less}"]


def simulate(case: Case, samples: int = SAMPLES) -> list[dict[str, Any]]:
    """Return for each size how often each method covers the true mean, and how wide its intervals are."""
    values, scale = values_of(case), (0.0 if case.less is None else -1.0, 1.0)
    seeds = np.arange(FIRST_SEED, FIRST_SEED + values.size)
    confident = np.array([world_of(int(seed)) == "confident" for seed in seeds], np.float64).reshape(values.shape)
    truth, found = values.mean(), []
    for size in SIZES:
        rng = np.random.default_rng(size)
        hits: dict[str, list[bool]] = {name: [] for name in METHODS}
        widths: dict[str, list[float]] = {name: [] for name in METHODS}
        for _ in range(samples):
            chosen = rng.choice(len(values), size // SEEDS_A_BLOCK, replace=False)
            for name, method in METHODS.items():
                if name == "t over blocks of ten" and len(chosen) < 2:
                    continue
                low, high = interval(method, values[chosen], confident[chosen], scale)
                hits[name].append(bool(low - 1e-9 <= truth <= high + 1e-9))
                widths[name].append(high - low)
        methods = {
            name: {"coverage": float(np.mean(hits[name])), "width": float(np.mean(widths[name]))}
            for name in METHODS
            if hits[name]
        }
        found.append({"task": case.task, "case": case.title, "paired": case.less is not None, "seeds": size, **methods})
    return found


def interval(method: Method, values: Floats, confident: Floats, scale: Ends) -> Ends:
    """Return the interval of a method; where it has none, as for equal values, the point."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values without spread
        low, high = method(values, confident, scale)
    mean = float(values.mean())
    return (mean if np.isnan(low) else low, mean if np.isnan(high) else high)


@click.command()
@click.option("--play", "anew", is_flag=True, help="Play the episodes anew.")
def main(*, anew: bool) -> None:
    """Simulate how often confidence intervals cover the true mean."""
    if anew:
        play()
    varied = [case for case in cases() if np.ptp(values_of(case)) > 0]  # who always has the same grade proves nothing
    with ProcessPoolExecutor(cores()) as executor, progress(len(varied), "Simulating") as advance:
        rows = []
        for found in executor.map(simulate, varied):
            rows += found
            if advance is not None:
                advance(1)
    results = {
        "versions": Versions().model_dump(),
        "seeds": [FIRST_SEED, FIRST_SEED + SEEDS - 1],
        "samples": SAMPLES,
        "rows": [rounded(row) for row in rows],
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
