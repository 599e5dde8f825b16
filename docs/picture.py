"""Draw episode.png: one real episode, from the pool to the grade.

    python -m docs.picture

Needs matplotlib (the extra ``plot``). Hidden labels, which it shows, are available in process only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dataselect_env.core.arrays import Floats, Indices, Mask
from dataselect_env.core.data import dataset_number
from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.episode import replay
from dataselect_env.core.models import Reply
from dataselect_env.core.strategies.sampling import STRATEGIES
from dataselect_env.core.tasks import TASKS
from dataselect_env.core.warm_start import warm_start
from dataselect_env.evaluation.rollout import final_grade, policy_rng
from dataselect_env.policies import Policy, get_policy
from dataselect_env.rendering import palette

PICTURE = Path(__file__).with_name("episode.png")
TASK, SEED, POLICY = "hard", 20_005, "probing"
WRONG = palette.VERMILION


@dataclass(frozen=True, slots=True)
class Story:
    """An episode with its hidden labels.

    Attributes:
        replies: The reply to the reset, then one per step.
        batches: Pool indices of the samples bought in each step.
        distance: Distance of each pool sample from the pool's centre, (n,).
        margin: Absolute log-odds of each pool sample under the warm-started model, (n,).
        mislabelled: The noise mask, (n,).
    """

    replies: list[Reply]
    batches: list[Indices]
    distance: Floats
    margin: Floats
    mislabelled: Mask


def record(task_id: str = TASK, seed: int = SEED, policy_name: str = POLICY) -> Story:
    """Play the episode and return it with its hidden labels."""
    task, policy, env = TASKS[task_id], get_policy(policy_name), DataSelectEnv()
    if not isinstance(policy, Policy):
        raise ValueError(f"{policy_name} takes no actions")
    replies, actions = [env.reset(task_id=task_id, seed=seed)], []
    act = policy.start(task, policy_rng(policy_name, seed))
    while not replies[-1].done:
        actions.append(act(replies[-1]))
        replies.append(env.step(actions[-1]))
    episode, results = replay(task, seed, actions)
    start = warm_start(dataset_number(seed))
    X = start.dataset.X_pool
    distance = np.linalg.norm(X - X.mean(axis=0), axis=1)
    batches = [np.sort(result.samples) for result in results]
    return Story(replies, batches, distance, np.abs(start.learner.log_odds(X)), episode.mislabelled)


def draw(story: Story) -> Figure:
    """Return the picture."""
    with rc_context({**palette.STYLE, "figure.dpi": 130, "savefig.dpi": 130}):
        figure = Figure(figsize=(11, 4.3), layout="constrained")
        pool, performance, batches = figure.subplot_mosaic(
            [["pool", "performance"], ["pool", "batches"]], width_ratios=(1.15, 1), height_ratios=(1.2, 1)
        ).values()
        draw_pool(pool, story)
        draw_performance(performance, story)
        draw_batches(batches, story)
        return figure


def draw_pool(ax: Axes, story: Story) -> None:
    """Draw every sample by distance and margin, and mark those that each strategy bought."""
    scatter = partial(ax.scatter, linewidths=0)
    right, wrong = ~story.mislabelled, story.mislabelled
    scatter(story.distance[right], story.margin[right], s=9, color=palette.PALE, label="right label")
    scatter(story.distance[wrong], story.margin[wrong], s=9, color=WRONG, alpha=0.45, label="wrong label (hidden)")
    for name in STRATEGIES:
        bought = [
            batch
            for batch, reply in zip(story.batches, story.replies[1:], strict=True)
            if reply.info and reply.info.bought_by[name] == len(batch) > 0
        ]
        if bought:
            found = np.concatenate(bought)
            ax.scatter(
                story.distance[found],
                story.margin[found],
                s=42,
                facecolors="none",
                edgecolors=palette.STRATEGIES[name],
                linewidths=1.4,
                label=f"bought by {name}",
            )
    ax.set(
        title="The pool: where its wrong labels sit has to be found out",
        xlabel="distance from the centre: diversity buys at the right",
        ylabel="certainty of the first model: uncertainty buys at the bottom",
    )
    ax.legend(loc="upper left", fontsize=8, frameon=True)


def draw_performance(ax: Axes, story: Story) -> None:
    """Draw the performance by step, as an agent sees it."""
    task, grade = TASKS[story.replies[0].task_id], final_grade(story.replies[-1])
    ax.axhline(task.pass_performance, color=palette.GREEN, linestyle="--", linewidth=1)
    ax.annotate("passes above", (0, task.pass_performance), xytext=(0, 3), textcoords="offset points", fontsize=8)
    ax.plot([reply.observation.current_performance for reply in story.replies], "o-", color=palette.BLUE)
    ax.set(title=f"What the agent sees, graded {grade.score:.2f} at the end", ylabel="performance")
    ax.set(xlim=(-0.6, len(story.batches) + 0.6), xticks=range(len(story.batches) + 1), xticklabels=[])


def draw_batches(ax: Axes, story: Story) -> None:
    """Draw the samples bought in each step by strategy, and how many were mislabelled."""
    floor = np.zeros(len(story.batches))
    numbers = np.arange(1, len(story.batches) + 1)
    steps = [reply.info for reply in story.replies if reply.info is not None]
    for name in STRATEGIES:
        counts = np.array([step.bought_by[name] for step in steps])
        ax.bar(numbers, counts, bottom=floor, width=0.7, color=palette.STRATEGIES[name], label=name)
        floor += counts
    wrong = [step.mislabelled or 0 for step in steps]
    ax.bar(numbers, wrong, width=0.7, color="none", edgecolor=WRONG, hatch="/////", label="wrong labels")
    ax.set(title="What it bought, step by step", xlabel="step", ylabel="samples")
    ax.set(xlim=(-0.6, len(story.batches) + 0.6), xticks=range(len(story.batches) + 1), ylim=(0, 1.45 * max(floor)))
    handles = [handle for handle in zip(*ax.get_legend_handles_labels(), strict=True) if handle[1] != "random"]
    ax.legend(*zip(*handles, strict=True), loc="upper left", fontsize=8, ncols=3)


def main() -> None:
    draw(record()).savefig(PICTURE)


if __name__ == "__main__":
    main()
