"""The command line, ``dataselect-env``: serve, baseline and play.

Each command imports what it needs when it runs, so that ``--help`` answers at once.
"""
# ruff: noqa: PLC0415  (for the same reason)

from __future__ import annotations

import dataclasses
import os
import sys
import traceback
from typing import TYPE_CHECKING

import click

from dataselect_env._version import __version__
from dataselect_env.errors import EnvError
from dataselect_env.tasks import DEFAULT_TASK, SEED_LIMIT, TASKS, Task, get_task

if TYPE_CHECKING:
    import numpy as np

    from dataselect_env.baseline import BaselineReport
    from dataselect_env.models import Action, Reply, RewardMode
    from dataselect_env.policies import Act, Policy

REWARD_MODES = ("shaped", "grade")
LONGEST_REASON = 300
"""Characters of a policy's own error that are shown."""


class Mistake(click.ClickException):
    """Something that the user can put right: a sentence on stderr and exit code 2."""

    exit_code = 2


class PlayCommand(click.Command):
    """The command ``play``; its help lists the reference policies."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the reference policies with their descriptions."""
        from dataselect_env.policies import POLICIES

        with formatter.section("Policies"):
            formatter.write_dl([(policy.name, policy.description) for policy in POLICIES.values()])
        super().format_epilog(ctx, formatter)


def find_policy(_ctx: click.Context, _param: click.Parameter, name: str) -> Policy:
    """Return the policy that an option names; for ``module:attribute`` the working directory is searched last.

    Raises:
        click.BadParameter: There is no such policy, or it cannot be imported.
    """
    from dataselect_env.policies import get_policy

    own = ":" in name
    if own and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        policy = get_policy(name)
    except EnvError as error:
        raise click.BadParameter(error.message.removeprefix("policy: ")) from error
    return guarded(policy) if own else policy


def guarded(policy: Policy) -> Policy:
    """Return the policy with its own exceptions as a sentence that says where they were raised."""

    def start(task: Task, rng: np.random.Generator) -> Act:
        def guarded_act(reply: Reply) -> Action:
            try:
                return act(reply)
            except Exception as error:
                raise _failure(policy, error) from error

        try:
            act = policy.start(task, rng)
        except Exception as error:
            raise _failure(policy, error) from error
        return guarded_act

    return dataclasses.replace(policy, start=start)


def _failure(policy: Policy, error: Exception) -> Mistake:
    frames = traceback.extract_tb(error.__traceback__)
    source = getattr(sys.modules.get(policy.start.__module__), "__file__", None)
    own = [frame for frame in frames if frame.filename == source] or frames
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_REASON]
    return Mistake(f"policy {policy.name} failed in {own[-1].filename}, line {own[-1].lineno}: {reason}")


def say(text: str) -> None:
    """Print to stdout: colours only in a terminal that wants them, ASCII where the encoding has nothing better."""
    from dataselect_env.terminal import ASCII

    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(ASCII).encode(encoding, errors="replace").decode(encoding)
    click.echo(text, color=False if os.environ.get("NO_COLOR") else None)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dataselect-env")
def main() -> None:
    """DataSelectEnv: data curation under a budget, as a reinforcement-learning environment."""


@main.command()
@click.option("--host", help="Address to listen on; default DATASELECT_HOST, or all addresses.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Port to listen on; default PORT, or 7860.")
@click.option("--store", help="Where episodes are kept: sqlite:///relative.db, sqlite:////absolute.db or memory:.")
def serve(host: str | None, port: int | None, store: str | None) -> None:
    """Serve the environment over HTTP and WebSocket."""
    from dataselect_env import app
    from dataselect_env.settings import Settings, SettingsError

    try:
        app.serve(Settings.load(host=host, port=port, store=store))
    except SettingsError as error:
        raise Mistake(str(error)) from error


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, as GET /baseline answers it.")
def baseline(as_json: bool) -> None:
    """Compare the reference policies.

    They play all tasks at the fixed seeds of GET /baseline; this takes some seconds.
    """
    from dataselect_env.terminal import baseline_table

    report = _report()
    say(report.model_dump_json(indent=2) if as_json else baseline_table(report))


def _report() -> BaselineReport:
    """Return the baseline report, with a progress bar where stderr is a terminal."""
    from dataselect_env.baseline import baseline_report, episode_count

    if not sys.stderr.isatty():
        return baseline_report()
    with click.progressbar(length=episode_count(), label="Playing episodes", file=sys.stderr) as progress:
        return baseline_report(progress.update)


@main.command(cls=PlayCommand)
@click.option("--task", type=click.Choice(list(TASKS)), default=DEFAULT_TASK, show_default=True, help="Task to play.")
@click.option(
    "--policy",
    default="balanced",
    show_default=True,
    callback=find_policy,
    help="One of the policies below, or your own as module:attribute.",
)
@click.option("--seed", type=click.IntRange(0, SEED_LIMIT - 1), help="Seed of the episode; default: drawn and shown.")
@click.option(
    "--reward-mode",
    type=click.Choice(REWARD_MODES),
    default="shaped",
    show_default=True,
    help="shaped: the formula and a terminal term. grade: rewards add up to the grade.",
)
def play(task: str, policy: Policy, seed: int | None, reward_mode: RewardMode) -> None:
    """Show one episode step by step."""
    from dataselect_env import rollout, terminal

    chosen = get_task(task)
    replies = rollout.play(policy, task, seed, reward_mode=reward_mode)
    last = next(replies)
    say(terminal.header(chosen, policy, last, reward_mode))
    episode_return = 0.0
    try:
        for reply in replies:
            say(terminal.step(chosen, last, reply))
            episode_return += reply.reward or 0.0
            last = reply
    except EnvError as error:  # the policy answered with something that is no action
        raise Mistake(error.message) from error
    say(f"\n{terminal.verdict(chosen, last, episode_return)}")
