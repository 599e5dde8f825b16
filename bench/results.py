"""Result files of the scripts of a bench, and how a script ends."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

Results = dict[str, Any]
MOST_PROBLEMS = 20
"""Problems that a result file lists, beside their number."""

save_option = click.option("--save", is_flag=True, help="Write the result file, and the page from all result files.")


def counted(results: Results) -> Results:
    """Return results with the number of their problems and the first of them."""
    problems = results["problems"]
    return {**results, "problems": len(problems), "first_problems": problems[:MOST_PROBLEMS]}


def save(folder: Path, name: str, results: Results) -> None:
    """Write the result file of a script."""
    (folder / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def load(folder: Path, names: Iterable[str]) -> dict[str, Results]:
    """Return the latest results of every script that has some."""
    files = {name: folder / f"{name}.json" for name in names}
    return {name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items() if file.exists()}


def finish(results: Results) -> None:
    """End with status 1 if there were problems."""
    if results["problems"]:
        sys.exit(1)
