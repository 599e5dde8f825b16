"""The table of tasks and splits, under the name that the environment's users look for."""

from dataselect_env.core.tasks import MIN_BATCH, SPLITS, TASKS, Split, Task, TaskSpec, get_spec, get_split, get_task

__all__ = ["MIN_BATCH", "SPLITS", "TASKS", "Split", "Task", "TaskSpec", "get_spec", "get_split", "get_task"]
