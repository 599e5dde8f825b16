"""Fast training: it gives the weights of ``partial_fit``, and is not used where it does not."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import SGDClassifier

from dataselect_env.core import sgd
from dataselect_env.core.arrays import Floats, Indices, Labels
from dataselect_env.core.learner import ALPHA, Learner


def fitted(learner: Learner, X: Floats, y: Labels) -> SGDClassifier:
    """Train a learner and a classifier of scikit-learn on the same samples; return the classifier."""
    sgd.partial_fit(learner, X, y, np.arange(len(y)))
    learner.updates += len(y)
    model = SGDClassifier(loss="log_loss", learning_rate="optimal", alpha=ALPHA, shuffle=False, random_state=0)
    return model.partial_fit(X, y, classes=np.arange(learner.n_classes))


@pytest.mark.parametrize("way", sgd.ways())
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("classes", [2, 3, 4, 6])
def test_every_way_equals_partial_fit(way: str, classes: int, seed: int) -> None:
    rng = np.random.default_rng([classes, seed])
    features = int(rng.integers(1, 90))
    found = Learner(classes, features)
    expected = fitted(found, rng.standard_normal((20, features)), rng.integers(0, classes, 20))
    for count in (1, 7, 300):
        X, y = rng.standard_normal((40, features)) * 10.0 ** rng.integers(-3, 3), rng.integers(0, classes, 40)
        rows = rng.integers(0, 40, count)
        expected.partial_fit(X[rows], y[rows])
        sgd.ways()[way](found, X, y, rows)
        found.updates += count
        assert found.parameters[:, :-1] == pytest.approx(expected.coef_, abs=1e-10, rel=1e-10)
        assert found.parameters[:, -1] == pytest.approx(expected.intercept_, abs=1e-10, rel=1e-10)
        assert found.model.t_ == expected.t_
        assert found.model.predict_proba(X) == pytest.approx(expected.predict_proba(X), abs=1e-10)


def test_what_is_recorded_is_what_scikit_learn_learns() -> None:
    X, y, rows = sgd.small_problem()
    model = SGDClassifier(loss="log_loss", learning_rate="optimal", alpha=0.01, shuffle=False, random_state=0)
    model.partial_fit(X[rows], y[rows], classes=[0, 1])
    assert np.append(model.coef_[0], model.intercept_) == pytest.approx(np.array(sgd.EXPECTED), abs=1e-13)


def test_a_way_that_is_off_or_missing_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(learner: Learner, X: Floats, y: Labels, rows: Indices) -> None:
        sgd.partial_fit(learner, X, y, rows)
        learner.parameters[0, 0] += 1e-9

    def missing(learner: Learner, X: Floats, y: Labels, rows: Indices) -> None:
        raise ImportError

    assert not sgd.agrees(off)
    assert not sgd.agrees(missing)
    monkeypatch.setattr(sgd, "WAYS", {"off": off, "missing": missing, "partial_fit": sgd.partial_fit})
    assert list(sgd.ways.__wrapped__()) == ["partial_fit"]


def test_the_compiled_loop_refuses_rows_that_are_not_there() -> None:
    update = pytest.importorskip("_dataselect_env_compiled", reason="built without a C compiler").update
    X, y, parameters = np.ones((3, 2)), np.ones(3, dtype=np.int64), np.zeros((1, 3))
    for rows in ([3], [-1]):
        with pytest.raises(IndexError):
            update(parameters, X, y, np.array(rows), 0.1, 0)
    with pytest.raises(ValueError, match="fit each other"):
        update(np.zeros((1, 4)), X, y, np.array([0]), 0.1, 0)
    assert not parameters.any()


def test_without_a_compiled_loop_several_classes_are_learned_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((60, 5)), rng.integers(0, 4, 60)
    learned = []
    for way in sgd.ways().values():
        monkeypatch.setattr(sgd, "fastest", lambda way=way: way)
        learner = Learner(4, 5)
        for passes in (3, 2):
            learner.train(X, y, np.arange(60), passes, np.random.default_rng(passes))
        learned.append(learner.probabilities(X))
    for found in learned:
        assert found == pytest.approx(learned[-1], abs=1e-10)
