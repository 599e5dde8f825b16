"""Check of query strategies: utilities on several small pools, called twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from dataselect_env.core.arrays import Floats
from dataselect_env.core.strategies import Candidates, Strategy, Utilities
from dataselect_env.testing.rules import Rule, form, global_generators, is_array

_CANDIDATES = "dataselect_env.core.strategies.Candidates"
_UTILITIES = "dataselect_env.core.strategies.Utilities"

RULES: Final = {
    "runs": Rule(
        "A strategy returns utilities for every pool with a sample left and every training set with a sample.",
        _UTILITIES,
    ),
    "read-only": Rule("A strategy does not write into its candidates.", _CANDIDATES),
    "generators": Rule("All randomness of a strategy comes from candidates.rng.", _CANDIDATES),
    "array": Rule("Utilities are a float64 array of shape (n,), one for each sample of the pool.", _UTILITIES),
    "numbers": Rule("Utilities are never NaN or +inf.", _UTILITIES),
    "not left": Rule("Samples that are not left have the utility -inf.", _UTILITIES),
    "enough": Rule("At least as many samples that are left as the batch holds have finite utilities.", _UTILITIES),
    "memory": Rule(
        "What a strategy keeps in candidates.memory depends on the pool and the seed set alone.", _CANDIDATES
    ),
    "data memory": Rule(
        "What a strategy keeps in candidates.data_memory depends on the features of pool and seed set alone.",
        _CANDIDATES,
    ),
    "pure": Rule("Equal candidates, with the stream in the same state, have equal utilities.", _UTILITIES),
}
"""The rules of :func:`check_strategy` by name."""

ROWS: Final = 40
"""Samples in a pool, but for the large one."""
SEED_SIZE: Final = 10
"""Samples of the training set that are its seed set, if it has as many."""
LARGE: Final = 2_100
"""Samples left in the large pool, more than the costly strategies of this package consider."""


def check_strategy(strategy: Strategy | Utilities, *, classes: Iterable[int] = (2, 5)) -> None:
    """Check that a query strategy keeps its contract.

    It is called on pools with duplicated rows, constant features, a single sample left, a single feature, certain and
    uncertain models, and more than 2,000 samples; with training sets of one and of several samples; for small batches
    and for all that is left. The time that it takes is not judged.

    Args:
        strategy: The strategy, or its ``utilities`` alone.
        classes: Numbers of classes to check, each at least 2. Leave out those that the strategy is not made for.

    Raises:
        AssertionError: The strategy breaks a rule; the message says which, and by which input.
    """
    name = strategy.name if isinstance(strategy, Strategy) else getattr(strategy, "__qualname__", repr(strategy))
    utilities = strategy.utilities if isinstance(strategy, Strategy) else strategy
    calls = [call for n_classes in classes for call in _calls(n_classes)]
    first = [_checked(utilities, call, f"{name} on {call.title}") for call in calls]
    for call, expected in reversed(list(zip(calls, first, strict=True))):
        again = _checked(utilities, call, f"{name} on {call.title}")
        RULES["pure"].require(
            again.tobytes() == expected.tobytes(), f"{name} on {call.title} returned other utilities the second time"
        )
    for n_classes in classes:
        _check_memory(utilities, _Call(_pools(n_classes)["plain"], 3, f"the pool 'plain' ({n_classes} classes)"), name)


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of a strategy: how its candidates are made, the batch size, and a title for messages."""

    make: Callable[[], Candidates]
    count: int
    title: str


def _calls(n_classes: int) -> Iterator[_Call]:
    """Yield calls on all pools with so many classes."""
    for title, make in _pools(n_classes).items():
        left = int(make().left.sum())
        for count in sorted({min(3, left), left} if left <= ROWS else {3}):
            yield _Call(
                make, count, f"the pool '{title}' ({n_classes} classes, {left} samples left, a batch of {count})"
            )


def _pools(n_classes: int) -> dict[str, Callable[[], Candidates]]:
    """Return functions that make candidates, by title."""

    def pool(**choices: object) -> Callable[[], Candidates]:
        return lambda: _candidates(n_classes, **choices)  # type: ignore[arg-type]

    all_left = np.ones(ROWS, dtype=np.bool_)
    return {
        "plain": pool(),
        "duplicated rows": pool(change=lambda X: X[np.arange(len(X)) % 4]),
        "constant features": pool(change=lambda X: np.full_like(X, 1e3 / 3), left=all_left),
        "rows of zeros": pool(change=np.zeros_like, left=all_left),
        "one feature": pool(change=lambda X: X[:, :1]),
        "one sample left": pool(left=np.arange(ROWS) == 17),
        "a certain model": pool(certain=True),
        "a training set of one sample": pool(acquired=1),
        "a large pool": pool(rows=LARGE, left=np.ones(LARGE, dtype=np.bool_)),
    }


def _candidates(
    n_classes: int,
    *,
    rows: int = ROWS,
    acquired: int = 15,
    change: Callable[[Floats], Floats] = lambda X: X,
    left: np.ndarray | None = None,
    certain: bool = False,
) -> Candidates:
    """Return candidates whose arrays are read-only, the same for the same arguments.

    Args:
        n_classes: Number of classes.
        rows: Samples of the pool.
        acquired: Samples of the training set, with labels of all classes in turn.
        change: Makes the features of pool and training set, (rows + acquired, n_features), from normal ones.
        left: Which samples are left, (rows,); by default seven in ten.
        certain: Whether all probabilities are 0 or 1.
    """
    rng = np.random.default_rng([n_classes, rows])
    X = np.ascontiguousarray(change(rng.standard_normal((rows + acquired, 4))))
    probabilities = rng.dirichlet(np.ones(n_classes), rows)
    if certain:
        probabilities = np.eye(n_classes)[probabilities.argmax(axis=1)]
    left = rng.random(rows) < 0.7 if left is None else left.copy()
    labels = rng.integers(0, n_classes, rows)
    arrays = (X[:rows].copy(), probabilities, left, X[rows:].copy(), np.arange(acquired) % n_classes, labels)
    for array in arrays:
        array.flags.writeable = False
    return Candidates(*arrays[:-1], np.random.default_rng(7), labels, seed_size=min(acquired, SEED_SIZE))


def _checked(utilities: Utilities, call: _Call, what: str) -> Floats:
    """Return the utilities of one call, after checks of everything that a single call shows."""
    candidates = call.make()
    before = _contents(candidates)
    with global_generators(RULES["generators"], what):
        try:
            found: object = utilities(candidates, call.count)
        except Exception as error:
            RULES["read-only" if "read-only" in str(error) else "runs"].raised(what, error)  # as numpy words it
    changed = [name for name, content in _contents(candidates).items() if content != before[name]]
    RULES["read-only"].require(not changed, f"{what} changed {', '.join(changed)}")
    return _values(found, candidates, call.count, what)


def _check_memory(utilities: Utilities, call: _Call, name: str) -> None:
    """Call a strategy with the memories of a step with another model, other samples left and a smaller training set.

    The memory of the data set is that of another episode: the given labels differ too.
    """
    candidates, fresh = call.make(), call.make()
    before = replace(
        candidates,
        probabilities=candidates.probabilities[::-1],
        left=np.ones_like(candidates.left),
        X_acquired=candidates.X_acquired[:SEED_SIZE],
        y_acquired=candidates.y_acquired[:SEED_SIZE],
    )
    RULES["runs"].call(lambda: utilities(before, 1), f"{name} on {call.title}")
    other = replace(
        before, labels=candidates.labels[::-1], y_acquired=before.y_acquired[::-1], memory={}, data_memory={}
    )
    RULES["runs"].call(lambda: utilities(other, 1), f"{name} on {call.title}")
    expected = utilities(call.make(), call.count).tobytes()
    after = {
        "memory": (replace(fresh, memory=before.memory), "an earlier step"),
        "data memory": (replace(call.make(), data_memory=other.data_memory), "another episode"),
    }
    for rule, (remembering, of) in after.items():
        same = utilities(remembering, call.count).tobytes() == expected
        RULES[rule].require(same, f"{name} on {call.title} returned other utilities with the {rule} of {of}")


def _contents(candidates: Candidates) -> dict[str, bytes]:
    """Return the bytes of all arrays of candidates, by name."""
    names = ("X", "probabilities", "left", "X_acquired", "y_acquired", "labels")
    return {name: getattr(candidates, name).tobytes() for name in names}


def _values(found: object, candidates: Candidates, count: int, what: str) -> Floats:
    """Return utilities after checks of their form and values."""
    left = candidates.left
    RULES["array"].require(
        is_array(found, np.float64, len(left)), f"{what} returned {form(found)} for {len(left)} samples"
    )
    values: Floats = np.asarray(found)
    wrong = np.flatnonzero(np.isnan(values) | (values == np.inf))
    RULES["numbers"].require(not len(wrong), f"{what} returned {values[wrong[:1]]} for the samples {wrong[:5]}")
    sold = np.flatnonzero(~left & (values != -np.inf))
    RULES["not left"].require(not len(sold), f"{what} returned {values[sold[:5]]} for the samples {sold[:5]}")
    finite = int(np.isfinite(values).sum())
    RULES["enough"].require(finite >= count, f"{what} returned finite utilities for {finite} samples")
    return values.copy()
