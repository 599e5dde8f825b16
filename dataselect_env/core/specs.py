"""Task specs: what the Task API lists. A spec is a task with a seed of a split."""

from __future__ import annotations

from dataclasses import dataclass

from dataselect_env.core.errors import InvalidInput, TaskIndexOutOfRange
from dataselect_env.core.tasks import BUILT_IN, DEFAULT_TASK, PINNED, SPLITS, TASKS, Task, get_split, get_task


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One entry of the Task API: a task with a seed. Specs of the same seed share their ``group``, for paired tests."""

    id: str
    split: str
    index: int
    task_id: str
    seed: int
    difficulty: str
    group: str


def choose(task_id: str | None, seed: int | None, split: str | None, index: int | None) -> tuple[Task, int | None]:
    """Return the task and the seed that a reset asks for; a seed of None is still to be drawn.

    Raises:
        UnknownTask, UnknownSplit, TaskIndexOutOfRange: No such thing.
        InvalidInput: The arguments contradict each other; the message says which.
    """
    chosen = None if split is None else get_split(split)
    if index is None:
        if chosen is not None and seed is not None and seed not in chosen:
            last = chosen.first_seed + chosen.seeds - 1
            raise InvalidInput(f"seed: split {split} has the seeds {chosen.first_seed} to {last}", field="seed")
        return get_task(DEFAULT_TASK if task_id is None else task_id), seed
    if split is None:
        raise InvalidInput(f"index: needs a split; choose one of {', '.join(SPLITS)}", field="index")
    spec = get_spec(split, index)
    if task_id is not None and get_task(task_id).task_id != spec.task_id:
        raise InvalidInput(f"task_id: index {index} of split {split} is task {spec.task_id}", field="task_id")
    if seed is not None and seed != spec.seed:
        raise InvalidInput(f"seed: index {index} of split {split} has seed {spec.seed}", field="seed")
    return get_task(spec.task_id), spec.seed


def get_spec(split_name: str, index: int) -> TaskSpec:
    """Return the task spec at ``index`` of a split; consecutive indices cycle through the tasks of one seed.

    Specs of the pinned tasks come first, then those of ``open``, then those of custom tasks, so that further tasks
    change no indices.

    Raises:
        UnknownSplit: No split of this name.
        TaskIndexOutOfRange: ``index`` is not in [0, num_tasks).
    """
    split = get_split(split_name)
    if not 0 <= index < split.num_tasks:
        raise TaskIndexOutOfRange(
            f"index: must lie in 0 to {split.num_tasks - 1} for split {split.name}", field="index"
        )
    place, groups = index, [PINNED, BUILT_IN[len(PINNED) :], tuple(TASKS)[len(BUILT_IN) :]]
    while place >= split.seeds * len(groups[0]):
        place -= split.seeds * len(groups.pop(0))
    names = groups[0]
    offset, position = divmod(place, len(names))
    task_id = names[position]
    seed = split.first_seed + offset
    return TaskSpec(
        id=f"{split.name}-{task_id}-{seed}",
        split=split.name,
        index=index,
        task_id=task_id,
        seed=seed,
        difficulty=TASKS[task_id].difficulty,
        group=f"seed-{seed}",
    )


def get_spec_range(split_name: str, start: int | None = None, stop: int | None = None) -> list[TaskSpec]:
    """Return the task specs ``[start, stop)`` of a split; the bounds work as in Python slices."""
    indices = range(get_split(split_name).num_tasks)[slice(start, stop)]
    return [get_spec(split_name, index) for index in indices]
