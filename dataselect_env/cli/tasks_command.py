"""The command ``tasks``: list the tasks, check a task file or a table, and explain how a table is read."""
# ruff: noqa: PLC0415  (modules are imported on use, so that --help answers at once)

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from dataselect_env.cli.console import Command, UsageError, say
from dataselect_env.cli.task_options import data_options, task_file_option, task_from_options
from dataselect_env.core.tasks import TASKS, Task, get_task


@click.command(cls=Command)
@task_file_option
@data_options
@click.option("--explain", is_flag=True, help="Show for each column of the tables what it was taken for, and why.")
@click.option("--json", "as_json", is_flag=True, help="Print the tasks as JSON, in the format of GET /tasks.")
@click.option("--schema", is_flag=True, help="Print the JSON schema of task files instead.")
def tasks(*, explain: bool, as_json: bool, schema: bool, **data: Any) -> None:
    """List the tasks; with --task-file or --data, check them first.

    To see how a table is read: dataselect-env tasks --data mine.csv --target label --explain
    """
    from dataselect_env.custom.definitions import file_schema
    from dataselect_env.custom.task_file import data_report
    from dataselect_env.server import catalogue

    if schema:
        say(json.dumps(file_schema(), indent=2))
        return
    own = task_from_options(data)
    if as_json:
        say(catalogue.task_list().model_dump_json(indent=2))
        return
    names = [own] if own is not None else [name for name in TASKS if not explain or data_report(name) is not None]
    if not names:
        raise UsageError("--explain: no task has a table; name one with --data or --task-file")
    say("\n\n".join("\n".join(_lines(task, explain=explain)) for task in map(get_task, names)))


def _lines(task: Task, *, explain: bool) -> Iterator[str]:
    """Yield the description of a task and the report on its table."""
    from dataselect_env.custom.task_file import data_report
    from dataselect_env.rendering import prompts

    yield prompts.describe_task(task)
    report = data_report(task.task_id)
    if report is not None:
        yield from report.lines() if explain else (report.summary(),)
