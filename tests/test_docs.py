"""Documents against code: tables are up to date, links lead somewhere, examples run as they stand."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataselect_env.settings import DEFAULT_PORT
from docs import render
from serving import Server, clean_environ, running_server

README = (render.ROOT / "README.md").read_text(encoding="utf-8")
TEST_COMMAND = 'pip install ".[test]" && pytest'
SERVE_COMMAND = "pip install . && python server.py"


@pytest.mark.parametrize("path", render.DOCUMENTS, ids=lambda path: str(path.name))
def test_rendered_tables_are_up_to_date(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert render.rendered(text) == text, "run python -m docs.render"


def test_every_table_that_can_be_rendered_is_somewhere() -> None:
    used = {found[1] for path in render.DOCUMENTS for found in render.MARKED.findall(path.read_text(encoding="utf-8"))}
    assert used == set(render.RENDERERS)


@pytest.mark.parametrize("path", render.DOCUMENTS, ids=lambda path: str(path.name))
def test_links_to_files_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def example(name: str, kind: str = "example") -> str:
    found = re.search(rf"<!-- {kind}: {name} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found, f"README has no {kind} {name}"
    return found[1]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server


def run(command: list[str], folder: Path, text: str | None = None) -> str:
    """Run a command outside of the checkout, with the package of this one; return what it printed."""
    environ = {**clean_environ(), "PYTHONPATH": str(render.ROOT), "DATASELECT_STORE": "memory:"}
    done = subprocess.run(command, cwd=folder, env=environ, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_its_two_commands_are_the_ones_that_are_tested_elsewhere() -> None:
    assert example("serve", "command").strip() == SERVE_COMMAND
    assert example("test", "command").strip() == TEST_COMMAND
    assert TEST_COMMAND in (render.ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_curl_example(server: Server, tmp_path: Path) -> None:
    script = example("curl").replace(f"localhost:{DEFAULT_PORT}", server.base_url)
    printed = run(["bash", "-euc", script], tmp_path)
    assert printed.count('"observation"') == 3
    assert '"score"' in printed
    assert '"code"' not in printed


def test_openenv_example(server: Server, tmp_path: Path) -> None:
    script = example("openenv").replace(f"http://localhost:{DEFAULT_PORT}", server.base_url)
    lines = run([sys.executable, "-"], tmp_path, script).splitlines()
    assert len(lines) > 1
    assert 0 <= float(lines[-1]) <= 1


def test_python_example(tmp_path: Path) -> None:
    lines = run([sys.executable, "-"], tmp_path, example("python")).splitlines()
    assert len(lines) > 1
    assert lines[-1].split()[1] in ("True", "False")


@pytest.mark.parametrize("name", ["terminal", "evaluate"])
def test_terminal_examples(name: str, tmp_path: Path) -> None:
    for line in example(name).splitlines():
        program, *arguments = shlex.split(line)
        assert program == "dataselect-env"
        assert run([sys.executable, "-m", "dataselect_env", *arguments], tmp_path)
    assert (tmp_path / "evaluation.png").is_file() == (name == "evaluate")
