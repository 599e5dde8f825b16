"""The query strategies, re-exported from ``dataselect_env.core.strategies.sampling``."""

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
