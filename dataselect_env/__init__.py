"""DataSelectEnv: an OpenEnv reinforcement-learning environment for data curation under a budget."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "1.0.0"
"""The version of the package, of openenv.yaml and of the OpenAPI document."""

if TYPE_CHECKING:
    from dataselect_env.core.env import DataSelectEnv
    from dataselect_env.core.models import Action, Grade, Reply, State, StrategyWeights
    from dataselect_env.custom.task_file import load_frame, load_tasks

__all__ = [
    "Action",
    "DataSelectEnv",
    "Grade",
    "Reply",
    "State",
    "StrategyWeights",
    "__version__",
    "load_frame",
    "load_tasks",
]

_MODULES = {"DataSelectEnv": "core.env", "load_frame": "custom.task_file", "load_tasks": "custom.task_file"}


def __getattr__(name: str) -> object:
    """Import a public name on first use, so that ``dataselect-env --help`` loads no scikit-learn."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"dataselect_env.{_MODULES.get(name, 'core.models')}"), name)


def __dir__() -> list[str]:
    """List the public names, for tab completion."""
    return __all__


if "gymnasium" in sys.modules:  # gymnasium.make("dataselect_env:DataSelect-Hard-v0") imports this package for its ids
    import_module("dataselect_env.gym")
