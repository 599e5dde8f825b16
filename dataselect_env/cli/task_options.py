"""Options that name tasks: ``--task``, ``--task-file``, and those that describe a task on a user's own table."""
# ruff: noqa: PLC0415  (modules are imported on use, so that --help answers at once)

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataselect_env.cli.console import AnyCommand, UsageError, divided
from dataselect_env.core.tasks import TASKS

if TYPE_CHECKING:
    from dataselect_env.custom.definitions import TaskDefinition

OPENML = "openml:"
"""Prefix of data sets on openml.org."""


def task_file_option(command: AnyCommand) -> AnyCommand:
    """Add the option ``--task-file``; it is read before options that name tasks."""
    return click.option(
        "--task-file",
        envvar="DATASELECT_TASKS",
        show_envvar=True,
        is_eager=True,
        expose_value=False,
        callback=_load,
        help="YAML file with your own tasks; docs/own-data.md describes it.",
    )(command)


def _load(_ctx: click.Context, _param: click.Parameter, file: str | None) -> None:
    if not file:
        return
    from dataselect_env.custom.task_file import load_tasks

    load_tasks(file)


class TaskName(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """The name of a task that exists when the option is read."""

    name = "task"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name."""
        if value not in TASKS:
            self.fail(f"there is no task {value}; choose one of {', '.join(TASKS)}", param, ctx)
        return str(value)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:  # noqa: ARG002
        """Return the placeholder in the help."""
        return "TASK"


DATA_OPTIONS: dict[str, dict[str, Any]] = {
    "data": {
        "help": "Your own table: a .csv, .jsonl, .parquet, .xlsx or .npz file and others, one of digits, "
        "breast_cancer and wine (scikit-learn), or openml:NAME.",
    },
    "sheet": {"help": "Sheet of a spreadsheet. Default: the first one."},
    "target": {"help": "Column of --data with the labels."},
    "true-target": {"help": "Column with the right labels, where --target has real mistakes."},
    "exclude": {"help": "Columns of --data that are not features, separated by commas."},
    "categorical": {"help": "Columns of --data with categories even if they are written as numbers."},
    "noise": {"type": float, "help": "Share of labels to flip, from 0 to below 0.5. Default: 0."},
    "unknown-noise": {"type": float, "help": "Estimated share of labels that are wrong in the data already."},
    "budget": {"type": int, "help": "Samples that may be bought from --data. Default: 100."},
    "max-steps": {"type": int, "help": "Actions in an episode on --data. Default: 10."},
    "strategies": {"help": "More query strategies for --data, separated by commas, such as margin or k_center."},
    "seed-set": {
        "type": int,
        "help": "Labelled samples to start with. Default: 2 % of the rows, at least three per class, at most 100.",
    },
}
"""The options of a task on a user's own table, by name, with their settings for ``click.option``."""

OPTION_OF_FIELD = {"seed": "seed-set", "unknown": "unknown-noise", "uniform": "noise"}
"""Options that have another name than the field of a task definition that they set."""


def data_options(command: AnyCommand) -> AnyCommand:
    """Add ``DATA_OPTIONS`` to a command."""
    for name, settings in reversed(DATA_OPTIONS.items()):
        command = click.option(f"--{name}", **settings)(command)
    return command


def task_from_options(chosen: dict[str, Any]) -> str | None:
    """Register the task that ``DATA_OPTIONS`` describe and return its name, None without ``--data``.

    Raises:
        UsageError: The table or an option cannot be used; the message names the option.
    """
    if chosen["data"] is None:
        given = [name for name, value in chosen.items() if value is not None]
        if given:
            raise UsageError(f"--{given[0].replace('_', '-')}: only together with --data")
        return None
    from dataselect_env.custom.errors import TaskDefinitionError
    from dataselect_env.custom.task_file import TaskRecipe, add_task

    name = _task_name(chosen["data"])
    try:
        add_task(TaskRecipe(name, _definition(chosen), Path.cwd()))
    except TaskDefinitionError as error:
        raise UsageError(f"{_option(error.path)}: {error.message}") from None
    return name


def _task_name(data: str) -> str:
    """Return a name for the task on this table that no other task has."""
    stem = Path(data.removeprefix(OPENML)).name.lower().split(".")[0]
    name = re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:64] or "own"
    return f"own-{name}" if name in TASKS else name


def _table(chosen: dict[str, Any]) -> dict[str, Any]:
    """Return the definition of the table that the options name."""
    from dataselect_env.custom.definitions import BUNDLED

    data = chosen["data"]
    table: dict[str, Any] = {field: chosen[field] for field in ("target", "true_target", "sheet")}
    table |= {field: divided(chosen[field]) for field in ("exclude", "categorical") if chosen[field]}
    if data in BUNDLED and not Path(data).exists():
        return table | {"bundled": data}
    if data.startswith(OPENML):
        return table | {"openml": data.removeprefix(OPENML)}
    if Path(data).exists():
        return table | {"file": data}
    raise UsageError(
        f"--data: there is no file {data}; give a file, one of {', '.join(BUNDLED)}, or openml:NAME (from the network)"
    )


def _definition(chosen: dict[str, Any]) -> TaskDefinition:
    from pydantic import ValidationError

    from dataselect_env.custom.definitions import TaskDefinition

    wanted: dict[str, Any] = {"table": _table(chosen), "budget": chosen["budget"], "max_steps": chosen["max_steps"]}
    noise = {"uniform": chosen["noise"], "unknown": chosen["unknown_noise"]}
    if any(value is not None for value in noise.values()):
        wanted["noise"] = {key: value for key, value in noise.items() if value is not None}
    if chosen["strategies"]:
        wanted["strategies"] = divided(chosen["strategies"])
    if chosen["seed_set"] is not None:
        wanted["split"] = {"seed": chosen["seed_set"]}
    try:
        return TaskDefinition.model_validate({key: value for key, value in wanted.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise UsageError(f"{_option(first['loc'])}: {first['msg'].replace('Input should', 'should')}") from None


def _option(path: tuple[str | int, ...]) -> str:
    """Return the option that sets a field of a definition."""
    for part in reversed(path):
        name = OPTION_OF_FIELD.get(str(part), str(part)).replace("_", "-")
        if name in DATA_OPTIONS:
            return f"--{name}"
    return "--data"
