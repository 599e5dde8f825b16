"""What ``curate`` costs, and what it is worth on tables whose right labels are known.

    python -m bench.custom.curation

Cost: seconds for 20,000 rows x 50 columns with the comparison and without it. Worth: accuracy on rows that no part of
the curation has seen, for models fitted on the rows of several policies. Label errors are uniform, or at the boundary
between classes. Prints tables and writes curation.json.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import click
import numpy as np

from bench.speed.in_process import versions
from dataselect_env.core.arrays import Floats, Labels
from dataselect_env.curation import curate
from dataselect_env.curation.comparison import RIVALS
from dataselect_env.curation.curating import DEFAULT_POLICY
from dataselect_env.custom.splitting import stratified
from dataselect_env.evaluation.statistics import mean_interval

RESULTS = Path(__file__).with_suffix(".json")
ROWS, COLUMNS, CLASSES, TRUSTED, BUDGET = 20_000, 50, 4, 200, 500
RATE = 0.25
SEEDS = tuple(range(10))
EVERY_ROW = "every row"
POLICIES = (DEFAULT_POLICY, *RIVALS, "stop", EVERY_ROW)
TEST_ROWS = 200


class Setting(NamedTuple):
    """A table of scikit-learn, and how much of it is trusted and chosen."""

    trusted: int
    budget: int


SETTINGS = {"breast_cancer": Setting(30, 100), "digits": Setting(100, 300)}
NOISES = ("uniform", "boundary")


# --- cost -----------------------------------------------------------------------------------------------------------


def large_table(rows: int, seed: int) -> tuple[Floats, Labels]:
    """Return features and right labels of classes that overlap."""
    rng = np.random.default_rng(seed)
    y = rng.integers(CLASSES, size=rows)
    centres = 0.4 * np.random.default_rng(0).standard_normal((CLASSES, COLUMNS))
    return rng.standard_normal((rows, COLUMNS)) + centres[y], y


def cost() -> dict[str, float]:
    """Return the processor time that a curation of a large table takes, in seconds.

    It uses one core, so this is how long it takes on one that has nothing else to do.
    """
    X, right = large_table(ROWS, 1)
    y = uniform(right, np.random.default_rng(1))
    X_trusted, y_trusted = large_table(TRUSTED, 2)
    seconds = {}
    for name, compare in (("choice", False), ("choice_and_comparison", True)):
        started = time.process_time()
        curate(X, y, X_trusted, y_trusted, budget=BUDGET, compare_with_others=compare)
        seconds[name] = time.process_time() - started
    return seconds


# --- worth ----------------------------------------------------------------------------------------------------------


def uniform(right: Labels, rng: np.random.Generator) -> Labels:
    """Return labels of which a share ``RATE`` is wrong, with any other class equally likely."""
    wrong = rng.choice(len(right), round(RATE * len(right)), replace=False)
    labels, classes = right.copy(), int(right.max()) + 1
    labels[wrong] = (labels[wrong] + rng.integers(1, classes, len(wrong))) % classes
    return labels


def at_the_boundary(X: Floats, right: Labels) -> Labels:
    """Return labels that are wrong where a model knows least; the wrong label is the class that it finds next."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1_000)).fit(X, right)
    probabilities = model.predict_proba(X)
    rows = np.arange(len(right))
    own = probabilities[rows, right]
    probabilities[rows, right] = -1
    wrong = np.argsort(own - probabilities.max(axis=1))[: round(RATE * len(right))]
    labels = right.copy()
    labels[wrong] = probabilities[wrong].argmax(axis=1)
    return labels


def split(name: str, noise: str, seed: int) -> dict[str, Any]:
    """Return the arguments of a curation, and the rows to test on."""
    from sklearn import datasets  # noqa: PLC0415

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    rng = np.random.default_rng(seed)
    test = stratified(y, TEST_ROWS, rng)
    rest = np.setdiff1d(np.arange(len(y)), test)
    trusted = rest[stratified(y[rest], SETTINGS[name].trusted, rng)]
    pool = np.setdiff1d(rest, trusted)
    given = uniform(y[pool], rng) if noise == "uniform" else at_the_boundary(X[pool], y[pool])
    return {"curate": (X[pool], given, X[trusted], y[trusted]), "right": y[pool], "test": (X[test], y[test])}


def measure(name: str, noise: str, policy: str) -> dict[str, Any]:
    """Return how models on the rows of a policy do."""
    accuracies, wrong, estimates = [], [], []
    for seed in SEEDS:
        data = split(name, noise, seed)
        every = policy == EVERY_ROW
        budget = len(data["right"]) if every else SETTINGS[name].budget
        chosen = "random" if every else policy
        found = curate(*data["curate"], budget=budget, policy=chosen, seed=seed, compare_with_others=False)
        mistakes = found.labels != data["right"][found.rows]
        accuracies.append(found.model.score(*data["test"]))
        wrong.append(float(mistakes.mean()) if len(mistakes) else 0.0)
        estimates.append(found.report.noise_rate)
    return {
        "data": name,
        "noise": noise,
        "policy": policy,
        "accuracy": mean_interval(accuracies).model_dump(),
        "wrong": fmean(wrong),
        "estimated_noise": fmean(estimates),
    }


@click.command()
@click.option("--policy", "wanted", multiple=True, help="Measure this policy alone and keep the other results.")
@click.option("--no-cost", is_flag=True, help="Keep the measured cost.")
def main(wanted: tuple[str, ...], no_cost: bool) -> None:
    """Print and write the measurements."""
    kept: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {"rows": []}
    shape = {"rows": ROWS, "columns": COLUMNS, "classes": CLASSES, "trusted": TRUSTED, "budget": BUDGET}
    found: dict[str, Any] = kept["cost"] if no_cost else {**shape, "seconds": cost()}
    for part, took in found["seconds"].items():
        click.echo(f"{ROWS:,} rows x {COLUMNS} columns, {part}: {took:.1f} s")
    cells = {(row["data"], row["noise"], row["policy"]): row for row in kept["rows"] if wanted}
    work = [(name, noise, policy) for name in SETTINGS for noise in NOISES for policy in wanted or POLICIES]
    with click.progressbar(work, file=sys.stderr) as bar:
        for cell in bar:
            cells[cell] = measure(*cell)
    order = [(name, noise, policy) for policy in POLICIES for name in SETTINGS for noise in NOISES]
    rows = [cells[cell] for cell in order if cell in cells]
    for row in rows:
        accuracy = row["accuracy"]
        click.echo(
            f"{row['data']:<14} {row['noise']:<9} {row['policy']:<22} {accuracy['mean']:.3f}"
            f" [{accuracy['low']:.3f}, {accuracy['high']:.3f}], {row['wrong']:.0%} wrong,"
            f" estimated {row['estimated_noise']:.0%}"
        )
    results = {"versions": versions(), "cost": found, "seeds": len(SEEDS), "rows": rows}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
