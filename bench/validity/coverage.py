"""How often do confidence intervals cover the true mean? Simulated from thousands of real grades (coverage.json).

    python -m bench.validity.coverage            simulate from the grades there are: a minute or two
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
from dataselect_env.core.data import CONFIDENT_SEEDS_A_BLOCK, SEEDS_A_BLOCK, world_of
from dataselect_env.core.tasks import PINNED
from dataselect_env.core.threads import cores
from dataselect_env.evaluation.evaluate import Plan, evaluate
from dataselect_env.evaluation.ladder import rounded
from dataselect_env.evaluation.records import Versions
from dataselect_env.evaluation.statistics import mean_interval
from dataselect_env.policies import GROUPS

HERE = Path(__file__).parent
GRADES, RESULTS = HERE / "coverage_grades.npz", HERE / "coverage.json"
FIRST_SEED, SEEDS = 3_000_000, 2_000
"""Outside of all splits; a block of ten begins at the first."""
SIZES = (10, 20, 50)
SAMPLES = 2_000
"""Simulated evaluations of each case: the standard error of a coverage of 0.95 is 0.005."""
RESAMPLES, AT_ONCE = 999, 100
"""Resamples of a bootstrap, and samples that are resampled together."""
TOLERANCE = 1e-9
REFERENCE = "best-constant"
OTHER_PAIRS = (("ppo", "probing"), ("oracle", "ppo"))
DECIMALS = 4
"""Of the grades that are kept."""

Ends = tuple[Floats, Floats]
"""Lower and upper ends of the intervals of several samples, (samples,) each."""
Method = Callable[[Floats, tuple[float, float]], Ends]
"""Takes values, (samples, blocks, 10), in each block those of the core world first, and the scale; returns the ends."""


def worlds(values: Floats) -> tuple[Floats, Floats]:
    """Return the values of the core and of the confident world, (samples, n) each."""
    core = SEEDS_A_BLOCK - CONFIDENT_SEEDS_A_BLOCK
    return values[:, :, :core].reshape(len(values), -1), values[:, :, core:].reshape(len(values), -1)


def t_over_seeds(values: Floats, _scale: tuple[float, float]) -> Ends:
    found = stats.ttest_1samp(values.reshape(len(values), -1), 0, axis=1).confidence_interval()
    return found.low, found.high


def t_over_blocks(values: Floats, _scale: tuple[float, float]) -> Ends:
    found = stats.ttest_1samp(values.mean(axis=2), 0, axis=1).confidence_interval()
    return found.low, found.high


def bca_within_worlds(values: Floats, _scale: tuple[float, float]) -> Ends:
    core, other = worlds(values)
    share = core.shape[1] / (core.shape[1] + other.shape[1])

    def mean(core: Floats, other: Floats, axis: int) -> Floats:
        total: Floats = share * core.mean(axis=axis) + (1 - share) * other.mean(axis=axis)
        return total

    options = {"axis": 1, "n_resamples": RESAMPLES, "batch": 50, "method": "BCa", "rng": 0}
    parts = [
        stats.bootstrap((core[at : at + AT_ONCE], other[at : at + AT_ONCE]), mean, **options).confidence_interval
        for at in range(0, len(values), AT_ONCE)
    ]
    return np.concatenate([part.low for part in parts]), np.concatenate([part.high for part in parts])


def t_within_worlds(values: Floats, _scale: tuple[float, float]) -> Ends:
    """Return Welch's interval for the sum of the worlds' means, each times its share."""
    core, other = worlds(values)
    n = core.shape[1] + other.shape[1]
    weighted = core * (core.shape[1] / n), -other * (other.shape[1] / n)
    found = stats.ttest_ind(*weighted, equal_var=False, axis=1).confidence_interval()
    return found.low, found.high


def of_evaluate(values: Floats, scale: tuple[float, float]) -> Ends:
    core, other = worlds(values)
    strata = ["core"] * core.shape[1] + ["confident"] * other.shape[1]
    found = [
        mean_interval(sample, strata, scale=scale, draws=RESAMPLES) for sample in np.hstack([core, other]).tolist()
    ]
    return np.array([one.low for one in found]), np.array([one.high for one in found])


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
    for task in PINNED:
        yield from (Case(task, policy) for policy in GROUPS["ladder"])
        pairs = [(policy, REFERENCE) for policy in GROUPS["ladder"] if policy != REFERENCE]
        yield from (Case(task, *pair) for pair in (*pairs, *OTHER_PAIRS))


def play() -> None:
    """Play all policies on all tasks, and keep their grades by block, (blocks, 10)."""
    seeds = tuple(range(FIRST_SEED, FIRST_SEED + SEEDS))
    plan = Plan(policies=GROUPS["ladder"], tasks=tuple(PINNED), seeds=seeds)
    with progress(len(plan), "Playing episodes") as advance:
        records = evaluate(plan, processes=cores(), progress=advance)
    grades: dict[str, list[float]] = {}
    for one in records:
        grades.setdefault(f"{one.task_id} {one.policy}", []).append(round(one.score, DECIMALS))
    arrays = {name: np.array(found, np.float32).reshape(-1, SEEDS_A_BLOCK) for name, found in grades.items()}
    np.savez_compressed(GRADES, **arrays)  # type: ignore[arg-type]


def values_of(case: Case) -> Floats:
    """Return the values of a case, (blocks, 10), in each block those of the core world first."""
    with np.load(GRADES) as kept:
        values: Floats = kept[f"{case.task} {case.policy}"].astype(np.float64)
        if case.less is not None:
            values -= kept[f"{case.task} {case.less}"]
    confident = np.array([world_of(seed) == "confident" for seed in range(FIRST_SEED, FIRST_SEED + values.size)])
    order = np.argsort(confident.reshape(values.shape), axis=1, kind="stable")
    return np.take_along_axis(values, order, axis=1)


def simulate(case: Case, samples: int = SAMPLES) -> list[dict[str, Any]]:
    """Return for each size how often each method covers the true mean, and how wide its intervals are."""
    values, scale = values_of(case), (0.0 if case.less is None else -1.0, 1.0)
    truth, rows = values.mean(), []
    for size in SIZES:
        rng, blocks = np.random.default_rng(size), size // SEEDS_A_BLOCK
        drawn = values[np.array([rng.choice(len(values), blocks, replace=False) for _ in range(samples)])]
        row = {"task": case.task, "case": case.title, "paired": case.less is not None, "seeds": size}
        for name, method in METHODS.items():
            if blocks == 1 and method is t_over_blocks:
                continue
            low, high = ends(method, drawn, scale)
            covered = (low - TOLERANCE <= truth) & (truth <= high + TOLERANCE)
            row[name] = {"coverage": float(covered.mean()), "width": float((high - low).mean())}
        rows.append(row)
    return rows


def ends(method: Method, values: Floats, scale: tuple[float, float]) -> Ends:
    """Return the intervals of a method; where it has none, because there is no spread, the points."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of samples without spread
        low, high = method(values, scale)
    means = values.mean(axis=(1, 2))
    return np.where(np.isnan(low), means, low), np.where(np.isnan(high), means, high)


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
        "versions": Versions.current().model_dump(),
        "seeds": [FIRST_SEED, FIRST_SEED + SEEDS - 1],
        "samples": SAMPLES,
        "rows": [rounded(row) for row in rows],
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
