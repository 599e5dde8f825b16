"""The environment and what it speaks, under the name that OpenEnv tools look for."""

from dataselect_env import Action, DataSelectEnv, Grade, Reply, State, StrategyWeights

__all__ = ["Action", "DataSelectEnv", "Grade", "Reply", "State", "StrategyWeights"]
