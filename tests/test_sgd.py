"""The direct way into scikit-learn's loop: bit for bit what partial_fit does, and never used where it is not."""

import numpy as np
import pytest
from sklearn.linear_model import SGDClassifier

from dataselect_env import sgd
from dataselect_env.arrays import Floats, Labels
from dataselect_env.learner import ALPHA, CLASSES


def fitted(rng: np.random.Generator, features: int) -> SGDClassifier:
    model = SGDClassifier(loss="log_loss", learning_rate="optimal", alpha=ALPHA, shuffle=False, random_state=0)
    return model.partial_fit(rng.standard_normal((20, features)), rng.integers(0, 2, 20), classes=CLASSES)


@pytest.mark.parametrize("seed", range(8))
def test_the_chosen_way_equals_partial_fit_bit_for_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    features = int(rng.integers(1, 90))
    batches = [
        (rng.standard_normal((n, features)) * 10.0 ** rng.integers(-3, 4), rng.integers(0, 2, n)) for n in (1, 7, 300)
    ]
    models = [fitted(np.random.default_rng(seed), features) for _ in range(2)]
    for X, y in batches:
        for model, update in zip(models, (sgd.fastest(), sgd.partial_fit), strict=True):
            update(model, X, y)
    assert models[0].coef_.tobytes() == models[1].coef_.tobytes()
    assert models[0].intercept_.tobytes() == models[1].intercept_.tobytes()
    assert models[0].t_ == models[1].t_


def test_a_model_trained_directly_goes_on_by_the_public_way() -> None:
    rng = np.random.default_rng(3)
    direct, public = fitted(np.random.default_rng(3), 5), fitted(np.random.default_rng(3), 5)
    X, y = rng.standard_normal((40, 5)), rng.integers(0, 2, 40)
    sgd.fastest()(direct, X[:20], y[:20])
    direct.partial_fit(X[20:], y[20:])
    public.partial_fit(X, y)
    assert direct.coef_ == pytest.approx(public.coef_, abs=1e-12)
    assert direct.predict(X).tolist() == public.predict(X).tolist()


def test_this_scikit_learn_has_a_direct_way() -> None:
    """The versions that the package admits all have one; a new version without it still works, slower."""
    assert sgd.fastest() in sgd.DIRECT_FORMS


def test_a_way_that_is_off_or_missing_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def off_by_a_bit(model: SGDClassifier, X: Floats, y: Labels) -> None:
        model.partial_fit(X, y)
        model.coef_[0, 0] = np.nextafter(model.coef_[0, 0], np.inf)

    def missing(model: SGDClassifier, X: Floats, y: Labels) -> None:
        raise ImportError

    assert not sgd.agrees(off_by_a_bit)
    assert not sgd.agrees(missing)
    monkeypatch.setattr(sgd, "DIRECT_FORMS", (off_by_a_bit, missing))
    assert sgd.fastest.__wrapped__() is sgd.partial_fit
