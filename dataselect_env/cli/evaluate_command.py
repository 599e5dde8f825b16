"""The command ``evaluate``: compare policies on many seeds."""
# ruff: noqa: PLC0415  (modules are imported on use, so that --help answers at once)

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataselect_env.cli.console import (
    Command,
    Interrupted,
    UsageError,
    divided,
    find_policy,
    progress,
    reward_mode_option,
    say,
)
from dataselect_env.cli.output_files import DEFAULT_JSON, DEFAULT_PLOT, FILE, Targets, choose_targets, write
from dataselect_env.cli.remote_options import playable, remote_options, remote_player
from dataselect_env.cli.task_options import data_options, task_file_option, task_from_options
from dataselect_env.cli.worker_options import worker_options, workers
from dataselect_env.core.tasks import BUILT_IN, PINNED, SEALED, SEED_LIMIT, SPLITS, TASKS, get_split, get_task

if TYPE_CHECKING:
    from dataselect_env.core.models import RewardMode
    from dataselect_env.evaluation.cluster import Cluster
    from dataselect_env.evaluation.evaluate import Plan
    from dataselect_env.evaluation.records import EpisodeRecord
    from dataselect_env.integrations.remote_player import RemotePlayer

DEFAULT_REFERENCE = "best-constant"
GROUP_TITLES = {
    "ladder": "From doing nothing to oracles",
    "reference": "Honest policies and oracles",
    "degenerate": "Reward-hacking policies",
}
"""Meaning of each group of policies in the help, besides the group ``all``."""


class EvaluateCommand(Command):
    """The command ``evaluate``; its help lists the groups of policies."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the groups with their members."""
        from dataselect_env.policies import GROUPS

        with formatter.section("Groups of policies"):
            members = [(name, f"{title}: {', '.join(GROUPS[name])}.") for name, title in GROUP_TITLES.items()]
            formatter.write_dl([*members, ("all", "All of them.")])
        super().format_epilog(ctx, formatter)


def policy_names(_ctx: click.Context, _param: click.Parameter, text: str) -> tuple[str, ...]:
    """Return the names of the policies in an option, groups expanded; all of them exist."""
    from dataselect_env.policies import expand

    names = expand(_names(text))
    for name in names:
        find_policy(name)
    return names


def task_names(_ctx: click.Context, _param: click.Parameter, text: str | None) -> tuple[str, ...] | None:
    """Return the names of the tasks in an option, in the order of ``TASKS``; None if the option is not given."""
    if text is None:
        return None
    names = _names(text)
    unknown = [name for name in names if name not in (*TASKS, "all")]
    if unknown:
        raise click.BadParameter(f"there is no task {unknown[0]}; choose all or some of {', '.join(TASKS)}")
    return tuple(task for task in TASKS if task in names or "all" in names)


def _names(text: str) -> list[str]:
    names = divided(text)
    if not names:
        raise click.BadParameter("name at least one")
    return names


def seed_range(split: str | None, first_seed: int | None, seeds: int) -> tuple[int, ...]:
    """Return ``seeds`` consecutive seeds from ``first_seed``, by default from the start of the split.

    On a sealed split, they are indices.

    Raises:
        UsageError: The split does not have them, or they exceed 2^32 - 1.
    """
    if split == SEALED:
        return tuple(range(first_seed or 0, (first_seed or 0) + seeds))
    first = get_split(split or "test").first_seed if first_seed is None else first_seed
    chosen = tuple(range(first, first + seeds))
    if chosen[-1] >= SEED_LIMIT:
        raise UsageError(f"--first-seed: seeds end at {SEED_LIMIT - 1}")
    if split is not None and not (chosen[0] in SPLITS[split] and chosen[-1] in SPLITS[split]):
        last = SPLITS[split].first_seed + SPLITS[split].seeds - 1
        raise UsageError(
            f"--split: {split} has the seeds {SPLITS[split].first_seed} to {last}, not {first} to {chosen[-1]}"
        )
    return chosen


def reference_of(policies: tuple[str, ...], wanted: str | None) -> str | None:
    """Return the policy to compare with: ``wanted``, or the default if it is evaluated.

    Raises:
        UsageError: ``wanted`` is not evaluated.
    """
    if wanted is None:
        return DEFAULT_REFERENCE if DEFAULT_REFERENCE in policies else None
    if wanted not in policies:
        raise UsageError(f"--reference: {wanted} is not among the policies evaluated ({', '.join(policies)})")
    return wanted


def chosen_tasks(tasks: tuple[str, ...] | None, own: str | None) -> tuple[str, ...]:
    """Return the tasks to play: those of ``--tasks`` and ``--data``, else those of a task file, else all."""
    if own is not None:
        return tuple(dict.fromkeys((*(tasks or ()), own)))
    return tasks or tuple(TASKS)[len(BUILT_IN) :] or tuple(TASKS)


def with_strategies(policies: tuple[str, ...], tasks: tuple[str, ...]) -> tuple[str, ...]:
    """Return the policies; a full ladder is extended by one policy for each extra strategy of the tasks."""
    from dataselect_env.policies import GROUPS

    if not set(GROUPS["ladder"]) <= set(policies):
        return policies
    extra = (name for task in tasks for name in get_task(task).extra_strategies)
    return tuple(dict.fromkeys((*policies, *extra)))


@click.command(cls=EvaluateCommand)
@task_file_option
@data_options
@click.option(
    "--policies",
    default="ladder",
    show_default=True,
    callback=policy_names,
    help="Policies and groups of policies, separated by commas; your own as module:attribute.",
)
@click.option(
    "--tasks",
    callback=task_names,
    help="Tasks, separated by commas, or all. Default: that of --data, those of --task-file, or all.",
)
@click.option("--seeds", type=click.IntRange(2, 100_000), default=50, show_default=True, help="Seeds per task.")
@click.option(
    "--split", type=click.Choice([*SPLITS, SEALED]), help=f"Split of the seeds. Default: test. {SEALED} needs --url."
)
@click.option(
    "--first-seed",
    type=click.IntRange(0, SEED_LIMIT - 1),
    help=f"First seed. Default: that of the split. In the split {SEALED} the first index, by default 0.",
)
@worker_options
@remote_options
@reward_mode_option("Rewards that make up the return.")
@click.option(
    "--reference", help=f"Policy to compare the others with. Default: {DEFAULT_REFERENCE}, if it is evaluated."
)
@click.option(
    "--json",
    "json_file",
    type=FILE,
    default=DEFAULT_JSON,
    show_default=True,
    help="File for the report.",
)
@click.option(
    "--plot",
    "plot_file",
    type=FILE,
    help=f"File for the picture: .png, .svg or .pdf. Default: {DEFAULT_PLOT}, if matplotlib is installed.",
)
@click.option("--no-files", is_flag=True, help="Write neither report nor picture.")
@click.option("--resume", type=FILE, help="Keep finished episodes in this file, and skip those that it already has.")
@click.option(
    "--record",
    type=FILE,
    help="File for a record of all episodes, which dataselect-env verify checks. Compressed if it ends in .gz.",
)
def evaluate(
    *,
    policies: tuple[str, ...],
    tasks: tuple[str, ...] | None,
    seeds: int,
    split: str | None,
    first_seed: int | None,
    processes: int | None,
    ray: str | None,
    reward_mode: RewardMode,
    reference: str | None,
    json_file: Path,
    plot_file: Path | None,
    no_files: bool,
    resume: Path | None,
    record: Path | None,
    url: str | None,
    agent: str | None,
    agent_token_file: Path | None,
    server_order: bool,
    **data: Any,
) -> None:
    """Compare policies on many seeds of each task.

    On your own table: dataselect-env evaluate --data mine.csv --target label --noise 0.2

    Prints the mean score with its 95 % interval, the pass rate, performance, noise ratio, samples bought, return, and
    the difference in score to a reference, paired by seed. Writes the same as JSON and as a picture. The figures do not
    depend on the number of processes, nor on whether they are those of a Ray cluster.
    """
    from dataselect_env.custom.task_file import data_report
    from dataselect_env.evaluation.evaluate import Plan
    from dataselect_env.policies import own_module

    remote = remote_player(url, split, agent, agent_token_file, policies)
    if ray is not None and url is not None:
        raise UsageError("--ray: not together with --url, where the server plays the episodes")
    if server_order and (split != SEALED or first_seed is not None):
        raise UsageError(f"--server-order: is for the split {SEALED}, without --first-seed")
    chosen = seed_range(split, first_seed, seeds)
    targets = choose_targets(json_file, plot_file, record, resume=resume, data=data["data"], no_files=no_files)
    own = task_from_options(data)
    if own is not None and (table := data_report(own)) is not None:
        click.echo(table.summary(), err=True)
    names = chosen_tasks(tasks, own)
    policies = with_strategies(policies, names) if remote is None else playable(policies)
    compared = reference_of(policies, reference)
    try:
        with workers(processes, ray, modules=map(own_module, policies)) as chosen_workers:
            best = best_constants(names, chosen_workers) if DEFAULT_REFERENCE in policies else {}
            plan = Plan(
                policies=policies,
                tasks=names,
                seeds=chosen,
                reward_mode=reward_mode,
                best_constants=best,
                host=None if remote is None else remote.host,
                server_order=server_order,
            )
            report_absent(plan)
            records = play(plan, chosen_workers, resume, remote)
    except KeyboardInterrupt as error:
        go_on = "Run the same command again to continue" if resume else "With --resume FILE a run can be continued"
        raise Interrupted(f"Interrupted. {go_on}.") from error
    conclude(plan, records, compared, targets)


def best_constants(tasks: tuple[str, ...], processes: int | Cluster) -> dict[str, str]:
    """Return the best constant policy of each task that is not pinned, found on seeds of the train split."""
    from dataselect_env.evaluation.tuning import episode_count, find_best_constant

    found = {}
    for task in tasks:
        if task not in PINNED:
            with progress(episode_count(task), f"Finding the best constant for {task}") as advance:
                found[task] = find_best_constant(task, processes=processes, progress=advance)
    return found


def report_absent(plan: Plan) -> None:
    """Say on stderr which policies cannot play which tasks.

    Raises:
        UsageError: No policy can play any task.
    """
    from dataselect_env.policies import plays

    for task in plan.tasks:
        absent = [name for name in plan.policies if not plays(name, get_task(task))]
        if absent:
            click.echo(f"Not on {task}, which does not offer what they need: {', '.join(absent)}.", err=True)
    if not len(plan):
        raise UsageError("--policies: none of them can play any of the tasks")


def play(plan: Plan, processes: int | Cluster, resume: Path | None, remote: RemotePlayer | None) -> list[EpisodeRecord]:
    """Play a plan with a progress bar."""
    from dataselect_env.evaluation.evaluate import evaluate

    with progress(len(plan), "Playing episodes") as advance:
        return evaluate(plan, processes=processes, resume=resume, progress=advance, player=remote)


def conclude(plan: Plan, records: list[EpisodeRecord], reference: str | None, targets: Targets) -> None:
    """Print the report, and write the files."""
    from dataselect_env.cli.ladder import ladder_table
    from dataselect_env.evaluation.ladder import build_report, has_report

    if len(records) < len(plan):
        refused = len(plan) - len(records)
        click.echo(f"{refused} of {len(plan)} episodes are left out: the agent had its attempt before.", err=True)
    report = build_report(plan, records, reference) if has_report(records) else None
    say("Too few episodes are left for a report." if report is None else ladder_table(report))
    write(targets, plan, records, report)
