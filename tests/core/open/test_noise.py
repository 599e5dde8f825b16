"""Label noise of ``open``: an exact share, in the place of its kind, that names the class it should."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from dataselect_env.core.arrays import Floats
from dataselect_env.core.data import Pool
from dataselect_env.core.open import noise
from dataselect_env.core.open.noise import NoiseDraw, mislabel
from dataselect_env.core.open.problems import problem

KINDS = (*noise.TRAINING, *noise.TESTING)
MANY_CLASSES = next(seed for seed in range(100) if problem(seed).task.n_classes > 4)
START = problem(MANY_CLASSES).start
DATASET = START.dataset
PROBABILITIES: Floats = START.learner.probabilities(DATASET.X_pool)
TRUTH = DATASET.y_pool


def drawn(kind: str, *, confusion: noise.Confusion = "any", sharpness: float = 200.0, seed: int = 0) -> Pool:
    draw = NoiseDraw(kind=kind, rate=0.3, sharpness=sharpness, confusion=confusion, groups=3)
    return mislabel(draw, DATASET, PROBABILITIES.copy(), np.random.default_rng(seed))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("confusion", ["any", "next", "likely"])
def test_an_exact_share_is_wrong_and_the_mask_says_which(kind: str, confusion: noise.Confusion) -> None:
    pool = drawn(kind, confusion=confusion)
    expected = 0 if kind == "none" else round(0.3 * len(TRUTH))
    assert np.count_nonzero(pool.mislabelled) == expected
    assert np.array_equal(pool.labels[DATASET.pool_rows] != TRUTH, pool.mislabelled)
    outside = np.ones(len(DATASET.y), dtype=np.bool_)
    outside[DATASET.pool_rows] = False
    assert np.array_equal(pool.labels[outside], DATASET.y[outside])
    assert pool.labels.max() < DATASET.n_classes


def margins() -> Floats:
    two = np.partition(PROBABILITIES, -2, axis=1)[:, -2:]
    found: Floats = two[:, 1] - two[:, 0]
    return found


def distances() -> Floats:
    found: Floats = ((DATASET.X_pool - DATASET.X_pool.mean(axis=0)) ** 2).sum(axis=1)
    return found


@pytest.mark.parametrize(
    ("kind", "values", "higher"),
    [
        ("boundary", margins, False),
        ("confident", margins, True),
        ("core", distances, False),
        ("fringe", distances, True),
    ],
)
def test_sharp_noise_keeps_to_its_place(kind: str, values: Callable[[], Floats], higher: bool) -> None:
    wrong, seen = drawn(kind).mislabelled, values()
    assert (seen[wrong].mean() > seen[~wrong].mean()) == higher
    blunt = drawn(kind, sharpness=0.0).mislabelled
    assert abs(seen[wrong].mean() - seen.mean()) > 3 * abs(seen[blunt].mean() - seen.mean())


def test_uniform_noise_has_no_place() -> None:
    wrong = drawn("uniform").mislabelled
    assert abs(distances()[wrong].mean() / distances().mean() - 1) < 0.25


def test_class_conditional_noise_prefers_classes() -> None:
    shares = [drawn("class-conditional").mislabelled[label == TRUTH].mean() for label in range(DATASET.n_classes)]
    assert max(shares) > 0.9
    assert min(shares) == 0


def test_the_next_class_and_the_likely_class_are_named() -> None:
    pool = drawn("uniform", confusion="next")
    wrong = pool.mislabelled
    given = pool.labels[DATASET.pool_rows]
    assert np.array_equal(given[wrong], (TRUTH[wrong] + 1) % DATASET.n_classes)
    likely = drawn("uniform", confusion="likely")
    wrong, given = likely.mislabelled, likely.labels[DATASET.pool_rows]
    others = PROBABILITIES[wrong].copy()
    others[np.arange(len(others)), TRUTH[wrong]] = -1
    assert np.array_equal(given[wrong], others.argmax(axis=1))
    anything = drawn("uniform", confusion="any")
    assert len(np.unique((anything.labels[DATASET.pool_rows] - TRUTH)[anything.mislabelled] % DATASET.n_classes)) > 2
