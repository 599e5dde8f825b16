"""The command line on a user's own data: evaluate --data, --task-file, and refusals that name the option."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from dataselect_env import cli
from dataselect_env.core.tasks import BUILT_IN, TASKS
from dataselect_env.evaluation import evaluate as evaluation
from dataselect_env.evaluation import tuning
from dataselect_env.evaluation.ladder import Report
from dataselect_env.policies import GROUPS, get_policy, plays
from tests.helpers.owning import FURTHER, WINE, forget, forgotten, frame, offered, save

DATA = ("--data", "t.csv", "--target", "label", "--budget", "40", "--max-steps", "4")
FAST = ("--seeds", "2", "--processes", "1")
TASK_FILE = "tasks:\n  filed:\n    table: {bundled: wine}\n    budget: 40\n    max_steps: 4\n    strategies: [margin]\n"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test has a folder with a table of its own, and a quick search for the best constant."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tuning, "SEEDS", (0,))
    save(tmp_path)
    save(tmp_path, "mixed.csv", x1=["1", "2", "3", "many"] * 75)
    (tmp_path / "tasks.yaml").write_text(TASK_FILE)
    with forgotten():
        yield


@pytest.fixture
def nothing_played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "evaluate", lambda *_, **__: pytest.fail("episodes were played"))


def run(*arguments: str) -> Result:
    """Run a command as if in a process of its own, which knows the built-in tasks."""
    forget()
    return CliRunner().invoke(cli.main, arguments)


def evaluate(*arguments: str) -> Result:
    result = run("evaluate", *arguments)
    assert result.exit_code == 0, result.output
    return result


def refused(*arguments: str) -> str:
    """Run with a mistake; return the sentence that answers it."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    sentence = result.stderr.splitlines()[-1]
    assert sentence.startswith("Error: ")
    return sentence.removeprefix("Error: ")


def policies_of(report: Report, task: str) -> set[str]:
    return {row.policy for row in report.rows if row.task_id == task}


def read(path: str = "evaluation.json") -> Report:
    return Report.model_validate_json(Path(path).read_text())


# --- evaluate --data ------------------------------------------------------------------------------------------------


def test_the_ladder_of_a_table_shows_every_strategy() -> None:
    result = evaluate(
        *DATA, "--noise", "0.2", "--policies", "all", *FAST, "--strategies", ", ".join(FURTHER), "--plot", "p.svg"
    )
    report = read()
    assert report.settings.tasks == ("t",)
    shown = policies_of(report, "t")
    assert {*GROUPS["all"], *FURTHER} == shown
    for name in ("uncertainty", "diversity", "random", "best-constant", "oracle", *FURTHER):
        assert f"\n{name} " in result.stdout, name
    assert report.settings.best_constants["t"].startswith("constant:")
    assert f"On t best-constant is {report.settings.best_constants['t']}" in " ".join(result.stdout.split())
    assert Path("p.svg").stat().st_size > 1_000
    assert max(map(len, result.stdout.splitlines())) <= 80
    rows = [row for row in report.rows if row.noise_ratio is not None]
    assert 0.1 < np.mean([row.noise_ratio for row in rows]) < 0.3
    assert all(row.score_by_world == {} for row in report.rows)  # these are of the built-in tasks
    assert {row.policy for row in report.rows if row.difference is None} == {"best-constant"}  # the reference


def test_oracles_are_left_out_where_the_truth_is_unknown() -> None:
    result = evaluate(*DATA, "--unknown-noise", "0.2", "--policies", "ladder", *FAST, "--no-files")
    assert "Not on t, which does not offer what they need: oracle, greedy-oracle." in result.stderr
    table = result.stdout.splitlines()
    shown = [line.split()[0] for line in table[table.index("") + 2 :]]
    assert sorted(shown) == sorted(set(GROUPS["ladder"]) - {"oracle", "greedy-oracle"})
    assert all(line.split()[4] == "-" for line in table[table.index("") + 2 :])  # no noise can be told


def test_a_reference_that_cannot_play_a_task_gives_no_differences_there() -> None:
    policies = ("--policies", "random,oracle", "--reference", "oracle")
    result = evaluate(*DATA, "--unknown-noise", "0.2", *policies, *FAST)
    assert "oracle" not in [line.split()[0] for line in result.stdout.splitlines() if line.startswith("random")]
    assert [(row.policy, row.difference) for row in read().rows] == [("random", None)]


def test_policies_that_cannot_play_at_all_are_a_mistake() -> None:
    sentence = "--policies: none of them can play any of the tasks"
    assert refused("evaluate", *DATA, "--unknown-noise", "0.2", "--policies", "oracle", *FAST) == sentence
    assert refused("evaluate", "--tasks", "easy", "--policies", "margin", *FAST, "--no-files") == sentence


def test_a_bundled_set_needs_no_file() -> None:
    evaluate("--data", "wine", "--budget", "40", "--max-steps", "4", "--policies", "random,stop", *FAST)
    assert read().settings.tasks == ("wine",)
    assert TASKS["wine"].n_classes == 3


def test_options_are_the_fields_of_a_task() -> None:
    frame_with_truth = frame().assign(truth=frame()["label"], who="x")
    frame_with_truth.loc[::4, "label"] = "ant"
    frame_with_truth.to_csv("My Data.2.csv", index=False)
    evaluate(
        *("--data", "My Data.2.csv", "--target", "label", "--true-target", "truth", "--exclude", "who, x3"),
        *("--budget", "30", "--max-steps", "3", "--seed-set", "12", "--strategies", "margin"),
        *("--policies", "random,margin", *FAST, "--no-files"),
    )
    task: Any = TASKS["my-data"]
    assert (task.budget, task.max_steps, task.extra_strategies) == (30, 3, ("margin",))
    dataset = task.source.start(0).dataset
    assert (len(dataset.y[dataset.seed_rows]), dataset.X.shape[1]) == (12, 9)
    assert task.flip_y == pytest.approx(1 / 6, abs=0.03)


def test_what_the_columns_were_taken_for_is_told() -> None:
    policies = ("--policies", "stop", *FAST, "--no-files")
    result = evaluate(
        "--data", "mixed.csv", "--target", "label", "--categorical", "x1, x2", "--budget", "40", *policies
    )
    assert result.stderr.splitlines() == [
        'mixed.csv (separated by commas): 300 rows, 3 classes in "label", 8 numbers, 2 categories; categories are "x1",'
        ' "x2".'
    ]
    assert evaluate(*DATA, *policies).stderr.splitlines()[0].startswith("t.csv (separated by commas): 300 rows")
    listing = run("tasks", "--task-file", "tasks.yaml").stdout
    assert 'wine: 178 rows, 3 classes in "target", 13 numbers.' in listing


def test_a_table_named_as_a_task_does_not_take_its_place() -> None:
    before = TASKS["easy"]
    Path("t.csv").rename("easy.csv")
    evaluate("--data", "easy.csv", "--target", "label", "--budget", "40", "--policies", "stop", *FAST)
    assert read().settings.tasks == ("own-easy",)
    assert TASKS["easy"] is before


@pytest.mark.slow
def test_figures_do_not_depend_on_what_was_played_before() -> None:
    """Nor on the number of processes: the workers make the table anew."""
    for path, processes in (("one.json", "1"), ("two.json", "2")):
        evaluate(*DATA, "--noise", "0.2", "--policies", "random,oracle", "--seeds", "2", "--json", path,
                 "--processes", processes)  # fmt: skip
    assert read("one.json") == read("two.json")


@pytest.mark.parametrize(
    ("arguments", "option", "words"),
    [
        (("--data", "u.csv", "--target", "label"), "--data", "no file u.csv"),
        (("--data", "t.doc", "--target", "label"), "--data", "no file t.doc"),
        (("--data", "tasks.yaml", "--target", "label"), "--data", "tasks.yaml has an unknown suffix"),
        (("--data", ".", "--target", "label"), "--data", ". is a folder, not a file"),
        (("--data", "mixed.csv", "--target", "label"), "--categorical", 'Most values of column "x1" look like numbers'),
        (("--data", "t.csv"), "--data", "needs a target"),
        (("--data", "wine", "--target", "label"), "--data", "its own labels"),
        (("--data", "t.csv", "--target", "labl"), "--target", 'Did you mean "label"'),
        (("--data", "t.csv", "--target", "x0"), "--target", "quantity"),
        (("--data", "t.csv", "--target", "label", "--true-target", "truth"), "--true-target", '"truth"'),
        (("--data", "t.csv", "--target", "label", "--true-target", "label"), "--true-target", "another column"),
        (("--data", "t.csv", "--target", "label", "--exclude", "nope"), "--exclude", '"nope"'),
        ((*DATA, "--noise", "0.5"), "--noise", "less than 0.5"),
        ((*DATA, "--noise", "-0.1"), "--noise", "greater than or equal to 0"),
        ((*DATA, "--unknown-noise", "0.7"), "--unknown-noise", "less than 0.5"),
        ((*DATA, "--noise", "0.1", "--unknown-noise", "0.1"), "--noise", "one of"),
        ((*DATA, "--strategies", "margin,mrgin"), "--strategies", "no such strategy"),
        ((*DATA, "--seed-set", "1"), "--seed-set", "greater than or equal to 2"),
        (("--data", "t.csv", "--target", "label", "--budget", "4"), "--budget", "greater than or equal to 5"),
        (("--data", "t.csv", "--target", "label", "--budget", "4000"), "--budget", "300 rows"),
        ((*DATA[:4], "--max-steps", "0"), "--max-steps", "greater than or equal to 1"),
        (("--target", "label"), "--target", "only together with --data"),
        (("--noise", "0.1"), "--noise", "only together with --data"),
        (("--seed-set", "10"), "--seed-set", "only together with --data"),
    ],
    ids=str,
)
@pytest.mark.usefixtures("nothing_played")
def test_a_mistake_names_its_option(arguments: tuple[str, ...], option: str, words: str) -> None:
    sentence = refused("evaluate", *arguments, *FAST, "--no-files")
    assert sentence.startswith(f"{option}: "), sentence
    assert words in sentence
    assert list(TASKS) == list(BUILT_IN)


# --- going on -------------------------------------------------------------------------------------------------------


def test_a_run_goes_on_and_refuses_a_table_that_has_changed(tmp_path: Path) -> None:
    command = (*DATA, "--noise", "0.2", "--policies", "random,stop", *FAST, "--resume", "run.jsonl")
    evaluate(*command, "--json", "first.json")
    kept = Path("run.jsonl").read_bytes()
    evaluate(*command, "--json", "second.json")
    assert Path("run.jsonl").read_bytes() == kept
    assert read("first.json") == read("second.json")
    changed = frame()["x3"].to_numpy(copy=True)
    changed[5] += 1
    save(tmp_path, x3=changed)
    assert re.search(r"run.jsonl is of another run: task t \w{8} \(now \w{8}\)", refused("evaluate", *command))
    save(tmp_path)
    assert "Choose another file" in refused("evaluate", *command, "--seed-set", "20")
    assert Path("run.jsonl").read_bytes() == kept
    evaluate(*command)


# --- task files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["option", "variable"])
def test_tasks_of_a_task_file_are_played(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["evaluate", "--policies", "random,margin", *FAST]
    if by == "option":
        arguments += ["--task-file", "tasks.yaml"]
    else:
        monkeypatch.setenv("DATASELECT_TASKS", "tasks.yaml")
    assert run(*arguments).exit_code == 0
    report = read()
    assert report.settings.tasks == ("filed",)
    assert policies_of(report, "filed") == {"random", "margin"}


def test_tasks_of_all_kinds_are_played_together() -> None:
    result = evaluate("--task-file", "tasks.yaml", "--tasks", "hard,filed", "--policies", "random,margin", *FAST)
    assert "Not on hard, which does not offer what they need: margin." in result.stderr
    assert [(row.task_id, row.policy) for row in read().rows] == [
        ("hard", "random"),
        ("filed", "random"),
        ("filed", "margin"),
    ]


def test_a_task_file_is_read_before_the_names_of_tasks() -> None:
    result = run("play", "--task", "filed", "--policy", "margin", "--seed", "3", "--task-file", "tasks.yaml")
    assert result.exit_code == 0, result.output
    assert "filed" in result.stdout
    assert "there is no task filed" in refused("play", "--task", "filed", "--seed", "3")


@pytest.mark.parametrize("command", ["evaluate", "play", "tasks"])
def test_a_broken_task_file_is_one_sentence(command: str) -> None:
    Path("tasks.yaml").write_text(TASK_FILE.replace("budget", "bugdet"))
    sentence = refused(command, "--task-file", "tasks.yaml")
    assert sentence.startswith("tasks.yaml, line 4: tasks.filed.bugdet: unknown field; did you mean budget?")


# --- which policies can play what -----------------------------------------------------------------------------------


def test_a_strategy_plays_only_where_it_is_offered() -> None:
    task = offered(**WINE, strategies=["margin", "skactiveml:QueryByCommittee"])
    committee = task.extra_strategies[1]
    for name in ("margin", committee):
        assert get_policy(name).name == name
        assert plays(name, task)
        assert not plays(name, TASKS["easy"])
    assert not plays("k_center", task)
    for name in ("random", "constant:5:random=1", "ppo", "stop"):
        assert plays(name, task)
        assert plays(name, TASKS["easy"])


def test_oracles_play_where_the_truth_is_known() -> None:
    known, unknown = offered("known", **WINE), offered("unknown", **WINE, noise={"unknown": 0.1})
    for name in ("oracle", "greedy-oracle"):
        assert plays(name, known)
        assert not plays(name, unknown)


def test_strategies_of_scikit_activeml_play_where_they_are_offered() -> None:
    Path("tasks.yaml").write_text(TASK_FILE.replace("[margin]", '["skactiveml:QueryByCommittee"]'))
    names = "random,skactiveml_query_by_committee"
    evaluate("--task-file", "tasks.yaml", "--tasks", "filed,hard", "--policies", names, *FAST)
    assert policies_of(read(), "filed") == set(names.split(","))
    assert policies_of(read(), "hard") == {"random"}


def test_a_constant_names_any_strategy_of_its_task() -> None:
    evaluate(*DATA, "--strategies", "margin", "--policies", "constant:20:margin=1", *FAST)
    with pytest.raises(AssertionError, match=r"strategy_weights.k_center"):
        evaluate(*DATA, "--strategies", "margin", "--policies", "constant:20:k_center=1", *FAST)


# --- the command tasks ----------------------------------------------------------------------------------------------


def test_tasks_are_listed_with_those_of_a_file() -> None:
    result = run("tasks", "--task-file", "tasks.yaml", "--json")
    listed = json.loads(result.stdout)["tasks"]
    assert [task["task_id"] for task in listed] == [*BUILT_IN, "filed"]
    assert listed[-1]["strategies"] == ["uncertainty", "diversity", "random", "margin"]
    assert (listed[-1]["budget"], listed[-1]["n_classes"], listed[-1]["has_ground_truth"]) == (40, 3, True)
    text = run("tasks", "--task-file", "tasks.yaml").stdout
    assert all(name in text for name in (*BUILT_IN, "filed"))


def test_every_column_is_explained() -> None:
    result = run("tasks", *DATA, "--exclude", "x3", "--explain")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines[-11:]] == [*(f"x{place}" for place in range(10)), "label"]
    assert lines[-8] == "x3      not used   exclude names it"
    assert "Task easy" not in result.stdout
    filed = run("tasks", "--task-file", "tasks.yaml", "--explain").stdout
    assert filed.count("taken for") == filed.count("proline") == 1
    assert "Task easy" not in filed
    sentence = "--explain: no task has a table; name one with --data or --task-file"
    assert refused("tasks", "--explain") == sentence
    assert "Did you mean" in refused("tasks", "--data", "t.csv", "--target", "labl", "--explain")


def test_a_table_may_have_any_format() -> None:
    frame().to_excel("t.xlsx", index=False, sheet_name="One")
    frame().to_json("t.jsonl", orient="records", lines=True)
    for name, note, options in (("t.xlsx", 'sheet "One"', ("--sheet", "One")), ("t.jsonl", "JSON objects", ())):
        result = run("tasks", "--data", name, *options, *DATA[2:])
        assert f"{name} ({note}): 300 rows" in result.stdout, result.output
    assert "no sheets" in refused("tasks", *DATA, "--sheet", "One")


def test_the_schema_is_printed() -> None:
    schema = json.loads(run("tasks", "--schema").stdout)
    assert "TaskDefinition" in schema["$defs"]
