"""Pools from a user's own data: how rows are divided, and what two seeds have in common."""

from __future__ import annotations

import copy
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_wine
from sklearn.metrics import log_loss

from dataselect_env.core.arrays import Floats
from dataselect_env.core.strategies.sampling import quotas
from dataselect_env.core.warm_start import WarmStart
from dataselect_env.custom.calibration import measured_range
from dataselect_env.custom.sources import GeneratorSource, TableSource, balanced_weights
from dataselect_env.custom.splitting import SplitSizes, divide, stratified
from tests.helpers.owning import RANGE, WINE, made, save

GENERATOR: dict[str, Any] = {
    "generator": {"n_features": 12, "n_informative": 6, "n_classes": 4, "class_sep": 1.5},
    "split": {"seed": 30, "validation": 50, "pool": 150},
    "score": RANGE,
}


def table_source(**changes: Any) -> TableSource:
    source = made(**{**WINE, **changes}).source
    assert isinstance(source, TableSource)
    return source


def generator_source(**changes: Any) -> GeneratorSource:
    source = made(**{**GENERATOR, **changes}).source
    assert isinstance(source, GeneratorSource)
    return source


def fingerprint(start: WarmStart) -> tuple[bytes, bytes, bytes, float]:
    """Return all that an episode takes from its start, bit for bit."""
    dataset = start.dataset
    return dataset.seed_rows.tobytes(), dataset.X.tobytes(), start.learner.model.coef_.tobytes(), start.performance


# --- drawing rows ---------------------------------------------------------------------------------------------------

CLASS_SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=6)


@given(sizes=CLASS_SIZES, seed=st.integers(0, 2**32 - 1), data=st.data())
def test_a_stratified_draw_has_the_shares_of_the_classes(sizes: list[int], seed: int, data: st.DataObject) -> None:
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    count = data.draw(st.integers(1, len(y)))
    drawn = stratified(y, count, np.random.default_rng(seed))
    assert len(drawn) == count
    assert (np.diff(drawn) > 0).all()
    found = Counter(y[drawn].tolist())
    shares = quotas(count, tuple(map(float, sizes)))
    if count >= len(sizes):
        assert len(found) == len(sizes)
    if 0 not in shares:
        assert [found[label] for label in range(len(sizes))] == list(shares)


@given(sizes=CLASS_SIZES, seed=st.integers(0, 2**32 - 1), data=st.data())
def test_rows_are_divided_without_overlap_and_always_in_the_same_way(
    sizes: list[int], seed: int, data: st.DataObject
) -> None:
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    held = data.draw(st.integers(0, len(y) - 1))
    wanted = SplitSizes(seed=0, validation=held, pool=data.draw(st.integers(1, len(y) - held)))
    validation, others = divide(y, wanted)
    assert (len(validation), len(others)) == (held, wanted.pool)
    assert len(np.union1d(validation, others)) == wanted.total
    again = divide(y, wanted)
    assert validation.tolist() == again[0].tolist()
    assert others.tolist() == again[1].tolist()


@given(y=st.lists(st.integers(0, 4), min_size=1, max_size=80))
def test_balanced_weights_count_every_class_the_same(y: list[int]) -> None:
    labels = np.array(y)
    weights = balanced_weights(labels)
    assert weights.sum() == pytest.approx(1)
    for label in set(y):
        assert weights[labels == label].sum() == pytest.approx(1 / len(set(y)))
        assert len(set(weights[labels == label])) == 1


# --- tables ---------------------------------------------------------------------------------------------------------


def test_all_rows_of_a_table_are_used_once() -> None:
    dataset = table_source().start(0).dataset
    assert (len(dataset.y_validation), len(dataset.y[dataset.seed_rows]), int(dataset.available.sum())) == (35, 9, 134)
    theirs = sorted(Counter(load_wine().target.tolist()).values())
    assert sorted(Counter(dataset.y.tolist()).values()) == theirs
    assert len(np.unique(dataset.X, axis=0)) == len(np.unique(load_wine().data, axis=0))


def test_validation_and_seed_set_have_the_shares_of_the_classes() -> None:
    dataset = table_source(split={"seed": 20, "validation": 60}).start(4).dataset
    shares = np.bincount(dataset.y) / len(dataset.y)
    assert np.abs(np.bincount(dataset.y_validation) - 60 * shares).max() < 1
    seed_counts = np.bincount(dataset.y[dataset.seed_rows])
    assert np.abs(seed_counts - 20 * shares).max() < 1.2  # of what the validation split left


def test_nothing_is_fitted_on_validation_rows() -> None:
    dataset = table_source().start(0).dataset
    others = dataset.X[dataset.pool_rows]
    assert others.mean(axis=0) == pytest.approx(np.zeros(13), abs=1e-12)
    assert others.std(axis=0) == pytest.approx(np.ones(13))
    assert np.abs(dataset.X_validation.mean(axis=0)).max() > 0.01


def test_seeds_differ_in_seed_sets_and_share_rows_and_validation() -> None:
    source = table_source()
    starts = [source.start(seed) for seed in range(5)]
    assert len({tuple(start.dataset.seed_rows.tolist()) for start in starts}) == 5
    assert all(start.dataset.X is source.base.X for start in starts)  # one matrix in memory, however many seeds
    assert len({start.dataset.validation_rows.stop for start in starts}) == 1
    assert len({start.performance for start in starts}) == 5


def test_the_start_of_a_seed_does_not_depend_on_seeds_asked_before() -> None:
    one, another = table_source(), table_source()
    for seed in range(100):  # more than are kept
        one.start(seed)
    for seed in (3, 99, 2**32 - 1):
        assert fingerprint(one.start(seed)) == fingerprint(another.start(seed))


def test_balanced_log_loss_weighs_the_validation_rows() -> None:
    for source in (
        table_source(score={**RANGE, "metric": "balanced_log_loss"}),
        generator_source(
            generator={**GENERATOR["generator"], "class_shares": [0.7, 0.1, 0.1, 0.1]},
            score={**RANGE, "metric": "balanced_log_loss"},
        ),
    ):
        start = source.start(1)
        dataset, y = start.dataset, start.dataset.y_validation
        p = start.learner.model.predict_proba(dataset.X_validation)
        p = p / (np.bincount(dataset.y[dataset.seed_rows], minlength=dataset.n_classes) + 1)
        p /= p.sum(axis=1, keepdims=True)
        by_class = [log_loss(y[y == label], p[y == label], labels=range(dataset.n_classes)) for label in np.unique(y)]
        assert start.performance == pytest.approx(1 / (1 + np.mean(by_class)), abs=1e-10)
        assert start.performance != pytest.approx(1 / (1 + log_loss(y, p)), abs=1e-4)


# --- generators -----------------------------------------------------------------------------------------------------


def test_a_generator_has_the_sizes_and_classes_asked_for() -> None:
    dataset = generator_source().start(0).dataset
    assert (len(dataset.y[dataset.seed_rows]), len(dataset.y_validation), len(dataset.y_pool)) == (30, 50, 150)
    assert dataset.X.shape == (230, 12)
    assert dataset.available.all()
    assert set(dataset.y.tolist()) == {0, 1, 2, 3}


def test_a_generator_makes_another_data_set_for_each_seed_and_the_same_one_again() -> None:
    one, another = generator_source(), generator_source()
    assert fingerprint(one.start(3)) != fingerprint(one.start(4))
    another.start(9)
    assert fingerprint(one.start(3)) == fingerprint(another.start(3))


def test_a_generator_is_standardised_without_the_validation_split() -> None:
    dataset = generator_source().start(2).dataset
    known = np.concatenate([dataset.X_seed, dataset.X_pool])
    assert known.mean(axis=0) == pytest.approx(np.zeros(12), abs=1e-12)
    assert known.std(axis=0) == pytest.approx(np.ones(12))


def test_class_shares_are_those_of_the_generator() -> None:
    shares = [0.7, 0.1, 0.1, 0.1]
    source = generator_source(generator={**GENERATOR["generator"], "class_shares": shares})
    counts: Floats = np.mean([np.bincount(source.start(seed).dataset.y, minlength=4) for seed in range(5)], axis=0)
    assert counts / 230 == pytest.approx(shares, abs=0.02)


# --- both -----------------------------------------------------------------------------------------------------------


def test_the_learner_is_the_one_of_the_definition() -> None:
    for make in (table_source, generator_source):
        plain, other = make(), make(learner={"alpha": 0.1, "warm_up_passes": 3})
        assert other.start(0).learner.model.alpha == 0.1
        assert other.start(0).learner.model.t_ == 1 + 3 * len(other.start(0).dataset.seed_rows)
        assert plain.start(0).learner.model.t_ == 1 + 10 * len(plain.start(0).dataset.seed_rows)


def test_a_deep_copy_shares_its_data() -> None:
    for source in (table_source(), generator_source()):
        assert copy.deepcopy(source) is source
        assert copy.deepcopy({"task": source})["task"] is source


def test_the_measured_range_goes_from_the_start_to_the_whole_pool() -> None:
    for source in (table_source(), generator_source()):
        low, high = measured_range(source)
        assert low == pytest.approx(np.mean([source.start(seed).performance for seed in (0, 1, 2)]))
        assert low < high < 1
        before = fingerprint(source.start(0))
        measured_range(source)
        assert fingerprint(source.start(0)) == before  # shared starts are not trained on


# --- fingerprints ---------------------------------------------------------------------------------------------------


def digest(folder: Path, changes: dict[str, Any], **table: Any) -> str:
    save(folder, **changes)
    fields: dict[str, Any] = {"table": {"file": "t.csv", "target": "label", **table}, "budget": 40, "score": RANGE}
    if "annotator" in table:
        fields["noise"] = {"annotators": {"a": {"rate": 0.1}, "b": {"rate": 0.2}}}
    source = made(folder, **fields).source
    assert isinstance(source, TableSource)
    return source.digest()


def test_a_fingerprint_tells_a_table_whose_features_or_labels_changed(tmp_path: Path) -> None:
    first = digest(tmp_path, {})
    assert digest(tmp_path, {}) == first
    assert digest(tmp_path, {"x0": 1.5}) != first
    labels = np.array(["ant", "bee", "cow"])[np.arange(300) % 3]
    assert digest(tmp_path, {"label": labels}) != first


def test_a_fingerprint_tells_given_labels_and_annotators_too(tmp_path: Path) -> None:
    right, names = np.array(["ant", "bee", "cow"])[np.arange(300) % 3], np.array(["a", "b"])[np.arange(300) % 2]
    noisy = {"true": right, "label": np.where(np.arange(300) % 10, right, "ant")}
    noisier = {"true": right, "label": np.where(np.arange(300) % 5, right, "ant")}
    assert digest(tmp_path, noisy, true_target="true") != digest(tmp_path, noisier, true_target="true")
    one, other = ({"who": who} for who in (names, names[::-1]))
    assert digest(tmp_path, one, annotator="who") != digest(tmp_path, other, annotator="who")


def test_a_fingerprint_tells_generators_apart() -> None:
    first = generator_source().digest()
    assert generator_source().digest() == first
    assert generator_source(split={**GENERATOR["split"], "pool": 151}).digest() != first
    assert generator_source(generator={**GENERATOR["generator"], "class_sep": 1.0}).digest() != first
