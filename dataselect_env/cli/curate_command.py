"""The command ``curate``: choose rows of a noisy table to learn from."""
# ruff: noqa: PLC0415  (modules are imported on use, so that --help answers at once)

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataselect_env.cli.asking import asker
from dataselect_env.cli.console import Command, Interrupted, UsageError, divided, find_policy, progress, say
from dataselect_env.cli.curate_input import FEATURE_OPTIONS, Columns, Place, Tables, named_by_option, read_tables
from dataselect_env.cli.output_files import FILE, check_different, check_writable
from dataselect_env.cli.worker_options import ray_option, workers
from dataselect_env.core.tasks import SEED_LIMIT

if TYPE_CHECKING:
    import pandas

    from dataselect_env.curation import Curation
    from dataselect_env.custom.formats.opened import OpenedTable
    from dataselect_env.policies import Policy

DEFAULT_POLICY = "general"
"""That of ``dataselect_env.curation.curate``; a test compares the two."""
MOST_PARTS = 6
"""Length of the progress bar: the choice, and at most five folds."""


def _names(_ctx: click.Context, _param: click.Parameter, text: str | None) -> tuple[str, ...]:
    return tuple(divided(text or ""))


@click.command(cls=Command)
@click.option(
    "--data", type=FILE, required=True, help="The noisy table, such as a .csv, .jsonl, .parquet or .xlsx file."
)
@click.option("--sheet", help="Sheet of --data, if it is a spreadsheet. Default: the first one.")
@click.option("--target", required=True, help="Column with the labels, some of which are wrong.")
@click.option("--trusted", type=FILE, help="File with a few rows whose labels can be trusted, with the same columns.")
@click.option("--trusted-sheet", help="Sheet of --trusted, which may be the file of --data. Default: the first one.")
@click.option("--trusted-column", help="Or: column of --data that says which rows can be trusted (yes or no).")
@click.option("--budget", type=click.IntRange(min=1), required=True, help="Rows to choose.")
@click.option("--policy", default=DEFAULT_POLICY, show_default=True, help="Who chooses: a policy, or module:attribute.")
@click.option("--steps", type=click.IntRange(min=1), default=10, show_default=True, help="Steps to choose them in.")
@click.option("--seed", type=click.IntRange(0, SEED_LIMIT - 1), default=0, show_default=True, help="Seed of all draws.")
@click.option("--audit-column", help="Column with the right labels; only those of chosen rows are looked at.")
@click.option("--ask", is_flag=True, help="Ask for the right label of each chosen row, in the terminal.")
@click.option("--answers", type=FILE, help="File that keeps the answers to --ask. Default: beside --out.")
@click.option("--id", "row_id", help="Column that names the rows; no feature.")
@click.option("--exclude", callback=_names, help="Columns that are no features, separated by commas.")
@click.option("--columns", callback=_names, help="Columns that are features. Default: all others.")
@click.option("--categorical", callback=_names, help="Features that are categories even if written as numbers.")
@click.option("--classes", callback=_names, help="The expected labels. Default: those found.")
@click.option("--noise", type=float, help="Expected share of wrong labels. Default: estimated.")
@click.option("--compare/--no-compare", default=True, show_default=True, help="Compare with other ways to choose.")
@ray_option
@click.option("--out", type=FILE, default="chosen.csv", show_default=True, help="File for the chosen rows.")
@click.option("--report", type=FILE, help="File for the report, as JSON.")
@click.option("--picture", type=FILE, help="File for a picture of the comparison: .png, .svg or .pdf.")
@click.option("--model", type=FILE, help="File for the fitted model, to be read by joblib.load.")
def curate(**chosen: Any) -> None:
    """Choose rows of a noisy table to learn from.

    Needs a few rows whose labels can be trusted: at least 12, and at least 3 of each class. Prints the report: what was
    chosen, and how a model fitted on the chosen rows does on the trusted ones, against other ways to choose.
    """
    if (chosen["trusted"] is None) == (chosen["trusted_column"] is None):
        raise UsageError("--trusted: give either this file or --trusted-column")
    if chosen["trusted_sheet"] is not None and chosen["trusted"] is None:
        raise UsageError("--trusted-sheet: only together with --trusted")
    if chosen["ask"] and chosen["audit_column"] is not None:
        raise UsageError("--ask: not together with --audit-column, which has the answers")
    if chosen["ray"] is not None and (chosen["ask"] or not chosen["compare"]):
        raise UsageError("--ray: is for the comparison, which --ask and --no-compare leave out")
    targets = {name: chosen[name] for name in ("out", "report", "picture", "model") if chosen[name] is not None}
    _check_targets(targets)
    written = {f"--{name}": path for name, path in targets.items()} | {"--answers": chosen["answers"]}
    for name in ("data", "trusted"):
        check_different({f"--{name}": chosen[name], **written})
    policy = _policy(chosen["policy"])
    columns = Columns(
        target=chosen["target"],
        trusted=chosen["trusted_column"],
        audit=chosen["audit_column"],
        row_id=chosen["row_id"],
    )
    features = {name: chosen[name] for name in FEATURE_OPTIONS}
    data = Place("data", chosen["data"], chosen["sheet"])
    trusted = None if chosen["trusted"] is None else Place("trusted", chosen["trusted"], chosen["trusted_sheet"])
    tables = read_tables(data, trusted, columns, features)
    curation = _curate(tables, columns, policy, chosen)
    click.echo(_table_report(curation, data.path.name, tables.opened, columns.target), err=True)
    say(str(curation.report))
    _write(curation, tables, columns, targets)


def _policy(name: str) -> Policy:
    from dataselect_env.curation.curating import find
    from dataselect_env.policies.policy import Policy, guarded

    with named_by_option():
        policy = find(name if ":" not in name else find_policy(name))  # type: ignore[arg-type]  # find refuses oracles
    guarded_policy = guarded(policy) if ":" in name else policy
    assert isinstance(guarded_policy, Policy)  # noqa: S101  (of the type that it was)
    return guarded_policy


def _curate(tables: Tables, columns: Columns, policy: Policy, chosen: dict[str, Any]) -> Curation:
    from dataselect_env.curation import curate
    from dataselect_env.policies import own_module

    label_columns = [name for name in (columns.target, columns.trusted, columns.audit) if name is not None]
    row_id = [] if columns.row_id is None else [columns.row_id]
    options: dict[str, Any] = {
        "budget": chosen["budget"],
        "policy": policy,
        "steps": chosen["steps"],
        "seed": chosen["seed"],
        "noise_rate": chosen["noise"],
        "compare_with_others": chosen["compare"],
        "columns": chosen["columns"] or None,
        "exclude": [*dict.fromkeys([*row_id, *chosen["exclude"]])],
        "categorical": chosen["categorical"],
        "classes": chosen["classes"] or None,
    }
    noisy = tables.noisy.drop(columns=label_columns)
    arguments = (noisy, tables.noisy[columns.target], tables.trusted, tables.trusted[columns.target])
    with named_by_option():
        if chosen["ask"]:
            return _ask(arguments, options, tables, columns, chosen)
        audit = None if columns.audit is None else tables.noisy[columns.audit]
        with workers(1, chosen["ray"], modules=[own_module(chosen["policy"])]) as used:
            cluster = None if isinstance(used, int) else used
            with progress(MOST_PARTS, "Choosing rows") as advance:
                return curate(*arguments, audit=audit, progress=advance, cluster=cluster, **options)


def _ask(
    arguments: tuple[Any, ...], options: dict[str, Any], tables: Tables, columns: Columns, chosen: dict[str, Any]
) -> Curation:
    """Curate with a person's answers."""
    from dataselect_env.curation import curate
    from dataselect_env.curation.answers import Answers
    from dataselect_env.curation.labels import code_labels
    from dataselect_env.evaluation.records import Versions

    file = chosen["answers"] or Path(chosen["out"]).with_suffix(".answers.jsonl")
    facts = {
        "files": tables.digest,
        "target": columns.target,
        **{
            name: options[name]
            for name in ("budget", "steps", "seed", "noise_rate", "columns", "exclude", "categorical")
        },
        "policy": options["policy"].name,
        **Versions.current().model_dump(exclude={"python"}),
    }
    labels, _ = code_labels({"y": arguments[1], "y_trusted": arguments[3]}, options["classes"])
    with Answers(file, facts) as answers:
        rows = _shown(arguments[0], columns, options["exclude"])
        ask = asker(rows, _titles(tables, columns), labels.names, answers)
        try:
            curation = curate(*arguments, audit=ask, **options)
        except click.Abort:
            message = f"\nInterrupted. {file} keeps the {len(answers)} answers; run the same command again to continue."
            raise Interrupted(message) from None
    click.echo()
    return curation


def _shown(frame: pandas.DataFrame, columns: Columns, excluded: Sequence[str]) -> pandas.DataFrame:
    """Return the columns to show, excluded ones first: what is no feature, such as a text, says most to a person."""
    first = [name for name in excluded if name != columns.row_id]
    return frame[[*first, *(name for name in frame.columns if name not in excluded)]]


def _titles(tables: Tables, columns: Columns) -> list[str]:
    if columns.row_id is None:
        return [f"Row {place}" for place in tables.place]
    return [f"Row {place}, {name}" for place, name in zip(tables.place, tables.noisy[columns.row_id], strict=True)]


def _table_report(curation: Curation, title: str, opened: OpenedTable, target: str) -> str:
    """Return in one sentence what the table and its columns were taken for."""
    from dataselect_env.custom.report import ColumnReport, TableReport

    found, features = curation.report, curation.model[0].features_
    columns = (ColumnReport(target, "labels", ""), *(one.rewritten(opened.rewritten) for one in features))
    return TableReport(title, opened.note, found.table_rows, found.classes, columns).summary()


# --- files ----------------------------------------------------------------------------------------------------------


def _check_targets(targets: dict[str, Path]) -> None:
    from dataselect_env.rendering import plots

    for name, path in targets.items():
        check_writable(f"--{name}", path)
    if "picture" in targets:
        try:
            plots.check(targets["picture"])
        except plots.CannotPlot as error:
            raise UsageError(f"--picture: {error}") from None


def _write(curation: Curation, tables: Tables, columns: Columns, targets: dict[str, Path]) -> None:
    """Write the files.

    Raises:
        UsageError: A file that could be written at the start no longer can.
    """
    writers = {
        "out": lambda path: _chosen_rows(curation, tables, columns).to_csv(path, index=False),
        "report": lambda path: path.write_text(curation.report.model_dump_json(indent=1) + "\n", encoding="utf-8"),
        "picture": lambda path: curation.figure().savefig(path),
        "model": curation.save_model,
    }
    try:
        for name, path in targets.items():
            writers[name](path)
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be written: {error.strerror}") from error
    click.echo(f"Wrote {', '.join(str(path) for path in targets.values())}.", err=True)


def _chosen_rows(curation: Curation, tables: Tables, columns: Columns) -> pandas.DataFrame:
    """Return the chosen rows: what is known of the choice, then all columns of the table."""
    import pandas

    choice = curation.to_frame().assign(row=tables.place[curation.rows])
    if columns.row_id is not None:
        choice.insert(1, columns.row_id, tables.noisy[columns.row_id].to_numpy()[curation.rows])
    rows = tables.noisy.iloc[curation.rows].reset_index(drop=True)
    left = [name for name in rows.columns if name != columns.row_id]
    renamed = {name: f"{name} (table)" for name in left if name in choice.columns}
    return pandas.concat([choice, rows[left].rename(columns=renamed)], axis=1)
