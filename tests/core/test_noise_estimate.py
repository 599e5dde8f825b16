"""Label noise estimated without ground truth: confident learning, batch by batch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataselect_env.core.arrays import Floats
from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.episode import Episode
from dataselect_env.core.learner import Learner
from dataselect_env.core.noise_estimate import NOISE_PRIOR_STRENGTH, suspected
from tests.helpers.owning import RANGE, forgotten, made, offered


class ByHeart(Learner):
    """A learner whose probabilities are the features."""

    def probabilities(self, X: Floats) -> Floats:
        return X


def judge(known: list[tuple[list[float], int]], batch: list[tuple[list[float], int]]) -> tuple[int, int]:
    """Return how many samples of a batch are judged and how many suspected; rows are (probabilities, label)."""
    rows = [*known, *batch]
    X, labels = np.array([row for row, _ in rows]), np.array([label for _, label in rows])
    split = len(known)
    return suspected(ByHeart(X.shape[1], X.shape[1]), X, labels, np.arange(split), np.arange(split, len(rows)))


KNOWN = [([0.9, 0.1, 0.0], 0), ([0.7, 0.3, 0.0], 0), ([0.2, 0.6, 0.2], 1), ([0.1, 0.2, 0.7], 2)]
"""The thresholds are 0.8, 0.6 and 0.7."""


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        ([([0.9, 0.1, 0.0], 0)], (1, 0)),
        ([([0.9, 0.1, 0.0], 1)], (1, 1)),
        ([([0.8, 0.1, 0.1], 2)], (1, 1)),  # at the threshold: judged
        ([([0.79, 0.21, 0.0], 1)], (0, 0)),  # below every threshold: not judged
        ([([0.1, 0.65, 0.25], 0), ([0.1, 0.65, 0.25], 1)], (2, 1)),
        ([([0.79, 0.21, 0.0], 1)] * 2 + [([0.9, 0.1, 0.0], 1), ([0.9, 0.1, 0.0], 0)], (2, 1)),
    ],
)
def test_labels_look_wrong_where_the_model_is_confident_of_another(
    batch: list[tuple[list[float], int]], expected: tuple[int, int]
) -> None:
    assert judge(KNOWN, batch) == expected


def test_of_several_classes_that_reach_their_thresholds_the_likeliest_counts() -> None:
    known = [([0.4, 0.3, 0.3], 0), ([0.3, 0.4, 0.3], 1), ([0.3, 0.3, 0.4], 2)]
    assert judge(known, [([0.45, 0.55, 0.0], 1)]) == (1, 0)
    assert judge(known, [([0.45, 0.55, 0.0], 0)]) == (1, 1)


def test_a_class_without_acquired_samples_suspects_no_label() -> None:
    assert judge(KNOWN[:3], [([0.0, 0.01, 0.99], 0)]) == (0, 0)


@given(seed=st.integers(0, 2**32 - 1), classes=st.integers(2, 6), batch=st.integers(1, 30), known=st.integers(1, 30))
def test_no_more_look_wrong_than_are_judged_and_the_order_does_not_matter(
    seed: int, classes: int, batch: int, known: int
) -> None:
    rng = np.random.default_rng(seed)
    X = rng.dirichlet(np.full(classes, 0.3), known + batch)
    labels = rng.integers(0, classes, known + batch)
    acquired, rows = np.arange(known), np.arange(known, known + batch)
    found = judged, wrong = suspected(ByHeart(classes, classes), X, labels, acquired, rows)
    assert 0 <= wrong <= judged <= batch
    mixed = suspected(ByHeart(classes, classes), X, labels, rng.permutation(acquired), rng.permutation(rows))
    assert mixed == found


@pytest.mark.parametrize("rate", [0.05, 0.4])
def test_it_tells_much_noise_from_little(rate: float) -> None:
    """The labels are corrupted, and nobody reports which."""
    task = made(
        generator={"n_features": 20, "n_informative": 10, "class_sep": 2.0, "n_classes": 3},
        noise={"uniform": rate},
        score=RANGE,
        budget=200,
        max_steps=8,
    )
    object.__setattr__(task, "audited", False)  # the dataclass is frozen; this instance belongs to the test
    found = []
    for seed in range(4):
        episode = Episode(task, seed)
        while episode.end_reason is None:
            episode.select_batch(25, (0.0, 0.0, 1.0))
        found.append(episode._suspected / episode.judged)
    assert abs(np.mean(found) - rate) < 0.12


def test_the_estimate_in_replies_is_the_guess_updated_by_what_looks_wrong() -> None:
    with forgotten():
        task = offered(table={"bundled": "wine"}, noise={"unknown": 0.25}, budget=40, max_steps=4, score=RANGE)
        env, episode = DataSelectEnv(), Episode(task, 3)
        reply = env.reset(task_id="mine", seed=3)
        assert reply.observation.noise_estimate == 0.25
        judged = wrong = 0
        weights = (0.5, 0.25, 0.25)
        while not reply.done:
            before = episode.learner.copy(), episode._state.acquired.rows.copy()
            dataset = episode._start.dataset
            bought = episode.select_batch(10, weights)
            rows = bought.samples + dataset.pool_rows.start
            found = suspected(before[0], dataset.X, dataset.y, before[1], rows)
            judged, wrong = judged + found[0], wrong + found[1]
            mix = {"uncertainty": 0.5, "diversity": 0.25, "random": 0.25}
            reply = env.step({"action_type": "select_batch", "batch_size": 10, "strategy_weights": mix})
            expected = (NOISE_PRIOR_STRENGTH * 0.25 + wrong) / (NOISE_PRIOR_STRENGTH + judged)
            assert reply.observation.noise_estimate == pytest.approx(expected)
            assert 0 <= reply.observation.noise_estimate <= 1
        assert judged > 0
