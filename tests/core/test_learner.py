"""The learner is plain scikit-learn, computed faster."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss

from dataselect_env.core import sgd
from dataselect_env.core.arrays import Floats, Labels
from dataselect_env.core.learner import ALPHA, MOST_PASSES, SAMPLES_PER_PASS, Learner, passes_for, passes_for_many


def test_passes_for_many_are_those_of_each() -> None:
    before, after = np.arange(40).repeat(40), np.tile(np.arange(1, 41), 40)
    expected = [passes_for(*pair) for pair in zip(before.tolist(), after.tolist(), strict=True)]
    assert passes_for_many(before, after).tolist() == expected


def rows(count: int, seed: int) -> tuple[Floats, Labels]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((count, 12))
    return X, (X[:, 0] + rng.standard_normal(count) > 0).astype(np.int64)


def train(learner: Learner, X: Floats, y: Labels, passes: int, rng: np.random.Generator) -> None:
    learner.train(X, y, np.arange(len(y)), passes, rng)


def trained(seed: int, *, passes: int = 4) -> Learner:
    learner = Learner(2, 12)
    train(learner, *rows(80, seed), passes, np.random.default_rng(seed))
    return learner


def test_the_model_is_a_new_object_that_can_be_trained_further() -> None:
    learner, (X, y) = trained(3), rows(60, 4)
    model, expected = learner.model, learner.copy()
    model.partial_fit(X, y)
    sgd.partial_fit(expected, X, y, np.arange(60))
    assert np.array_equal(model.coef_, expected.parameters[:, :-1])
    assert model.t_ == learner.updates + 1 + 60
    assert not np.array_equal(learner.model.coef_, model.coef_)


def textbook(batches: list[tuple[Floats, Labels, int]], seed: int) -> SGDClassifier:
    """Train in the obvious way: one ``partial_fit`` for each pass."""
    rng = np.random.default_rng(seed)
    model = SGDClassifier(loss="log_loss", learning_rate="optimal", alpha=ALPHA, shuffle=False)
    for X, y, passes in batches:
        for _ in range(passes):
            order = rng.permutation(len(y))
            model.partial_fit(X[order], y[order], classes=[0, 1])
    return model


@pytest.mark.parametrize("seed", range(2))
def test_stacked_passes_equal_one_call_for_each_pass(seed: int) -> None:
    batches = [(*rows(80, seed), 10), (*rows(95, seed + 50), 5), (*rows(100, seed + 90), 1)]
    learner, rng = Learner(2, 12), np.random.default_rng(seed)
    for X, y, passes in batches:
        train(learner, X, y, passes, rng)
    expected = textbook(batches, seed)
    assert learner.model.coef_ == pytest.approx(expected.coef_, abs=1e-12, rel=1e-12)
    assert learner.model.intercept_ == pytest.approx(expected.intercept_, abs=1e-12, rel=1e-12)
    assert learner.model.t_ == expected.t_


def test_training_on_one_class_only_still_knows_both() -> None:
    learner = Learner(2, 12)
    train(learner, rows(20, 0)[0], np.ones(20, dtype=np.int64), 1, np.random.default_rng(0))
    assert learner.model.classes_.tolist() == [0, 1]


def test_training_depends_on_nothing_but_its_arguments() -> None:
    first, second = trained(3), trained(3)
    assert np.array_equal(first.model.coef_, second.model.coef_)
    assert not np.array_equal(first.model.coef_, trained(4).model.coef_)


def test_rows_are_trained_on_as_if_they_stood_alone() -> None:
    X, y = rows(60, 0)
    some = np.array([41, 3, 7, 59, 0, 12])
    among, alone = Learner(2, 12), Learner(2, 12)
    for passes in (3, 2):
        among.train(X, y, some, passes, np.random.default_rng(passes))
        train(alone, X[some], y[some], passes, np.random.default_rng(passes))
    assert np.array_equal(among.model.coef_, alone.model.coef_)


def test_training_leaves_its_rows_alone() -> None:
    X, y = rows(30, 0)
    X.flags.writeable = y.flags.writeable = False
    train(Learner(2, 12), X, y, 2, np.random.default_rng(0))
    assert np.array_equal(X, rows(30, 0)[0])


@pytest.mark.parametrize("seed", range(2))
def test_log_odds_are_the_decision_function(seed: int) -> None:
    learner, (X, _) = trained(seed), rows(60, seed + 7)
    assert learner.log_odds(X) == pytest.approx(learner.model.decision_function(X), abs=1e-12, rel=1e-12)


@pytest.mark.parametrize("seed", range(2))
def test_performance_is_one_over_one_plus_log_loss(seed: int) -> None:
    learner, (X, y) = trained(seed), rows(60, seed + 7)
    expected = 1 / (1 + log_loss(y, learner.model.predict_proba(X)))
    assert learner.performance(X, y) == pytest.approx(expected, abs=1e-10)


def test_performance_sees_new_training_at_once() -> None:
    learner, (X, y) = trained(0, passes=1), rows(60, 7)
    before = learner.performance(X, y)
    train(learner, *rows(80, 1), 5, np.random.default_rng(1))
    assert learner.performance(X, y) != before
    assert learner.performance(X, y) == pytest.approx(1 / (1 + log_loss(y, learner.model.predict_proba(X))), abs=1e-10)


def test_performance_of_overconfident_answers_stays_in_range_and_silent() -> None:
    learner, (X, y) = trained(0), rows(60, 7)
    right = (learner.log_odds(1e9 * X) > 0).astype(np.int64)
    assert learner.performance(1e9 * X, right) == pytest.approx(1.0)
    assert 0 < learner.performance(1e9 * X, 1 - right) < 1e-6
    assert 0 < learner.performance(1e9 * X, y) < 1


@given(batches=st.lists(st.integers(SAMPLES_PER_PASS, SAMPLES_PER_PASS * MOST_PASSES), min_size=1, max_size=12))
def test_small_batches_together_pay_for_as_much_as_they_would_at_once(batches: list[int]) -> None:
    bought, passes = 0, 0
    for batch in batches:
        passes += passes_for(bought, bought + batch)
        bought += batch
    assert passes == bought // SAMPLES_PER_PASS


@given(bought=st.integers(0, 300), batch=st.integers(1, 300))
def test_every_batch_pays_for_a_pass_and_none_for_more_than_the_most(bought: int, batch: int) -> None:
    passes = passes_for(bought, bought + batch)
    assert 1 <= passes <= MOST_PASSES
    assert abs(passes - min(MOST_PASSES, batch / SAMPLES_PER_PASS)) < 1


# --- more than two classes ------------------------------------------------------------------------------------------


def many(count: int, classes: int, seed: int) -> tuple[Floats, Labels]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((count, 9))
    y = (X[:, :classes] + 0.7 * rng.standard_normal((count, min(classes, 9)))).argmax(axis=1)
    return X, y.astype(np.int64)


MANY = pytest.mark.parametrize("classes", [3, 4, 5, 6])


@MANY
def test_several_classes_equal_plain_scikit_learn(classes: int) -> None:
    seed = classes
    batches = [(*many(30, classes, seed), 10), (*many(45, classes, seed + 50), 4), (*many(50, classes, seed + 90), 1)]
    learner, rng, order_rng = Learner(classes, 9), np.random.default_rng(seed), np.random.default_rng(seed)
    model = SGDClassifier(loss="log_loss", learning_rate="optimal", alpha=ALPHA, shuffle=False)
    for X, y, passes in batches:
        train(learner, X, y, passes, rng)
        for _ in range(passes):
            order = order_rng.permutation(len(y))
            model.partial_fit(X[order], y[order], classes=np.arange(classes))
        assert learner.model.coef_ == pytest.approx(model.coef_, abs=1e-10, rel=1e-10)
        assert learner.model.intercept_ == pytest.approx(model.intercept_, abs=1e-10, rel=1e-10)
        assert learner.model.t_ == model.t_
        test_X, test_y = many(60, classes, seed + 7)
        p = model.predict_proba(test_X)
        assert learner.probabilities(test_X) == pytest.approx(p, abs=1e-10)
        expected = 1 / (1 + log_loss(test_y, p, labels=range(classes)))
        assert learner.performance(test_X, test_y) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_balanced_performance_is_the_log_loss_of_what_the_shares_of_the_classes_do_not_explain(classes: int) -> None:
    learner, (X, y) = Learner(classes, 9), many(80, classes, 1)
    train(learner, X, y, 3, np.random.default_rng(0))
    weights = np.random.default_rng(1).dirichlet(np.ones(80))
    counts = np.arange(classes) * 7
    p = learner.model.predict_proba(X) / (counts + 1)
    loss = log_loss(y, p / p.sum(axis=1, keepdims=True), sample_weight=weights, labels=range(classes))
    assert learner.balanced_performance(X, y, weights, counts) == pytest.approx(1 / (1 + loss), abs=1e-9)
    alike = np.full(classes, 5)
    assert learner.balanced_performance(X, y, np.full(80, 1 / 80), alike) == pytest.approx(learner.performance(X, y))


def test_probabilities_of_two_classes_are_those_of_scikit_learn() -> None:
    learner, (X, _) = trained(1), rows(60, 8)
    assert learner.probabilities(X) == pytest.approx(learner.model.predict_proba(X), abs=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_rows_far_out_have_finite_losses_and_probabilities(classes: int) -> None:
    """If one-vs-rest gives every class almost no probability, scikit-learn divides zero by zero."""
    learner, (X, y) = Learner(classes, 9), many(60, classes, 2)
    train(learner, X, y, 3, np.random.default_rng(0))
    p = learner.probabilities(1e9 * X)
    assert p.sum(axis=1) == pytest.approx(np.ones(60))
    assert (p >= 0).all()
    assert 0 < learner.performance(1e9 * X, y) <= 1


def test_a_class_that_the_seed_set_does_not_have_can_be_learned() -> None:
    learner, (X, y) = Learner(4, 9), many(200, 4, 3)
    train(learner, X[y < 3], y[y < 3], 3, np.random.default_rng(0))
    assert learner.probabilities(X).shape == (200, 4)
    before = learner.performance(X, y)
    train(learner, X, y, 4, np.random.default_rng(1))
    assert learner.performance(X, y) > before
    assert (learner.probabilities(X).argmax(axis=1) == 3).any()


def test_a_copy_of_several_classes_learns_on_its_own() -> None:
    learner, (X, y) = Learner(3, 9, alpha=0.05), many(60, 3, 4)
    train(learner, X, y, 2, np.random.default_rng(0))
    twin, before = learner.copy(), learner.model.coef_.copy()
    assert (twin.n_classes, twin.model.alpha) == (3, 0.05)
    for one in (twin, learner.copy()):
        train(one, X, y, 2, np.random.default_rng(1))
    assert np.array_equal(learner.model.coef_, before)
    assert not np.array_equal(twin.model.coef_, before)
