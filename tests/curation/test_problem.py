"""The task of a curation: halves of the trusted rows, the estimate of the noise, and the contract of a source."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dataselect_env.core.episode import Episode
from dataselect_env.core.source import source_of
from dataselect_env.curation.problem import (
    EXTRA_STRATEGIES,
    HIGHEST_NOISE,
    estimate_noise_rate,
    make_task,
    trusted_halves,
)
from dataselect_env.testing import check_source
from tests.helpers.curating import SETTINGS, as_table, noisy

TABLE = as_table(noisy())


def test_the_halves_of_the_trusted_rows_share_none_and_have_every_class() -> None:
    y = np.array([0] * 9 + [1] * 4 + [2] * 3)
    known, validation = trusted_halves(y, seed=3)
    assert sorted([*known, *validation]) == list(range(16))
    assert np.bincount(y[known]).tolist() == [5, 2, 2]
    assert np.bincount(y[validation]).tolist() == [4, 2, 1]
    assert known.tolist() != trusted_halves(y, seed=4)[0].tolist()


def test_the_learner_starts_from_one_half_and_is_judged_on_the_other() -> None:
    task = make_task(TABLE, SETTINGS, audited=False)
    dataset = source_of(task).start(SETTINGS.seed).dataset
    known, validation = trusted_halves(TABLE.y_trusted, SETTINGS.seed)
    np.testing.assert_array_equal(dataset.X_seed, TABLE.X_trusted[known])
    np.testing.assert_array_equal(dataset.X_validation, TABLE.X_trusted[validation])
    np.testing.assert_array_equal(dataset.y_validation, TABLE.y_trusted[validation])
    np.testing.assert_array_equal(dataset.X_pool, TABLE.X)
    np.testing.assert_array_equal(dataset.y_pool, TABLE.given)


def test_the_task_says_what_is_known() -> None:
    task = make_task(TABLE, SETTINGS, audited=False)
    assert (task.budget, task.max_steps, task.pool_size, task.n_classes) == (40, 4, 400, 3)
    assert not task.has_ground_truth
    assert not task.noise_trap
    assert task.extra_strategies == EXTRA_STRATEGIES
    assert make_task(TABLE, replace(SETTINGS, noise_rate=0.1), audited=True).flip_y == 0.1
    assert make_task(TABLE, SETTINGS, audited=True).has_ground_truth


def test_its_source_keeps_the_contract_of_sources() -> None:
    task = make_task(TABLE, SETTINGS, audited=False)
    check_source(source_of(task), task)


def test_an_episode_writes_into_labels_of_its_own() -> None:
    task = make_task(TABLE, SETTINGS, audited=True)
    Episode(task, 0)._state.pool.labels[:] = 0
    np.testing.assert_array_equal(source_of(task).start(0).dataset.y_pool, TABLE.given)


@pytest.mark.parametrize("rate", [0.0, 0.15, 0.3])
def test_the_estimate_of_the_noise_is_near_the_truth(rate: float) -> None:
    estimates, truths = [], []
    for seed in range(5):
        data = noisy(rate=rate, seed=seed, trusted=60)
        estimates.append(estimate_noise_rate(as_table(data)))
        truths.append(data.wrong.mean())
    assert np.mean(estimates) == pytest.approx(np.mean(truths), abs=0.05)


def test_labels_without_any_sense_are_as_noisy_as_can_be() -> None:
    rng = np.random.default_rng(0)
    nonsense = replace(TABLE, given=rng.integers(3, size=400), y_trusted=rng.permutation(TABLE.y_trusted))
    assert 0 <= estimate_noise_rate(nonsense) <= HIGHEST_NOISE
    inverted = replace(TABLE, given=(TABLE.given + 1) % 3)
    assert estimate_noise_rate(inverted) == HIGHEST_NOISE
