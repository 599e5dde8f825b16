"""The input of a query strategy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from dataselect_env.core.arrays import Floats, Labels, Mask
from dataselect_env.core.strategies import evidence
from dataselect_env.core.strategies.evidence import LeftOutRidge, Neighbours

Result = TypeVar("Result")


def once(memory: dict[str, Any], name: str, compute: Callable[[], Result]) -> Result:
    """Return the result under this name in a memory; the first call computes it. Results are read-only.

    Threads may compute one at the same time; their results are equal.
    """
    found: Result | None = memory.get(name)
    if found is None:
        found = memory[name] = compute()
    return found


@dataclass(frozen=True, eq=False)
class Candidates:
    """The input of a query strategy: what a buyer of labels sees. Read-only.

    Neither the noise mask nor labels of the validation split can be reached from it.

    Attributes:
        X: Features of the pool, (n, n_features).
        probabilities: Class probabilities of the current model on the pool, (n, n_classes); rows add up to 1.
        left: Which samples can be chosen, (n,).
        X_acquired: Features of the training set, (m, n_features); m is at least 1.
        y_acquired: Labels that the model was trained on, (m,).
        rng: Stream of selection draws.
        labels: Given labels of the pool, right or wrong, (n,), in 0..n_classes-1.
        seed_size: How many of the acquired samples are the seed set; they come first, and their labels are trusted.
        memory: Results that depend on the pool alone, kept for the episode; see :meth:`once`.
        data_memory: Results that depend on the features of pool and seed set alone. Episodes on a data set share it.
    """

    X: Floats
    probabilities: Floats
    left: Mask
    X_acquired: Floats
    y_acquired: Labels
    rng: np.random.Generator
    labels: Labels
    seed_size: int = 0
    memory: dict[str, Any] = field(default_factory=dict)
    data_memory: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def deferred(cls, later: dict[str, Callable[[], object]], **fields: object) -> Candidates:
        """Return candidates of which some fields are computed when they are read first.

        Args:
            later: Computes fields, by name. Results are not kept here; :func:`functools.cache` keeps them for copies.
            fields: All other fields.
        """
        candidates = object.__new__(cls)
        candidates.__dict__.update(fields, _later=later)
        return candidates

    if not TYPE_CHECKING:  # which knows the fields

        def __getattr__(self, name: str) -> object:
            compute = self.__dict__.get("_later", {}).get(name)
            if compute is None:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            found = self.__dict__[name] = compute()
            return found

    def among(self, left: Mask) -> Candidates:
        """Return the same candidates with other samples left; what is deferred stays deferred."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__, left=left)
        return twin

    @property
    def held_out(self) -> Floats:
        """Class probabilities of each pool sample from a model trained on all other samples, (n, n_classes).

        See :func:`~dataselect_env.core.strategies.evidence.leave_one_out`.
        """
        return self.once("held_out", self._held_out)

    def _held_out(self) -> Floats:
        seed = slice(0, self.seed_size)
        model = once(self.data_memory, "leave_one_out", lambda: LeftOutRidge.of(self.X, self.X_acquired[seed]))
        return model.probabilities(self.labels, self.y_acquired[seed], self.probabilities.shape[1])

    @property
    def neighbour_agreement(self) -> Floats:
        """Share of each sample's nearest neighbours that have its given label, (n,), in [0, 1].

        See :func:`~dataselect_env.core.strategies.evidence.neighbour_agreement`.
        """
        return self.once("neighbour_agreement", lambda: evidence.agreement(self.labels, self.nearest_neighbours))

    @property
    def nearest_neighbours(self) -> Neighbours:
        """Nearest neighbours of each sample, (n, k).

        See :func:`~dataselect_env.core.strategies.evidence.nearest_neighbours`.
        """
        return once(self.data_memory, "nearest_neighbours", lambda: evidence.nearest_neighbours(self.X))

    def once(self, name: str, compute: Callable[[], Floats]) -> Floats:
        """Return the result of ``compute``, which runs only at the first call with this name in an episode."""
        return once(self.memory, name, compute)


Utilities = Callable[[Candidates, int], Floats]
"""Returns the utilities of the pool's samples for a batch of the given size, (n,).

Higher is better, and only the order matters; -inf for samples that are not left or not considered, finite for at least
as many as the batch holds. The batch size is at least 1 and at most what is left. Pure: equal candidates, with the
stream in the same state, give equal utilities. :func:`dataselect_env.testing.check_strategy` checks all of it."""
