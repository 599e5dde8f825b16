"""The table of tasks and splits: every budget, rate, range and threshold of a task stands here, once.

README, openenv.yaml, ``/tasks`` and prompts are rendered from this table or checked against it by tests. Custom
tasks (:mod:`dataselect_env.custom.task_file`) are registered here too; they never change a built-in task.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dataselect_env.core.errors import InvalidInput, UnknownSplit, UnknownTask

if TYPE_CHECKING:
    from dataselect_env.core.source import Source

DYNAMICS_VERSION = 3
"""Rises when the same task, seed and actions give a different episode; never on refactoring."""

MIN_BATCH = 5
"""Smallest batch, as long as budget and pool hold as many samples."""

POOL_SIZE = 1_100
"""Samples in the pool of a built-in task."""

SEED_LIMIT = 2**32
"""Seeds are integers in [0, SEED_LIMIT), except those of the sealed split."""

SplitName = Literal["train", "validation", "test"]
SEALED = "sealed"
"""The split whose seeds are secret; only servers offer it (:mod:`dataselect_env.core.sealed`)."""
Mixing = Literal["quotas", "ranks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task: the pool, the budget, and the criteria for success.

    The score is ``performance_weight * performance_score + noise_weight * noise_score + efficiency_weight *
    efficiency`` with the parts as :mod:`dataselect_env.core.grading` defines them; the weights add up to 1.

    Attributes:
        task_id: Name in requests and replies.
        summary: What the task demands of an agent, in one sentence.
        flip_y: Declared share of mislabelled pool samples, in [0, 0.5).
        budget: Largest number of samples bought in an episode.
        max_steps: Largest number of actions in an episode.
        performance_range: Performance that scores 0 and performance that scores 1.
        pass_performance: An episode passes only with a performance above this threshold.
        pass_noise: An episode passes only with an average noise ratio below this threshold; None for no threshold.
        performance_weight, noise_weight, efficiency_weight: As above.
        min_batch: Smallest batch, as long as budget and pool hold as many samples.
        max_batch: Largest batch; None for no limit.
        pool_size: Number of samples in the pool at the start.
        n_classes: Number of classes.
        extra_strategies: Query strategies offered in addition to ``sampling.STRATEGIES``.
        mixing: How strategies share a batch: by ``quotas``, or by ``ranks`` (:mod:`dataselect_env.core.selection`).
        noise_trap: Whether the entropy of mislabelled samples is raised.
        has_ground_truth: Whether it is known which labels are wrong. Without it, ``noise_estimate`` counts suspected
            label errors, and noise plays no part in the grade.
        audited: Whether observations, replies, rewards and grades report wrong labels; False without ground truth.
        drawn: Whether each seed draws a problem. The numbers of the task in ``TASKS`` are then upper limits; those of a
            seed are returned by :func:`~dataselect_env.core.source.task_at`, and what an agent may know of them by
            :func:`~dataselect_env.core.problem.as_described`.
        source: Source of the data sets; None for the built-in generator.
        digest: Fingerprint of definition and data of a custom task; None for a built-in task.
    """

    task_id: str
    summary: str
    flip_y: float
    budget: int
    max_steps: int
    performance_range: tuple[float, float]
    pass_performance: float
    pass_noise: float | None = None
    performance_weight: float = 1.0
    noise_weight: float = 0.0
    efficiency_weight: float = 0.0
    min_batch: int = MIN_BATCH
    max_batch: int | None = None
    pool_size: int = POOL_SIZE
    n_classes: int = 2
    extra_strategies: tuple[str, ...] = ()
    mixing: Mixing = "quotas"
    noise_trap: bool = True
    has_ground_truth: bool = True
    audited: bool = True
    drawn: bool = False
    source: Source | None = None
    digest: str | None = None

    def __post_init__(self) -> None:
        if not self.has_ground_truth:
            object.__setattr__(self, "audited", False)
        low, high = self.performance_range
        weights = (self.performance_weight, self.noise_weight, self.efficiency_weight)
        if not self.audited and (self.noise_weight or self.pass_noise is not None):
            raise ValueError(f"{self.task_id}: noise cannot be graded where wrong labels are not reported")
        if not 0 <= self.flip_y < 0.5:
            raise ValueError(f"{self.task_id}: flip_y must lie in [0, 0.5), not {self.flip_y}")
        if self.budget < self.min_batch or self.max_steps < 1:
            raise ValueError(f"{self.task_id}: needs a budget of at least {self.min_batch} and at least one step")
        if not 0 <= low < high <= 1:
            raise ValueError(f"{self.task_id}: performance_range must rise within [0, 1], not {self.performance_range}")
        if not all(0 <= bound <= 1 for bound in (self.pass_performance, self.pass_noise or 0.0)):
            raise ValueError(f"{self.task_id}: pass_performance and pass_noise must lie in [0, 1]")
        if not (min(weights) >= 0 and abs(sum(weights) - 1) <= 1e-12):
            raise ValueError(f"{self.task_id}: score weights must be non-negative and add up to 1, not {weights}")

    @property
    def built_in(self) -> bool:
        """Whether the task comes with the package."""
        return self.task_id in BUILT_IN

    @property
    def pinned(self) -> bool:
        """Whether it is a built-in task on the pinned data sets, whose numbers are the same for all seeds."""
        return self.task_id in PINNED

    @property
    def varies(self) -> bool:
        """Whether the numbers are upper limits, from which each seed draws its own; False for the task of one seed."""
        return self.drawn and TASKS.get(self.task_id) == self

    @property
    def described(self) -> bool:
        """Whether the reply to a reset describes the problem; the other tasks are described by their lists."""
        return not self.pinned

    @property
    def difficulty(self) -> str:
        """Intended difficulty: the name of a built-in task, or ``own`` for a custom task."""
        return self.task_id if self.built_in else "own"

    @property
    def success_criteria(self) -> str:
        """The condition for passing, worded as in openenv.yaml and ``/tasks``."""
        text = f"current_performance > {'pass_performance' if self.varies else _threshold(self.pass_performance)}"
        if self.varies:
            text += " of the seed's problem"
        if self.pass_noise is not None:
            text += f" AND avg_noise_ratio < {_threshold(self.pass_noise)}"
        if self.efficiency_weight:
            text += ", scored jointly with efficiency"
        return text

    @property
    def score_formula(self) -> str:
        """The formula of the score, in words."""
        parts = [
            (self.performance_weight, "performance score"),
            (self.noise_weight, "noise score"),
            (self.efficiency_weight, "efficiency"),
        ]
        terms = [name if weight == 1 else f"{weight:g} x {name}" for weight, name in parts if weight]
        low, high = map(_threshold, self.performance_range)
        where = "performance_range of the seed's problem" if self.varies else f"[{low}, {high}]"
        return f"{' + '.join(terms)}; performance score over {where}"


def _threshold(value: float) -> str:
    """Return a threshold with two decimals, or more if it has more."""
    return f"{value:.2f}" if round(value, 2) == value else f"{value:g}"


TASKS: dict[str, Task] = {
    task.task_id: task
    for task in (
        Task(
            task_id="easy",
            summary="An introduction: few labels are wrong, and the budget is ample.",
            flip_y=0.05,
            budget=300,
            max_steps=15,
            performance_range=(0.55, 0.75),
            pass_performance=0.62,
        ),
        Task(
            task_id="medium",
            summary="A quarter of the labels are wrong and uncertainty is drawn to them: buy well and buy clean.",
            flip_y=0.25,
            budget=150,
            max_steps=12,
            performance_range=(0.52, 0.73),
            pass_performance=0.52,
            pass_noise=0.50,
            performance_weight=0.6,
            noise_weight=0.4,
        ),
        Task(
            task_id="hard",
            summary="Three labels in ten are wrong and every sample saved counts: reach performance with little.",
            flip_y=0.30,
            budget=100,
            max_steps=8,
            performance_range=(0.50, 0.71),
            pass_performance=0.58,
            performance_weight=0.65,
            efficiency_weight=0.35,
        ),
        Task(
            task_id="open",
            summary="Each seed is another problem: other data, budget and label noise. Find out what pays, and buy it.",
            flip_y=0.45,
            budget=240,
            max_steps=16,
            performance_range=(0.0, 1.0),
            pass_performance=0.5,
            n_classes=10,
            extra_strategies=(
                "agree_uncertainty",
                "neighbours_random",
                "neighbours_uncertainty",
                "held_out_random",
                "held_out_uncertainty",
                "confident_random",
                "confident_uncertainty",
            ),
            drawn=True,
        ),
    )
}
BUILT_IN = tuple(TASKS)
"""Names of the tasks that come with the package."""
PINNED = tuple(name for name, task in TASKS.items() if not task.drawn)
"""Names of the built-in tasks on the pinned data sets, whose numbers are the same for all seeds."""
DEFAULT_TASK = "easy"


def register(task: Task) -> None:
    """Add a custom task, in this process; it replaces a custom task of the same name.

    Raises:
        InvalidInput: The name is that of a built-in task.
    """
    if task.built_in:
        raise InvalidInput(f"task_id: {task.task_id} is a built-in task; choose another name", field="task_id")
    TASKS[task.task_id] = task


def get_task(task_id: str) -> Task:
    """Return the task of this name.

    Raises:
        UnknownTask: There is none; the message lists the tasks.
    """
    task = TASKS.get(task_id)
    if task is None:
        raise UnknownTask(f"task_id: there is no such task; choose one of {', '.join(TASKS)}", field="task_id")
    return task


@dataclass(frozen=True, slots=True)
class Split:
    """A range of seeds. Splits share neither seeds nor data sets."""

    name: SplitName
    first_seed: int
    seeds: int

    def __contains__(self, seed: int) -> bool:
        return self.first_seed <= seed < self.first_seed + self.seeds

    @property
    def num_tasks(self) -> int:
        """Number of task specs: each seed of the range with each task."""
        return self.seeds * len(TASKS)


SPLITS: dict[str, Split] = {
    split.name: split
    for split in (
        Split("train", first_seed=0, seeds=10_000),
        Split("validation", first_seed=10_000, seeds=1_000),
        Split("test", first_seed=20_000, seeds=1_000),
    )
}
DEFAULT_SPLIT: SplitName = "train"
"""The split that a reset without seed and split draws its seed from."""


def get_split(name: str) -> Split:
    """Return the split of this name.

    Raises:
        UnknownSplit: There is none; the message lists the splits.
    """
    split = SPLITS.get(name)
    if name == SEALED:
        raise UnknownSplit(
            f"split: {SEALED} is offered only by servers that have a secret; choose one of {', '.join(SPLITS)}",
            field="split",
        )
    if split is None:
        raise UnknownSplit(f"split: there is no such split; choose one of {', '.join(SPLITS)}", field="split")
    return split


def split_of(seed: int | None) -> str | None:
    """Return the name of the split that contains ``seed``; None if no split does. A hidden seed, None, is sealed."""
    if seed is None or seed >= SEED_LIMIT:
        return SEALED
    return next((split.name for split in SPLITS.values() if seed in split), None)
