"""Parts that the commands share: refusals, output, progress bars and the lookup of policies.

Heavy modules are imported on first use, so that ``--help`` answers at once.
"""
# ruff: noqa: PLC0415  (for the same reason)

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

AnyCommand = TypeVar("AnyCommand", bound=Callable[..., object])

if TYPE_CHECKING:
    from dataselect_env.policies.policy import AnyPolicy

REWARD_MODES = ("shaped", "grade")
"""The values of ``models.RewardMode``, the default first; a test compares the two."""


class UsageError(click.ClickException):
    """A wrong value that the user can correct: one sentence on stderr and exit code 2."""

    exit_code = 2


class Interrupted(click.ClickException):
    """The user pressed Ctrl-C: one sentence on stderr and the exit code that shells give for SIGINT."""

    exit_code = 130

    def show(self, file: Any = None) -> None:
        """Print the sentence."""
        click.echo(self.message, file=file, err=file is None)


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turn exceptions that stand for a user's wrong value into a :class:`UsageError`."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:
        from dataselect_env.core.errors import EnvError
        from dataselect_env.custom.task_file import TaskFileError
        from dataselect_env.server.settings import SettingsError

        if not isinstance(error, EnvError | TaskFileError | SettingsError):
            raise
        raise UsageError(str(error)) from error


@contextmanager
def named_options(**settings: object) -> Iterator[dict[str, Any]]:
    """Yield the settings that options give; what is wrong with one is reported under the option's name.

    Args:
        settings: Values by the name of the setting, None where the option is not given.
    """
    from dataselect_env.server.settings import ENV_PREFIX, SettingsError

    given = {name: value for name, value in settings.items() if value is not None}
    try:
        yield given
    except SettingsError as error:
        variable, colon, reason = str(error).partition(": ")
        name = variable.removeprefix(ENV_PREFIX).lower()
        option = {"tasks": "task-file"}.get(name, name)
        raise UsageError(f"--{option}: {reason}" if colon and name in given else str(error)) from error


class Command(click.Command):
    """A command that answers wrong values with a usage error, both in its options and while it runs."""

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Parse the options."""
        with usage_errors():
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with usage_errors():
            return super().invoke(ctx)


class Commands(click.Group):
    """A group of such commands."""

    command_class = Command


def reward_mode_option(meaning: str) -> Callable[[AnyCommand], AnyCommand]:
    """Return the option ``--reward-mode`` with this help."""
    modes = click.Choice(REWARD_MODES)
    return click.option("--reward-mode", type=modes, default=REWARD_MODES[0], show_default=True, help=meaning)


def find_policy(name: str) -> AnyPolicy:
    """Return the policy of this name; the working directory is the last place where ``module:attribute`` is looked up.

    Raises:
        InvalidInput: There is no such policy, or it cannot be imported.
    """
    from dataselect_env.policies import get_policy

    if ":" in name and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    return get_policy(name)


def divided(text: str) -> list[str]:
    """Return the parts of a comma-separated option."""
    return [part for name in text.split(",") if (part := name.strip())]


def say(text: str) -> None:
    """Print to stdout: in colour only where a terminal supports it, in ASCII where the encoding has no Unicode."""
    from dataselect_env.rendering.terminal import ASCII

    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(ASCII).encode(encoding, errors="replace").decode(encoding)
    click.echo(text, color=False if os.environ.get("NO_COLOR") else None)


@contextmanager
def progress(length: int, label: str) -> Iterator[Callable[[int], None] | None]:
    """Yield a function that advances a progress bar, None where stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield bar.update
