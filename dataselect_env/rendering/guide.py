"""What a language model should know to play a task: the formulas of the score, and where wrong labels may be.

Every number comes from the table of tasks or from the constants of the dynamics. All of it is public: it describes how
episodes are made, not the episode that is played.
"""

from __future__ import annotations

from collections.abc import Iterator

from dataselect_env.core.data import CONFIDENT_SEEDS_A_BLOCK, SEEDS_A_BLOCK
from dataselect_env.core.grading import COVERAGE, EFFICIENCY_PRICE, NOISE_CEILING
from dataselect_env.core.learner import MOST_PASSES, SAMPLES_PER_PASS
from dataselect_env.core.noise_estimate import NOISE_PRIOR_STRENGTH
from dataselect_env.core.tasks import Task

AUDIT_FROM_ESTIMATE = (
    f"- noise_estimate = ({NOISE_PRIOR_STRENGTH} x declared share + wrong labels bought) / "
    f"({NOISE_PRIOR_STRENGTH} + samples bought); solve it for the wrong labels bought so far"
)
"""How an agent that sees only observations learns of the wrong labels that it bought."""


def guide(task: Task) -> str:
    """Return what to know about a task, as text.

    Args:
        task: The task as it is listed, or with the numbers of an episode's problem.
    """
    return "\n".join(
        ["How the score is computed:", *_score(task), "What else decides:", *_training(), *_wrong_labels(task)]
    )


def _score(task: Task) -> Iterator[str]:
    low, high = task.performance_range
    bounds = "low and high of the problem" if task.varies else f"low {low:g} and high {high:g}"
    yield (
        "- performance_score = (performance - low) / (high - low), limited to [0, 1], of the last step, with "
        f"{bounds}: more than high earns nothing"
    )
    if task.noise_weight:
        enough = COVERAGE * task.budget
        per_label = task.noise_weight / NOISE_CEILING
        yield (
            f"- noise_score = (1 - wrong / bought / {NOISE_CEILING:g}), at least 0, x min(1, bought / {enough:g}), "
            "over the whole episode"
        )
        yield f"- price of a wrong label: once {enough:g} samples are bought, {per_label:g} / bought of the score"
        yield f"- price of a sample: none; up to {enough:g} samples, clean ones raise the noise score"
    if task.efficiency_weight:
        price = task.efficiency_weight * EFFICIENCY_PRICE / task.budget
        yield f"- efficiency = performance_score x (1 - {EFFICIENCY_PRICE:g} x bought / {task.budget})"
        yield (
            f"- price of a sample: {price:.5f} x performance_score of the score, so {task.budget // 10} samples "
            f"must raise performance_score by about {price * task.budget / 10:.3f} x performance_score"
        )
    elif not task.noise_weight:
        yield "- price of a sample: none; what is left of the budget earns nothing"
    if not task.noise_weight:
        yield "- price of a wrong label: only the performance that training on it costs"


def _training() -> Iterator[str]:
    yield (
        f"- training: every {SAMPLES_PER_PASS} samples bought earn a pass over all that was bought so far and the seed "
        f"set; a batch gets 1 to {MOST_PASSES} passes, so one of more than {SAMPLES_PER_PASS * MOST_PASSES} samples "
        "gets fewer passes than the same samples in several batches"
    )


def _wrong_labels(task: Task) -> Iterator[str]:
    if not task.pinned:
        yield "- wrong labels sit elsewhere in each problem, so the strategies that avoid them differ too"
        if task.audited or task.varies:
            yield "- where batches are audited, small first batches show which strategies buy wrong labels"
        return
    yield (
        f"- wrong labels sit in one of two places. In {SEEDS_A_BLOCK - CONFIDENT_SEEDS_A_BLOCK} of {SEEDS_A_BLOCK} "
        "episodes they are in the core of the pool: diversity buys right labels, and uncertainty is drawn to wrong "
        "ones. In the others they are where the first model is confident: uncertainty buys right labels, and diversity "
        f"does not. random buys a share of {task.flip_y:g} wrong in both"
    )
    yield (
        f"- a first batch of {task.min_batch} by uncertainty alone shows where they are: nearly all of its labels are "
        "wrong, or nearly none"
    )
    yield (
        "- where uncertainty buys right labels, training moves the places where the model is uncertain: fewer, larger "
        "batches stay right for longer. A batch with many wrong labels is the sign to change to random"
    )
