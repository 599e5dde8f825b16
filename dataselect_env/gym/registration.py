"""Gymnasium ids of the tasks. Importing :mod:`dataselect_env.gym` registers them."""

from __future__ import annotations

from gymnasium.envs.registration import register, registry

from dataselect_env.core.tasks import BUILT_IN, DEFAULT_TASK

VERSION = 0
"""Version of the ids; increased when results under old ids are no longer comparable."""
ANY_TASK = f"DataSelect-v{VERSION}"
"""Id that accepts any task as the argument ``task_id``."""


def env_id(task_id: str) -> str:
    """Return the Gymnasium id of a task: ``DataSelect-Easy-v0`` for ``easy``."""
    return f"DataSelect-{task_id.capitalize()}-v{VERSION}"


def register_tasks() -> None:
    """Register every built-in task under its own id, and ``ANY_TASK``."""
    for name, task_id in {**{env_id(task_id): task_id for task_id in BUILT_IN}, ANY_TASK: DEFAULT_TASK}.items():
        if name not in registry:  # the module may have been reloaded
            register(
                name,
                entry_point="dataselect_env.gym.env:DataSelectGymEnv",
                vector_entry_point="dataselect_env.gym.vector:DataSelectVectorEnv",
                kwargs={"task_id": task_id},
            )
