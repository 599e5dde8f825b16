"""The kernel: compiled and in numpy it makes the same choices, draws the same numbers and learns the same."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataselect_env.core import kernel
from dataselect_env.core.data import Dataset, Pool
from dataselect_env.core.episode import Episode
from dataselect_env.core.kernel import State
from dataselect_env.core.tasks import PINNED, get_task
from dataselect_env.core.training_set import TrainingSet
from dataselect_env.core.warm_start import WarmStart, warm_up

compiled = pytest.mark.skipif(not kernel.is_available(), reason="built without a C compiler")

COUNTS = st.tuples(*[st.integers(0, 12)] * 3).filter(any)


def problem(
    seed: int, *, n_pool: int = 60, n_features: int = 11, scale: float = 1.0, coarse: bool = False
) -> tuple[WarmStart, State]:
    """Return an episode on random numbers; with ``coarse`` ones, many utilities tie."""
    rng = np.random.default_rng(seed)
    X = scale * rng.standard_normal((20 + n_pool, n_features))
    if coarse:
        X = np.round(X)
    y = rng.integers(0, 2, len(X))
    dataset = Dataset(0, X, y, 2, np.arange(10), slice(10, 20), slice(20, 20 + n_pool))
    start = warm_up(dataset, rng)
    pool = Pool(y ^ (rng.random(len(X)) < 0.2), rng.random(n_pool) < 0.3)
    selection, training = rng.spawn(2)
    acquired = TrainingSet(dataset.seed_rows, dataset.X_seed, room=n_pool)
    state = State(pool, dataset.available, acquired, start.learner.copy(), selection, training, trap=0.3)
    state.available[rng.random(n_pool) < 0.2] = False
    return start, state


def assert_same_state(one: State, other: State) -> None:
    assert np.array_equal(one.available, other.available)
    assert np.array_equal(one.acquired.rows, other.acquired.rows)
    assert one.acquired.sums == pytest.approx(other.acquired.sums, rel=1e-10, abs=1e-10)
    assert one.learner.parameters == pytest.approx(other.learner.parameters, rel=1e-10, abs=1e-10)
    assert one.learner.updates == other.learner.updates
    for name in ("selection_rng", "training_rng"):
        assert getattr(one, name).bit_generator.state == getattr(other, name).bit_generator.state


@compiled
@given(
    seed=st.integers(0, 2**32),
    orders=st.lists(st.tuples(COUNTS, st.integers(1, 4)), min_size=1, max_size=4),
    n_features=st.integers(1, 90),
    scale=st.sampled_from([1e-3, 1.0, 30.0]),
    coarse=st.booleans(),
)
def test_it_plays_what_numpy_plays(
    seed: int, orders: list[tuple[tuple[int, int, int], int]], n_features: int, scale: float, *, coarse: bool
) -> None:
    start, state = problem(seed, n_features=n_features, scale=scale, coarse=coarse)
    twin = state.copy()
    for counts, passes in orders:
        if sum(counts) > state.available.sum():
            break
        expected_batch = kernel._choose(start, twin, counts)
        batch = kernel.choose(start, state, counts)
        if not coarse:  # where utilities tie, rounding decides
            assert batch.tolist() == expected_batch.tolist()
        outcome = kernel.learn(start, state, expected_batch, passes)
        assert outcome == pytest.approx(kernel._learn(start, twin, expected_batch, passes), rel=1e-10, abs=1e-10)
        assert_same_state(state, twin)


@compiled
@pytest.mark.parametrize(("n_pool", "count"), [(60, 1), (60, 48), (9_000, 500), (14_000, 200), (14_000, 300)])
def test_it_draws_as_numpy_does_from_small_and_large_pools(n_pool: int, count: int) -> None:
    """For large shares of more than 10,000 samples, numpy draws in another way."""
    start, state = problem(3, n_pool=n_pool, n_features=2)
    state.available[:] = True
    twin = state.copy()
    for _ in range(3 if n_pool > 60 else 1):
        assert (
            kernel.choose(start, state, (0, 0, count)).tolist() == kernel._choose(start, twin, (0, 0, count)).tolist()
        )
        assert state.selection_rng.bit_generator.state == twin.selection_rng.bit_generator.state


@compiled
def test_ties_go_to_the_lower_index() -> None:
    start, state = problem(0)
    X = start.dataset.X.copy()
    X[start.dataset.pool_rows] = 0.5
    same = warm_up(replace(start.dataset, X=X), np.random.default_rng(0))
    state.pool.mislabelled[:] = False
    left = np.flatnonzero(state.available)
    assert kernel.choose(same, state, (5, 7, 0)).tolist() == left[:12].tolist()


@compiled
@pytest.mark.parametrize("count", [1, 5, 9, 40])
def test_many_at_once_equal_one_after_the_other(count: int) -> None:
    problems = [problem(seed) for seed in range(count)]
    twins = [state.copy() for _, state in problems]
    datasets, episodes = ([kernel.data_handle(start) for start, _ in problems], [state.handle for _, state in problems])
    orders = np.array(
        [
            (1 + lane % 4, lane % 3, 3, state.acquired.size, 1 + lane % 4, state.learner.updates)
            for lane, (_, state) in enumerate(problems)
        ]
    )
    with ThreadPoolExecutor(3) as threads:
        outcomes = kernel.play(datasets, episodes, orders, threads)
    for (start, state), twin, order, outcome in zip(problems, twins, orders.tolist(), outcomes.tolist(), strict=True):
        batch = kernel.choose(start, twin, tuple(order[:3]))
        assert tuple(outcome) == kernel.learn(start, twin, batch, order[4])
        state.acquired.size, state.learner.updates = twin.acquired.size, twin.learner.updates
        assert_same_state(state, twin)


@compiled
@pytest.mark.parametrize("counts", [(61, 0, 0), (30, 31, 0), (0, 0, 0), (5, -1, 0)])
def test_it_refuses_what_would_leave_its_arrays(counts: tuple[int, int, int]) -> None:
    start, state = problem(1)
    with pytest.raises(ValueError, match="size of the batch"):
        kernel.choose(start, state, counts)


@compiled
def test_it_refuses_samples_outside_the_pool_and_episodes_of_other_data() -> None:
    start, state = problem(1)
    for sample in (-1, 60):
        with pytest.raises(ValueError, match="outside the pool"):
            kernel.learn(start, state, np.array([sample]), 1)
    other, _ = problem(1, n_features=12)
    with pytest.raises(ValueError, match="does not fit"):
        kernel.choose(other, state, (1, 0, 0))
    full = replace(state, acquired=TrainingSet(start.dataset.seed_rows, start.dataset.X_seed, room=0)).copy()
    with pytest.raises(ValueError, match="no room"):
        kernel.learn(start, full, np.array([3]), 1)


@pytest.fixture
def uncompiled() -> Iterator[None]:
    with patch.object(kernel, "is_available", lambda: False):
        yield


@compiled
@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("task_id", PINNED)
def test_without_a_compiler_episodes_are_the_same(task_id: str) -> None:
    task = get_task(task_id)
    slow = Episode(task, 20_003)
    results = []
    while slow.end_reason is None:
        results.append(slow.select_batch(17, (0.4, 0.4, 0.2)))
    with patch.object(kernel, "is_available", lambda: True):
        fast = Episode(task, 20_003)
        for expected in results:
            found = fast.select_batch(17, (0.4, 0.4, 0.2))
            assert found.samples.tolist() == expected.samples.tolist()
            assert found.reward == pytest.approx(expected.reward, abs=1e-9)
            assert found.observation.as_tuple() == pytest.approx(expected.observation.as_tuple(), abs=1e-10)


class Off:
    """A compiled module whose results are wrong in one way."""

    def __init__(self, real: Any, fault: str) -> None:
        self.real, self.fault = real, fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def play(self, *arguments: Any) -> None:
        self.real.play(*arguments)
        batches, outcomes = arguments[3], arguments[4]
        if self.fault == "choice":
            batches[0, 0], batches[0, 1] = batches[0, 1], batches[0, 0]
        elif self.fault == "performance":
            outcomes[0, 3] *= 1 + 1e-9


@compiled
@pytest.mark.parametrize("fault", ["choice", "performance"])
def test_a_kernel_that_differs_from_numpy_is_not_used(fault: str) -> None:
    assert kernel._agrees()
    with patch.object(kernel, "_compiled", Off(import_module("_dataselect_env_compiled"), fault)):
        assert not kernel._agrees()
