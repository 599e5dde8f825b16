"""Tables that are DataFrames."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dataselect_env import DataSelectEnv, load_frame
from dataselect_env.core.errors import InvalidInput
from dataselect_env.custom.frame_table import Frame
from dataselect_env.custom.task_file import data_report, task_recipes
from dataselect_env.evaluation.evaluate import Plan, evaluate
from tests.helpers.owning import forgotten, frame

TASK: dict[str, Any] = {"noise": {"uniform": 0.2}, "budget": 40, "max_steps": 4}
TARGET = {"target": "label"}


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    with forgotten():
        yield


def test_a_data_frame_is_a_task_like_any_other() -> None:
    data = frame()
    task = load_frame("mine", data, {**TARGET, "exclude": ["x1"]}, **TASK)
    data["x0"] = 0.0  # the task has a copy
    report = data_report("mine")
    assert report is not None
    assert report.summary() == 'the DataFrame: 300 rows, 3 classes in "label", 9 numbers, 1 column not used.'
    env = DataSelectEnv()
    first = env.reset(task_id="mine", seed=3).observation
    again = load_frame("mine", frame(), {**TARGET, "exclude": ["x1"]}, **TASK)
    assert (again.digest, again.pool_size) == (task.digest, 231)
    assert env.reset(task_id="mine", seed=3).observation == first


def test_other_libraries_and_indices_are_taken() -> None:
    class Other:
        def to_pandas(self) -> pd.DataFrame:
            return frame().set_index(np.arange(300) * 7).rename(columns={"x0": 0})

    load_frame("other", Other(), {**TARGET, "columns": ["0", "x1"]}, **TASK)
    report = data_report("other")
    assert report is not None
    assert [column.name for column in report.columns if column.role == "number"] == ["0", "x1"]


@pytest.mark.slow
def test_other_processes_play_it() -> None:
    load_frame("mine", frame(), TARGET, **TASK)
    plan = Plan(policies=("random", "stop"), tasks=("mine",), seeds=(1, 2))
    assert evaluate(plan, processes=2) == evaluate(plan)


def test_a_recipe_equals_its_copy_in_another_process() -> None:
    load_frame("mine", frame(), TARGET, **TASK)
    (recipe,) = task_recipes()
    assert pickle.loads(pickle.dumps(recipe)) == recipe  # noqa: S301
    load_frame("mine", frame(), TARGET, **TASK)
    assert task_recipes() != (recipe,)
    assert len({Frame(frame()), Frame(frame())}) == 2


def infinite() -> pd.DataFrame:
    return frame().assign(x0=[np.inf] + [1.5] * 299)


@pytest.mark.parametrize(("data", "table", "fields", "field", "words"), [
    (None, TARGET, {}, "frame", "should be a DataFrame, not NoneType"),
    ([1], TARGET, {}, "frame", "should be a DataFrame, not list"),
    (frame(), {}, {}, "table", "needs a target"),
    (frame(), {"target": "labl"}, {}, "table.target", 'the DataFrame has no column "labl"'),
    (frame(), {**TARGET, "file": "t.csv"}, {}, "table", "A DataFrame has no file"),
    (frame(), {**TARGET, "exclud": []}, {}, "table.exclud", "unknown field; did you mean exclude?"),
    (frame(), TARGET, {"budgt": 3}, "budgt", "unknown field; did you mean budget?"),
    (frame(), TARGET, {"budget": 3}, "budget", "greater than or equal to 5"),
    (frame(), TARGET, {"budget": 3000}, "budget", "less than the budget"),
    (frame(), TARGET, {"strategies": ["mrgin"]}, "strategies.0", "no such strategy"),
    (infinite(), TARGET, {}, "table.exclude", "the DataFrame: Column \"x0\" is infinite, or beyond 1e+100, in 1 of 300"
     " rows, first in row 0."),
    (frame().set_axis(["x"] * 11, axis=1), {"target": "x"}, {}, "table.frame", 'of the DataFrame are called "x"'),
    (pd.DataFrame({("a", "b"): [1]}), TARGET, {}, "frame", "names of 2 levels; join the levels, as in frame"),
    (frame().assign(x0=[Fraction(1, 3)] * 300), TARGET, {}, "table.exclude", 'nor just dates: row 0 has "1/3".'),
    (frame().assign(x0=np.full(300, "1e400", np.longdouble)), TARGET, {}, "table.exclude", "is infinite, or beyond"),
    (pd.DataFrame(), TARGET, {}, "table.target", "which target names. It has none."),
])  # fmt: skip
def test_a_fault_is_told_with_its_field(
    data: Any, table: dict[str, Any], fields: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        load_frame("mine", data, table, **fields)
    assert caught.value.field == field
    assert caught.value.message.startswith(f"{field}: ")
    assert words in caught.value.message


@pytest.mark.parametrize("name", ["easy", "Mine", ""])
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="name"):
        load_frame(name, frame(), TARGET, **TASK)
