"""Query strategies: rankings of a pool, filters on given labels before them, and the registry of both."""

from dataselect_env.core.strategies.candidates import Candidates, Utilities
from dataselect_env.core.strategies.filters import LabelFilter
from dataselect_env.core.strategies.registry import Strategy, get_strategy, register, register_filter

__all__ = [
    "Candidates",
    "LabelFilter",
    "Strategy",
    "Utilities",
    "get_strategy",
    "register",
    "register_filter",
]
