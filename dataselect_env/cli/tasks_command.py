"""The command ``tasks``: list the tasks, and check a task file."""
# ruff: noqa: PLC0415  (modules are imported on use, so that --help answers at once)

from __future__ import annotations

import json

import click

from dataselect_env.cli.console import Command, say
from dataselect_env.cli.task_options import task_file_option
from dataselect_env.core.tasks import TASKS


@click.command(cls=Command)
@task_file_option
@click.option("--json", "as_json", is_flag=True, help="Print the tasks as JSON, in the format of GET /tasks.")
@click.option("--schema", is_flag=True, help="Print the JSON schema of task files instead.")
def tasks(as_json: bool, schema: bool) -> None:
    """List the tasks; with --task-file, also check the file."""
    from dataselect_env.custom.definitions import file_schema
    from dataselect_env.custom.task_file import data_report
    from dataselect_env.rendering import prompts
    from dataselect_env.server import catalogue

    if schema:
        say(json.dumps(file_schema(), indent=2))
    elif as_json:
        say(catalogue.task_list().model_dump_json(indent=2))
    else:
        say(
            "\n\n".join("\n".join([prompts.describe_task(task), *data_report(task.task_id)]) for task in TASKS.values())
        )
