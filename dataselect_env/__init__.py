"""DataSelectEnv: an OpenEnv reinforcement-learning environment for data curation under a budget."""

from importlib import import_module
from typing import TYPE_CHECKING

from dataselect_env import registration
from dataselect_env._version import __version__

if TYPE_CHECKING:
    from dataselect_env.env import DataSelectEnv
    from dataselect_env.models import Action, Grade, Reply, State, StrategyWeights
    from dataselect_env.taskfile import load_tasks

__all__ = ["Action", "DataSelectEnv", "Grade", "Reply", "State", "StrategyWeights", "__version__", "load_tasks"]

_ROOMS = {"DataSelectEnv": "env", "load_tasks": "taskfile"}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for: ``dataselect-env --help`` needs no scikit-learn."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"dataselect_env.{_ROOMS.get(name, 'models')}"), name)


registration.offer()
