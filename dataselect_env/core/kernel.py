"""The arithmetic of a step: choose a batch with the base strategies, train on it, measure. In numpy, and compiled.

:func:`choose` and :func:`learn` are the two halves of a step. Both use the compiled kernel, ``native/kernel.c``, where
it is available and the episode is within its reach (two classes). Otherwise they compute the same in numpy. The two
draw the same numbers from the same streams and make the same choices. Their results agree to ``TOLERANCE`` and not to
the last bit, because they add up in different orders.
"""

from __future__ import annotations

from concurrent.futures import Executor
from copy import copy, deepcopy
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from dataselect_env.core import reward
from dataselect_env.core.arrays import Floats, Indices, Mask
from dataselect_env.core.data import Dataset, Pool
from dataselect_env.core.learner import Learner
from dataselect_env.core.strategies import sampling
from dataselect_env.core.threads import cores
from dataselect_env.core.training_set import TrainingSet
from dataselect_env.core.warm_start import WarmStart, performance_on, warm_up

try:
    import _dataselect_env_compiled as _compiled
except ImportError:  # the package was built where there was no C compiler
    _compiled = None

TOLERANCE = 1e-10
"""Largest accepted relative difference between the results of the two implementations after a step."""
EPISODES_A_SHARE = 4
"""Fewer episodes are not worth another thread."""


@dataclass(slots=True, eq=False)
class State:
    """What changes in the course of an episode.

    Attributes:
        pool: Given labels and the noise mask; these do not change.
        available: Which samples can be bought, (n_pool,).
        acquired: The training set, with room for the budget.
        learner: The classifier.
        selection_rng, training_rng: Streams of the selection draws and of the training order.
        trap: Strength of the noise trap, in nats; see :func:`.sampling.trap_strength`.
    """

    pool: Pool
    available: Mask
    acquired: TrainingSet
    learner: Learner
    selection_rng: np.random.Generator
    training_rng: np.random.Generator
    trap: float
    _handle: Any = field(default=None, repr=False)

    def copy(self) -> State:
        """Return an independent state; the pool is shared."""
        twin = copy(self)
        twin.available, twin.acquired, twin.learner = self.available.copy(), self.acquired.copy(), self.learner.copy()
        twin.selection_rng, twin.training_rng = deepcopy((self.selection_rng, self.training_rng))
        twin._handle = None
        return twin

    @property
    def handle(self) -> Any:
        """The arrays as the compiled kernel takes them, which writes to them."""
        if self._handle is None:
            self._handle = _compiled.Episode(
                self.pool.labels,
                self.pool.mislabelled.view(np.uint8),
                self.available.view(np.uint8),
                self.learner.parameters[0],
                self.acquired.sums,
                self.acquired.buffer,
                self.selection_rng.bit_generator,
                self.training_rng.bit_generator,
                self.learner.alpha,
                self.trap,
            )
        return self._handle


class Outcome(NamedTuple):
    """What came of a purchase.

    Attributes:
        mislabelled: Samples of the batch with a wrong label.
        distance: Mean Euclidean distance of the batch from the training centroid.
        redundancy: As :func:`.reward.distance_and_redundancy` returns it.
        performance: Performance on the validation split after training.
        spread: :attr:`.TrainingSet.spread` after the purchase.
    """

    mislabelled: int
    distance: float
    redundancy: float
    performance: float
    spread: float


def choose(start: WarmStart, state: State, counts: tuple[int, ...]) -> Indices:
    """Return the batch that the base strategies choose, as indices into the pool, in the order of choice.

    Args:
        start: What the episode started from.
        state: The state; only its selection stream changes.
        counts: Samples that each of the base strategies chooses; their sum, the batch size, is at least 1 and at most
            the number of available samples.
    """
    return (_choose_compiled if is_compiled(start) else _choose)(start, state, counts)


def learn(start: WarmStart, state: State, batch: Indices, passes: int) -> Outcome:
    """Take a batch out of the pool, train on everything acquired, and return what came of it.

    Args:
        start: What the episode started from.
        state: The state, which changes.
        batch: Distinct indices of available samples, (n,), n >= 1.
        passes: Passes over the training set, at least 1.
    """
    return (_learn_compiled if is_compiled(start) else _learn)(start, state, batch, passes)


def is_compiled(start: WarmStart) -> bool:
    """Return whether the compiled kernel plays the episodes of a data set."""
    return start.dataset.n_classes == 2 and is_available()


@cache
def is_available() -> bool:
    """Return whether there is a compiled kernel that agrees with numpy on a small problem."""
    return _compiled is not None and _agrees()


# --- compiled -------------------------------------------------------------------------------------------------------


def data_handle(start: WarmStart) -> Any:
    """Return the arrays of a data set as the compiled kernel takes them; made once."""
    if start.handle is None:
        data = start.dataset
        rows = data.validation_rows
        handle = _compiled.Dataset(
            data.X, data.y, start.squares, data.pool_rows.start, rows.start, rows.stop - rows.start
        )
        object.__setattr__(start, "handle", handle)  # a cache: the object is as frozen as before
    return start.handle


def _choose_compiled(start: WarmStart, state: State, counts: tuple[int, ...]) -> Indices:
    batch = np.empty(sum(counts), dtype=np.intp)
    order = (*(*counts, 0, 0)[:3], state.acquired.size, 1, state.learner.updates)
    _call([data_handle(start)], [state.handle], np.array([order], dtype=np.intp), batch[None], learning=False)
    return batch


def _learn_compiled(start: WarmStart, state: State, batch: Indices, passes: int) -> Outcome:
    order = (len(batch), 0, 0, state.acquired.size, passes, state.learner.updates)
    handles = [data_handle(start)], [state.handle]
    outcome = _call(*handles, np.array([order], dtype=np.intp), batch[None], choosing=False)
    state.acquired.size += len(batch)
    state.learner.updates += passes * state.acquired.size
    mislabelled, distance, redundancy, performance, spread = outcome[0].tolist()
    if start.dataset.weights is not None:
        performance = performance_on(start.dataset, state.learner, state.pool.labels, state.acquired.rows)
    return Outcome(int(mislabelled), distance, redundancy, performance, spread)


def play(datasets: list[Any], episodes: list[Any], orders: Indices, threads: Executor | None = None) -> Floats:
    """Play one purchase in each of n episodes, without the GIL; return the outcomes, (n, 5), in columns ``Outcome``.

    Args:
        datasets: The :func:`data_handle` of each episode.
        episodes: The :attr:`State.handle` of each episode. The arrays behind it change; counts of rows and updates are
            the caller's.
        orders: The purchases, (n, 6): samples that each of the base strategies chooses, rows of the training set before
            the purchase, passes over it afterwards, and updates of the learner before.
        threads: Play shares of ``EPISODES_A_SHARE`` or more episodes beside this thread; None plays all in this one.
    """
    n = len(orders)
    batches = np.empty((n, int(orders[:, :3].sum(axis=1).max())), dtype=np.intp)
    if threads is None or n < 2 * EPISODES_A_SHARE:
        return _call(datasets, episodes, orders, batches)
    bounds = np.linspace(0, n, min(n // EPISODES_A_SHARE, cores()) + 1).astype(int).tolist()
    shares = [slice(*pair) for pair in pairwise(bounds)]
    own, *others = [partial(_call, datasets[share], episodes[share], orders[share], batches[share]) for share in shares]
    beside = [threads.submit(call) for call in others]
    return np.concatenate([own(), *(future.result() for future in beside)])


def _call(
    datasets: list[Any],
    episodes: list[Any],
    orders: Indices,
    batches: Indices,
    *,
    choosing: bool = True,
    learning: bool = True,
) -> Floats:
    outcomes = np.empty((len(orders), _compiled.OUTCOME))
    _compiled.play(datasets, episodes, orders, batches, outcomes, choosing, learning)
    return outcomes


# --- in numpy -------------------------------------------------------------------------------------------------------


def _choose(start: WarmStart, state: State, counts: tuple[int, ...]) -> Indices:
    X, learner, centroid = start.dataset.X_pool, state.learner, state.acquired.centroid

    def most_uncertain(left: Mask, count: int) -> Indices:
        if learner.n_classes == 2:
            entropy = sampling.entropy(learner.log_odds(X))
        else:
            entropy = sampling.entropy_of(learner.probabilities(X))
        return sampling.highest(np.where(left, entropy + state.trap * state.pool.mislabelled, -np.inf), count)

    def farthest(left: Mask, count: int) -> Indices:
        distances = sampling.squared_distance(X @ centroid, start.squares, float(centroid @ centroid))
        return sampling.highest(np.where(left, distances, -np.inf), count)

    picks = (most_uncertain, farthest, sampling.at_random(state.selection_rng))
    return sampling.select(picks=picks[: len(counts)], available=state.available, counts=counts)


def _learn(start: WarmStart, state: State, batch: Indices, passes: int) -> Outcome:
    dataset, labels, acquired = start.dataset, state.pool.labels, state.acquired
    X = dataset.X_pool[batch]
    distance, redundancy = reward.distance_and_redundancy(X, acquired.centroid)
    state.available[batch] = False
    acquired.extend(batch + dataset.pool_rows.start, X)
    state.learner.train(dataset.X, labels, acquired.rows, passes, state.training_rng)
    performance = performance_on(dataset, state.learner, labels, acquired.rows)
    mislabelled = int(np.count_nonzero(state.pool.mislabelled[batch]))
    return Outcome(mislabelled, distance, redundancy, performance, acquired.spread)


# --- the comparison -------------------------------------------------------------------------------------------------


def _agrees() -> bool:
    """Return whether the compiled kernel makes the same choices and draws as numpy on a small problem."""
    start, state = _small_problem()
    twin = state.copy()
    for passes, counts in enumerate(((3, 0, 0), (0, 4, 0), (0, 0, 5), (2, 1, 3)), 1):
        expected = _choose(start, twin, counts)
        try:
            if not np.array_equal(_choose_compiled(start, state, counts), expected):
                return False
            outcome = _learn_compiled(start, state, expected, passes)
        except (AttributeError, TypeError, ValueError):
            return False
        if not np.allclose(outcome, _learn(start, twin, expected, passes), rtol=TOLERANCE, atol=0):
            return False
    return state.training_rng.random() == twin.training_rng.random()


def _small_problem() -> tuple[WarmStart, State]:
    """Return an episode on random numbers, with 11 features, so that the kernel's loops have a remainder."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 11)), rng.integers(0, 2, 60)
    dataset = Dataset(0, X, y, 2, np.arange(10), slice(10, 20), slice(20, 60))
    start = warm_up(dataset, rng)
    pool = Pool(y, rng.random(40) < 0.3)
    acquired = TrainingSet(dataset.seed_rows, dataset.X_seed, room=40)
    selection, training = rng.spawn(2)
    return start, State(pool, dataset.available, acquired, start.learner.copy(), selection, training, trap=0.3)
