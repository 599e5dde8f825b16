"""Task files: what is wrong with one is told with file, line and field, and a broken one changes nothing."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataselect_env.core.tasks import BUILT_IN, TASKS, Task, register
from dataselect_env.custom import task_file
from dataselect_env.custom.errors import TaskDefinitionError
from dataselect_env.custom.task_file import (
    TaskFileError,
    TaskRecipe,
    load_tasks,
    parse_yaml,
    task_digests,
    task_recipes,
)
from tests.helpers.owning import WINE, defined, forget, forgotten, frame, save

Refusal = Callable[[str], list[str]]
GOOD = """\
tasks:
  mine:
    table: {file: t.csv, target: label}
    noise: {uniform: 0.2}
    budget: 50
"""


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    with forgotten():
        yield


def write(folder: Path, text: str) -> Path:
    path = folder / "tasks.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def refusal(tmp_path: Path) -> Refusal:
    """Load a text as a task file beside a table t.csv; return the lines that say what is wrong with it."""
    save(tmp_path)

    def refusal(text: str) -> list[str]:
        before = dict(TASKS)
        with pytest.raises(TaskFileError) as caught:
            load_tasks(write(tmp_path, text))
        assert before == TASKS
        assert task_recipes() == ()
        assert str(tmp_path) not in str(caught.value)
        return str(caught.value).splitlines()

    return refusal


# --- what is wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "words"),
    [
        # unknown fields, at each depth
        ("tasks:", "task:", 1, "task", "unknown field; did you mean tasks?"),
        ("budget: 50", "bugdet: 50", 5, "tasks.mine.bugdet", "unknown field; did you mean budget?"),
        ("budget: 50", "zzz: 50", 5, "tasks.mine.zzz", "unknown field. Allowed are summary, table"),
        ("target:", "targte:", 3, "tasks.mine.table.targte", "unknown field; did you mean target?"),
        ("uniform:", "unifrom:", 4, "tasks.mine.noise.unifrom", "unknown field; did you mean uniform?"),
        (
            "{uniform: 0.2}",
            "\n      annotators:\n        bob: {rate: 0.1, shrae: 1}",
            6,
            "tasks.mine.noise.annotators.bob.shrae",
            "unknown field; did you mean share? Allowed are rate, share",
        ),
        (
            "budget: 50",
            "score:\n      passes: {performanse: 1}",
            6,
            "tasks.mine.score.passes.performanse",
            "did you mean",
        ),
        # wrong types and values out of range
        ("50", "many", 5, "tasks.mine.budget", "should be a valid integer"),
        ("50", "2", 5, "tasks.mine.budget", "should be greater than or equal to 5"),
        ("0.2", "0.5", 4, "tasks.mine.noise.uniform", "should be less than 0.5"),
        ("{uniform: 0.2}", "0.2", 4, "tasks.mine.noise", "should be a mapping"),
        ("{uniform: 0.2}", "{}", 4, "tasks.mine.noise", "Exactly one of uniform, confusion"),
        ("budget: 50", "mixing: votes", 5, "tasks.mine.mixing", "'quotas' or 'ranks'"),
        ("target: label", "target: label, classes: [no, yes]", 3, "tasks.mine.table.classes.0", "put it into quotes"),
        ("{uniform: 0.2}", "\n      confusion:\n        7: {a: 0.1}", 6, "tasks.mine.noise.confusion.7", "into quotes"),
        ("budget: 50", "budget: 50\n    split: {pool: 49}", 2, "tasks.mine", "should not exceed split.pool"),
        # names
        ("mine:", "easy:", 2, "tasks.easy", "easy is a built-in task; choose another name"),
        ("mine:", "My Task:", 2, "tasks.My Task", "lower-case letters, digits"),
        ("mine:", "1:", 2, "tasks.1", "put it into quotes"),
        # twice
        ("budget: 50", "budget: 50\n    budget: 60", 6, "", "budget appears twice"),
        # what only the data tell
        ("t.csv", "u.csv", 3, "tasks.mine.table.file", "There is no file u.csv"),
        ("target: label", "target: labl", 3, "tasks.mine.table.target", 'no column "labl"'),
        ("target: label", "target: x0", 3, "tasks.mine.table.target", "looks like a quantity"),
        ("target: label", "target: label, classes: [ant, bee]", 3, "tasks.mine.table.classes", '"cow"'),
        ("50", "5000", 5, "tasks.mine.budget", "less than the budget of 5000"),
        ("budget: 50", "strategies:\n    - margin\n    - mrgin", 7, "tasks.mine.strategies.1", "no such strategy"),
        ("budget: 50", "strategies: [random]", 5, "tasks.mine.strategies.0", "every task offers random"),
        (
            "{uniform: 0.2}",
            "\n      confusion:\n        ant: {bee: 0.1}\n        dog: {bee: 0.1}",
            7,
            "tasks.mine.noise.confusion.dog",
            "there is no class dog; there are ant, bee, cow",
        ),
        (
            "{uniform: 0.2}",
            "\n      confusion:\n        ant: {bee: 0.1}\n        bee:\n          dog: 0.1",
            8,
            "tasks.mine.noise.confusion.bee.dog",
            "there is no class dog",
        ),
    ],
)
def test_a_mistake_is_told_with_file_line_and_field(
    refusal: Refusal, *, old: str, new: str, line: int, field: str, words: str
) -> None:
    assert old in GOOD
    told = refusal(GOOD.replace(old, new, 1))
    place = f"tasks.yaml, line {line}: {field}{': ' if field else ''}"
    assert [one for one in told if one.startswith(place) and words in one], told


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: should be a mapping"),
        ("# nothing yet\n", "line 1: should be a mapping"),
        ("- easy\n- hard\n", "line 1: should be a mapping"),
        ("easy", "line 1: should be a mapping"),
        ("tasks:\n", "line 1: tasks: should be a mapping"),
        ("tasks: {}\n", "line 1: tasks: Dictionary should have at least 1 item, not 0"),
        ("tasks: [easy]\n", "line 1: tasks: should be a mapping"),
        ("tasks:\n  mine:\n", "line 2: tasks.mine: should be a mapping"),
        ("tasks:\n  mine: [\n", "line 3: this is not YAML"),
        ("tasks:\n\tmine: 3\n", "line 2: this is not YAML"),
        ("tasks:\n  mine: 'x\n", "this is not YAML"),
        ("tasks: {{ mine }}\n", "line 1: this is not YAML"),
        ("a: 1\n? [b, c]\n: 2\n", "line 2: this is not YAML"),
        ("tasks: *nothing\n", "line 1: this is not YAML"),
        ("tasks: &a\n  b: *a\n", "this is not YAML: it is nested too deeply, or an anchor contains itself"),
        ('tasks: "C:\\d"\n', "unknown escape character 'd'; in double quotes, write a backslash twice"),
        ("tasks:\n  2020-01-01: {}\n", "line 2: tasks.2020-01-01: the name of a task should be text; put it into"),
        ("tasks:\n  yes: {}\n", "line 2: tasks.yes: the name of a task should be text; put it into quotes"),
        ("tasks: !!python/object/apply:os.getcwd []\n", "line 1: this is not YAML"),
        ("tasks:\n  \x00\n", "line 2: this is not YAML: '\\x00' is not allowed"),
        ("tasks: 2020-13-45\n", "this is not YAML"),
        ("a: 1\n---\nb: 2\n", "line 2: this is not YAML"),
    ],
)
def test_what_is_no_task_file_is_told(refusal: Refusal, text: str, words: str) -> None:
    first = refusal(text)[0]
    assert first.startswith("tasks.yaml")
    assert words in first


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(TaskFileError, match=r"nowhere\.yaml: cannot be read: No such file"):
        load_tasks(tmp_path / "nowhere.yaml")
    with pytest.raises(TaskFileError, match="cannot be read: Is a directory"):
        load_tasks(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("tasks: {mine: {summary: für}}".encode("latin-1"))
    with pytest.raises(TaskFileError, match=r"cannot be read: it is not UTF-8\. Save it as UTF-8"):
        load_tasks(tmp_path / "latin.yaml")
    with pytest.raises(TaskFileError, match="/dev/zero: is larger than 10 MB, and so no task file"):
        load_tasks("/dev/zero")


def test_labels_of_one_class_only_are_told(tmp_path: Path) -> None:
    save(tmp_path, label="ant")
    with pytest.raises(TaskFileError, match=r"tasks.yaml, line 3: tasks.mine.table.target: .*class"):
        load_tasks(write(tmp_path, GOOD))


def test_several_mistakes_are_all_told(refusal: Refusal) -> None:
    text = GOOD.replace("50", "many").replace("0.2", "2") + "  other:\n    split: {seed: 0}\n    speed: 3\n"
    told = refusal(text)
    places = [(line.split(":")[0], line.split(":")[1].strip()) for line in told]
    assert places == [
        ("tasks.yaml, line 4", "tasks.mine.noise.uniform"),
        ("tasks.yaml, line 5", "tasks.mine.budget"),
        ("tasks.yaml, line 7", "tasks.other.split.seed"),
        ("tasks.yaml, line 8", "tasks.other.speed"),
    ]


def test_of_a_field_that_may_be_one_of_two_types_one_sentence_is_told(refusal: Refusal) -> None:
    told = refusal(GOOD.replace("target: label", "target: label, classes: [no, 2, yes]"))
    assert [line.split(":")[1].strip() for line in told] == ["tasks.mine.table.classes.0", "tasks.mine.table.classes.2"]


def test_nothing_is_registered_when_the_last_task_cannot_be_made(refusal: Refusal) -> None:
    bad = GOOD.removeprefix("tasks:\n").replace("mine", "other").replace("50", "5000")
    assert "tasks.other.budget" in refusal(GOOD + bad)[0]


def test_a_broken_file_leaves_the_tasks_of_an_earlier_one(tmp_path: Path) -> None:
    save(tmp_path)
    load_tasks(write(tmp_path, GOOD))
    before = TASKS["mine"]
    with pytest.raises(TaskFileError):
        load_tasks(write(tmp_path, GOOD.replace("50", "5000")))
    assert TASKS["mine"] is before


@given(text=st.text("tasks:\n mine{}[],'\"-&*!|>?%@`#0.x\t", max_size=60))
def test_any_text_is_read_or_refused_as_no_yaml(text: str) -> None:
    with suppress(TaskFileError):
        _, lines = parse_yaml("t.yaml", text)
        assert all(1 <= line <= len(text.splitlines()) + 1 for line in lines.values())


# --- what is right --------------------------------------------------------------------------------------------------


def test_tasks_stand_beside_the_built_in_ones(tmp_path: Path) -> None:
    save(tmp_path)
    second = GOOD.removeprefix("tasks:\n").replace("mine", "yours").replace("50", "60")
    assert load_tasks(write(tmp_path, GOOD + second)) == ("mine", "yours")
    assert list(TASKS) == [*BUILT_IN, "mine", "yours"]
    assert (TASKS["mine"].budget, TASKS["yours"].budget) == (50, 60)
    assert not TASKS["mine"].built_in
    assert TASKS["mine"].difficulty == "own"


def test_files_are_looked_for_beside_the_task_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inner").mkdir()
    save(tmp_path / "inner")
    write(tmp_path / "inner", GOOD)
    monkeypatch.chdir(tmp_path)
    assert load_tasks("inner/tasks.yaml") == ("mine",)
    assert task_recipes()[0].folder == tmp_path / "inner"


def test_the_same_file_again_makes_nothing_anew_and_a_changed_one_does(tmp_path: Path) -> None:
    save(tmp_path)
    load_tasks(write(tmp_path, GOOD))
    first = TASKS["mine"]
    load_tasks(tmp_path / "tasks.yaml")
    assert TASKS["mine"] is first
    load_tasks(write(tmp_path, GOOD.replace("50", "60")))
    assert TASKS["mine"].budget == 60


def test_a_task_that_was_removed_is_made_again(tmp_path: Path) -> None:
    save(tmp_path)
    load_tasks(write(tmp_path, GOOD))
    del TASKS["mine"]
    assert task_recipes() == ()
    load_tasks(tmp_path / "tasks.yaml")
    assert "mine" in TASKS


def test_yaml_may_repeat_itself_by_anchors(tmp_path: Path) -> None:
    save(tmp_path)
    text = GOOD.replace("mine:", "mine: &base") + "  yours:\n    <<: *base\n    budget: 60\n"
    assert load_tasks(write(tmp_path, text)) == ("mine", "yours")
    assert (TASKS["yours"].budget, TASKS["yours"].flip_y) == (60, 0.2)


def test_yaml_that_multiplies_itself_is_refused(tmp_path: Path) -> None:
    layers = "".join(f"x{place}: &x{place} [{', '.join([f'*x{place - 1}'] * 9)}]\n" for place in range(1, 9))
    with pytest.raises(TaskFileError, match="fields are too many"):
        load_tasks(write(tmp_path, f"x0: &x0 [a, a, a]\n{layers}"))


def test_a_file_of_data_that_changed_is_read_again(tmp_path: Path) -> None:
    save(tmp_path)
    load_tasks(write(tmp_path, GOOD))
    first = task_digests()["mine"]
    load_tasks(tmp_path / "tasks.yaml")
    assert task_digests()["mine"] == first
    changed = frame()["x3"].tolist()
    changed[7] += 0.25
    save(tmp_path, x3=changed)
    load_tasks(tmp_path / "tasks.yaml")
    assert task_digests()["mine"] != first


def test_a_task_can_be_sent_to_another_process(tmp_path: Path) -> None:
    save(tmp_path)
    load_tasks(write(tmp_path, GOOD))
    first = TASKS["mine"]
    again: Task = pickle.loads(pickle.dumps(first))  # noqa: S301
    assert again.source is not None
    assert first.source is not None
    assert again.digest == first.digest
    assert again.source.start(5).performance == first.source.start(5).performance


def test_a_fingerprint_changes_with_the_definition_and_with_the_data(tmp_path: Path) -> None:
    save(tmp_path)

    def mark(text: str) -> str:
        forget()
        load_tasks(write(tmp_path, text))
        return task_digests()["mine"]

    first = mark(GOOD)
    assert mark(GOOD) == first
    assert mark("# a remark\n" + GOOD) == first
    assert mark(GOOD.replace("50", "60")) != first
    changed = frame()["x3"].tolist()
    changed[7] += 0.5
    save(tmp_path, x3=changed)
    assert mark(GOOD) != first


def test_built_in_names_cannot_be_added() -> None:
    with pytest.raises(TaskDefinitionError, match="built-in"):
        task_file.add_task(TaskRecipe("hard", defined(**WINE), Path()))
    with pytest.raises(Exception, match="built-in"):
        register(TASKS["hard"])


def test_any_definition_is_told_without_its_data(tmp_path: Path) -> None:
    """A definition alone does not read the table, so that a file's mistakes are all told at once."""
    path = write(tmp_path, GOOD)
    definitions, lines = task_file.read_task_file(path)
    assert definitions.tasks["mine"].budget == 50
    expected: dict[tuple[str, ...], Any] = {("tasks",): 1, ("tasks", "mine"): 2, ("tasks", "mine", "budget"): 5}
    assert {place: lines[place] for place in expected} == expected
