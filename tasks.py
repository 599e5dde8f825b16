"""The tables of tasks and splits, re-exported from ``dataselect_env.core.tasks`` and ``dataselect_env.core.specs``."""

from dataselect_env.core.specs import TaskSpec, get_spec
from dataselect_env.core.tasks import MIN_BATCH, SPLITS, TASKS, Split, Task, get_split, get_task

__all__ = ["MIN_BATCH", "SPLITS", "TASKS", "Split", "Task", "TaskSpec", "get_spec", "get_split", "get_task"]
