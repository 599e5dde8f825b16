"""The contracts of plug-ins as tests: checks that authors of strategies, policies, sources, stores and clients can run.

Each check returns None when the plug-in keeps the contract, and otherwise raises an AssertionError that says which rule
is broken, by which input, and where the rule is documented. The checks need no test framework.

    from dataselect_env.testing import check_strategy

    def test_my_strategy():
        check_strategy(my_strategy)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataselect_env.testing.environments import check_env
    from dataselect_env.testing.policies import check_policy
    from dataselect_env.testing.sources import check_source
    from dataselect_env.testing.stores import check_store
    from dataselect_env.testing.strategies import check_strategy

__all__ = ["check_env", "check_policy", "check_source", "check_store", "check_strategy"]

_MODULES = {
    "check_env": "environments",
    "check_policy": "policies",
    "check_source": "sources",
    "check_store": "stores",
    "check_strategy": "strategies",
}


def __getattr__(name: str) -> object:
    """Import a check on first use: ``check_store`` alone loads parts of the server."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    """List the checks, for tab completion."""
    return __all__
