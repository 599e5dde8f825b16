"""What the commands share: how they speak, how they refuse, and how they find policies.

Nothing heavy is imported before it is needed, so that ``--help`` answers at once.
"""
# ruff: noqa: PLC0415  (for the same reason)

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import click

from dataselect_env.core.errors import EnvError

AnyCommand = TypeVar("AnyCommand", bound=Callable[..., object])

if TYPE_CHECKING:
    from dataselect_env.policies.policy import AnyPolicy

REWARD_MODES = ("shaped", "grade")
"""As ``models.RewardMode`` has them, the default first; a test holds the two together."""


def reward_mode_option(meaning: str) -> Callable[[AnyCommand], AnyCommand]:
    """Return the option ``--reward-mode`` with this help."""
    modes = click.Choice(REWARD_MODES)
    return click.option("--reward-mode", type=modes, default=REWARD_MODES[0], show_default=True, help=meaning)


class UsageError(click.ClickException):
    """Something that the user can put right: a sentence on stderr and exit code 2."""

    exit_code = 2


def find_policy(name: str) -> AnyPolicy:
    """Return the policy of this name; for ``module:attribute`` the working directory is searched last.

    Raises:
        click.BadParameter: There is no such policy, or it cannot be imported.
    """
    from dataselect_env.policies import get_policy

    if ":" in name and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        return get_policy(name)
    except EnvError as error:
        raise click.BadParameter(error.message.removeprefix("policy: ")) from error


def say(text: str) -> None:
    """Print to stdout: colours only in a terminal that wants them, ASCII where the encoding has nothing better."""
    from dataselect_env.rendering.terminal import ASCII

    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(ASCII).encode(encoding, errors="replace").decode(encoding)
    click.echo(text, color=False if os.environ.get("NO_COLOR") else None)


@contextmanager
def progress(length: int, label: str) -> Iterator[Callable[[int], None] | None]:
    """Give a function that moves a progress bar on; None where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield bar.update
