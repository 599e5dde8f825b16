"""Fast training: it gives the weights of ``partial_fit``, and is not used where it does not."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import SGDClassifier

from dataselect_env.core import sgd
from dataselect_env.core.arrays import Floats, Indices, Labels
from dataselect_env.core.learner import ALPHA, Learner


def fitted(rng: np.random.Generator, features: int) -> SGDClassifier:
    model = SGDClassifier(loss="log_loss", learning_rate="optimal", alpha=ALPHA, shuffle=False, random_state=0)
    return model.partial_fit(rng.standard_normal((20, features)), rng.integers(0, 2, 20), classes=[0, 1])


@pytest.mark.parametrize("way", sgd.ways())
@pytest.mark.parametrize("seed", range(8))
def test_every_way_equals_partial_fit(way: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    features = int(rng.integers(1, 90))
    expected, found = (fitted(np.random.default_rng(seed), features) for _ in range(2))
    for count in (1, 7, 300):
        X, y = rng.standard_normal((40, features)) * 10.0 ** rng.integers(-3, 3), rng.integers(0, 2, 40)
        rows = rng.integers(0, 40, count)
        sgd.partial_fit(expected, X, y, rows)
        sgd.ways()[way](found, X, y, rows)
        assert found.coef_ == pytest.approx(expected.coef_, abs=1e-10, rel=1e-10)
        assert found.intercept_ == pytest.approx(expected.intercept_, abs=1e-10, rel=1e-10)
        assert found.t_ == expected.t_


@pytest.mark.parametrize("way", sgd.ways())
def test_a_model_trained_fast_goes_on_by_the_public_way(way: str) -> None:
    rng = np.random.default_rng(3)
    fast, public = fitted(np.random.default_rng(3), 5), fitted(np.random.default_rng(3), 5)
    X, y = rng.standard_normal((40, 5)), rng.integers(0, 2, 40)
    sgd.ways()[way](fast, X, y, np.arange(20))
    fast.partial_fit(X[20:], y[20:])
    public.partial_fit(X, y)
    assert fast.coef_ == pytest.approx(public.coef_, abs=1e-12)
    assert fast.predict(X).tolist() == public.predict(X).tolist()


def test_a_way_that_is_off_or_missing_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(model: SGDClassifier, X: Floats, y: Labels, rows: Indices) -> None:
        model.partial_fit(X[rows], y[rows])
        model.coef_[0, 0] += 1e-9

    def missing(model: SGDClassifier, X: Floats, y: Labels, rows: Indices) -> None:
        raise ImportError

    assert not sgd.agrees(off)
    assert not sgd.agrees(missing)
    monkeypatch.setattr(sgd, "WAYS", {"off": off, "missing": missing, "partial_fit": sgd.partial_fit})
    assert list(sgd.ways.__wrapped__()) == ["partial_fit"]


def test_the_compiled_loop_refuses_rows_that_are_not_there() -> None:
    update = pytest.importorskip("_dataselect_env_compiled", reason="built without a C compiler").update
    X, y, weights = np.ones((3, 2)), np.ones(3, dtype=np.int64), np.zeros(2)
    for rows in ([3], [-1]):
        with pytest.raises(IndexError):
            update(weights, 0.0, X, y, np.array(rows), 0.1, 1.0)
    with pytest.raises(ValueError, match="fit each other"):
        update(np.zeros(3), 0.0, X, y, np.array([0]), 0.1, 1.0)
    assert not weights.any()


@pytest.mark.parametrize("way", sgd.ways())
@pytest.mark.parametrize("classes", [3, 4, 5, 6])
def test_every_way_equals_partial_fit_for_several_classes(way: str, classes: int) -> None:
    rng, models = np.random.default_rng(classes), []
    first = rng.standard_normal((20, 7)), rng.integers(0, classes, 20)
    for _ in range(2):
        model = SGDClassifier(loss="log_loss", learning_rate="optimal", alpha=ALPHA, shuffle=False, random_state=0)
        models.append(model.partial_fit(*first, classes=np.arange(classes)))
    expected, found = models
    for count in (1, 7, 300):
        X, y = rng.standard_normal((40, 7)) * 10.0 ** rng.integers(-2, 2), rng.integers(0, classes, 40)
        rows = rng.integers(0, 40, count)
        sgd.partial_fit(expected, X, y, rows)
        sgd.ways()[way](found, X, y, rows)
        assert found.coef_ == pytest.approx(expected.coef_, abs=1e-10, rel=1e-10)
        assert found.intercept_ == pytest.approx(expected.intercept_, abs=1e-10, rel=1e-10)
        assert found.t_ == expected.t_
    assert found.predict_proba(X) == pytest.approx(expected.predict_proba(X), abs=1e-10)


def test_without_a_compiled_loop_several_classes_are_learned_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((60, 5)), rng.integers(0, 4, 60)
    learned = []
    for way in sgd.ways().values():
        monkeypatch.setattr(sgd, "fastest", lambda way=way: way)
        learner = Learner(4)
        for passes in (3, 2):
            learner.train(X, y, np.arange(60), passes, np.random.default_rng(passes))
        learned.append(learner.probabilities(X))
    for found in learned:
        assert found == pytest.approx(learned[-1], abs=1e-10)
