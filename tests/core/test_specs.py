"""Task specs: an index and a spec determine each other, and further tasks change no indices."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataselect_env.core.errors import EnvError, InvalidInput, TaskIndexOutOfRange, UnknownSplit, UnknownTask
from dataselect_env.core.specs import choose, get_spec, get_spec_range
from dataselect_env.core.tasks import (
    DEFAULT_SPLIT,
    DEFAULT_TASK,
    PINNED,
    SEED_LIMIT,
    SPLITS,
    TASKS,
    get_split,
    split_of,
)
from tests.helpers.owning import WINE, forgotten, offered

TRAIN, TEST = SPLITS["train"], SPLITS["test"]


@given(name=st.sampled_from(sorted(SPLITS)), data=st.data())
def test_index_and_spec_tell_each_other(name: str, data: st.DataObject) -> None:
    split = get_split(name)
    index = data.draw(st.integers(0, split.num_tasks - 1))
    spec = get_spec(name, index)
    assert (spec.split, spec.index, split_of(spec.seed)) == (name, index, name)
    place = spec.seed - split.first_seed
    if spec.task_id == "open":
        assert index == len(PINNED) * split.seeds + place
    else:
        assert index == len(PINNED) * place + PINNED.index(spec.task_id)
    assert choose(None, None, name, index) == (TASKS[spec.task_id], spec.seed)
    assert choose(spec.task_id, spec.seed, name, index) == (TASKS[spec.task_id], spec.seed)


def test_specs_of_a_split_are_distinct_and_grouped_by_seed() -> None:
    specs = get_spec_range("validation")
    assert len(specs) == get_split("validation").num_tasks == len({spec.id for spec in specs})
    first = [spec for spec in specs if spec.seed == specs[0].seed]
    assert {spec.task_id for spec in first} == set(TASKS)
    assert [spec.task_id for spec in specs[: len(PINNED)]] == list(PINNED)
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
