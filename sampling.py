"""The query strategies, under the name that the environment's users look for."""

from dataselect_env.sampling import STRATEGIES, distance, entropy, highest, quotas, select, trap_strength

__all__ = ["STRATEGIES", "distance", "entropy", "highest", "quotas", "select", "trap_strength"]
