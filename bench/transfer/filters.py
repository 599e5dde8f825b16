"""What filters on given labels are worth on real tables, beside cleanlab's.

    pip install cleanlab
    python -m bench.transfer.filters

Each contender buys its even share of the budget in every step by one strategy alone. Nothing is tuned on the tables.
Intervals are 95 % bootstrap intervals over tables, the units that a rule must carry over to. Writes filters.json and
filters.md. Takes some minutes.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cleanlab
import click
import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bench.machine import processor
from bench.speed.in_process import versions
from bench.transfer import tables
from dataselect_env.core.arrays import Floats
from dataselect_env.core.episode import Episode
from dataselect_env.core.strategies import Candidates, LabelFilter, register_filter
from dataselect_env.core.strategies.filters import FILTERS
from dataselect_env.core.strategies.sampling import STRATEGIES
from dataselect_env.core.tasks import SPLITS, Task
from dataselect_env.custom.definitions import TaskDefinition
from dataselect_env.custom.errors import TaskDefinitionError
from dataselect_env.custom.task_builder import make_task

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "filters.json", HERE / "filters.md"
BUDGET, STEPS, SEEDS = 80, 8, 10
NOISE: dict[str, dict[str, Any]] = {
    "none": {"uniform": 0.0},
    "uniform": {"uniform": 0.25},
    "boundary": {"instance": {"rate": 0.25, "where": "boundary"}},
    "worlds and trap": {"instance": {"rate": 0.25, "where": "worlds"}},
}
RANKINGS = ("random", "uncertainty")
EXTRA = [f"{name}_{ranking}" for name in (*FILTERS, "cleanlab") for ranking in RANKINGS]
CONTENDERS = [*STRATEGIES, *EXTRA]
FOLDS = 5


def cleanlab_credibility(candidates: Candidates) -> Floats:
    """Return cleanlab's label quality score, in [0, 1], less 2 where it finds a label issue.

    As its tutorials do, it is given out-of-fold probabilities of a logistic regression.
    """

    def compute() -> Floats:
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # rare classes, and fits that stop early
            known = cross_val_predict(model, candidates.X, candidates.labels, cv=folds, method="predict_proba")
            issues = find_label_issues(candidates.labels, known, n_jobs=1)
            quality: Floats = get_label_quality_scores(candidates.labels, known) - 2.0 * issues
        return quality

    return candidates.once("cleanlab", compute)


def offer_cleanlab() -> None:
    """Register cleanlab's filter in this process."""
    if "cleanlab" not in FILTERS:
        described = "in whose given label cleanlab finds no issue"
        register_filter(LabelFilter("cleanlab", described, "cleanlab (PyPI)", cleanlab_credibility))


def scores(task: Task, name: str) -> list[float]:
    """Return the scores of a strategy alone, by seed."""
    names = (*STRATEGIES, *task.extra_strategies)
    weights = tuple(float(one == name) for one in names)
    found = []
    for offset in range(SEEDS):
        episode = Episode(task, SPLITS["test"].first_seed + offset, hold_data=True)
        while episode.end_reason is None:
            episode.select_batch(BUDGET // STEPS, weights)
        found.append(episode.grade().score)
    return found


def play(name: str, folder: Path) -> dict[str, dict[str, float]] | str:
    """Return the mean scores on one table, by kind of noise and contender; or why it cannot be a task."""
    offer_cleanlab()
    if name in tables.BUNDLED:
        table: dict[str, Any] = {"bundled": name}
        classes = {"breast_cancer": 2, "digits": 10, "wine": 3}[name]
    else:
        table = {"file": f"{name}.npz", "target": "y"}
        with np.load(folder / f"{name}.npz") as arrays:
            classes = len(np.unique(arrays["y"]))
    found = {}
    for kind, noise in NOISE.items():
        fields = {
            "table": table,
            "noise": noise,
            "budget": BUDGET,
            "max_steps": STEPS,
            "split": {"seed": max(12, 3 * classes)},
            "strategies": EXTRA,
            "noise_trap": kind == "worlds and trap",
        }
        try:
            task = make_task(name, TaskDefinition.model_validate(fields), folder)
        except TaskDefinitionError as error:
            return f"{kind}: {error.message}"
        found[kind] = {contender: float(np.mean(scores(task, contender))) for contender in CONTENDERS}
    return found


def interval(values: list[float]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval (BCa) of the mean over tables."""
    found = stats.bootstrap((values,), np.mean, rng=np.random.default_rng(0)).confidence_interval
    return float(found.low), float(found.high)


def summarise(by_table: dict[str, dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Return means by kind of noise and over all, and the differences of each contender to cleanlab's best."""
    over_all = {
        name: [float(np.mean([kinds[kind][name] for kind in NOISE])) for kinds in by_table.values()]
        for name in CONTENDERS
    }
    peer = max((name for name in CONTENDERS if name.startswith("cleanlab")), key=lambda one: np.mean(over_all[one]))
    rows = {}
    for name in CONTENDERS:
        gaps = [ours - theirs for ours, theirs in zip(over_all[name], over_all[peer], strict=True)]
        rows[name] = {
            **{kind: float(np.mean([kinds[kind][name] for kinds in by_table.values()])) for kind in NOISE},
            "all": float(np.mean(over_all[name])),
            "interval": interval(over_all[name]),
            f"less {peer}": float(np.mean(gaps)),
            "interval of the difference": None if name == peer else interval(gaps),
        }
    return {"peer": peer, "contenders": rows}


def page(results: dict[str, Any]) -> str:
    """Return the results as a page."""
    summary = results["summary"]
    peer = summary["peer"]
    lines = [
        "# Filters on given labels, on real tables",
        "",
        "Rendered by `python -m bench.transfer.filters`. Mean grades of policies that buy by one strategy alone, on"
        f" {len(results['tables'])} tables ({', '.join(results['tables'])}), {SEEDS} seeds each, budget {BUDGET} in"
        f" {STEPS} steps; a quarter of the labels is wrong where there is noise. Intervals are 95 % bootstrap intervals"
        " over tables. Nothing was fitted to these tables, but they are development tables: results on them were known"
        " when the filters were chosen. `cleanlab` is the library's label-issue filter on out-of-fold probabilities of"
        f" a logistic regression; the last column is the difference to the better of its two strategies, `{peer}`.",
        "",
        f"| strategy | {' | '.join(NOISE)} | all | difference |",
        f"| --- | {' | '.join('---' for _ in NOISE)} | --- | --- |",
    ]
    for name, row in sorted(summary["contenders"].items(), key=lambda item: -item[1]["all"]):
        low, high = row["interval"]
        gap = row["interval of the difference"]
        difference = "" if gap is None else f"{row[f'less {peer}']:+.3f} ({gap[0]:+.3f} to {gap[1]:+.3f})"
        cells = " | ".join(f"{row[kind]:.2f}" for kind in NOISE)
        lines.append(f"| `{name}` | {cells} | {row['all']:.3f} ({low:.3f} to {high:.3f}) | {difference} |")
    lines += [f"\nLeft out: `{name}`, {reason}." for name, reason in results["left out"].items()]
    facts = results["versions"]
    lines += [
        "",
        f"{facts['processor']}; Python {facts['python']}, numpy {facts['numpy']}, scikit-learn {facts['scikit-learn']},"
        f" cleanlab {facts['cleanlab']}.",
    ]
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--processes", default=1, show_default=True)
def main(processes: int) -> None:
    """Fetch the tables, play on each, and write results and page."""
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(processes) as executor:
        folder = Path(name)
        chosen = [*tables.fetch(folder), *tables.BUNDLED]
        with click.progressbar(
            executor.map(partial(play, folder=folder), chosen), len(chosen), label="tables", file=sys.stderr
        ) as bar:
            played = dict(zip(chosen, bar, strict=True))
    by_table = {name: kinds for name, kinds in played.items() if not isinstance(kinds, str)}
    results = {
        "versions": {**versions(), "processor": processor(), "cleanlab": cleanlab.__version__},
        "seeds": SEEDS,
        "tables": by_table,
        "left out": {name: reason for name, reason in played.items() if isinstance(reason, str)},
        "summary": summarise(by_table),
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(results), encoding="utf-8")


if __name__ == "__main__":
    main()
