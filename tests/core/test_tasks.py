"""The table of tasks has the documented values; splits are consistent."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from dataselect_env.core.errors import UnknownSplit, UnknownTask
from dataselect_env.core.tasks import (
    BUILT_IN,
    DEFAULT_TASK,
    MIN_BATCH,
    PINNED,
    SEED_LIMIT,
    SPLITS,
    TASKS,
    Task,
    get_split,
    get_task,
    split_of,
)
from tests.helpers.owning import WINE, forgotten, offered

NAN = float("nan")
BY_NAME = {name: TASKS[name] for name in PINNED}


def test_table_is_the_specification() -> None:
    table = {name: (task.flip_y, task.budget, task.max_steps) for name, task in BY_NAME.items()}
    assert table == {"easy": (0.05, 300, 15), "medium": (0.25, 150, 12), "hard": (0.30, 100, 8)}
    assert all(task.task_id == name for name, task in TASKS.items())
    assert (DEFAULT_TASK, MIN_BATCH) == ("easy", 5)


def test_score_weights_are_the_specification() -> None:
    weights = {
        name: (task.performance_weight, task.noise_weight, task.efficiency_weight) for name, task in BY_NAME.items()
    }
    assert weights == {"easy": (1, 0, 0), "medium": (0.6, 0.4, 0), "hard": (0.65, 0, 0.35)}


def test_success_criteria_are_the_specification() -> None:
    assert {name: task.success_criteria for name, task in BY_NAME.items()} == {
        "easy": "current_performance > 0.62",
        "medium": "current_performance > 0.52 AND avg_noise_ratio < 0.50",
        "hard": "current_performance > 0.58, scored jointly with efficiency",
    }


def test_thresholds_are_the_specification() -> None:
    thresholds = {name: (task.pass_performance, task.pass_noise) for name, task in BY_NAME.items()}
    assert thresholds == {"easy": (0.62, None), "medium": (0.52, 0.50), "hard": (0.58, None)}
    assert TASKS["easy"].performance_range == (0.55, 0.75)


def test_score_formula_tells_weights_and_range() -> None:
    assert TASKS["easy"].score_formula == "performance score; performance score over [0.55, 0.75]"
    assert TASKS["medium"].score_formula.startswith("0.6 x performance score + 0.4 x noise score; ")
    assert TASKS["hard"].score_formula.startswith("0.65 x performance score + 0.35 x efficiency; ")


@pytest.mark.parametrize(
    "nonsense",
    [
        {"flip_y": -0.01},
        {"flip_y": 0.5},
        {"flip_y": NAN},
        {"budget": MIN_BATCH - 1},
        {"max_steps": 0},
        {"performance_range": (0.7, 0.5)},
        {"performance_range": (0.5, 0.5)},
        {"performance_range": (-0.1, 0.5)},
        {"performance_range": (0.5, 1.1)},
        {"performance_range": (0.5, NAN)},
        {"performance_weight": 0.9},
        {"performance_weight": 1.5, "noise_weight": -0.5},
        {"performance_weight": NAN},
        {"pass_performance": 1.5},
        {"pass_noise": -0.1},
    ],
    ids=str,
)
def test_nonsense_is_refused(nonsense: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="easy"):
        replace(TASKS["easy"], **nonsense)


def test_a_task_cannot_be_changed() -> None:
    name = "budget"
    with pytest.raises(FrozenInstanceError):
        setattr(TASKS["easy"], name, 1)


@pytest.mark.parametrize("name", ["", "Easy", "easy ", "impossible"])
def test_unknown_names_list_the_allowed_ones(name: str) -> None:
    with pytest.raises(UnknownTask, match="easy, medium, hard") as task_error:
        get_task(name)
    with pytest.raises(UnknownSplit, match="train, validation, test") as split_error:
        get_split(name)
    assert (task_error.value.field, split_error.value.field) == ("task_id", "split")


def test_splits_are_disjoint_ranges_of_valid_seeds() -> None:
    ranges = [range(split.first_seed, split.first_seed + split.seeds) for split in SPLITS.values()]
    assert sum(map(len, ranges)) == len(set().union(*ranges))
    assert all(0 <= seeds.start < seeds.stop <= SEED_LIMIT for seeds in ranges)


@pytest.mark.parametrize("name", SPLITS)
def test_a_split_holds_its_seeds_and_no_other(name: str) -> None:
    split = SPLITS[name]
    first, last = split.first_seed, split.first_seed + split.seeds - 1
    assert split_of(first) == split_of(last) == name
    assert split_of(first - 1) != name
    assert split_of(last + 1) != name


def test_a_seed_outside_of_all_splits_belongs_to_none() -> None:
    assert split_of(SEED_LIMIT - 1) is None


def test_tasks_of_other_numbers_can_be_made() -> None:
    task = Task(
        task_id="tiny",
        summary="A task for tests.",
        flip_y=0.0,
        budget=MIN_BATCH,
        max_steps=1,
        performance_range=(0.0, 1.0),
        pass_performance=0.5,
    )
    assert task.success_criteria == "current_performance > 0.50"


# --- the task whose seeds draw problems -----------------------------------------------------------------------------


def test_open_states_upper_limits_and_refers_to_the_problem() -> None:
    task = TASKS["open"]
    assert (PINNED, BUILT_IN) == (("easy", "medium", "hard"), ("easy", "medium", "hard", "open"))
    assert (task.flip_y, task.budget, task.max_steps, task.pool_size, task.n_classes) == (0.45, 240, 16, 1_100, 10)
    assert task.success_criteria == "current_performance > pass_performance of the seed's problem"
    assert task.score_formula == "performance score; performance score over performance_range of the seed's problem"


def test_the_task_of_one_seed_has_numbers_of_its_own() -> None:
    task = replace(TASKS["open"], budget=30, performance_range=(0.5, 0.75), pass_performance=0.625)
    assert not task.varies
    assert task.success_criteria == "current_performance > 0.625"
    assert task.score_formula == "performance score; performance score over [0.50, 0.75]"


def test_who_is_pinned_drawn_and_described() -> None:
    with forgotten():
        mine = offered(**WINE)
        facts = {
            task.task_id: (task.pinned, task.built_in, task.varies, task.described, task.difficulty)
            for task in TASKS.values()
        }
    assert facts == {
        **{name: (True, True, False, False, name) for name in PINNED},
        "open": (False, True, True, True, "open"),
        mine.task_id: (False, False, False, True, "own"),
    }


def test_noise_is_not_graded_where_nobody_reports_it() -> None:
    with pytest.raises(ValueError, match="not reported"):
        replace(TASKS["medium"], audited=False)
    assert not replace(TASKS["easy"], has_ground_truth=False).audited
    assert replace(TASKS["easy"], audited=False).has_ground_truth
