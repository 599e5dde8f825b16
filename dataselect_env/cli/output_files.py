"""The files that ``evaluate`` writes: which they are, whether they can be written, and how."""
# ruff: noqa: PLC0415  (modules are imported on use, so that --help answers at once)

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from dataselect_env.cli.console import UsageError

if TYPE_CHECKING:
    from dataselect_env.evaluation.evaluate import Plan
    from dataselect_env.evaluation.ladder import Report
    from dataselect_env.evaluation.records import EpisodeRecord

DEFAULT_JSON = "evaluation.json"
DEFAULT_PLOT = "evaluation.png"
FILE = click.Path(dir_okay=False, path_type=Path)


class Targets(NamedTuple):
    """Files to write, None for those that are not wanted."""

    json: Path | None
    plot: Path | None
    record: Path | None


def choose_targets(
    json_file: Path,
    plot_file: Path | None,
    record: Path | None,
    *,
    resume: Path | None,
    data: str | None,
    no_files: bool,
) -> Targets:
    """Return the files to write, after checking that they can be written.

    Without matplotlib there is no picture, unless ``--plot`` asks for one. ``--no-files`` leaves out both.

    Raises:
        UsageError: A file cannot be written, two are the same, or the picture of ``--plot`` cannot be drawn.
    """
    from dataselect_env.rendering import plots

    for option, path in (("--resume", resume), ("--record", record)):
        if path is not None:
            check_writable(option, path)
    if record is not None and record.is_file() and record.stat().st_size:
        raise UsageError(f"--record: {record} exists already; name another file")
    inputs = {"--data": None if data is None else Path(data), "--resume": resume}
    if no_files:
        check_different({**inputs, "--record": record})
        return Targets(None, None, record)
    check_writable("--json", json_file)
    picture = plot_file or Path(DEFAULT_PLOT)
    check_different({**inputs, "--json": json_file, "--plot": picture, "--record": record})
    try:
        plots.check(picture)
    except plots.CannotPlot as error:
        if plot_file is not None:
            raise UsageError(f"--plot: {error}") from error
        click.echo(f"No picture: {error}.", err=True)
        return Targets(json_file, None, record)
    check_writable("--plot", picture)
    return Targets(json_file, picture, record)


def check_writable(option: str, path: Path) -> None:
    """Find out whether a file can be written, by opening it; its content stays as it is.

    Raises:
        UsageError: It cannot.
    """
    existed = path.exists()
    try:
        with path.open("ab"):
            pass
        if not existed:
            path.unlink()
    except OSError as error:
        raise UsageError(f"{option}: {path} cannot be written: {error.strerror}") from error


def check_different(files: dict[str, Path | None]) -> None:
    """Check that options name different files, so that none is overwritten by another.

    Raises:
        UsageError: Two name the same file.
    """
    options: dict[Path, str] = {}
    for option, path in files.items():
        if path is None or (path.exists() and not path.is_file()):  # such as /dev/null
            continue
        first = options.setdefault(path.resolve(), option)
        if first != option:
            raise UsageError(f"{option}: {path} is the file of {first} already; name another one")


def write(targets: Targets, plan: Plan, records: Sequence[EpisodeRecord], report: Report | None) -> None:
    """Write the record and, if there is a report, the report and the picture.

    Raises:
        UsageError: A file that could be written at the start no longer can.
    """
    from dataselect_env.evaluation.record_file import write_records

    written = []
    try:
        if targets.record is not None:
            write_records(targets.record, plan.header, records)
            written.append(targets.record)
        if targets.json is not None and report is not None:
            targets.json.write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
            written.append(targets.json)
        if targets.plot is not None and report is not None:
            from dataselect_env.rendering.plots import figure

            figure(report).savefig(targets.plot)
            written.append(targets.plot)
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be written: {error.strerror}") from error
    if written:
        click.echo(f"Wrote {' and '.join(map(str, written))}.", err=True)
