"""Parquet, Feather and ORC files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from dataselect_env.custom.formats.opened import OpenedTable

if TYPE_CHECKING:
    import pandas


def open_columnar(path: Path, name: str) -> OpenedTable:
    """Open a file in one of Arrow's formats: ``parquet``, ``feather`` or ``orc``."""
    from pyarrow.dataset import dataset  # noqa: PLC0415

    table = dataset(path, format=name)
    rows = int(table.count_rows())
    names = [column for column in table.schema.names if not re.fullmatch(r"__index_level_\d+__", column)]

    def load(columns: list[str]) -> pandas.DataFrame:
        import pandas  # noqa: PLC0415

        loaded = table.to_table(columns=columns)
        frame = loaded.to_pandas(ignore_metadata=True, split_blocks=True, self_destruct=True)
        frame.index = pandas.RangeIndex(1, rows + 1)
        return frame

    return OpenedTable(names, rows, load)
