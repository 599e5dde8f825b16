"""DataSelectEnv: an OpenEnv reinforcement-learning environment for data curation under a budget."""

from dataselect_env._version import __version__
from dataselect_env.env import DataSelectEnv
from dataselect_env.models import Action, Grade, Reply, State, StrategyWeights

__all__ = ["Action", "DataSelectEnv", "Grade", "Reply", "State", "StrategyWeights", "__version__"]
