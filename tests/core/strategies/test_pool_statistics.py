"""Statistics of a pool: their ranges, what they count, and that large pools are described by a part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataselect_env.core.arrays import Floats
from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.episode import Episode
from dataselect_env.core.strategies import evidence, filters, pool_statistics
from dataselect_env.core.strategies.candidates import Candidates
from dataselect_env.core.strategies.pool_statistics import MOST_SAMPLES, STATISTICS
from dataselect_env.core.tasks import TASKS
from tests.helpers.owning import OWN, RANGE, forgotten, offered

DIFFERENCES = tuple(name for name in STATISTICS if name.startswith(("uncertain_", "far_")))


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    with forgotten():
        yield


def in_range(statistics: dict[str, float]) -> bool:
    low = {**dict.fromkeys(STATISTICS, 0.0), **dict.fromkeys(DIFFERENCES, -1.0), "label_correlation": -1.0}
    return all(low[name] <= value <= 1 and round(value, 6) == value for name, value in statistics.items())


def candidates_of(episode: Episode) -> Candidates:
    return episode._selector(episode._start).candidates()


def candidates(seed: int, n: int, k: int) -> Candidates:
    """Return made-up candidates without any structure."""
    rng = np.random.default_rng(seed)
    return Candidates(
        X=rng.standard_normal((n, 3)),
        labels=rng.integers(k, size=n),
        probabilities=rng.dirichlet(np.ones(k), n),
        left=np.ones(n, dtype=np.bool_),
        X_acquired=rng.standard_normal((6, 3)),
        y_acquired=rng.integers(k, size=6),
        rng=rng,
        seed_size=6,
        memory={},
    )


@given(seed=st.integers(0, 10_000), n=st.integers(2, 200), k=st.integers(2, 6))
def test_statistics_stay_in_their_ranges(seed: int, n: int, k: int) -> None:
    found = pool_statistics.pool_statistics(candidates(seed, n, k), 0.5)
    assert tuple(found) == tuple(STATISTICS)
    assert in_range(found)
    assert found["seed_label"] == 0.5


@pytest.mark.parametrize("name", OWN)
def test_statistics_of_tasks_of_ones_own_stay_in_their_ranges(name: str) -> None:
    offered(**OWN[name])
    problem = DataSelectEnv().reset(task_id="mine", seed=2).problem
    assert problem is not None
    assert in_range(problem.statistics)


@pytest.mark.parametrize("X", [np.zeros((40, 2)), np.ones((40, 1)), np.repeat(np.eye(2), 20, axis=0)], ids=str)
def test_statistics_of_degenerate_pools_are_finite(X: Floats) -> None:
    given_labels = np.zeros(len(X), dtype=np.int64)
    made = replace(candidates(0, len(X), 2), X=X, labels=given_labels, X_acquired=X[:6])
    assert in_range(pool_statistics.pool_statistics(made, 1.0))


def test_shares_count_what_passes_the_filters() -> None:
    episode = Episode(TASKS["open"], 3)
    seen, found = candidates_of(episode), episode.describe().statistics
    for name in ("agree", "confident", "held_out"):
        passing = getattr(filters, name)(seen) >= 0
        assert found[f"passes_{name}"] == pytest.approx(passing.mean(), abs=1e-6)
    labels = seen.labels
    assert found["smallest_class"] == pytest.approx(2 * np.bincount(labels).min() / len(labels), abs=1e-6)
    assert found["confidence"] == pytest.approx(seen.probabilities.max(axis=1).mean(), abs=1e-6)
    assert found["held_out_label"] == pytest.approx(seen.held_out[np.arange(len(labels)), labels].mean(), abs=1e-6)
    eigenvalues = np.linalg.eigvalsh(np.cov(seen.X.T))
    rank = eigenvalues.sum() ** 2 / (eigenvalues**2).sum() / seen.X.shape[1]
    assert found["effective_rank"] == pytest.approx(rank, abs=1e-6)


def test_clean_separable_pools_pass_more_than_noisy_ones() -> None:
    generator = {"n_features": 6, "n_informative": 4, "class_sep": 3.0}
    shares = []
    for name, rate in (("clean", 0.0), ("noisy", 0.3)):
        offered(name, generator=generator, noise={"uniform": rate}, budget=30, max_steps=3, score=RANGE)
        problem = DataSelectEnv().reset(task_id=name, seed=2).problem
        assert problem is not None
        shares.append(problem.statistics)
    for name in ("passes_held_out", "passes_neighbours", "held_out_label", "seed_neighbours"):
        assert shares[0][name] > shares[1][name] + 0.1, name


def test_large_pools_are_described_by_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    fit = evidence.LeftOutRidge.of

    def counted(X: Floats, X_seed: Floats) -> evidence.LeftOutRidge:
        sizes.append(len(X))
        return fit(X, X_seed)

    monkeypatch.setattr(evidence.LeftOutRidge, "of", counted)
    made = candidates(1, 5_000, 3)
    found = pool_statistics.pool_statistics(made, 0.4)
    assert sizes == [MOST_SAMPLES]
    assert made.memory == {}  # what was computed of a part is not that of the pool
    assert in_range(found)


def test_what_was_computed_of_a_whole_pool_is_kept_for_the_strategies() -> None:
    episode = Episode(TASKS["open"], 3)
    episode.describe()
    assert episode._memory
