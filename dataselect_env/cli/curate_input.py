"""The tables that the command ``curate`` reads, and how its options name what is wrong with them."""
# ruff: noqa: PLC0415  (modules are imported on use, so that --help answers at once)

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataselect_env.cli.console import UsageError
from dataselect_env.core.errors import InvalidInput

if TYPE_CHECKING:
    import pandas

    from dataselect_env.custom.formats.opened import OpenedTable

OPTION_OF_FIELD = {
    "X": "data",
    "y": "target",
    "X_trusted": "trusted",
    "y_trusted": "trusted",
    "audit": "audit-column",
    "noise_rate": "noise",
    "file": "data",
    "max_rows": "data",
}
"""Options that have another name than the argument or field that they set."""
FEATURE_OPTIONS = ("exclude", "columns", "categorical")
"""Options that name several columns."""
TRUE_WORDS, FALSE_WORDS = {"1", "true", "t", "yes", "y"}, {"0", "false", "f", "no", "n", ""}
"""Words of ``--trusted-column``, in lower case."""
WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")
"""A label that is a number, and not a code with leading zeros."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Columns with a meaning.

    Attributes:
        target: The labels.
        trusted: Whether a row is trusted; None if the trusted rows are in another file.
        audit: The right labels; None if there are none.
        row_id: Names of the rows; None if they have none.
    """

    target: str
    trusted: str | None
    audit: str | None
    row_id: str | None

    def named(self) -> dict[str, str]:
        """Return the columns by option."""
        options = {"target": self.target, "trusted-column": self.trusted, "audit-column": self.audit, "id": self.row_id}
        return {option: name for option, name in options.items() if name is not None}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a table is.

    Attributes:
        option: Option that names the file.
        path: The file.
        sheet: Sheet of a spreadsheet; None for the first one.
    """

    option: str
    path: Path
    sheet: str | None

    @property
    def sheet_option(self) -> str:
        """Option that names the sheet."""
        return "sheet" if self.option == "data" else f"{self.option}-sheet"

    def digest(self) -> str:
        """Return a fingerprint of the table."""
        content = hashlib.sha256(self.path.read_bytes()).hexdigest()[:16]
        return content if self.sheet is None else f"{content} {self.sheet}"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Tables:
    """What was read.

    Attributes:
        noisy: The rows to choose from, with all columns of the file.
        trusted: The trusted rows, with all columns of theirs.
        place: Position in the file of each row of ``noisy``, from 0.
        digest: Fingerprint of the files.
        opened: How the noisy table was read.
    """

    noisy: pandas.DataFrame
    trusted: pandas.DataFrame
    place: Any
    digest: str
    opened: OpenedTable


def read_tables(data: Place, trusted: Place | None, columns: Columns, features: dict[str, tuple[str, ...]]) -> Tables:
    """Read the noisy table and the trusted rows.

    Args:
        data: The noisy table.
        trusted: The trusted rows; None if ``columns.trusted`` tells them apart.
        columns: Columns with a meaning.
        features: Columns that options name, by option.

    Raises:
        UsageError: A file or a column cannot be used; the message names the option.
    """
    import numpy as np

    named = columns.named()
    opened, frame = _read(data, columns.target, {**{option: (name,) for option, name in named.items()}, **features})
    if trusted is not None:
        how, theirs = _read(trusted, columns.target, {"target": (columns.target,)}, as_text=named.values())
        if how.note:
            click.echo(f"Trusted rows: {trusted.path.name} ({how.note}), {len(theirs):,} rows.", err=True)
        _as_numbers([(frame, columns.target), (frame, columns.audit), (theirs, columns.target)])
        others, digest = _others(frame, theirs, columns.row_id), f"{data.digest()} {trusted.digest()}"
        place = np.flatnonzero(others)
        return Tables(noisy=frame[others], trusted=theirs, place=place, digest=digest, opened=opened)
    assert columns.trusted is not None  # noqa: S101  (one of the two is given)
    _as_numbers([(frame, columns.target), (frame, columns.audit)])
    chosen = _truthy(frame[columns.trusted])
    place = np.flatnonzero(~chosen)
    return Tables(noisy=frame[~chosen], trusted=frame[chosen], place=place, digest=data.digest(), opened=opened)


def _read(
    place: Place, target: str, wanted: dict[str, tuple[str, ...]], as_text: Collection[str] = ()
) -> tuple[OpenedTable, pandas.DataFrame]:
    """Read a file whose columns include those that options name, by option; the single ones are read as text."""
    from dataselect_env.custom.definitions import Table
    from dataselect_env.custom.errors import TableError, check_known
    from dataselect_env.custom.readers import open_reader

    if not place.path.exists():
        raise UsageError(f"--{place.option}: there is no file {place.path}")
    texts = [*as_text, *(names[0] for key, names in wanted.items() if key not in FEATURE_OPTIONS)]
    table = Table(file=str(place.path), target=target, sheet=place.sheet)
    try:
        reader = open_reader(table, Path.cwd(), as_text=texts)
        for name_option, names in wanted.items():
            for name in names:
                check_known(reader.title, "column", f"--{name_option}", name, reader.opened.names)
        frame = reader.opened.load(reader.opened.names)
    except TableError as error:
        option = place.sheet_option if error.field == "sheet" else place.option
        raise UsageError(f"--{option}: {error.message}") from None
    if frame.empty:
        raise UsageError(f"--{place.option}: {reader.title} has no rows")
    return reader.opened, frame


def _others(frame: pandas.DataFrame, trusted: pandas.DataFrame, row_id: str | None) -> Any:
    """Return which rows of the table are not among the trusted ones by their names, (n,), and say how many are."""
    import numpy as np

    from dataselect_env.custom.columns import cell_text

    if row_id is None or row_id not in trusted:
        return np.ones(len(frame), dtype=np.bool_)
    repeated = frame[row_id].map(cell_text).isin(set(trusted[row_id].map(cell_text))).to_numpy()
    if repeated.any():
        text = f"Left out of the choice, because --id finds them among the trusted rows: {repeated.sum():,} rows."
        click.echo(text, err=True)
    return ~repeated


def _as_numbers(columns: Sequence[tuple[pandas.DataFrame, str | None]]) -> None:
    """Make labels integers, in place, if all are written as plain integers; the model then predicts integers.

    Files of text are read so that 01 stays 01, which is why whole numbers arrive as text.
    """
    labels = [(frame, name) for frame, name in columns if name is not None]
    if all(WHOLE.fullmatch(str(text)) for frame, name in labels for text in frame[name].unique()):
        for frame, name in labels:
            frame[name] = frame[name].astype("int64")


def _truthy(column: pandas.Series) -> Any:
    """Return whether each row is trusted, (n,), by words such as ``yes``, ``true`` and ``1``."""
    from dataselect_env.custom.columns import cell_text

    words = column.map(lambda cell: "" if cell != cell else cell_text(cell).strip().lower())  # noqa: PLR0124  (NaN)
    others = sorted(set(words) - TRUE_WORDS - FALSE_WORDS)
    if others:
        raise UsageError(
            f'--trusted-column: "{column.name}" holds "{others[0]}"; write yes, true or 1 for a trusted row, and no,'
            " false, 0 or nothing for the others"
        )
    return words.isin(TRUE_WORDS).to_numpy()


@contextmanager
def named_by_option() -> Iterator[None]:
    """Let errors about arguments of a curation name the option."""
    try:
        yield
    except InvalidInput as error:
        if error.field is None:
            raise
        option = OPTION_OF_FIELD.get(error.field, error.field).replace("_", "-")
        raise UsageError(f"--{option}: {error.message.removeprefix(f'{error.field}: ')}") from error
