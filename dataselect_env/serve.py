"""``server`` and ``python server.py``: the command ``dataselect-env serve`` under names that OpenEnv tools know."""

from dataselect_env.cli import serve as main

__all__ = ["main"]
