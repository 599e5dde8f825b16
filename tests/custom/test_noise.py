"""Noise models: how many labels are wrong, which, and what they say instead."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataselect_env.core.arrays import Floats, Mask, ranks
from dataselect_env.core.data import Dataset, Pool, world_of
from dataselect_env.core.source import source_of
from dataselect_env.core.warm_start import WarmStart
from dataselect_env.custom.noise import (
    AnnotatorNoise,
    ConfusionNoise,
    InstanceDependentNoise,
    NoiseModel,
    RecordedNoise,
    UniformNoise,
    UnknownNoise,
)
from tests.helpers.owning import RANGE, made

KINDS: dict[str, dict[str, Any]] = {
    "two classes": {"generator": {"n_features": 20}, "split": {"pool": 600}},
    "five classes": {"generator": {"n_features": 20, "n_classes": 5}, "split": {"pool": 2_000}},
    "table": {"table": {"bundled": "wine"}, "split": {"seed": 20}, "budget": 40},
}
"""In a table the rows of the seed set lie between those of the pool, in the other two before them."""
EACH_KIND = pytest.mark.parametrize("kind", KINDS)


@cache
def start_of(kind: str) -> WarmStart:
    return source_of(made(**KINDS[kind], score=RANGE)).start(3)


def draw(model: NoiseModel, kind: str, seed: int = 0) -> Pool:
    return model.draw(start_of(kind), seed, np.random.default_rng(seed))


def available(kind: str) -> int:
    return int(start_of(kind).dataset.available.sum())


def matrix_of(rng: np.random.Generator, classes: int) -> Floats:
    """Return a matrix that leaves more than half of the labels right."""
    matrix: Floats = 0.4 * rng.dirichlet(np.ones(classes), classes) + 0.6 * np.eye(classes)
    return matrix


def models(dataset: Dataset, share: float, seed: int) -> list[NoiseModel]:
    """Return a model of each kind, as wrong as ``share`` where it has one number for that."""
    rng = np.random.default_rng(seed)
    who = rng.integers(0, 3, len(dataset.y))
    rates = np.array([0.0, share, 0.4])
    return [
        UniformNoise(share),
        ConfusionNoise(matrix_of(rng, dataset.n_classes)),
        *(InstanceDependentNoise(share, where, 5.0) for where in ("boundary", "confident", "core", "fringe", "worlds")),
        AnnotatorNoise(rates, np.array([0.2, 0.3, 0.5])),
        AnnotatorNoise(rates, np.full(3, 1 / 3), who),
        RecordedNoise(np.where(rng.random(len(dataset.y)) < share, (dataset.y + 1) % dataset.n_classes, dataset.y)),
        UnknownNoise(share),
    ]


def within(found: float, expected: float, count: int) -> bool:
    """Return whether a share of ``count`` draws is one that chance gives, by five standard deviations."""
    return bool(abs(found - expected) <= 5 * np.sqrt(max(expected * (1 - expected), 1 / count) / count))


# --- what holds for all ---------------------------------------------------------------------------------------------


@given(kind=st.sampled_from(sorted(KINDS)), share=st.floats(0, 0.49), seed=st.integers(0, 2**32 - 1))
def test_labels_are_wrong_where_the_mask_says_and_nowhere_else(kind: str, share: float, seed: int) -> None:
    start = start_of(kind)
    dataset, before = start.dataset, start.dataset.y.tobytes()
    for model in models(dataset, share, seed):
        pool = model.draw(start, seed, np.random.default_rng(seed))
        assert np.array_equal(pool.labels[dataset.pool_rows] != dataset.y_pool, pool.mislabelled), model
        assert np.array_equal(pool.labels[dataset.seed_rows], dataset.y[dataset.seed_rows])
        assert np.array_equal(pool.labels[dataset.validation_rows], dataset.y_validation)
        assert not pool.mislabelled[~dataset.available].any()
        assert set(np.unique(pool.labels)) <= set(range(dataset.n_classes))
        assert pool.labels.shape == dataset.y.shape
    assert dataset.y.tobytes() == before


@given(kind=st.sampled_from(sorted(KINDS)), share=st.floats(0, 0.49), seed=st.integers(0, 2**32 - 1))
def test_the_share_is_what_the_model_declares(kind: str, share: float, seed: int) -> None:
    start, count = start_of(kind), available(kind)
    for model in models(start.dataset, share, seed):
        rate = model.rate(start.dataset)
        wrong = int(model.draw(start, seed, np.random.default_rng(seed)).mislabelled.sum())
        if isinstance(model, UniformNoise | InstanceDependentNoise):
            assert (rate, wrong) == (share, round(share * count))
        elif isinstance(model, RecordedNoise):
            assert wrong == pytest.approx(rate * count)
        elif isinstance(model, UnknownNoise):
            assert (rate, wrong) == (share, 0)
        else:
            assert within(wrong / count, rate, count), model


@EACH_KIND
def test_the_same_stream_gives_the_same_labels_and_another_one_others(kind: str) -> None:
    for model in models(start_of(kind).dataset, 0.3, 1):
        first, again, other = draw(model, kind, 5), draw(model, kind, 5), draw(model, kind, 6)
        assert first.labels.tobytes() == again.labels.tobytes()
        assert first.mislabelled.tobytes() == again.mislabelled.tobytes()
        nothing_drawn = isinstance(model, RecordedNoise | UnknownNoise)
        assert np.array_equal(first.labels, other.labels) == nothing_drawn, model


# --- uniform --------------------------------------------------------------------------------------------------------


def test_uniform_noise_makes_any_other_class_as_likely() -> None:
    dataset, pool = start_of("five classes").dataset, draw(UniformNoise(0.45), "five classes")
    wrong = pool.mislabelled
    offsets = (pool.labels[dataset.pool_rows][wrong] - dataset.y_pool[wrong]) % 5
    counts = np.bincount(offsets, minlength=5)
    assert counts[0] == 0
    assert all(within(count / wrong.sum(), 1 / 4, int(wrong.sum())) for count in counts[1:])


def test_uniform_noise_does_not_look_at_the_sample() -> None:
    dataset, pool = start_of("five classes").dataset, draw(UniformNoise(0.3), "five classes")
    for label in range(5):
        of_class = pool.mislabelled[dataset.y_pool == label]
        assert within(of_class.mean(), 0.3, len(of_class))


# --- confusion ------------------------------------------------------------------------------------------------------


def test_a_confusion_matrix_gives_the_shares_of_its_rows() -> None:
    matrix = matrix_of(np.random.default_rng(2), 5)
    dataset, pool = start_of("five classes").dataset, draw(ConfusionNoise(matrix), "five classes")
    given_labels = pool.labels[dataset.pool_rows]
    for label, row in enumerate(matrix):
        found = given_labels[dataset.y_pool == label]
        for other, probability in enumerate(row):
            assert within((found == other).mean(), probability, len(found)), (label, other)


def test_what_a_matrix_rules_out_never_happens_and_what_is_certain_always() -> None:
    matrix = np.eye(5)
    matrix[1] = [0, 0, 0, 1, 0]
    matrix[4] = [0, 0, 0.5, 0, 0.5]
    dataset, pool = start_of("five classes").dataset, draw(ConfusionNoise(matrix), "five classes")
    given_labels = pool.labels[dataset.pool_rows]
    found = {label: set(given_labels[dataset.y_pool == label].tolist()) for label in range(5)}
    assert found == {0: {0}, 1: {3}, 2: {2}, 3: {3}, 4: {2, 4}}


def test_the_rate_of_a_matrix_weighs_classes_by_their_numbers_in_the_pool() -> None:
    dataset = start_of("table").dataset
    matrix = np.array([[0.6, 0.4, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    first = dataset.y_pool[dataset.available] == 0
    assert ConfusionNoise(matrix).rate(dataset) == pytest.approx(0.4 * first.mean())


# --- where samples are of a kind ------------------------------------------------------------------------------------


def towards(kind: str, where: str) -> Floats:
    """Return what is highest where wrong labels should be, by the available samples, computed anew."""
    start = start_of(kind)
    X = start.dataset.X_pool[start.dataset.available]
    if where in ("core", "fringe"):
        distances: Floats = ((X - X.mean(axis=0)) ** 2).sum(axis=1)
        return distances if where == "fringe" else -distances
    highest = np.sort(start.learner.model.predict_proba(X), axis=1)
    margins: Floats = highest[:, -1] - highest[:, -2]
    return margins if where == "confident" else -margins


def mask_of(model: NoiseModel, kind: str, seed: int = 0) -> Mask:
    return draw(model, kind, seed).mislabelled[start_of(kind).dataset.available]


@EACH_KIND
@pytest.mark.parametrize("where", ["boundary", "confident", "core", "fringe"])
def test_wrong_labels_go_where_they_are_said_to_go(kind: str, where: Any) -> None:
    order = ranks(towards(kind, where))
    sharp, mild, not_at_all = (
        mask_of(InstanceDependentNoise(0.2, where, sharpness), kind) for sharpness in (100.0, 5.0, 0.0)
    )
    assert order[sharp].mean() > 0.87  # the highest fifth has 0.9
    assert 0.65 < order[mild].mean() < order[sharp].mean()
    assert abs(order[not_at_all].mean() - 0.5) < 5 * np.sqrt(1 / 12 / not_at_all.sum())


@EACH_KIND
def test_worlds_are_core_or_confident_as_of_the_built_in_tasks(kind: str) -> None:
    seen = set()
    for seed in range(10):
        world: Any = world_of(seed)
        found, expected = (draw(InstanceDependentNoise(0.3, where, 30.0), kind, seed) for where in ("worlds", world))
        assert found.labels.tobytes() == expected.labels.tobytes()
        seen.add(world)
    assert seen == {"core", "confident"}


@EACH_KIND
def test_at_the_boundary_a_wrong_label_is_the_likeliest_wrong_one(kind: str) -> None:
    start = start_of(kind)
    dataset, pool = start.dataset, draw(InstanceDependentNoise(0.3, "boundary", 5.0), kind)
    wrong = np.flatnonzero(pool.mislabelled)
    probabilities = start.learner.model.predict_proba(dataset.X_pool[wrong])
    for row, sample in zip(probabilities, wrong, strict=True):
        others = [label for label in range(dataset.n_classes) if label != dataset.y_pool[sample]]
        assert pool.labels[dataset.pool_rows][sample] == max(others, key=lambda label: row[label])


def test_elsewhere_it_is_any_other_class() -> None:
    dataset, pool = start_of("five classes").dataset, draw(InstanceDependentNoise(0.45, "core", 0.0), "five classes")
    wrong = pool.mislabelled
    counts = np.bincount((pool.labels[dataset.pool_rows][wrong] - dataset.y_pool[wrong]) % 5, minlength=5)
    assert all(within(count / wrong.sum(), 1 / 4, int(wrong.sum())) for count in counts[1:])


# --- annotators -----------------------------------------------------------------------------------------------------


def test_each_annotator_of_a_column_errs_as_often_as_is_said() -> None:
    dataset = start_of("five classes").dataset
    who = np.random.default_rng(3).integers(0, 3, len(dataset.y))
    model = AnnotatorNoise(np.array([0.0, 0.1, 0.45]), np.full(3, 1 / 3), who)
    mask = draw(model, "five classes").mislabelled
    of_pool = who[dataset.pool_rows]
    assert not mask[of_pool == 0].any()
    for number, rate in ((1, 0.1), (2, 0.45)):
        found = mask[of_pool == number]
        assert within(found.mean(), rate, len(found))
    assert model.rate(dataset) == pytest.approx(np.choose(of_pool, model.rates).mean())


def test_the_rate_of_a_column_is_that_of_the_samples_that_can_be_bought() -> None:
    dataset = start_of("table").dataset
    who = np.zeros(len(dataset.y), dtype=np.int64)
    who[dataset.seed_rows] = who[dataset.validation_rows] = 1
    assert AnnotatorNoise(np.array([0.1, 0.4]), np.full(2, 0.5), who).rate(dataset) == pytest.approx(0.1)


def test_without_a_column_annotators_get_their_shares() -> None:
    careful = AnnotatorNoise(np.array([0.0, 0.4]), np.array([0.9, 0.1]))
    careless = AnnotatorNoise(np.array([0.0, 0.4]), np.array([0.1, 0.9]))
    dataset, count = start_of("five classes").dataset, available("five classes")
    for model, rate in ((careful, 0.04), (careless, 0.36)):
        assert model.rate(dataset) == pytest.approx(rate)
        assert within(draw(model, "five classes").mislabelled.mean(), rate, count)


# --- real and unknown noise -----------------------------------------------------------------------------------------


def test_real_noise_is_that_of_the_table() -> None:
    dataset = start_of("table").dataset
    labels = np.where(np.arange(len(dataset.y)) % 4 == 0, (dataset.y + 1) % 3, dataset.y)
    pool, free = draw(RecordedNoise(labels), "table"), dataset.available
    assert np.array_equal(pool.labels[dataset.pool_rows][free], labels[dataset.pool_rows][free])
    expected = (labels != dataset.y)[dataset.pool_rows] & free
    assert np.array_equal(pool.mislabelled, expected)
    assert RecordedNoise(labels).rate(dataset) == expected.sum() / free.sum()


@EACH_KIND
def test_unknown_noise_leaves_the_labels_and_has_no_mask(kind: str) -> None:
    dataset, pool = start_of(kind).dataset, draw(UnknownNoise(0.3), kind)
    assert np.array_equal(pool.labels, dataset.y)
    assert pool.mislabelled.shape == dataset.y_pool.shape
    assert not pool.mislabelled.any()


def test_ranks_go_from_0_to_1_with_ties_in_the_order_of_their_indices() -> None:
    assert ranks(np.array([3.0, 1.0, 3.0, -2.0, 1.0])).tolist() == [0.75, 0.25, 1.0, 0.0, 0.5]
