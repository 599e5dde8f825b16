"""Asking a person for right labels in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import pandas

    from dataselect_env.curation.answers import Answers

MOST_CELLS = 20
"""Largest number of columns that are shown of a row."""
LONGEST_CELL = 400
"""Characters that are shown of a cell."""
MOST_CLASSES = 10
"""Largest number of classes that a question lists."""


def asker(
    rows: pandas.DataFrame, titles: Sequence[str], classes: Sequence[str], answers: Answers
) -> Callable[[Any, Any], list[str]]:
    """Return the audit that asks a person for the labels that are not in ``answers`` yet, and keeps them there.

    Args:
        rows: The columns to show, (n, n_columns).
        titles: What to call each row, n texts.
        classes: Names of the classes.
        answers: Answers so far.
    """

    def ask(batch: Any, given: Any) -> list[str]:
        open_questions = [int(row) for row in batch if answers.get(int(row)) is None]
        if len(open_questions) < len(batch):
            click.echo(f"{len(batch) - len(open_questions)} of {len(batch)} rows of this batch are answered already.")
        labels = dict(zip(map(int, batch), map(str, given), strict=True))
        for number, row in enumerate(open_questions, start=1):
            click.echo(f"\n{titles[row]} ({number} of {len(open_questions)} in this batch)")
            click.echo(_shown(rows, row))
            answers.keep(row, _label(labels[row], classes))
        return [answers.get(int(row)) or "" for row in batch]

    return ask


def _label(given: str, classes: Sequence[str]) -> str:
    label: str = click.prompt(
        "Right label",
        default=given,
        type=click.Choice(list(classes)),
        show_choices=len(classes) <= MOST_CLASSES,
    )
    return label


def _shown(rows: pandas.DataFrame, row: int) -> str:
    """Return the cells of a row, one line each."""
    cells = [(str(name), str(column.iloc[row])) for name, column in rows.items()]
    lines = [f"  {name}: {value[:LONGEST_CELL]}" for name, value in cells[:MOST_CELLS]]
    if len(cells) > MOST_CELLS:
        lines.append(f"  and {len(cells) - MOST_CELLS:,} more columns")
    return "\n".join(lines)
