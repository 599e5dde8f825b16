"""The problems of ``open``: a function of the seed, never degenerate, and distributed as the card says."""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataselect_env.core.episode import Episode
from dataselect_env.core.learner import MOST_PASSES
from dataselect_env.core.open import columns, families, noise, problems
from dataselect_env.core.open.problems import DrawnProblem, problem
from dataselect_env.core.source import source_of, task_at
from dataselect_env.core.tasks import MIN_BATCH, SEED_LIMIT, SPLITS, TASKS
from dataselect_env.core.warm_start import performance_on, warm_up

OPEN = TASKS["open"]
MANY = [*range(140), *range(10_000, 10_020), *range(20_000, 20_080), SEED_LIMIT - 1]


def fresh(seed: int) -> DrawnProblem:
    """Draw a problem anew, past the cache."""
    return problem.__wrapped__(seed)


def fingerprint(drawn: DrawnProblem, seed: int) -> tuple[object, ...]:
    """Return all that a problem consists of."""
    dataset, rng = drawn.start.dataset, np.random.default_rng(0)
    pool = source_of(drawn.task).pool(drawn.task, seed, rng)
    arrays = (dataset.X, dataset.y, drawn.start.learner.model.coef_, pool.labels, pool.mislabelled)
    return (drawn.task, drawn.family, drawn.noise, drawn.start.performance, *(array.tobytes() for array in arrays))


@cache
def many() -> dict[int, DrawnProblem]:
    """Return the problems of a few hundred seeds of all splits and of none."""
    return {seed: problem(seed) for seed in MANY}


@pytest.mark.parametrize("seed", [0, 10_001, 20_005, SEED_LIMIT - 1])
def test_a_problem_is_a_function_of_its_seed(seed: int) -> None:
    first = fingerprint(fresh(seed), seed)
    np.random.seed(1)  # noqa: NPY002  (what a problem must not look at)
    fresh(seed + 1 if seed < SEED_LIMIT - 1 else 5)
    assert fingerprint(fresh(seed), seed) == first
    problem.cache_clear()
    assert fingerprint(problem(seed), seed) == first


def test_seeds_draw_different_problems() -> None:
    assert len({(drawn.start.performance, drawn.task.budget, drawn.noise.rate) for drawn in many().values()}) == len(
        MANY
    )


def test_splits_share_neither_families_nor_kinds_of_noise() -> None:
    drawn = {"test": (set[str](), set[str]()), "other": (set[str](), set[str]())}
    for seed, one in many().items():
        kinds_of_table, kinds_of_noise = drawn["test" if seed in SPLITS["test"] else "other"]
        kinds_of_table.add(one.family)
        kinds_of_noise.add(one.noise.kind)
    assert drawn["test"] == (set(families.TESTING), set(noise.TESTING))
    assert drawn["other"] == (set(families.TRAINING), set(noise.TRAINING))
    assert not families.TESTING.keys() & families.TRAINING.keys()
    assert not {*noise.TESTING} & {*noise.TRAINING}


def test_no_problem_is_degenerate() -> None:
    for seed, drawn in many().items():
        task, dataset = drawn.task, drawn.start.dataset
        parts = dataset.y[dataset.seed_rows], dataset.y_validation, dataset.y_pool
        fewest = [np.bincount(labels, minlength=task.n_classes).min() for labels in parts]
        assert fewest[0] >= 2, seed
        assert fewest[1] >= 2, seed
        assert fewest[2] >= MIN_BATCH, seed
        assert MIN_BATCH <= task.budget <= problems.LARGEST_SHARE * task.pool_size, seed
        assert task.max_steps * MIN_BATCH <= task.budget, seed
        low, high = task.performance_range
        assert high - low >= problems.LEAST_RISE - 1e-9, seed
        assert drawn.start.performance < high, seed
        assert low < task.pass_performance < high, seed
        assert np.isfinite(dataset.X).all(), seed
        assert dataset.X.shape[1] >= 1, seed


def test_numbers_stay_within_their_ranges_and_below_those_of_the_list() -> None:
    for seed, drawn in many().items():
        task, dataset = drawn.task, drawn.start.dataset
        assert problems.CLASSES[0] <= task.n_classes == dataset.n_classes <= OPEN.n_classes, seed
        assert dataset.X.shape[1] <= problems.MOST_COLUMNS, seed
        assert problems.LEAST_SEED <= len(dataset.seed_rows) <= problems.MOST_SEED, seed
        assert problems.VALIDATION[0] <= len(dataset.y_validation) <= problems.VALIDATION[1], seed
        assert problems.POOL[0] <= len(dataset.y_pool) == task.pool_size <= OPEN.pool_size, seed
        assert min(problems.BUDGET[0], task.pool_size) <= task.budget <= OPEN.budget, seed
        assert problems.STEPS[0] <= task.max_steps <= OPEN.max_steps, seed
        assert 0 <= task.flip_y <= problems.LARGEST_RATE == OPEN.flip_y, seed
        assert drawn.noise.rate == 0 or problems.RATE[0] <= drawn.noise.rate <= problems.RATE[1], seed
        assert drawn.start.learner.model.alpha in problems.ALPHAS, seed
        assert task.extra_strategies == OPEN.extra_strategies, seed
        assert not task.varies, seed


def test_the_place_of_a_sample_in_the_pool_does_not_tell_its_class() -> None:
    """Strategies see the candidates in the order of the pool."""
    alike = []
    for drawn in many().values():
        y = drawn.start.dataset.y_pool
        last, others = y[-MIN_BATCH * drawn.task.n_classes :], y[: -MIN_BATCH * drawn.task.n_classes]
        alike.append((last[1:] == last[:-1]).mean() - (others[1:] == others[:-1]).mean())
    assert abs(np.mean(alike)) < 4 * np.std(alike) / np.sqrt(len(alike))


def test_the_pool_has_an_exact_share_of_wrong_labels() -> None:
    for seed, drawn in list(many().items())[::7]:
        episode = Episode(OPEN, seed)
        assert np.count_nonzero(episode.mislabelled) == round(drawn.noise.rate * drawn.task.pool_size), seed
        assert (drawn.noise.kind == "none") == (drawn.noise.rate == 0), seed


def test_shares_are_those_of_the_card() -> None:
    drawn = list(many().values())
    n = len(drawn)
    off = 3 * np.sqrt(0.25 / n)  # three standard errors of a share, at most
    noisy = [one for one in drawn if one.noise.rate]
    right = sum(abs(one.task.flip_y - one.noise.rate) < 6e-4 for one in noisy) / len(noisy)
    low = sum(one.task.flip_y < one.noise.rate - 6e-4 for one in noisy) / len(noisy)
    assert right == pytest.approx(0.6, abs=1.2 * off)
    assert low == pytest.approx(0.2, abs=1.2 * off)
    assert sum(one.task.audited for one in drawn) / n == pytest.approx(0.5, abs=off)
    assert sum(one.task.n_classes == 2 for one in drawn) / n == pytest.approx(0.5, abs=1.5 * off)
    trapped = Counter(one.noise.kind in ("confident", "core") for one in drawn if one.task.noise_trap)
    assert trapped[True] > 0
    assert trapped[False] > 0
    assert {one.noise.confusion for one in drawn} == {"any", "next", "likely"}
    assert all(one.noise.confusion == "likely" for one in drawn if one.noise.kind == "boundary")


def test_features_are_standardised_without_the_validation_split() -> None:
    for drawn in list(many().values())[::11]:
        dataset = drawn.start.dataset
        known = np.concatenate([dataset.X_seed, dataset.X_pool])
        assert np.abs(known.mean(axis=0)).max() < 1e-5
        assert known.std(axis=0) == pytest.approx(1, abs=1e-5)
        assert np.array_equal(dataset.X, np.round(dataset.X, columns.DECIMALS))


@given(seed=st.integers(0, SEED_LIMIT - 1))
def test_every_seed_has_a_problem_that_can_be_played_to_the_end(seed: int) -> None:
    episode = Episode(OPEN, seed)
    assert episode.task == task_at(OPEN, seed)
    while episode.end_reason is None:
        episode.select_batch(OPEN.budget // OPEN.max_steps, (0.0, 0.0, 1.0))
    assert episode.end_reason in ("budget", "max_steps")
    assert 0 <= episode.grade().score <= 1


def test_the_data_of_a_problem_cannot_be_changed() -> None:
    dataset = problem(3).start.dataset
    for array in (dataset.X, dataset.y):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize("seed", [4, 5, 6, 20_004])
def test_the_penalty_is_the_one_of_highest_performance(seed: int) -> None:
    """A plain search: a new learner for each penalty."""
    start, found = problem(seed).start, {}
    dataset = start.dataset
    for alpha in problems.ALPHAS:
        rng = np.random.default_rng([seed, 205, 2])
        tried = warm_up(dataset, rng, alpha=alpha)
        some = rng.choice(len(dataset.y_pool), problems.TRIED, replace=False)
        rows = np.concatenate([dataset.seed_rows, dataset.pool_rows.start + some])
        tried.learner.train(dataset.X, dataset.y, rows, MOST_PASSES, rng)
        found[alpha] = performance_on(dataset, tried.learner, dataset.y, rows)
    assert start.learner.model.alpha == max(found, key=lambda alpha: found[alpha])
