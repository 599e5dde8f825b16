"""Documents against code: tables are up to date, links lead somewhere, examples run as they stand."""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from pkgutil import resolve_name

import pytest

import dataselect_env
from dataselect_env.core import data, errors, learner, noise_estimate, reward
from dataselect_env.server.settings import DEFAULT_PORT
from docs import picture, render
from tests.helpers.serving import Server, clean_environ, running_server
from tests.project.test_layout import WINGS, file_of

TEXTS = {path: path.read_text(encoding="utf-8") for path in render.DOCUMENTS}
README = TEXTS[render.ROOT / "README.md"]
VALIDATION = TEXTS[render.ROOT / "docs" / "validation.md"]
TEST_COMMAND = 'pip install ".[test]" && pytest'
SERVE_COMMAND = "pip install . && python server.py"
LINK = re.compile(r"\[([^\]]*)\]\((?!https?:)([^)#]+)")
BLOCK = re.compile(r"(?:<!-- (\w+): ([^\n]+?) -->\n)?^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
TERMINAL = ("terminal", "evaluate", "evaluate-own", "own-readme")
IN_PROCESS: dict[str, Callable[[str], bool]] = {
    # What each of the examples in Python prints: lines of words.
    "python": lambda out: out.split()[-1] in ("True", "False"),
    "rollout": lambda out: out.split()[-1] == "8",
    "prompts": lambda out: out.endswith("True True\n"),
    "gym": lambda out: abs(float(out.split()[0]) - float(out.split()[1])) < 1e-9,
    "gym-readme": lambda out: len(out.split()) == 2,
    "gym-choices": lambda out: "medium" in out,
    "gym-flat": lambda out: out.startswith("True "),
    "gym-vector": lambda out: out == "(8, 21)\n",
    "broken-strategy": lambda out: (
        " ".join(out.split()) in " ".join(TEXTS[render.ROOT / "docs" / "testing.md"].split())
    ),
    "check-plug-ins": lambda out: not out,
}
SERVED: dict[str, Callable[[str], bool]] = {
    "openenv": lambda out: len(out.splitlines()) > 1 and 0 <= float(out.splitlines()[-1]) <= 1,
    "async-client": lambda out: out.startswith("True 0.0"),
    "gym-remote": lambda out: not out,
}
OWN_DATA = ("own-table", "own-evaluate", "own-check", "own-explain", "own-frame", "own-gym", "own-strategy")
"""Examples that test_docs_custom runs."""
TUTORIAL = ("python", "watch", "curl", "grade", "play", "evaluate")
"""Examples that test_docs_tutorial runs, beside ``client`` and ``policy``."""
CURATE = tuple(f"curate-{name}" for name in ("table", "run", "again", "use", "ask", "audit", "python"))
"""Examples that test_docs_curate runs."""
CLAIMS = ("claims-record", "claims-sealed", "claims-false")
"""Examples that test_docs_claims runs."""
OTHERS = (*OWN_DATA, *CURATE, *CLAIMS, *(f"tutorial-{name}" for name in TUTORIAL), "client", "policy", "curl")


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


def test_numbers_in_the_prose_of_the_card_are_those_of_the_code() -> None:
    card = " ".join(TEXTS[render.ROOT / "docs" / "environment.md"].split())
    share, passes, weight = learner.SAMPLES_PER_PASS, learner.MOST_PASSES, noise_estimate.NOISE_PRIOR_STRENGTH
    assert (share, passes, weight) == (5, 4, 10)
    rows = [(one.start, one.stop) for one in (data.SEED_ROWS, data.VALIDATION_ROWS, data.POOL_ROWS)]
    assert rows == [(0, 100), (200, 400), (400, 1_500)]
    for words in (
        "Rows 0 to 99 are the seed set",
        "rows 200 to 399 the validation split, rows 400 to 1,499 the pool of 1,100",
        f"makes {data.N_SAMPLES:,} samples",
        "earned by every fifth sample bought",
        "at least one pass and at most four",
        f"({weight} flip_y + mislabelled) / ({weight} + bought)",
        "weighs as much as ten samples",
        f"gain = {reward.PERFORMANCE_COEFFICIENT:g} x (change of performance) + "
        f"{reward.DISTANCE_COEFFICIENT:g} x distance",
        f"reward = gain - {reward.COST_PER_SAMPLE:g} x batch_size - {reward.REDUNDANCY_COEFFICIENT:g} x redundancy - "
        f"(1 + 2 flip_y) x noise_ratio + {reward.BASELINE:g}",
        f"pays {reward.TERMINAL_COEFFICIENT:g} x grade on top",
    ):
        assert words in card


def test_names_that_the_changelog_gives_for_old_ones_exist() -> None:
    text = (render.ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    moved = re.findall(r"^\| `dataselect_env\S+`(.*) \| `(dataselect_env\S+)`(.*) \|$", text, re.MULTILINE)
    assert len(moved) > 10
    for others_before, name, others in moved:
        assert others == others_before
        for path in (name, *(f"{name.rpartition('.')[0]}.{other}" for other in re.findall(r"`(\w+)`", others))):
            resolve_name(path)


def test_the_api_page_has_every_public_name_and_every_error() -> None:
    documented = re.findall(r"^::: (\S+)$", TEXTS[render.ROOT / "docs" / "api.md"], re.MULTILINE)
    public = [getattr(dataselect_env, name) for name in dataselect_env.__all__ if not name.startswith("__")]
    raised = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.EnvError)]
    assert len(raised) > 20
    assert {f"{one.__module__}.{one.__qualname__}" for one in (*public, *raised)} <= set(documented)
    for path in documented:
        module, _, name = path.rpartition(".")
        file = file_of(module)
        assert file is not None, path
        defined = rf'^(?:class |def |    "){name}\b'  # there, or in __all__
        assert re.search(defined, file.read_text(encoding="utf-8"), re.MULTILINE), path


def test_contributors_find_every_wing_and_every_path_that_is_named() -> None:
    text = TEXTS[render.ROOT / "docs" / "contributing.md"]
    table = text[text.index("<!-- paths -->") : text.index("<!-- /paths -->")]
    paths = re.findall(r"`([\w.]+/[\w./]*)`", table)
    assert [path for path in paths if not (render.ROOT / path).exists()] == []
    assert [path.split("/")[1] for path in re.findall(r"^\| `(dataselect_env/\w+/)`", table, re.MULTILINE)] == [*WINGS]
    topics = [path for path in (render.ROOT / "bench").iterdir() if (path / "README.md").is_file()]
    assert {f"bench/{path.name}/" for path in topics} <= set(paths)


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


def shown_as(expected: str, printed: str) -> None:
    """Check that a page shows what was printed; a line ``...`` stands for any number of lines."""
    lines = expected.splitlines()
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else re.escape(line) + r" *\n" for line in lines)
    assert re.fullmatch(pattern, printed.strip("\n") + "\n"), f"the page shows something else than\n{printed}"


def run_commands(name: str, folder: Path, text: str | None = None) -> str:
    """Run the lines of an example that call our command, and return what the last one printed."""
    printed = ""
    for line in example(name).splitlines():
        program, *arguments = shlex.split(line)
        assert program == "dataselect-env"
        printed = run([sys.executable, "-m", "dataselect_env", *arguments], folder, text)
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


@pytest.mark.slow
def test_readme_examples_pass_mypy_strict(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    scripts = [code for _, _, language, code in BLOCK.findall(README) if language == "python"]
    assert len(scripts) == 3
    for number, script in enumerate(scripts):
        (tmp_path / f"example_{number}.py").write_text(script, encoding="utf-8")
    # As a user has it: without our configuration. openenv ships no types.
    options = ["--strict", "--config-file=", "--follow-imports=silent", "--ignore-missing-imports"]
    options += [f"--cache-dir={tmp_path / 'cache'}"]
    command = [sys.executable, "-m", "mypy", *options, *sorted(str(path) for path in tmp_path.glob("*.py"))]
    environ = {**clean_environ(), "MYPYPATH": str(render.ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_curl_example(server: Server, tmp_path: Path) -> None:
    printed = run_curl("curl", server, tmp_path)
    assert printed.count('"observation"') == 3
    assert '"score"' in printed
    assert '"code"' not in printed


@pytest.mark.parametrize("name", IN_PROCESS)
def test_examples_in_process(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    play(name)
    printed = capsys.readouterr().out
    assert IN_PROCESS[name](printed), printed


@pytest.mark.slow
@pytest.mark.parametrize("name", SERVED)
def test_examples_at_a_server(name: str, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    play(name, server)
    printed = capsys.readouterr().out
    assert SERVED[name](printed), printed


@pytest.mark.slow
@pytest.mark.parametrize("name", TERMINAL)
def test_terminal_examples(name: str, tmp_path: Path) -> None:
    run_commands(name, tmp_path)
    assert (tmp_path / "evaluation.png").is_file() == (name != "terminal")


@pytest.mark.slow
def test_the_picture_shows_the_episode_that_it_says(tmp_path: Path) -> None:
    story = picture.record()
    for (before, reply), batch in zip(pairwise(story.replies), story.batches, strict=True):
        assert reply.info is not None
        assert before.observation.remaining_budget - reply.observation.remaining_budget == len(batch)
        assert story.mislabelled[batch].sum() == reply.info.mislabelled
    picture.draw(story).savefig(tmp_path / "episode.png")
    assert (tmp_path / "episode.png").stat().st_size < 250_000
    assert picture.PICTURE.stat().st_size < 250_000
