import numpy as np
import pytest

from dataselect_env.trainingset import TrainingSet


def test_sums_follow_the_rows() -> None:
    rng = np.random.default_rng(0)
    parts = [(rng.normal(1, 3, (n, 4)), rng.integers(0, 2, n)) for n in (6, 1, 9)]
    acquired = TrainingSet(*parts[0], capacity=10)
    for count in (1, 2, 3):
        if count > 1:
            acquired.extend(*parts[count - 1])
        X = np.concatenate([X for X, _ in parts[:count]])
        assert acquired.X.tolist() == X.tolist()
        assert acquired.y.tolist() == np.concatenate([y for _, y in parts[:count]]).tolist()
        assert acquired.centroid == pytest.approx(X.mean(axis=0), abs=1e-12)
        assert acquired.spread == pytest.approx(X.std(), abs=1e-12)


def test_more_rows_than_there_is_room_for_are_refused() -> None:
    acquired = TrainingSet(np.zeros((2, 3)), np.zeros(2, dtype=np.int64), capacity=1)
    with pytest.raises(ValueError, match="broadcast"):
        acquired.extend(np.zeros((2, 3)), np.zeros(2, dtype=np.int64))


def test_the_rows_given_are_not_shared() -> None:
    X = np.zeros((2, 3))
    acquired = TrainingSet(X, np.zeros(2, dtype=np.int64), capacity=1)
    X[0] = 5
    assert not acquired.X.any()
