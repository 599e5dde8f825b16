"""DataSelectEnv: an OpenEnv reinforcement-learning environment for data curation under a budget."""

from importlib import import_module
from typing import TYPE_CHECKING

from dataselect_env._version import __version__
from dataselect_env.gym import registration

if TYPE_CHECKING:
    from dataselect_env.core.env import DataSelectEnv
    from dataselect_env.core.models import Action, Grade, Reply, State, StrategyWeights
    from dataselect_env.custom.taskfile import load_tasks

__all__ = ["Action", "DataSelectEnv", "Grade", "Reply", "State", "StrategyWeights", "__version__", "load_tasks"]

_ROOMS = {"DataSelectEnv": "core.env", "load_tasks": "custom.taskfile"}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for: ``dataselect-env --help`` needs no scikit-learn."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"dataselect_env.{_ROOMS.get(name, 'core.models')}"), name)


registration.offer()
