"""Collect the runs of examples/train_ppo.py: which network ships, how well it does, how it learned.

    for seed in 1 2 3; do python examples/train_ppo.py --task medium --seed $seed --out runs/ppo; done  # and so on
    python -m bench.validity.ppo.report runs/ppo

Writes learning_curves.json, learning_curves.png, comparison.json and README.md beside this file, and copies to
dataselect_env/policies/trained/, for each task, the network that did best on validation seeds. Test seeds choose
nothing.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from statistics import fmean
from typing import Any

import click
from matplotlib.figure import Figure

from dataselect_env.core.tasks import PINNED, SPLITS
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.policies import get_policy
from dataselect_env.rendering import palette

HERE = Path(__file__).parent
TRAINED = Path(__file__).parents[3] / "dataselect_env" / "policies" / "trained"
REFERENCES = {"best-constant": (palette.BLUE, "--"), "probing": (palette.VERMILION, ":")}
RUNS = (palette.GREEN, palette.SKY_BLUE, palette.PURPLE, palette.ORANGE)
"""Colours of the runs."""
DIGITS = 4
VALIDATION_SEEDS = 100

Run = dict[str, Any]

HEAD = """\
# PPO learns it

`examples/train_ppo.py` trains on seeds of the train split and selects a network on 100 seeds of the validation split.
Here it is compared on 50 seeds of the test split, paired by seed, with 95 % intervals taken within the hidden worlds.
Each row is a run with its own training seed. The run that did best on validation seeds ships as the policy `ppo`. Rows
without intervals are of networks that were not kept: they were compared before there were such intervals.

`best-constant` is the best action that never changes, `probing` a rule whose author knew the two worlds. Minutes are
CPU time on one core, with wall time in brackets; most runs shared their two cores with other work.

The runs in the table trained in eight single environments. The example now trains in 32 lanes of the native vector
environment. [Its runs](vector_environment.json) reach the same grades; three on `medium` and three on `hard` took 46 to
69 s of wall time on two idle cores.

![Learning curves](learning_curves.png)
"""


def best_point(run: Run) -> float:
    """Return the highest mean grade that a run reached on the validation seeds: that of the network it kept."""
    return max(float(point["validation"]) for point in run["curve"])


def rounded(value: Any) -> Any:
    """Return ``value`` with all floats in it rounded: the last bits of a machine's arithmetic do not show."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def summary(run: Run, shipped: Run) -> Run:
    """Return a run without its learning curve."""
    told = {key: value for key, value in run.items() if key != "curve"}
    return {**told, "validation": best_point(run), "shipped": run is shipped}


def reference(task_id: str, policy: str) -> float:
    """Return the mean grade of a reference policy on the validation seeds that the learning curves are made with."""
    first = SPLITS["validation"].first_seed
    return fmean(rollout(get_policy(policy), task_id, first + n).grade.score for n in range(VALIDATION_SEEDS))


def draw(runs: dict[str, list[Run]]) -> Figure:
    """Return the picture: for each task, the mean grade on validation seeds by training steps."""
    figure = Figure(figsize=(3.9 * len(runs), 3.2), layout="constrained", dpi=110)
    for axes, (task_id, group) in zip(figure.subplots(1, len(runs), squeeze=False)[0], runs.items(), strict=True):
        for run, colour in zip(group, RUNS, strict=False):
            steps, scores = zip(*((point["steps"], point["validation"]) for point in run["curve"]), strict=True)
            axes.plot([step / 1000 for step in steps], scores, color=colour, label=f"PPO, training seed {run['seed']}")
        for name, (colour, dashes) in REFERENCES.items():
            axes.axhline(reference(task_id, name), color=colour, linestyle=dashes, label=name)
        axes.set_title(task_id, loc="left", fontweight="bold")
        axes.set_xlabel("training steps, thousands")
        axes.set_ylim(0, 1)
        axes.grid(color=palette.FAINT, linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8, loc="lower right")
    figure.axes[0].set_ylabel("mean grade, validation seeds")
    return figure


def table(runs: dict[str, list[Run]], shipped: dict[str, Run]) -> str:
    """Return the comparison on test seeds as a Markdown table."""
    lines = [
        "| task | training seed | grade | best-constant | difference | probing | difference | minutes |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for task_id, group in runs.items():
        for run in group:
            held_out = run["held_out"][task_id]
            seed = f"{run['seed']}, shipped" if run is shipped[task_id] else str(run["seed"])
            cells = [task_id, seed, f"{held_out['ppo']['mean']:.3f}"]
            for name in REFERENCES:
                gap = held_out[f"ppo - {name}"]
                cells.append(f"{held_out[name]['mean']:.3f}")
                interval = f" [{gap['low']:+.3f}, {gap['high']:+.3f}]" if "p_corrected" in gap else ""
                cells.append(f"{gap['mean']:+.3f}{interval}")
            cells.append(f"{run['cpu_s'] / 60:.1f} ({run['wall_s'] / 60:.1f})")
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


@click.command(help=__doc__.splitlines()[0] if __doc__ else None)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    found: list[Run] = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    runs = {task_id: group for task_id in PINNED if (group := [run for run in found if run["task"] == task_id])}
    shipped = {task_id: max(group, key=best_point) for task_id, group in runs.items()}
    TRAINED.mkdir(exist_ok=True)
    for task_id, run in shipped.items():
        shutil.copyfile(folder / f"{task_id}-{run['seed']}.npz", TRAINED / f"ppo-{task_id}.npz")
    comparison = {task_id: [summary(run, shipped[task_id]) for run in group] for task_id, group in runs.items()}
    curves = {task_id: {run["seed"]: run["curve"] for run in group} for task_id, group in runs.items()}
    for name, content in (("comparison", comparison), ("learning_curves", curves)):
        text = json.dumps(rounded(content), indent=1)
        (HERE / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    draw(runs).savefig(HERE / "learning_curves.png", metadata={"Software": None})
    (HERE / "README.md").write_text(f"{HEAD}\n{table(runs, shipped)}", encoding="utf-8")


if __name__ == "__main__":
    main()
