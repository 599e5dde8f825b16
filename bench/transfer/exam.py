"""Play the exam: real tables under several kinds of label noise, which nothing has been tuned on.

    pip install cleanlab
    python -m bench.transfer.exam && python -m bench.transfer.page
    python -m bench.transfer.exam --tables heart,sonar --seeds 3 --results runs/quick.jsonl   # a minute
    python -m bench.transfer.exam --ray head:6379            # on a cluster

Appends to exam.jsonl, one line per table, kind of noise and contender, with the grades by seed. What the file already
has is not played again, so an interrupted run goes on where it ended, and more seeds can be added; ``--again NAME``
removes what a contender has there. A contender that does not react to replies plays once; one that does plays audited
and not.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

from bench.machine import processor
from bench.speed.in_process import versions
from bench.transfer import open_constant, tables
from bench.transfer.contenders import (
    CONTENDERS,
    FIRST_SEED,
    OPEN_CONSTANT,
    OWN_CONSTANT,
    SEEDS,
    Constant,
    available,
    best_constant,
    constants,
    play,
)
from bench.transfer.problems import kinds_of, make
from dataselect_env.cli.worker_options import worker_options, workers
from dataselect_env.core.tasks import Task
from dataselect_env.custom.errors import TaskDefinitionError
from dataselect_env.evaluation.workers import run

RESULTS = Path(__file__).with_suffix(".jsonl")
DECIMALS = 4
ALL_TABLES = (*tables.TABLES, *tables.HUMAN)
Record = dict[str, Any]
Key = tuple[str, str, str, bool | None]
"""Table, kind of noise, contender, and whether replies are audited, None if that does not matter."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is still to be played on one table with one kind of noise.

    Attributes:
        table, kind: Table and kind of noise.
        unfinished: Records that lack grades.
        seeds: How many seeds there are to be.
    """

    table: str
    kind: str
    unfinished: tuple[Record, ...]
    seeds: int


def key_of(record: Record) -> Key:
    """Return what a record is about."""
    return record["table"], record["kind"], record["contender"], record["audited"]


def read(path: Path) -> list[Record]:
    """Return the records of a results file, none if there is no such file; later ones replace earlier ones."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    records = [json.loads(line) for line in lines]
    return list({key_of(record): record for record in records}.values())


def write(path: Path, records: Iterable[Record], *, mode: str = "a") -> None:
    """Append records to a results file, or replace it with mode ``w``."""
    with path.open(mode, encoding="utf-8") as file:
        file.writelines(f"{json.dumps(record)}\n" for record in records)


def record_of(table: str, kind: str, contender: str | None = None, audited: bool | None = None) -> Record:
    """Return a record without grades."""
    return {"table": table, "kind": kind, "contender": contender, "audited": audited, "grades": []}


def jobs_of(names: Iterable[str], contenders: Iterable[str], seeds: int, records: Iterable[Record]) -> list[Job]:
    """Return what the records lack, by table and kind of noise."""
    done = {key_of(record): record for record in records}
    left_out = {record["table"] for record in done.values() if "left out" in record}
    jobs = []
    pairs = [(table, kind) for table in names if table not in left_out for kind in kinds_of(table)]
    for table, kind in pairs:
        wanted = [
            record_of(table, kind, name, audited)
            for name in contenders
            for audited in ((True, False) if CONTENDERS[name].reacts else (None,))
        ]
        found = [done.get(key_of(record), record) for record in wanted]
        unfinished = tuple(
            record for record in found if len(record["grades"]) < min(seeds, CONTENDERS[record["contender"]].most_seeds)
        )
        if unfinished:
            jobs.append(Job(table, kind, unfinished, seeds))
    return jobs


def play_job(job: Job, folder: Path) -> list[Record]:
    """Play what is missing, and return the records; one that says why if the table cannot be played."""
    try:
        task = make(job.table, job.kind, folder)
    except TaskDefinitionError as error:
        return [{**record_of(job.table, job.kind), "left out": error.message.partition(". ")[0]}]
    return [_finished(record, task, job.seeds) for record in job.unfinished]


def _finished(record: Record, task: Task, seeds: int) -> Record:
    """Return a record with the grades of all seeds."""
    contender = CONTENDERS[record["contender"]]
    constant: Constant | None = None
    if contender.name == OPEN_CONSTANT:
        constant = open_constant.chosen()
    elif contender.name == OWN_CONSTANT:
        constant = constants(task)[record["constant"]] if "constant" in record else best_constant(task)
    if record["audited"] is False:
        task = replace(task, task_id=f"{task.task_id}-unaudited", audited=False)
    missing = range(FIRST_SEED + len(record["grades"]), FIRST_SEED + min(seeds, contender.most_seeds))
    new = [round(grade, DECIMALS) for grade in play(contender, task, missing, constant)]
    named = {} if constant is None else {"constant": constant.name}
    return {**record, "grades": [*record["grades"], *new], **named}


def about() -> Record:
    """Return the record of what the exam was played with."""
    facts = {**versions(), "processor": processor(), **version_of_cleanlab()}
    return {**record_of("", ""), "versions": facts}


def _list_of(known: Iterable[str]) -> Any:
    """Return the callback of an option that takes several of these names, separated by commas."""

    def names(_context: click.Context, _parameter: click.Parameter, value: str | None) -> list[str]:
        given = [] if value is None else value.split(",")
        unknown = [name for name in given if name not in known]
        if unknown:
            raise click.BadParameter(f"{', '.join(unknown)}: choose from {', '.join(known)}")
        return given

    return names


def version_of_cleanlab() -> dict[str, str]:
    """Return the version of cleanlab by its name; nothing where it is not installed, as its rules cannot play then."""
    try:
        return {"cleanlab": version("cleanlab")}
    except PackageNotFoundError:
        return {}


@click.command(help=(__doc__ or "").splitlines()[0])
@click.option("--tables", "chosen", callback=_list_of(ALL_TABLES), help="Tables, separated by commas; default: all.")
@click.option("--contenders", callback=_list_of(CONTENDERS), help="Who plays, separated by commas; default: everyone.")
@click.option("--again", callback=_list_of(CONTENDERS), help="Who plays again, separated by commas.")
@click.option("--seeds", default=SEEDS, show_default=True, help="Seeds per table and kind of noise.")
@worker_options
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS, help="File of results.")
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Folder that keeps the tables; default: a temporary one."
)
def main(
    *,
    chosen: list[str],
    contenders: list[str],
    again: list[str],
    seeds: int,
    processes: int | None,
    ray: str | None,
    results: Path,
    folder: Path | None,
) -> None:
    names = chosen or ALL_TABLES
    records = read(results)
    if again:
        records = [record for record in records if record["contender"] not in again]
        write(results, records, mode="w")
    jobs = jobs_of(names, contenders or available(), seeds, records)
    if not jobs:
        return
    write(results, [about()])
    with ExitStack() as stack:
        folder = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        tables.fetch(names, folder)
        there = folder if ray is None else Path()  # a cluster's workers have a copy as their working directory
        used = stack.enter_context(workers(processes, ray, modules=[__spec__.name], folder=folder))
        played = stack.enter_context(closing(run(jobs, partial(play_job, folder=there), processes=used, tasks=())))
        label = "tables and kinds of noise"
        with click.progressbar(played, len(jobs), label=label, file=sys.stderr) as bar:
            for found in bar:
                write(results, found)


if __name__ == "__main__":
    main()
