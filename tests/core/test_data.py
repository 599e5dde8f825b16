"""Data sets and pools: shapes, splits, label noise and worlds, and the absence of leakage between splits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification

from dataselect_env.core import data, generator
from dataselect_env.core.data import (
    CONFIDENT_SEEDS_A_BLOCK,
    N_FEATURES,
    POOL_ROWS,
    SEEDS_A_BLOCK,
    WARM_START_BAND,
    WORLDS,
    Pool,
    accepted_datasets,
    dataset_number,
    make_dataset,
    make_pool,
    placement,
    world_of,
)
from dataselect_env.core.tasks import DYNAMICS_VERSION, PINNED, SEED_LIMIT, SPLITS, TASKS, Task
from dataselect_env.core.warm_start import warm_start

ARRAYS = ("X_validation", "y_validation", "X_pool", "y_pool")
NUMBER = accepted_datasets()["train"][0]
TASK_TABLE = pytest.mark.parametrize("task", [TASKS[name] for name in PINNED], ids=PINNED)


MARGINS = np.random.default_rng(3).random(1_100)
EACH_WORLD = pytest.mark.parametrize("world", WORLDS)


def pool_of(task: Task, seed: int = 0, world: str = "core") -> Pool:
    dataset = make_dataset(NUMBER)
    return make_pool(
        task, dataset, placement(dataset, world, MARGINS, (dataset.X_pool**2).sum(axis=1)), np.random.default_rng(seed)
    )


# --- data sets ------------------------------------------------------------------------------------------------------


def test_shapes_are_the_specification() -> None:
    dataset = make_dataset(NUMBER)
    shapes = {name: getattr(dataset, name).shape for name in ("X_seed", *ARRAYS)}
    assert shapes == {
        "X_seed": (100, N_FEATURES),
        "X_validation": (200, N_FEATURES),
        "y_validation": (200,),
        "X_pool": (1_100, N_FEATURES),
        "y_pool": (1_100,),
    }


def test_rows_are_those_of_the_generator() -> None:
    dataset = make_dataset(NUMBER)
    _, y = make_classification(**data.GENERATOR, random_state=NUMBER)
    assert dataset.number == NUMBER
    assert dataset.y[dataset.seed_rows].tolist() == y[:100].tolist()
    assert dataset.y_validation.tolist() == y[200:400].tolist()
    assert dataset.y_pool.tolist() == y[400:].tolist()
    assert set(y) == {0, 1}


@pytest.mark.parametrize("name", ARRAYS)
def test_shared_arrays_are_read_only(name: str) -> None:
    array = getattr(make_dataset(NUMBER), name)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 0


def test_seed_set_and_pool_are_standardised_together() -> None:
    dataset = make_dataset(NUMBER)
    known = np.concatenate([dataset.X_seed, dataset.X_pool])
    assert known.mean(axis=0) == pytest.approx(np.zeros(N_FEATURES), abs=1e-12)
    assert known.std(axis=0) == pytest.approx(np.ones(N_FEATURES), abs=1e-12)


@pytest.mark.parametrize("way", ["by_numpy", "compiled"])
def test_standardisation_never_looks_at_the_validation_split(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """If one validation row changes, all other rows of all parts stay the same."""
    if way == "compiled":
        pytest.importorskip("_dataselect_env_generator", reason="built without a C compiler")
    draw = getattr(generator, way)

    def with_a_changed_row(number: int, size: generator.Size) -> generator.Draws:
        draws: generator.Draws = draw(number, size)
        draws.normals[draws.rows[250]] = 1e6
        return draws

    monkeypatch.setattr(generator, "fastest", lambda: getattr(generator, way))
    before = make_dataset(NUMBER)
    monkeypatch.setattr(generator, way, with_a_changed_row)
    after = make_dataset(NUMBER)

    assert np.array_equal(before.X_seed, after.X_seed)
    assert np.array_equal(before.X_pool, after.X_pool)
    changed = np.flatnonzero((before.X_validation != after.X_validation).any(axis=1))
    assert changed.tolist() == [50]


def test_a_number_always_means_the_same_data_set() -> None:
    first, second = make_dataset(NUMBER), make_dataset(NUMBER)
    other = make_dataset(NUMBER + 1)
    assert all(np.array_equal(getattr(first, name), getattr(second, name)) for name in ARRAYS)
    assert not np.array_equal(first.X_pool, other.X_pool)


# --- pools ----------------------------------------------------------------------------------------------------------


@EACH_WORLD
@TASK_TABLE
def test_exactly_the_declared_share_is_flipped(task: Task, world: str) -> None:
    pool = pool_of(task, world=world)
    assert pool.mislabelled.sum() == round(task.flip_y * 1_100)


@EACH_WORLD
@TASK_TABLE
def test_labels_are_flipped_under_the_mask_and_nowhere_else(task: Task, world: str) -> None:
    pool, truth = pool_of(task, world=world), make_dataset(NUMBER).y_pool
    assert np.array_equal(pool.labels[POOL_ROWS][pool.mislabelled], 1 - truth[pool.mislabelled])
    assert np.array_equal(pool.labels[POOL_ROWS][~pool.mislabelled], truth[~pool.mislabelled])


@TASK_TABLE
def test_a_stream_always_means_the_same_pool(task: Task) -> None:
    first, second, other = pool_of(task, 1), pool_of(task, 1), pool_of(task, 2)
    assert np.array_equal(first.labels, second.labels)
    assert np.array_equal(first.mislabelled, second.mislabelled)
    assert not np.array_equal(first.mislabelled, other.mislabelled)


def rank(values: Any) -> Any:
    """Return the ranks of values, from 0 for the lowest to 1 for the highest."""
    return np.argsort(np.argsort(values)) / (len(values) - 1)


def test_in_the_core_world_mislabelled_samples_lie_near_the_centre() -> None:
    pool = pool_of(TASKS["medium"], world="core")
    X = make_dataset(NUMBER).X_pool
    distances = rank(np.linalg.norm(X - X.mean(axis=0), axis=1))
    assert distances[pool.mislabelled].mean() < 0.2
    assert pool.mislabelled[distances > 0.6].sum() == 0


def test_in_the_confident_world_mislabelled_samples_have_the_largest_margins() -> None:
    pool = pool_of(TASKS["medium"], world="confident")
    margins = rank(MARGINS)
    assert margins[pool.mislabelled].mean() > 0.8
    assert pool.mislabelled[margins < 0.4].sum() == 0


def test_every_block_of_seeds_has_both_worlds_in_the_declared_numbers() -> None:
    for block in range(200):
        worlds = [world_of(seed) for seed in range(block * SEEDS_A_BLOCK, (block + 1) * SEEDS_A_BLOCK)]
        assert worlds.count("confident") == CONFIDENT_SEEDS_A_BLOCK
        assert worlds.count("core") == SEEDS_A_BLOCK - CONFIDENT_SEEDS_A_BLOCK


def test_the_place_of_a_seed_in_its_block_does_not_tell_its_world() -> None:
    for place in range(SEEDS_A_BLOCK):
        worlds = {world_of(block * SEEDS_A_BLOCK + place) for block in range(50)}
        assert worlds == set(WORLDS)


def test_a_pool_mislabels_no_sample_of_the_seed_set_or_the_validation_split() -> None:
    pool, dataset = pool_of(TASKS["hard"]), make_dataset(NUMBER)
    assert np.array_equal(np.flatnonzero(pool.labels != dataset.y), 400 + np.flatnonzero(pool.mislabelled))


# --- which seed uses which data set ---------------------------------------------------------------------------------


def test_splits_use_disjoint_data_sets() -> None:
    numbers = accepted_datasets()
    assert set(numbers) == set(SPLITS)
    used = [number for split in numbers.values() for number in split]
    assert len(used) == len(set(used))
    assert all(split for split in numbers.values())


@pytest.mark.parametrize("name", SPLITS)
def test_seeds_of_a_split_use_its_data_sets_and_all_of_them(name: str) -> None:
    split = SPLITS[name]
    used = {dataset_number(seed) for seed in range(split.first_seed, split.first_seed + split.seeds)}
    assert used == set(accepted_datasets()[name])


def test_a_seed_outside_of_all_splits_uses_the_data_sets_of_train() -> None:
    assert dataset_number(SEED_LIMIT - 1) in accepted_datasets()["train"]


def test_pinned_list_is_of_these_dynamics() -> None:
    pinned = json.loads(Path(data.__file__).with_name("datasets.json").read_text(encoding="utf-8"))
    assert pinned["dynamics_version"] == DYNAMICS_VERSION


def test_a_list_of_other_dynamics_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "DYNAMICS_VERSION", DYNAMICS_VERSION + 1)
    with pytest.raises(RuntimeError, match="pin_datasets"):
        accepted_datasets.__wrapped__()


@pytest.mark.parametrize(
    ("split", "place"), [("train", 0), ("train", -1), ("validation", 0), ("test", 0), ("test", -1)]
)
def test_pinned_data_sets_satisfy_the_band(split: str, place: int) -> None:
    start = warm_start(accepted_datasets()[split][place])
    assert WARM_START_BAND[0] <= start.performance <= WARM_START_BAND[1]
