"""The command ``tasks``: what there is to play, and whether a task file can be used."""
# ruff: noqa: PLC0415  (what it needs is imported when it runs, so that --help answers at once)

from __future__ import annotations

import json

import click

from dataselect_env.cli.console import say
from dataselect_env.cli.own import task_file_option
from dataselect_env.core.tasks import TASKS


@click.command()
@task_file_option
@click.option("--json", "as_json", is_flag=True, help="Print the tasks as JSON, as GET /tasks answers them.")
@click.option("--schema", is_flag=True, help="Print the JSON schema of task files instead.")
def tasks(as_json: bool, schema: bool) -> None:
    """List the tasks; with --task-file this also tells whether the file can be used."""
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
