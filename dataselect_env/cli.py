"""The command line, ``dataselect-env``: serve, baseline and play.

Each command imports what it needs when it runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from dataselect_env.errors import EnvError

if TYPE_CHECKING:
    from dataselect_env.policies import Policy

P = ParamSpec("P")
T = TypeVar("T")

REWARD_MODES = ("shaped", "grade")


class Mistake(click.ClickException):
    """Something that the user can put right: one sentence on stderr, exit code 2."""

    exit_code = 2


class Commands(click.Group):
    """A group whose commands answer a caller's errors with a sentence."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except EnvError as error:
            raise Mistake(error.message) from error


class PolicyType(click.ParamType):
    """The name of a reference policy, or ``module:attribute``; the working directory is searched too."""

    name = "policy"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Policy:
        """Return the policy of this name, or fail with a sentence."""
        from dataselect_env.policies import get_policy

        name = str(value)
        if ":" not in name:
            return self._get(get_policy, name, param, ctx)
        sys.path.append(os.getcwd())  # last, so that a file there stands in for no installed module
        return guarded(self._get(get_policy, name, param, ctx))
