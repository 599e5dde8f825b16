"""The command line, ``dataselect-env``: agents, chats, curate, serve, mcp, baseline, play, evaluate, verify and tasks.

Each command imports what it needs when it runs, so that ``--help`` answers at once.
"""
# ruff: noqa: PLC0415  (for the same reason)

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dataselect_env import __version__
from dataselect_env.cli.agents_command import agents
from dataselect_env.cli.chats_command import chats
from dataselect_env.cli.console import (
    Command,
    Commands,
    UsageError,
    find_policy,
    named_options,
    progress,
    reward_mode_option,
    say,
)
from dataselect_env.cli.curate_command import curate
from dataselect_env.cli.evaluate_command import evaluate
from dataselect_env.cli.task_options import TaskName, task_file_option
from dataselect_env.cli.tasks_command import tasks
from dataselect_env.cli.verify_command import verify
from dataselect_env.core.tasks import DEFAULT_TASK, SEED_LIMIT, get_task

if TYPE_CHECKING:
    from dataselect_env.core.models import RewardMode
    from dataselect_env.policies.policy import AnyPolicy


class PlayCommand(Command):
    """The command ``play``; its help lists the policies."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the policies with their descriptions."""
        from dataselect_env.policies import GROUPS, POLICIES

        for title, group in (("Policies", "reference"), ("Reward-hacking policies", "degenerate")):
            with formatter.section(title):
                formatter.write_dl([(name, POLICIES[name].description) for name in GROUPS[group]])
        super().format_epilog(ctx, formatter)


def policy_of(_ctx: click.Context, _param: click.Parameter, name: str) -> AnyPolicy:
    """Return the policy that an option names; exceptions of a user's own policy become one sentence."""
    from dataselect_env.policies.policy import guarded

    policy = find_policy(name)
    return guarded(policy) if ":" in name else policy


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dataselect-env")
def main() -> None:
    """DataSelectEnv: a reinforcement-learning environment for data curation under a budget."""


@main.command()
@click.option("--host", help="Address to listen on. Default: DATASELECT_HOST, or all addresses.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Port to listen on. Default: PORT, or 7860.")
@click.option(
    "--store",
    help="Episode store: sqlite:///relative.db, sqlite:////absolute.db or memory:. "
    "Default: a file in the user's data folder.",
)
@click.option("--workers", type=click.IntRange(1, 64), help="Server processes. Default: DATASELECT_WORKERS, or 1.")
@click.option("--task-file", help="YAML file with your own tasks. Default: DATASELECT_TASKS, or none.")
def serve(host: str | None, port: int | None, store: str | None, workers: int | None, task_file: str | None) -> None:
    """Serve the environment over HTTP and WebSocket."""
    from dataselect_env.server import app
    from dataselect_env.server.settings import Settings

    with named_options(host=host, port=port, store=store, workers=workers, tasks=task_file) as given:
        app.serve(Settings.load(**given))


@main.command()
@click.option(
    "--url", help="Address of a running server to play on, with or without /ws. Default: play in this process."
)
@click.option("--store", help="Episode store of this process, as for serve.")
def mcp(url: str | None, store: str | None) -> None:
    """Serve MCP tools over stdin and stdout.

    For clients of the Model Context Protocol that start their servers themselves. Over HTTP, the command serve has the
    same tools at /mcp.
    """
    import sys

    from dataselect_env.integrations.remote import websocket_url
    from dataselect_env.server.mcp import stdio
    from dataselect_env.server.settings import Settings

    try:
        with named_options(store=store) as given:
            backend = stdio.in_process(Settings.load(**given)) if url is None else stdio.at_server(websocket_url(url))
            with backend as ask:
                stdio.converse(ask, sys.stdin.buffer, sys.stdout.buffer)
    except stdio.ServerUnreachable as error:
        raise UsageError(f"--url: the server cannot be reached: {error}") from error


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, in the format of GET /baseline.")
def baseline(as_json: bool) -> None:
    """Compare five simple policies on fixed seeds.

    Plays easy, medium and hard at the seeds of GET /baseline; this takes a few seconds.
    """
    from dataselect_env.evaluation.baseline import baseline_report, episode_count
    from dataselect_env.rendering.terminal import baseline_table

    with progress(episode_count(), "Playing episodes") as advance:
        report = baseline_report(advance)
    say(report.model_dump_json(indent=2) if as_json else baseline_table(report))


@main.command(cls=PlayCommand)
@task_file_option
@click.option("--task", type=TaskName(), default=DEFAULT_TASK, show_default=True, help="Task to play.")
@click.option(
    "--policy",
    default="balanced",
    show_default=True,
    callback=policy_of,
    help="One of the policies below, or your own as module:attribute.",
)
@click.option("--seed", type=click.IntRange(0, SEED_LIMIT - 1), help="Seed of the episode. Default: a random one.")
@reward_mode_option("shaped: reward formula plus a terminal term. grade: rewards add up to the grade.")
def play(task: str, policy: AnyPolicy, seed: int | None, reward_mode: RewardMode) -> None:
    """Play one episode and show it step by step."""
    from dataselect_env.core.problem import as_described
    from dataselect_env.evaluation import rollout
    from dataselect_env.rendering import terminal

    replies = rollout.play(policy, task, seed, reward_mode=reward_mode)
    last = next(replies)
    chosen = as_described(get_task(task), last.problem)
    say(terminal.header(chosen, policy, last, reward_mode))
    episode_return = 0.0
    for reply in replies:
        say(terminal.step(chosen, last, reply))
        episode_return += reply.reward or 0.0
        last = reply
    say(f"\n{terminal.verdict(chosen, last, episode_return)}")


main.add_command(agents)
main.add_command(chats)
main.add_command(curate)
main.add_command(evaluate)
main.add_command(tasks)
main.add_command(verify)
