"""Gymnasium's ids for the tasks, registered as soon as both this package and Gymnasium are there, in either order.

``gymnasium.make("dataselect_env:DataSelect-Easy-v0")`` imports the package and expects the id to be registered then.
The package must not import Gymnasium for that, which takes far longer than the package itself; nor is it enough to look
whether Gymnasium is imported already, for the package may well be imported first and is not executed a second time. So
in that case a finder waits for the import of Gymnasium; it goes away as soon as it has done its work.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

VERSION = 0
"""Version of the ids; rises when results under the old ids cannot be compared with new ones."""
ANY_TASK = f"DataSelect-v{VERSION}"
"""The id that takes any task, as ``task_id``."""


def env_id(task_id: str) -> str:
    """Return the id of a task: ``DataSelect-Easy-v0`` for ``easy``."""
    return f"DataSelect-{task_id.capitalize()}-v{VERSION}"


def offer() -> None:
    """Register the tasks now when Gymnasium is imported, and otherwise when it will be."""
    if "gymnasium" in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _Waiting())


def _register() -> None:
    from gymnasium.envs.registration import register, registry  # noqa: PLC0415  (Gymnasium is an extra)

    from dataselect_env.core.tasks import BUILT_IN, DEFAULT_TASK  # noqa: PLC0415  (only needed here)

    for name, task_id in {**{env_id(task_id): task_id for task_id in BUILT_IN}, ANY_TASK: DEFAULT_TASK}.items():
        if name not in registry:
            register(
                name,
                entry_point="dataselect_env.gym.gym_env:DataSelectGymEnv",
                vector_entry_point="dataselect_env.gym.gym_vector:DataSelectVectorEnv",
                kwargs={"task_id": task_id},
            )


class _Waiting:
    """A finder that finds Gymnasium where the other finders do, and registers the tasks once it is loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return Gymnasium's spec with a loader that comes back here; None for every other module."""
        if fullname != "gymnasium":
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        spec = next(filter(None, (finder.find_spec(fullname, path, target) for finder in others)), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self)  # type: ignore[assignment]
        return spec


class _Loader:
    """Gymnasium's own loader, but for what follows the execution of the module."""

    def __init__(self, loader: Any, waiting: _Waiting) -> None:
        self._loader = loader
        self._waiting = waiting

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module, leave no trace in it, and register the tasks."""
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        if self._waiting in sys.meta_path:
            sys.meta_path.remove(self._waiting)
        _register()
