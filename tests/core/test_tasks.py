"""The table of tasks has the documented values; task specs, splits and seeds are consistent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataselect_env.core.errors import EnvError, InvalidInput, TaskIndexOutOfRange, UnknownSplit, UnknownTask
from dataselect_env.core.tasks import (
    DEFAULT_SPLIT,
    DEFAULT_TASK,
    MIN_BATCH,
    SEED_LIMIT,
    SPLITS,
    TASKS,
    Task,
    choose,
    get_spec,
    get_spec_range,
    get_split,
    get_task,
    split_of,
)
from tests.helpers.owning import WINE, forgotten, offered

NAN = float("nan")
TRAIN, TEST = SPLITS["train"], SPLITS["test"]


def test_table_is_the_specification() -> None:
    table = {name: (task.flip_y, task.budget, task.max_steps) for name, task in TASKS.items()}
    assert table == {"easy": (0.05, 300, 15), "medium": (0.25, 150, 12), "hard": (0.30, 100, 8)}
    assert all(task.task_id == name for name, task in TASKS.items())
    assert (DEFAULT_TASK, MIN_BATCH) == ("easy", 5)


def test_score_weights_are_the_specification() -> None:
    weights = {
        name: (task.performance_weight, task.noise_weight, task.efficiency_weight) for name, task in TASKS.items()
    }
    assert weights == {"easy": (1, 0, 0), "medium": (0.6, 0.4, 0), "hard": (0.65, 0, 0.35)}


def test_success_criteria_are_the_specification() -> None:
    assert {name: task.success_criteria for name, task in TASKS.items()} == {
        "easy": "current_performance > 0.62",
        "medium": "current_performance > 0.52 AND avg_noise_ratio < 0.50",
        "hard": "current_performance > 0.58, scored jointly with efficiency",
    }


def test_thresholds_are_the_specification() -> None:
    thresholds = {name: (task.pass_performance, task.pass_noise) for name, task in TASKS.items()}
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


@given(name=st.sampled_from(sorted(SPLITS)), data=st.data())
def test_index_and_spec_tell_each_other(name: str, data: st.DataObject) -> None:
    split = get_split(name)
    index = data.draw(st.integers(0, split.num_tasks - 1))
    spec = get_spec(name, index)
    assert (spec.split, spec.index, split_of(spec.seed)) == (name, index, name)
    assert (spec.seed - split.first_seed) * len(TASKS) + list(TASKS).index(spec.task_id) == index
    assert choose(None, None, name, index) == (TASKS[spec.task_id], spec.seed)
    assert choose(spec.task_id, spec.seed, name, index) == (TASKS[spec.task_id], spec.seed)


def test_specs_of_a_split_are_distinct_and_grouped_by_seed() -> None:
    specs = get_spec_range("validation")
    assert len(specs) == get_split("validation").num_tasks == len({spec.id for spec in specs})
    first = specs[: len(TASKS)]
    assert {spec.task_id for spec in first} == set(TASKS)
    assert len({spec.group for spec in first}) == 1
    assert len({spec.group for spec in specs}) == get_split("validation").seeds


@pytest.mark.parametrize("index", [-1, TEST.num_tasks, 10**30])
def test_an_index_outside_of_the_split_is_refused(index: int) -> None:
    with pytest.raises(TaskIndexOutOfRange, match=f"0 to {TEST.num_tasks - 1}") as error:
        get_spec("test", index)
    assert error.value.field == "index"


BOUND = st.none() | st.integers(-4_000, 4_000) | st.sampled_from([-(10**30), 10**30])


@given(start=BOUND, stop=BOUND)
def test_ranges_read_their_bounds_as_slices_do(start: int | None, stop: int | None) -> None:
    everything = list(range(get_split("validation").num_tasks))
    assert [spec.index for spec in get_spec_range("validation", start, stop)] == everything[start:stop]


def test_a_range_of_an_unknown_split_is_refused() -> None:
    with pytest.raises(UnknownSplit):
        get_spec_range("holdout", 0, 1)


def test_choose_fills_in_the_default_task_and_leaves_the_seed_to_be_drawn() -> None:
    assert choose(None, None, None, None) == (TASKS[DEFAULT_TASK], None)
    assert choose("hard", 7, None, None) == (TASKS["hard"], 7)
    assert choose("hard", None, "test", None) == (TASKS["hard"], None)
    assert choose("hard", TEST.first_seed, "test", None) == (TASKS["hard"], TEST.first_seed)
    assert choose(None, SEED_LIMIT - 1, None, None)[1] == SEED_LIMIT - 1
    assert DEFAULT_SPLIT == "train"


@pytest.mark.parametrize(
    ("choices", "error", "field"),
    [
        (("nope", None, None, None), UnknownTask, "task_id"),
        (("nope", None, "test", 0), UnknownTask, "task_id"),
        ((None, None, "nope", None), UnknownSplit, "split"),
        ((None, 7, "nope", None), UnknownSplit, "split"),
        ((None, None, "nope", 0), UnknownSplit, "split"),
        ((None, None, None, 0), InvalidInput, "index"),
        ((None, None, "test", -1), TaskIndexOutOfRange, "index"),
        ((None, TRAIN.first_seed, "test", None), InvalidInput, "seed"),
        ((None, TEST.first_seed + TEST.seeds, "test", None), InvalidInput, "seed"),
        ((None, TEST.first_seed + 1, "test", 0), InvalidInput, "seed"),
        (("hard", None, "test", 0), InvalidInput, "task_id"),
    ],
    ids=str,
)
def test_choices_that_contradict_each_other_are_refused(
    choices: tuple[str | None, int | None, str | None, int | None], error: type[EnvError], field: str
) -> None:
    with pytest.raises(error, match=f"^{field}: ") as caught:
        choose(*choices)
    assert caught.value.field == field


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


@pytest.fixture
def own_tasks() -> Iterator[None]:
    with forgotten():
        yield


@pytest.mark.usefixtures("own_tasks")
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_specs_of_built_in_tasks_keep_their_indices_and_own_ones_follow(split: str) -> None:
    count = get_split(split).num_tasks
    some = [0, 1, 2, 3, count // 2, count - 1]
    before = [get_spec(split, index) for index in some]
    for name in ("mine", "yours"):
        offered(name, **WINE)
    assert [get_spec(split, index) for index in some] == before
    seeds = get_split(split).seeds
    assert get_split(split).num_tasks == count + 2 * seeds
    own = [get_spec(split, index) for index in range(count, count + 2 * seeds)]
    assert [spec.index for spec in own] == list(range(count, count + 2 * seeds))
    assert [(spec.task_id, spec.seed) for spec in own[:3]] == [
        ("mine", get_split(split).first_seed),
        ("yours", get_split(split).first_seed),
        ("mine", get_split(split).first_seed + 1),
    ]
    assert len({spec.id for spec in own}) == 2 * seeds
    with pytest.raises(Exception, match=f"0 to {count + 2 * seeds - 1}"):
        get_spec(split, count + 2 * seeds)
