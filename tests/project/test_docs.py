"""Documents against code: tables are up to date, links lead somewhere, examples run as they stand."""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from dataselect_env.server.settings import DEFAULT_PORT
from docs import picture, render
from tests.helpers.serving import Server, clean_environ, running_server

TEXTS = {path: path.read_text(encoding="utf-8") for path in render.DOCUMENTS}
README = TEXTS[render.ROOT / "README.md"]
VALIDATION = TEXTS[render.ROOT / "docs" / "validation.md"]
TEST_COMMAND = 'pip install ".[test]" && pytest'
SERVE_COMMAND = "pip install . && python server.py"
LINK = re.compile(r"\[([^\]]*)\]\((?!https?:)([^)#]+)")
BLOCK = re.compile(r"(?:<!-- (\w+): ([^\n]+?) -->\n)?^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
TERMINAL = ("terminal", "evaluate", "evaluate-own", "own-readme")
SLOW = {"own-readme": pytest.mark.slow}  # it looks for a best constant first
IN_PROCESS: dict[str, Callable[[str], bool]] = {
    # What each of the examples in Python prints: lines of words.
    "python": lambda out: out.split()[-1] in ("True", "False"),
    "in-process": lambda out: 0 <= float(out) <= 1,
    "rollout": lambda out: out.split()[-1] == "8",
    "prompts": lambda out: out.endswith("True True\n"),
    "gym": lambda out: abs(float(out.split()[0]) - float(out.split()[1])) < 1e-9,
    "gym-readme": lambda out: len(out.split()) == 2,
    "gym-choices": lambda out: "medium" in out,
    "gym-vector": lambda out: out == "(8, 21)\n",
    "broken-strategy": lambda out: (
        " ".join(out.split()) in " ".join(TEXTS[render.ROOT / "docs" / "testing.md"].split())
    ),
    "check-plug-ins": lambda out: not out,
    "lanes": lambda out: out.endswith("[False False]\n"),
}
SERVED: dict[str, Callable[[str], bool]] = {
    "openenv": lambda out: len(out.splitlines()) > 1 and 0 <= float(out.splitlines()[-1]) <= 1,
    "async-client": lambda out: out.startswith("True 0.0"),
    "gym-remote": lambda out: not out,
}
OWN_DATA = ("own-table", "own-evaluate", "own-check", "own-gym", "own-strategy")
"""Examples that test_docs_own runs."""
OTHERS = (
    *OWN_DATA,
    "curl",
    "tutorial-curl",
    "tutorial-grade",
    "client",
    "policy",
    "tutorial-play",
    "tutorial-evaluate",
)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.name))
def test_rendered_tables_are_up_to_date(path: Path) -> None:
    assert render.rendered(TEXTS[path]) == TEXTS[path], "run python -m docs.render"


def test_every_table_that_can_be_rendered_is_somewhere() -> None:
    used = {found[1] for text in TEXTS.values() for found in render.MARKED.findall(text)}
    assert used == set(render.RENDERERS)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.name))
def test_links_to_files_lead_somewhere(path: Path) -> None:
    for name, target in LINK.findall(TEXTS[path]):
        assert (path.parent / target).exists(), target
        if test := re.fullmatch(r"`(test_\w+)`", name):
            assert f"def {test[1]}(" in (path.parent / target).read_text(encoding="utf-8"), name


def test_every_acceptance_test_has_its_row() -> None:
    rows = re.findall(r"^\| (\d+) \| [^|]+ \| ([^|]+) \| ([^|]+) \|$", VALIDATION, re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, 45))
    for number, status, evidence in rows:
        assert status.strip("*") in ("shown", "in part", "not here", "dropped"), number
        assert LINK.search(evidence) or status != "shown", f"test {number} names no evidence"


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.name))
def test_every_piece_of_code_says_where_it_runs(path: Path) -> None:
    for kind, name, language, code in BLOCK.findall(TEXTS[path]):
        if kind == "ran":
            for file in name.split(", "):
                assert (render.ROOT / file).is_file(), file
        elif language in ("bash", "python"):
            assert kind in ("example", "command"), code
            assert kind == "command" or name in {*TERMINAL, *IN_PROCESS, *SERVED, *OTHERS}, f"nothing runs {name}"


def example(name: str, kind: str = "example") -> str:
    found = [block[3] for text in TEXTS.values() for block in BLOCK.findall(text) if block[:2] == (kind, name)]
    assert len(found) == 1, f"{len(found)} pieces of code are the {kind} {name}"
    return str(found[0])


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


def run_commands(name: str, folder: Path) -> str:
    """Run the lines of an example that call our command, and return what the last one printed."""
    printed = ""
    for line in example(name).splitlines():
        program, *arguments = shlex.split(line)
        assert program == "dataselect-env"
        printed = run([sys.executable, "-m", "dataselect_env", *arguments], folder)
        assert printed
    return printed


def run_curl(name: str, server: Server, folder: Path) -> str:
    return run(["bash", "-euc", example(name).replace(f"localhost:{DEFAULT_PORT}", server.base_url)], folder)


def play(name: str, server: Server | None = None) -> None:
    """Run an example in Python as it stands, in this process, with the server's address where it names one."""
    script = example(name)
    if server is not None:
        script = script.replace(f"localhost:{DEFAULT_PORT}", f"127.0.0.1:{server.port}")
    exec(compile(script, f"the example {name}", "exec"), {"__name__": "__main__"})  # noqa: S102  (that is the test)


def test_its_two_commands_are_the_ones_that_are_tested_elsewhere() -> None:
    assert example("serve", "command").strip() == SERVE_COMMAND
    assert example("test", "command").strip() == TEST_COMMAND
    assert f"<!-- command: serve -->\n```bash\n{SERVE_COMMAND}\n" in README
    assert TEST_COMMAND in (render.ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_curl_example(server: Server, tmp_path: Path) -> None:
    printed = run_curl("curl", server, tmp_path)
    assert printed.count('"observation"') == 3
    assert '"score"' in printed
    assert '"code"' not in printed


def test_curl_in_the_tutorial(server: Server, tmp_path: Path) -> None:
    assert run_curl("tutorial-curl", server, tmp_path).count('"episode_id":"my-first"') >= 2
    printed = run_curl("tutorial-grade", server, tmp_path)
    assert '"score"' in printed
    assert '"code"' not in printed


@pytest.mark.parametrize("name", IN_PROCESS)
def test_examples_in_process(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    play(name)
    printed = capsys.readouterr().out
    assert IN_PROCESS[name](printed), printed


@pytest.mark.parametrize("name", SERVED)
def test_examples_at_a_server(name: str, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    play(name, server)
    printed = capsys.readouterr().out
    assert SERVED[name](printed), printed


def test_the_client_and_the_environment_give_the_same_grade(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    play("in-process")
    play("client", server)
    first, second = capsys.readouterr().out.split()
    assert first == second


@pytest.mark.parametrize("name", [pytest.param(name, marks=SLOW.get(name, ())) for name in TERMINAL])
def test_terminal_examples(name: str, tmp_path: Path) -> None:
    run_commands(name, tmp_path)
    assert (tmp_path / "evaluation.png").is_file() == (name != "terminal")


def test_the_policy_of_the_tutorial_plays(tmp_path: Path) -> None:
    (tmp_path / "my_policy.py").write_text(example("policy"), encoding="utf-8")
    assert "careful" in run_commands("tutorial-play", tmp_path)
    assert "careful" in run_commands("tutorial-evaluate", tmp_path)


def test_the_picture_shows_the_episode_that_it_says(tmp_path: Path) -> None:
    story = picture.tell()
    for (before, reply), batch in zip(pairwise(story.replies), story.batches, strict=True):
        assert reply.info is not None
        assert before.observation.remaining_budget - reply.observation.remaining_budget == len(batch)
        assert story.mislabelled[batch].sum() == reply.info.mislabelled
    picture.draw(story).savefig(tmp_path / "episode.png")
    assert (tmp_path / "episode.png").stat().st_size < 250_000
    assert picture.PICTURE.stat().st_size < 250_000
