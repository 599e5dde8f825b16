"""Options about tasks of a user's own, for all commands that play."""
# ruff: noqa: PLC0415  (what it needs is imported when it runs, so that --help answers at once)

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dataselect_env.cli.console import UsageError
from dataselect_env.core.tasks import TASKS

if TYPE_CHECKING:
    from dataselect_env.custom.definitions import TaskDefinition

AnyCommand = TypeVar("AnyCommand", bound=Callable[..., object])
OPENML = "openml:"
"""A data set on openml.org is named with this prefix."""


def task_file_option(command: AnyCommand) -> AnyCommand:
    """Add the option ``--task-file``, which is read before the names of tasks are looked at."""
    return click.option(
        "--task-file",
        envvar="DATASELECT_TASKS",
        show_envvar=True,
        is_eager=True,
        expose_value=False,
        callback=_load,
        help="YAML file with tasks of your own; docs/own-data.md shows what stands in it.",
    )(command)


def _load(_ctx: click.Context, _param: click.Parameter, file: str | None) -> None:
    if not file:
        return
    from dataselect_env.custom.task_file import TaskFileError, load_tasks

    try:
        load_tasks(file)
    except TaskFileError as error:
        raise UsageError(str(error)) from error


class TaskName(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """A task that there is, when the option is read."""

    name = "task"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name."""
        if value not in TASKS:
            self.fail(f"there is no task {value}; choose one of {', '.join(TASKS)}", param, ctx)
        return str(value)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:  # noqa: ARG002
        """Return what the help shows."""
        return "TASK"


DATA_OPTIONS = (
    click.option(
        "--data",
        help="Play on your own table: a .csv, .parquet or .npz file, digits, breast_cancer or wine of scikit-learn, or"
        " openml:NAME.",
    ),
    click.option("--target", help="Column of --data with the labels."),
    click.option("--true-target", help="Column with the right labels, where --target has real mistakes."),
    click.option("--exclude", help="Columns of --data that are not features, separated by commas."),
    click.option("--categorical", help="Columns of --data with categories even if they are written as numbers."),
    click.option("--noise", type=float, help="Share of labels to make wrong, from 0 to below 0.5; default: 0."),
    click.option("--unknown-noise", type=float, help="Labels are partly wrong already, about this share of them."),
    click.option("--budget", type=int, help="Samples that may be bought of --data; default: 100."),
    click.option("--max-steps", type=int, help="Actions in an episode on --data; default: 10."),
    click.option(
        "--strategies", help="Further query strategies on --data, divided by commas, such as margin or k_center."
    ),
    click.option(
        "--seed-set",
        type=int,
        help="Labelled samples to start from; default: a fiftieth of the rows, at least three a class, at most 100.",
    ),
)


def data_options(command: AnyCommand) -> AnyCommand:
    """Add the options that describe a table and the task on it."""
    for option in reversed(DATA_OPTIONS):
        command = option(command)
    return command


def task_from_options(chosen: dict[str, Any]) -> str | None:
    """Register the task that ``DATA_OPTIONS`` describe and return its name, None where there is no ``--data``.

    Raises:
        Mistake: The table or an option cannot be used; the message names the option.
    """
    data = chosen["data"]
    if data is None:
        given = [name for name, value in chosen.items() if value is not None]
        if given:
            raise UsageError(f"--{given[0].replace('_', '-')}: only together with --data")
        return None
    from dataselect_env.custom.definitions import BUNDLED
    from dataselect_env.custom.errors import TaskDefinitionError
    from dataselect_env.custom.task_file import TaskRecipe, add_task, data_report

    table: dict[str, Any] = {"target": chosen["target"], "true_target": chosen["true_target"]}
    table |= {field: _divided(chosen[field]) for field in ("exclude", "categorical") if chosen[field]}
    if data in BUNDLED and not Path(data).exists():
        table["bundled"] = data
    elif data.startswith(OPENML):
        table["openml"] = data.removeprefix(OPENML)
    elif Path(data).exists():
        table["file"] = data
    else:
        raise UsageError(
            f"--data: there is no file {data}; bundled are {', '.join(BUNDLED)}, and openml:NAME comes over the net"
        )
    name = re.sub(r"[^a-z0-9]+", "-", Path(data.removeprefix(OPENML)).name.lower().split(".")[0]).strip("-")[:64]
    name = f"own-{name}" if name in TASKS else name or "own"
    try:
        add_task(TaskRecipe(name, _definition(chosen, table), Path.cwd()))
    except TaskDefinitionError as error:
        raise UsageError(f"{_option(error.path)}: {error.message}") from None
    click.echo("\n".join(data_report(name)), err=True)
    return name


def _definition(chosen: dict[str, Any], table: dict[str, Any]) -> TaskDefinition:
    from pydantic import ValidationError

    from dataselect_env.custom.definitions import TaskDefinition

    wanted: dict[str, Any] = {"table": table, "budget": chosen["budget"], "max_steps": chosen["max_steps"]}
    noise = {"uniform": chosen["noise"], "unknown": chosen["unknown_noise"]}
    if any(value is not None for value in noise.values()):
        wanted["noise"] = {key: value for key, value in noise.items() if value is not None}
    if chosen["strategies"]:
        wanted["strategies"] = _divided(chosen["strategies"])
    if chosen["seed_set"] is not None:
        wanted["split"] = {"seed": chosen["seed_set"]}
    try:
        return TaskDefinition.model_validate({key: value for key, value in wanted.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise UsageError(f"{_option(first['loc'])}: {first['msg'].replace('Input should', 'should')}") from None


def _option(path: tuple[str | int, ...]) -> str:
    """Return the option that a field of a definition comes from."""
    named = {"seed": "seed-set", "unknown": "unknown-noise", "uniform": "noise"}
    own = [option.name for option in _parameters()]
    for part in reversed(path):
        name = named.get(str(part), str(part)).replace("-", "_")
        if name in own:
            return f"--{name.replace('_', '-')}"
    return "--data"


def _parameters() -> list[click.Parameter]:
    @data_options
    def nothing() -> None: ...

    return click.command(nothing).params


def _divided(text: str) -> list[str]:
    return [part for name in text.split(",") if (part := name.strip())]
