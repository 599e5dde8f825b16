"""The environment and its wire types, re-exported where OpenEnv tools look for them."""

from dataselect_env import Action, DataSelectEnv, Grade, Reply, State, StrategyWeights

__all__ = ["Action", "DataSelectEnv", "Grade", "Reply", "State", "StrategyWeights"]
