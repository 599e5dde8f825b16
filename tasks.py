"""The tables of tasks and splits, re-exported from ``dataselect_env.core.tasks``."""

from dataselect_env.core.tasks import MIN_BATCH, SPLITS, TASKS, Split, Task, TaskSpec, get_spec, get_split, get_task

__all__ = ["MIN_BATCH", "SPLITS", "TASKS", "Split", "Task", "TaskSpec", "get_spec", "get_split", "get_task"]
