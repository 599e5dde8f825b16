"""verifiers: a configuration for its ``openenv`` taskset, which plays on a running server of the environment.

    dataselect-env serve &
    python -m dataselect_env.integrations.verifiers_config hard --episodes 50 --out hard
    vf-eval @ hard/eval.toml --model openai/gpt-4o-mini

The taskset of verifiers 0.4 shows the model each observation and the schema of an action, but does not describe the
task, so the configuration comes with a system prompt. It shows neither rewards nor the audit of a batch; the prompt
says so, and how the audit follows from ``noise_estimate``. On ``open`` it shows neither the problem nor its statistics.
The taskset scores the sum of the rewards, so the reward mode is ``grade``. By a rule of verifiers, an answer that is
not a JSON object with a valid action ends the rollout with an error.

This module does not import the library, which cannot be installed beside openenv 0.10.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import click

from dataselect_env.core.tasks import SPLITS, TASKS, get_split, get_task
from dataselect_env.rendering import prompts
from dataselect_env.server.settings import DEFAULT_PORT

PROMPT, CONFIG = "system_prompt.txt", "eval.toml"
DEFAULT_URL = f"http://127.0.0.1:{DEFAULT_PORT}"


def system_prompt(task_id: str) -> str:
    """Return the system prompt of a task, for answers that go to the server unchanged.

    Raises:
        UnknownTask: The task does not exist.
    """
    task = get_task(task_id)
    return (
        f"{prompts.instructions(task, observation_only=True)}\n\n"
        "Answer each message with one JSON object and nothing else, with every field that these have.\n"
        f"To buy a batch: {prompts.example_answer()}\nTo stop: {prompts.stop_answer()}"
    )


def config(task_id: str, seeds: Iterable[int], *, base_url: str = DEFAULT_URL, prompt: str = PROMPT) -> str:
    """Return the configuration as TOML, with one task of verifiers for each seed.

    Args:
        task_id: Name of the task.
        seeds: In [0, 2^32).
        base_url: Address of the server.
        prompt: Path of the file with the system prompt, relative to the working directory of verifiers.

    Raises:
        UnknownTask: The task does not exist.
    """
    task = get_task(task_id)
    resets = "".join(f'  {{task_id = "{task.task_id}", seed = {seed}, reward_mode = "grade"}},\n' for seed in seeds)
    return (
        "[env.taskset]\n"
        'id = "openenv"\n'
        f"base_url = {json.dumps(base_url)}\n"
        f"system_prompt = {json.dumps(prompt)}\n"
        f"resets = [\n{resets}]\n\n"
        "[env.player]\n"
        f"max_turns = {task.max_steps}\n\n"
        "[env.player.harness]  # the model alone, on this machine\n"
        'id = "null"\n\n'
        "[env.player.runtime]\n"
        'type = "subprocess"\n'
    )


@click.command(help="Write a configuration for verifiers' openenv taskset, and its system prompt.")
@click.argument("task_id", type=click.Choice(list(TASKS)))
@click.option(
    "--episodes", default=20, show_default=True, type=click.IntRange(min=1), help="Number of episodes, one per seed."
)
@click.option("--split", default="test", show_default=True, type=click.Choice(list(SPLITS)), help="Split of the seeds.")
@click.option("--base-url", default=DEFAULT_URL, show_default=True, help="Address of the server.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the files; default: the name of the task.")
def main(task_id: str, episodes: int, split: str, base_url: str, out: Path | None) -> None:
    """Write both files."""
    chosen, folder = get_split(split), out or Path(task_id)
    if episodes > chosen.seeds:
        raise click.BadParameter(f"split {split} has {chosen.seeds} seeds", param_hint="--episodes")
    folder.mkdir(parents=True, exist_ok=True)
    seeds = range(chosen.first_seed, chosen.first_seed + episodes)
    prompt, path = folder / PROMPT, folder / CONFIG
    prompt.write_text(system_prompt(task_id), encoding="utf-8")
    path.write_text(config(task_id, seeds, base_url=base_url, prompt=prompt.as_posix()), encoding="utf-8")
    click.echo(f"{path} and {prompt}")


if __name__ == "__main__":
    main()
