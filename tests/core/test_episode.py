"""The dynamics of an episode: purchases, training and measurements, recomputed from data set and pool."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss

from dataselect_env.core.arrays import Floats, Indices
from dataselect_env.core.data import (
    POOL_ROWS,
    Dataset,
    Pool,
    accepted_datasets,
    dataset_number,
    make_dataset,
    make_pool,
    placement,
    world_of,
)
from dataselect_env.core.episode import Episode
from dataselect_env.core.learner import ALPHA, WARM_UP_PASSES, passes_for
from dataselect_env.core.noise_estimate import NOISE_PRIOR_STRENGTH
from dataselect_env.core.reward import gain
from dataselect_env.core.strategies.sampling import STRATEGIES
from dataselect_env.core.tasks import MIN_BATCH, PINNED, TASKS, Task

EASY, MEDIUM, HARD = TASKS["easy"], TASKS["medium"], TASKS["hard"]
UNCERTAIN, DIVERSE, RANDOM, MIXED = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 1.0, 1.0)
EACH_MIX = pytest.mark.parametrize("weights", [UNCERTAIN, DIVERSE, RANDOM, MIXED], ids=[*STRATEGIES, "mixed"])
EACH_TASK = pytest.mark.parametrize("task", [TASKS[name] for name in PINNED], ids=PINNED)
SEED = 7


def dataset_of(seed: int) -> Dataset:
    return make_dataset(dataset_number(seed))


def pool_of(task: Task, seed: int) -> Pool:
    """Rebuild the pool of an episode from its stream of label noise."""
    stream = np.random.SeedSequence(seed).spawn(3)[0]
    dataset = dataset_of(seed)
    margins = np.abs(warm_model(dataset).decision_function(dataset.X_pool))
    return make_pool(
        task,
        dataset,
        placement(dataset, world_of(seed), margins, (dataset.X_pool**2).sum(axis=1)),
        np.random.default_rng(stream),
    )


def warm_model(dataset: Dataset) -> SGDClassifier:
    """Return a plain scikit-learn model after the warm-up, with one ``partial_fit`` for each pass."""
    model = SGDClassifier(loss="log_loss", learning_rate="optimal", alpha=ALPHA, shuffle=False, random_state=1)
    rng = np.random.default_rng(dataset.number)
    for _ in range(WARM_UP_PASSES):
        order = rng.permutation(100)
        model.partial_fit(dataset.X_seed[order], dataset.y[dataset.seed_rows][order], classes=[0, 1])
    return model


def bought(episode: Episode) -> Indices:
    """Return the pool indices of everything bought, ascending."""
    return np.flatnonzero(~episode._state.available)


def training_features(episode: Episode) -> Floats:
    """Return the rows that an episode must have trained on: the seed set and the samples gone from the pool."""
    dataset = dataset_of(episode.seed)
    return np.concatenate([dataset.X_seed, dataset.X_pool[bought(episode)]])


# --- the start ------------------------------------------------------------------------------------------------------


@EACH_TASK
def test_an_episode_starts_with_everything_to_buy(task: Task) -> None:
    episode = Episode(task, SEED)
    assert (episode.steps, episode.budget_used, episode.remaining_budget) == (0, 0, task.budget)
    assert (episode.samples_available, episode.end_reason) == (1_100, None)


def test_warm_up_is_passes_over_the_seed_set() -> None:
    assert Episode(EASY, SEED).learner.model.coef_ == pytest.approx(warm_model(dataset_of(SEED)).coef_, abs=1e-12)


def test_seeds_of_one_data_set_start_alike_and_differ_in_noise() -> None:
    other_seed = SEED + len(accepted_datasets()["train"])
    assert dataset_number(SEED) == dataset_number(other_seed)
    episode, other = Episode(EASY, SEED), Episode(EASY, other_seed)
    assert episode.performance == other.performance
    assert not np.array_equal(episode._state.pool.mislabelled, other._state.pool.mislabelled)


# --- buying ---------------------------------------------------------------------------------------------------------


@EACH_MIX
def test_purchases_leave_the_pool_and_are_trained_on(weights: tuple[float, ...]) -> None:
    episode = Episode(MEDIUM, SEED)
    for batch_size in (5, 20, 7):
        episode.select_batch(batch_size, weights)
    assert (episode.samples_available, episode.budget_used) == (1_100 - 32, 32)
    assert len(bought(episode)) == 32
    expected = {row.tobytes() for row in training_features(episode)}
    trained_on = dataset_of(SEED).X[episode._state.acquired.rows]
    assert {row.tobytes() for row in trained_on} == expected
    assert len(trained_on) == len(expected) == 132


def test_labels_are_trained_on_as_bought() -> None:
    episode = Episode(HARD, SEED)
    episode.select_batch(60, UNCERTAIN)
    pool, dataset, rows = pool_of(HARD, SEED), dataset_of(SEED), episode._state.acquired.rows
    labels = {row.tobytes(): label for row, label in zip(dataset.X_pool, pool.labels[POOL_ROWS], strict=True)}
    assert episode._state.pool.labels[rows[:100]].tolist() == dataset.y[dataset.seed_rows].tolist()
    assert episode._state.pool.labels[rows[100:]].tolist() == [labels[row.tobytes()] for row in dataset.X[rows[100:]]]


def test_a_step_trains_on_everything_acquired_so_far() -> None:
    episode, rows, visits = Episode(MEDIUM, SEED), 100, WARM_UP_PASSES * 100
    for batch_size in (30, 12):
        before = rows - 100
        episode.select_batch(batch_size, MIXED)
        rows += batch_size
        visits += passes_for(before, before + batch_size) * rows
        assert episode.learner.model.t_ == 1 + visits


@EACH_MIX
def test_a_purchase_tells_what_was_bought(weights: tuple[float, ...]) -> None:
    episode, pool = Episode(MEDIUM, SEED), pool_of(MEDIUM, SEED)
    for batch_size in (20, 13):
        before, centroid = bought(episode), training_features(episode).mean(axis=0)
        performance = episode.performance
        info = episode.select_batch(batch_size, weights).info
        batch = np.setdiff1d(bought(episode), before)
        X = dataset_of(SEED).X_pool[batch]

        assert info.batch_size == sum(info.bought_by.values()) == len(batch) == batch_size
        assert info.mislabelled == pool.mislabelled[batch].sum()
        assert info.noise_ratio == (info.mislabelled or 0) / batch_size
        distance = np.mean([np.linalg.norm(row - centroid) for row in X])
        assert info.gain == pytest.approx(gain(episode.performance - performance, float(distance)))
        lengths = np.linalg.norm(X, axis=1) * np.linalg.norm(centroid)
        assert info.redundancy == pytest.approx((1 + np.mean(X @ centroid / lengths)) / 2)


@pytest.mark.parametrize("batch_size", range(MIN_BATCH + 1))
def test_small_batches_become_the_smallest(batch_size: int) -> None:
    assert Episode(EASY, SEED).select_batch(batch_size, RANDOM).info.batch_size == MIN_BATCH


@pytest.mark.parametrize("batch_size", [0, 4, 5, 10**30])
def test_a_remainder_below_the_smallest_batch_is_bought_and_no_more(batch_size: int) -> None:
    episode = Episode(HARD, SEED)
    episode.select_batch(HARD.budget - 2, RANDOM)
    assert episode.remaining_budget == 2
    assert episode.select_batch(batch_size, MIXED).info.batch_size == 2
    assert (episode.remaining_budget, episode.end_reason) == (0, "budget")


def test_strategies_share_a_batch_by_their_weights() -> None:
    assert Episode(EASY, SEED).select_batch(20, (0.5, 0.5, 0.0)).info.bought_by == {
        "uncertainty": 10,
        "diversity": 10,
        "random": 0,
    }


def test_uncertainty_alone_walks_into_the_trap() -> None:
    trapped, fair = Episode(HARD, SEED), Episode(HARD, SEED)
    assert (trapped.select_batch(20, UNCERTAIN).info.noise_ratio or 0) > 0.9
    assert (fair.select_batch(20, RANDOM).info.noise_ratio or 1) < 0.6


# --- measuring ------------------------------------------------------------------------------------------------------


@EACH_MIX
def test_scores_are_those_of_the_training_set_and_the_model(weights: tuple[float, ...]) -> None:
    episode, dataset = Episode(MEDIUM, SEED), dataset_of(SEED)
    for batch_size in (0, 5, 40):
        if batch_size:
            episode.select_batch(batch_size, weights)
        probabilities = episode.learner.model.predict_proba(dataset.X_validation)
        assert episode.performance == pytest.approx(1 / (1 + log_loss(dataset.y_validation, probabilities)), abs=1e-10)
        assert episode.observation.diversity_score == pytest.approx(training_features(episode).std(), abs=1e-12)


@EACH_TASK
def test_noise_estimate_starts_at_the_declared_rate_and_follows_the_purchases(task: Task) -> None:
    episode, found, used = Episode(task, SEED), 0, 0
    assert episode.noise_estimate == pytest.approx(task.flip_y)
    for _ in range(3):
        info = episode.select_batch(20, UNCERTAIN).info
        found, used = found + (info.mislabelled or 0), used + info.batch_size
        expected = (NOISE_PRIOR_STRENGTH * task.flip_y + found) / (NOISE_PRIOR_STRENGTH + used)
        assert episode.noise_estimate == pytest.approx(expected)
    assert task.flip_y < episode.noise_estimate < 1


def test_noise_estimate_does_not_read_the_mask_of_the_unbought() -> None:
    episode, told_otherwise = Episode(MEDIUM, SEED), Episode(MEDIUM, SEED)
    for each in (episode, told_otherwise):
        each.select_batch(20, RANDOM)
    told_otherwise._state.pool.mislabelled[:] ^= True
    assert told_otherwise.noise_estimate == episode.noise_estimate


def test_the_mask_decides_neither_what_random_buys_nor_what_is_learned() -> None:
    episode, told_otherwise = Episode(MEDIUM, SEED), Episode(MEDIUM, SEED)
    told_otherwise._state.pool.mislabelled[:] ^= True
    for each in (episode, told_otherwise):
        each.select_batch(20, (0.0, 1.0, 1.0))
    assert bought(told_otherwise).tolist() == bought(episode).tolist()
    assert told_otherwise.performance == episode.performance


# --- the end --------------------------------------------------------------------------------------------------------


def test_stopping_buys_nothing_and_counts_as_a_step() -> None:
    episode = Episode(MEDIUM, SEED)
    episode.select_batch(20, MIXED)
    performance, score = episode.performance, episode.grade().score
    episode.stop()
    assert (episode.steps, episode.budget_used, episode.end_reason) == (2, 20, "stop")
    assert (episode.performance, episode.grade().score) == (performance, score)


@EACH_TASK
def test_an_episode_ends_after_its_last_step(task: Task) -> None:
    episode = Episode(task, SEED)
    while episode.end_reason is None:
        episode.select_batch(MIN_BATCH, RANDOM)
    assert (episode.steps, episode.end_reason) == (task.max_steps, "max_steps")


def test_an_episode_ends_with_its_pool() -> None:
    episode = Episode(replace(EASY, budget=2_000), SEED)
    purchases = [episode.select_batch(batch_size, RANDOM).info.batch_size for batch_size in (1_095, 20)]
    assert purchases == [1_095, 5]
    assert (episode.samples_available, episode.remaining_budget, episode.end_reason) == (0, 900, "pool")
