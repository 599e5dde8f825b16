"""docs/claims.md: every example prints what stands below it, and its numbers are those of the code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dataselect_env.cli.verify_command import FALSE, NOT_VERIFIED
from dataselect_env.core.results import TOLERANCE
from dataselect_env.evaluation.record_file import LONGEST_LINE
from dataselect_env.evaluation.records import FORMAT_VERSION
from docs import render
from tests.helpers.serving import clean_environ, running_server
from tests.project.test_docs import BLOCK, TEXTS, example

PAGE = TEXTS[render.ROOT / "docs" / "claims.md"]
PRINTS = {name: code for kind, name, _, code in BLOCK.findall(PAGE) if kind == "prints"}
SECRET = {"DATASELECT_SECRET": "a secret of the documentation's tests".replace(" ", "-")}


def run(name: str, folder: Path, url: str = "") -> tuple[int, str]:
    """Run an example in bash as it stands; return its exit code and what its last command printed."""
    program = folder / "bin" / "dataselect-env"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m dataselect_env "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    *before, last = example(name).replace("http://localhost:7860", url).splitlines()
    script = "\n".join([f"{{ {line}; }} > /dev/stderr" for line in before if ">" not in line])
    script += "\n".join([line for line in before if ">" in line])
    environ = {**clean_environ(), "PATH": path, "PYTHONPATH": str(render.ROOT)}
    done = subprocess.run(
        ["bash", "-euc", f"{script}\n{last}"], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


def test_every_example_shows_what_it_prints() -> None:
    assert [name for kind, name, _, _ in BLOCK.findall(PAGE) if kind == "example"] == list(PRINTS)


def test_numbers_in_the_prose_are_those_of_the_code() -> None:
    text = " ".join(PAGE.split())
    assert f"differs by more than {TOLERANCE:.0e}".replace("e-0", "e-") in text
    assert f"the version of the format ({FORMAT_VERSION})" in text
    assert f"at most {LONGEST_LINE >> 20} MiB" in text
    codes = re.findall(r"^\| (\d) \| (.*) \|$", PAGE, re.MULTILINE)
    assert [(int(code), meaning.split(" ")[0]) for code, meaning in codes] == [
        (0, "all"),
        (FALSE, "something"),
        (2, "the"),
        (NOT_VERIFIED, "nothing"),
    ]


@pytest.mark.slow
def test_the_commands_print_what_the_page_shows(tmp_path: Path) -> None:
    assert run("claims-record", tmp_path) == (0, PRINTS["claims-record"])
    assert run("claims-false", tmp_path) == (FALSE, PRINTS["claims-false"])


@pytest.mark.slow
def test_a_claim_on_the_sealed_split(tmp_path: Path) -> None:
    with running_server(env=SECRET) as server:
        code, printed = run("claims-sealed", tmp_path, server.base_url)
    assert code == 0
    pattern = re.escape(PRINTS["claims-sealed"]).replace(re.escape("..."), r"0\.\d{3}")
    assert re.fullmatch(pattern, printed), printed
