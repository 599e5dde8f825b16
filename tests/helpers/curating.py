"""Noisy tables with trusted rows, for tests of curation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import make_classification

from dataselect_env.core.arrays import Mask
from dataselect_env.curation.problem import NoisyTable, Settings

SETTINGS = Settings(budget=40, steps=4, noise_rate=None, seed=0)
NAMES = np.array(["ant", "bee", "cow"])


@dataclass(frozen=True, eq=False)
class Noisy:
    """A noisy table, its right labels, trusted rows, and rows to test on."""

    X: pd.DataFrame
    y: Any
    right: Any
    wrong: Mask
    X_trusted: pd.DataFrame
    y_trusted: Any
    X_test: pd.DataFrame
    y_test: Any

    @property
    def arguments(self) -> tuple[pd.DataFrame, Any, pd.DataFrame, Any]:
        return self.X, self.y, self.X_trusted, self.y_trusted


def noisy(rows: int = 400, trusted: int = 40, rate: float = 0.25, seed: int = 0, classes: int = 3) -> Noisy:
    """Return a table of six numbers with a share of uniformly wrong labels, which are names."""
    rng = np.random.default_rng(seed)
    size = rows + trusted + 300
    X, codes = make_classification(
        size,
        6,
        n_informative=5,
        n_redundant=0,
        n_classes=classes,
        class_sep=1.6,
        n_clusters_per_class=1,
        random_state=7,
    )
    order = rng.permutation(size)
    frame = pd.DataFrame(X[order], columns=[f"x{place}" for place in range(6)])
    codes = codes[order]
    pool = slice(0, rows)
    wrong = rng.random(rows) < rate
    given = codes[pool].copy()
    given[wrong] = (given[wrong] + rng.integers(1, classes, wrong.sum())) % classes
    rest, test = slice(rows, rows + trusted), slice(rows + trusted, size)
    return Noisy(
        X=frame[pool],
        y=NAMES[given],
        right=NAMES[codes[pool]],
        wrong=wrong,
        X_trusted=frame[rest],
        y_trusted=NAMES[codes[rest]],
        X_test=frame[test],
        y_test=NAMES[codes[test]],
    )


def as_table(data: Noisy) -> NoisyTable:
    """Return the same as arrays."""
    return NoisyTable(
        X=data.X.to_numpy(),
        given=np.searchsorted(NAMES, data.y),
        X_trusted=data.X_trusted.to_numpy(),
        y_trusted=np.searchsorted(NAMES, data.y_trusted),
        n_classes=3,
    )
