import numpy as np
import pytest

from dataselect_env.core.training_set import TrainingSet


def test_sums_follow_the_rows() -> None:
    X = np.random.default_rng(0).normal(1, 3, (20, 4))
    parts = [np.arange(6), np.array([19]), np.array([7, 12, 8])]
    acquired = TrainingSet(parts[0], X[parts[0]], room=14)
    for count in (1, 2, 3):
        if count > 1:
            acquired.extend(parts[count - 1], X[parts[count - 1]])
        rows = np.concatenate(parts[:count])
        assert acquired.rows.tolist() == rows.tolist()
        assert acquired.centroid == pytest.approx(X[rows].mean(axis=0), abs=1e-12)
        assert acquired.spread == pytest.approx(X[rows].std(), abs=1e-12)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e8 + 0.1, -7.3])
@pytest.mark.parametrize("rows", [3, 7, 30])
def test_equal_rows_have_no_spread(value: float, rows: int) -> None:
    X = np.full((rows, 1), value)  # the mean of the squares may fall below the square of the mean
    assert TrainingSet(np.arange(rows), X, 0).spread == pytest.approx(0, abs=1e-7 * abs(value))


def test_the_rows_given_are_not_shared() -> None:
    rows = np.arange(2)
    acquired = TrainingSet(rows, np.eye(3)[rows], 1)
    rows[0] = 2
    assert acquired.rows.tolist() == [0, 1]
