"""Families of synthetic tables: shapes, classes, and what the shape's numbers do."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from dataselect_env.core.open.families import TESTING, TRAINING, Shape

FAMILIES = {**TRAINING, **TESTING}
each_family = pytest.mark.parametrize("name", FAMILIES)


def shape(**numbers: object) -> Shape:
    fields: dict[str, object] = {
        "rows": 400,
        "features": 12,
        "rank": 5,
        "separation": 0.7,
        "clusters": 2,
        "shares": np.array([0.5, 0.3, 0.2]),
    }
    return Shape(**{**fields, **numbers})  # type: ignore[arg-type]


@each_family
@pytest.mark.parametrize("features", [4, 12])
@pytest.mark.parametrize("classes", [2, 7])
def test_tables_have_their_shape(name: str, features: int, classes: int) -> None:
    wanted = shape(features=features, rank=4, shares=np.full(classes, 1 / classes))
    X, y = FAMILIES[name](np.random.default_rng(3), wanted)
    assert X.shape == (400, features)
    assert y.shape == (400,)
    assert np.isfinite(X).all()
    assert set(y.tolist()) <= set(range(classes))


@each_family
def test_tables_are_functions_of_the_stream(name: str) -> None:
    (X, y), (again, y_again) = (FAMILIES[name](np.random.default_rng(3), shape()) for _ in range(2))
    other, _ = FAMILIES[name](np.random.default_rng(4), shape())
    assert (X.tobytes(), y.tobytes()) == (again.tobytes(), y_again.tobytes())
    assert X.tobytes() != other.tobytes()


@each_family
def test_classes_are_told_apart_the_better_the_more_they_are_separated(name: str) -> None:
    """By a linear model on its own rows, which follows the separation in every family but ``rings`` closely."""

    def accuracy(separation: float) -> float:
        found = []
        for seed in range(12):
            X, y = FAMILIES[name](np.random.default_rng(seed), shape(separation=separation, clusters=1))
            X = (X - X.mean(axis=0)) / (X.std(axis=0) + 1e-9)
            found.append(LogisticRegression(C=0.1, max_iter=400).fit(X[:300], y[:300]).score(X[300:], y[300:]))
        return float(np.mean(found))

    assert accuracy(1.0) > accuracy(0.0) + 0.04


@pytest.mark.parametrize("name", ["clusters", "topics", "prototypes"])
def test_shares_of_the_classes_are_those_wanted(name: str) -> None:
    _, y = FAMILIES[name](np.random.default_rng(3), shape(rows=4_000))
    assert np.bincount(y) / 4_000 == pytest.approx([0.5, 0.3, 0.2], abs=0.03)
