"""The command ``evaluate``: compare policies on many seeds."""
# ruff: noqa: PLC0415  (what it needs is imported when it runs, so that --help answers at once)

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from dataselect_env.cli.console import UsageError, find_policy, progress, reward_mode_option, say
from dataselect_env.cli.own import data_options, task_file_option, task_from_options
from dataselect_env.core.errors import EnvError
from dataselect_env.core.tasks import BUILT_IN, SEED_LIMIT, SPLITS, TASKS, get_split, get_task

if TYPE_CHECKING:
    from dataselect_env.core.models import RewardMode
    from dataselect_env.evaluation.evaluate import Plan
    from dataselect_env.evaluation.journal import EpisodeRecord

DEFAULT_REFERENCE = "best-constant"
DEFAULT_JSON = "evaluation.json"
DEFAULT_PLOT = "evaluation.png"
FILE = click.Path(dir_okay=False, path_type=Path)


class EvaluateCommand(click.Command):
    """The command ``evaluate``; its help lists the groups of policies."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the groups with their members."""
        from dataselect_env.policies import GROUPS

        with formatter.section("Groups of policies"):
            members = {name: ", ".join(group) for name, group in GROUPS.items() if name != "all"}
            formatter.write_dl([("all", "All of them."), *members.items()])
        super().format_epilog(ctx, formatter)


def policy_names(_ctx: click.Context, _param: click.Parameter, text: str) -> tuple[str, ...]:
    """Return the names of an option's policies, groups expanded; all of them exist."""
    from dataselect_env.policies import expand

    names = expand(_divided(text))
    for name in names:
        find_policy(name)
    return names


def task_names(_ctx: click.Context, _param: click.Parameter, text: str | None) -> tuple[str, ...] | None:
    """Return the names of an option's tasks in the order of the table of tasks; None where it was not given."""
    if text is None:
        return None
    names = _divided(text)
    unknown = [name for name in names if name not in (*TASKS, "all")]
    if unknown:
        raise click.BadParameter(f"there is no task {unknown[0]}; choose all or some of {', '.join(TASKS)}")
    return tuple(task for task in TASKS if task in names or "all" in names)


def _divided(text: str) -> list[str]:
    names = [name for part in text.split(",") if (name := part.strip())]
    if not names:
        raise click.BadParameter("name at least one")
    return names


def seed_range(split: str | None, first_seed: int | None, seeds: int) -> tuple[int, ...]:
    """Return the seeds: ``seeds`` of them from ``first_seed``, by default from the start of the split.

    Raises:
        Mistake: They do not fit into the split, or not below 2^32.
    """
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
    """Return the policy to compare with: the one asked for, or the default where it is among those evaluated.

    Raises:
        Mistake: The one asked for is not evaluated.
    """
    if wanted is None:
        return DEFAULT_REFERENCE if DEFAULT_REFERENCE in policies else None
    if wanted not in policies:
        raise UsageError(f"--reference: {wanted} is not among the policies evaluated ({', '.join(policies)})")
    return wanted


def chosen_tasks(tasks: tuple[str, ...] | None, own: str | None) -> tuple[str, ...]:
    """Return the tasks to play: those asked for, else the one of ``--data``, those of a task file, or all."""
    if own is not None:
        return tuple(dict.fromkeys((*(tasks or ()), own)))
    return tasks or tuple(TASKS)[len(BUILT_IN) :] or tuple(TASKS)


def with_strategies(policies: tuple[str, ...], tasks: tuple[str, ...]) -> tuple[str, ...]:
    """Return the policies, with a whole ladder also those that buy by one of the tasks' further strategies alone."""
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
    help="Names and groups, divided by commas; your own as module:attribute.",
)
@click.option(
    "--tasks",
    callback=task_names,
    help="Tasks, divided by commas, or all; default: that of --data, those of --task-file, or all.",
)
@click.option("--seeds", type=click.IntRange(2, 100_000), default=50, show_default=True, help="Seeds a task.")
@click.option("--split", type=click.Choice(list(SPLITS)), help="Split that the seeds belong to; default: test.")
@click.option("--first-seed", type=click.IntRange(0, SEED_LIMIT - 1), help="First seed; default: that of the split.")
@click.option("--processes", type=click.IntRange(1, 256), help="Worker processes; default: one for each core.")
@reward_mode_option("What the returns are made of.")
@click.option("--reference", help=f"Policy to take differences to; default: {DEFAULT_REFERENCE}, if it plays.")
@click.option(
    "--json",
    "json_file",
    type=FILE,
    default=DEFAULT_JSON,
    show_default=True,
    help="File for the report with versions and settings.",
)
@click.option(
    "--plot",
    "plot_file",
    type=FILE,
    help=f"File for the picture: .png, .svg or .pdf; default: {DEFAULT_PLOT}, where matplotlib is installed.",
)
@click.option("--no-files", is_flag=True, help="Only print: write neither report nor picture.")
@click.option("--resume", type=FILE, help="Keep finished episodes in this file, and do not play again what it holds.")
def evaluate(
    *,
    policies: tuple[str, ...],
    tasks: tuple[str, ...] | None,
    seeds: int,
    split: str | None,
    first_seed: int | None,
    processes: int | None,
    reward_mode: RewardMode,
    reference: str | None,
    json_file: Path,
    plot_file: Path | None,
    no_files: bool,
    resume: Path | None,
    **data: Any,
) -> None:
    """Compare policies: each plays all seeds of each task.

    With --data on your own table: dataselect-env evaluate --data mine.csv --target label --noise 0.2 --policies all

    Prints for each task the mean score with its 95 % interval, the share of episodes passed, performance, noise ratio,
    samples bought, return, and the difference in score to a reference, taken seed by seed; writes the same as JSON and
    as a picture. The figures do not depend on the number of processes.
    """
    from dataselect_env.cli.ladder import ladder_table
    from dataselect_env.evaluation.evaluate import Plan
    from dataselect_env.evaluation.ladder import build_report

    chosen = seed_range(split, first_seed, seeds)
    targets = Targets(None, None, resume) if no_files else choose_targets(json_file, plot_file, resume)
    names = chosen_tasks(tasks, task_from_options(data))
    policies = with_strategies(policies, names)
    compared = reference_of(policies, reference)
    best = best_constants(names, processes) if DEFAULT_REFERENCE in policies else {}
    plan = Plan(policies=policies, tasks=names, seeds=chosen, reward_mode=reward_mode, best_constants=best)
    tell_of_absent(plan)
    if not len(plan):
        raise UsageError("--policies: there is none that can play a task")
    records = play(plan, processes, resume)
    report = build_report(plan, records, compared)
    say(ladder_table(report))
    if targets.json is not None:
        targets.json.write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    if targets.plot is not None:
        from dataselect_env.rendering.plots import overview

        overview(report).savefig(targets.plot)
    written = [str(path) for path in (targets.json, targets.plot) if path is not None]
    if written:
        click.echo(f"Wrote {' and '.join(written)}.", err=True)


class Targets(NamedTuple):
    """Files to write, None for those that are not."""

    json: Path | None
    plot: Path | None
    resume: Path | None


def choose_targets(json_file: Path, plot_file: Path | None, resume: Path | None) -> Targets:
    """Return the files to write, known to be writable before minutes of work.

    Without matplotlib there is no picture, unless one was asked for.

    Raises:
        Mistake: A folder is missing, or the picture that was asked for cannot be drawn.
    """
    from dataselect_env.rendering import plots

    for option, path in (("--json", json_file), ("--plot", plot_file), ("--resume", resume)):
        if path is not None and not path.absolute().parent.is_dir():
            raise UsageError(f"{option}: there is no folder {path.absolute().parent}")
    picture = plot_file or Path(DEFAULT_PLOT)
    try:
        plots.check(picture)
    except plots.CannotPlot as error:
        if plot_file is not None:
            raise UsageError(f"--plot: {error}") from error
        click.echo(f"No picture: {error}.", err=True)
        return Targets(json_file, None, resume)
    return Targets(json_file, picture, resume)


def best_constants(tasks: tuple[str, ...], processes: int | None) -> dict[str, str]:
    """Return the best constant policy of each task that is not built in, found on seeds of the train split."""
    from dataselect_env.evaluation.evaluate import cores
    from dataselect_env.evaluation.tuning import episode_count, find_best_constant

    found = {}
    for task in tasks:
        if task not in BUILT_IN:
            with mistakes(), progress(episode_count(task), f"Finding the best constant for {task}") as advance:
                found[task] = find_best_constant(task, processes=processes or cores(), progress=advance)
    return found


def tell_of_absent(plan: Plan) -> None:
    """Say which policies cannot play which tasks, on stderr."""
    from dataselect_env.policies import plays

    for task in plan.tasks:
        absent = [name for name in plan.policies if not plays(name, get_task(task))]
        if absent:
            click.echo(f"Not on {task}, which does not offer what they need: {', '.join(absent)}.", err=True)


def play(plan: Plan, processes: int | None, resume: Path | None) -> list[EpisodeRecord]:
    """Play a plan with a progress bar.

    Raises:
        Mistake: A policy failed, or the file to resume from is of something else.
        click.Abort: Interrupted.
    """
    from dataselect_env.evaluation.evaluate import cores, evaluate

    try:
        with mistakes(), progress(len(plan), "Playing episodes") as advance:
            return evaluate(plan, processes=processes or cores(), resume=resume, progress=advance)
    except KeyboardInterrupt:
        if resume is not None:
            click.echo(f"\nInterrupted; the same command goes on where it was ({resume}).", err=True)
        raise


@contextmanager
def mistakes() -> Iterator[None]:
    """Tell in a sentence what a policy, a task or a file did wrong."""
    from dataselect_env.evaluation.journal import JournalError
    from dataselect_env.policies.policy import PolicyError

    try:
        yield
    except (PolicyError, JournalError, OSError) as error:
        raise UsageError(str(error)) from error
    except EnvError as error:
        raise UsageError(error.message) from error
