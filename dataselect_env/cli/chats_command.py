"""The command ``chats``: episodes of policies as conversations to fine-tune a language model on."""
# ruff: noqa: PLC0415  (modules are imported on use, so that --help answers at once)

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataselect_env.cli.console import Command, Interrupted, UsageError, progress
from dataselect_env.cli.evaluate_command import policy_names, report_absent, seed_range, task_names
from dataselect_env.cli.output_files import FILE, check_writable
from dataselect_env.cli.task_options import task_file_option
from dataselect_env.core.tasks import PINNED, SEED_LIMIT, SPLITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataselect_env.evaluation.evaluate import Job, Plan
    from dataselect_env.integrations.chats import Form

Row = dict[str, Any]
FORMS = ("tools", "json")
"""The values of ``chats.Form``, the default first."""


@click.command(cls=Command)
@task_file_option
@click.option(
    "--policies",
    "--policy",
    default="probing",
    show_default=True,
    callback=policy_names,
    help="Policies whose episodes are written, separated by commas; your own as module:attribute.",
)
@click.option(
    "--tasks",
    default=",".join(PINNED),
    show_default=True,
    callback=task_names,
    help="Tasks, separated by commas, or all.",
)
@click.option("--seeds", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Seeds per task.")
@click.option(
    "--split", type=click.Choice(list(SPLITS)), default="train", show_default=True, help="Split of the seeds."
)
@click.option("--first-seed", type=click.IntRange(0, SEED_LIMIT - 1), help="First seed. Default: that of the split.")
@click.option(
    "--form",
    type=click.Choice(FORMS),
    default=FORMS[0],
    show_default=True,
    help="How the agent acts: it calls tools, or it answers with JSON objects.",
)
@click.option("--min-grade", type=click.FloatRange(0, 1), help="Leave out episodes with a lower score.")
@click.option(
    "--best", "best_count", type=click.IntRange(min=1), help="Of each task, keep only this number of the best episodes."
)
@click.option(
    "--tokenizer",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A tokenizer.json, to count tokens (pip install tokenizers). Default: an estimate, three characters each.",
)
@click.option("--processes", type=click.IntRange(1, 256), help="Worker processes. Default: one per core.")
@click.option("--out", type=FILE, default="chats.jsonl", show_default=True, help="File to write, in JSON Lines.")
def chats(
    *,
    policies: tuple[str, ...],
    tasks: tuple[str, ...],
    seeds: int,
    split: str,
    first_seed: int | None,
    form: Form,
    min_grade: float | None,
    best_count: int | None,
    tokenizer: Path | None,
    processes: int | None,
    out: Path,
) -> None:
    """Write episodes of policies as conversations, to fine-tune a language model on.

    Each line has messages and, for agents that call tools, tools; and policy, task_id, seed, split, score, passed,
    steps and tokens of the episode. The datasets library and TRL's SFTTrainer read it as it is.
    """
    from dataselect_env.core.threads import cores
    from dataselect_env.evaluation.evaluate import Plan
    from dataselect_env.integrations.chats import best, count_tokens

    check_writable("--out", out)
    count = None if tokenizer is None else counter(tokenizer)
    plan = Plan(policies=policies, tasks=tasks, seeds=seed_range(split, first_seed, seeds), reward_mode="grade")
    report_absent(plan)
    try:
        played = play(plan, form, processes or cores())
    except KeyboardInterrupt as error:
        raise Interrupted("Interrupted; nothing is written.") from error
    rows = [row for row in played if min_grade is None or row["score"] >= min_grade]
    rows = rows if best_count is None else best(rows, best_count)
    if not rows:
        raise UsageError(f"--min-grade: none of {len(played)} episodes has a score of {min_grade:g} or more")
    if count is not None:
        rows = [{**row, "tokens": count_tokens(row, count)} for row in rows]
    with out.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    click.echo(summary(rows, len(played), out), err=True)


def counter(tokenizer: Path) -> Callable[[str], int]:
    """Return the function that counts the tokens of a text.

    Raises:
        UsageError: The library is missing, or the file is not a tokenizer.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise UsageError("--tokenizer: needs the library; pip install tokenizers") from error
    try:
        found = Tokenizer.from_file(str(tokenizer))
    except Exception as error:  # the library raises this very class
        raise UsageError(f"--tokenizer: {tokenizer} is not a tokenizer.json: {error}") from error
    return lambda text: len(found.encode(text, add_special_tokens=False).ids)


def play(plan: Plan, form: Form, processes: int) -> list[Row]:
    """Play a plan with a progress bar; the rows have the order of its keys."""
    from dataselect_env.evaluation.evaluate import jobs_of
    from dataselect_env.evaluation.workers import run

    rows: dict[tuple[str, str, int], Row] = {}
    with progress(len(plan), "Playing episodes") as advance:
        for done in run(jobs_of(plan, ()), partial(chats_of, form=form), processes=processes, tasks=plan.tasks):
            rows |= {(row["policy"], row["task_id"], row["seed"]): row for row in done}
            if advance is not None:
                advance(len(done))
    return [rows[key] for key in plan.keys]


def chats_of(job: Job, form: Form) -> list[Row]:
    """Play the episodes of a job, and return their chats."""
    from dataselect_env.evaluation.evaluate import players_of
    from dataselect_env.evaluation.rollout import rollout
    from dataselect_env.integrations.chats import chat

    return [
        {**chat(rollout(policy, job.task_id, job.seed, reward_mode=job.reward_mode), form), "policy": name}
        for name, policy in players_of(job)
    ]


def summary(rows: list[Row], played: int, out: Path) -> str:
    """Return one line about what was written."""
    score = sum(row["score"] for row in rows) / len(rows)
    tokens = sum(row["tokens"] for row in rows)
    return (
        f"Wrote {len(rows)} of {played} episodes to {out}: mean score {score:.3f}, {tokens:,} tokens, "
        f"{max(row['tokens'] for row in rows):,} in the longest."
    )
