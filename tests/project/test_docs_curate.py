"""docs/curate.md: every example prints what stands below it, and the picture is that of the example."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dataselect_env.cli.curate_command import curate
from docs import render
from tests.project.test_docs import BLOCK, TEXTS, example, run, run_commands, shown_as

PAGE = TEXTS[render.ROOT / "docs" / "curate.md"]
PRINTS = {name: code for kind, name, _, code in BLOCK.findall(PAGE) if kind == "prints"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with the tables of the page."""
    folder = tmp_path_factory.mktemp("curate")
    run([sys.executable, "-c", example("curate-table")], folder)
    return folder


def test_every_example_but_the_table_shows_what_it_prints() -> None:
    examples = [name for kind, name, _, _ in BLOCK.findall(PAGE) if kind == "example"]
    assert examples == ["curate-table", *PRINTS]


def test_the_page_has_every_option() -> None:
    options = {option for parameter in curate.params for option in parameter.opts}
    assert {option for option in options if f"`{option}`" not in PAGE and f"{option}`" not in PAGE} == {"--compare"}


@pytest.mark.slow
def test_the_commands_print_what_the_page_shows(folder: Path) -> None:
    shown_as(PRINTS["curate-run"], run_commands("curate-run", folder))
    assert (folder / "curation.png").stat().st_size < 250_000
    shown_as(PRINTS["curate-again"], run_commands("curate-again", folder))
    shown_as(PRINTS["curate-use"], run([sys.executable, "-c", example("curate-use")], folder))
    shown_as(PRINTS["curate-audit"], run_commands("curate-audit", folder))


@pytest.mark.slow
def test_a_person_is_asked_as_the_page_shows(folder: Path) -> None:
    shown_as(PRINTS["curate-ask"], run_commands("curate-ask", folder, "\n4\n" + 8 * "\n"))


@pytest.mark.slow
def test_the_function_prints_what_the_page_shows(folder: Path) -> None:
    shown_as(PRINTS["curate-python"], run([sys.executable, "-c", example("curate-python")], folder))
