"""Tables for tests that read them, and what they are held against."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dataselect_env.core.arrays import Floats
from dataselect_env.custom.errors import TableError
from dataselect_env.custom.tables import RawTable, encode

N = 60
COLOURS = ("blue", "green", "red")


def frame(rows: int = N, **columns: Any) -> pd.DataFrame:
    """Numbers, categories and labels "no" and "yes"; other columns on top, or in place of these."""
    rng = np.random.default_rng(1)
    basis = {
        "a": rng.normal(5, 3, rows),
        "b": rng.normal(size=rows),
        "colour": rng.choice(COLOURS, rows),
        "label": np.where(np.arange(rows) % 3, "no", "yes"),
    }
    return pd.DataFrame({**basis, **columns})


def save(path: Path, data: pd.DataFrame) -> Path:
    """Write a table in the format of the file's suffix."""
    kind = next(suffix for suffix in Path(path.name.lower()).suffixes if suffix not in (".gz", ".zip"))
    if kind in (".jsonl", ".ndjson", ".json"):
        data.to_json(path, orient="records", lines=kind != ".json", date_format="iso", double_precision=15)
    elif kind in (".xlsx", ".ods"):
        data.to_excel(path, index=False)
    elif kind in (".parquet", ".feather", ".orc"):
        getattr(data, f"to_{kind[1:]}")(path)
    else:
        data.to_csv(path, index=False, sep="\t" if kind == ".tsv" else ",")
    return path


def refusal(call: Callable[[], object], field: str, *words: str) -> None:
    with pytest.raises(TableError) as caught:
        call()
    problem = caught.value
    assert problem.field == field, problem.message
    assert [word for word in words if word not in problem.message] == [], problem.message
    assert str(problem) == problem.message
    assert "/tmp" not in problem.message  # noqa: S108


def every(raw: RawTable) -> Floats:
    return encode(raw, np.arange(len(raw.y)))
