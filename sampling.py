"""The query strategies, under the name that the environment's users look for."""

from dataselect_env.core.strategies.sampling import (
    STRATEGIES,
    entropy,
    highest,
    quotas,
    select,
    squared_distance,
    trap_strength,
)

__all__ = ["STRATEGIES", "entropy", "highest", "quotas", "select", "squared_distance", "trap_strength"]
