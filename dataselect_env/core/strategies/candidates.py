"""The input of a query strategy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from dataselect_env.core.arrays import Floats, Labels, Mask
from dataselect_env.core.strategies import evidence


@dataclass(frozen=True, slots=True, eq=False)
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
    """

    X: Floats
    probabilities: Floats
    left: Mask
    X_acquired: Floats
    y_acquired: Labels
    rng: np.random.Generator
    labels: Labels
    seed_size: int = 0
    memory: dict[str, Floats] = field(default_factory=dict)

    @property
    def held_out(self) -> Floats:
        """Class probabilities of each pool sample from a model trained on all other samples, (n, n_classes).

        See :func:`~dataselect_env.core.strategies.evidence.leave_one_out`.
        """
        seed = slice(0, self.seed_size)
        return self.once(
            "held_out",
            lambda: evidence.leave_one_out(
                self.X, self.labels, self.X_acquired[seed], self.y_acquired[seed], self.probabilities.shape[1]
            ),
        )

    @property
    def neighbour_agreement(self) -> Floats:
        """Share of each sample's nearest neighbours that have its given label, (n,), in [0, 1].

        See :func:`~dataselect_env.core.strategies.evidence.neighbour_agreement`.
        """
        return self.once("neighbour_agreement", lambda: evidence.neighbour_agreement(self.X, self.labels))

    def once(self, name: str, compute: Callable[[], Floats]) -> Floats:
        """Return the result of ``compute``, which runs only at the first call with this name in an episode."""
        found = self.memory.get(name)
        if found is None:
            found = self.memory[name] = compute()
        return found


Utilities = Callable[[Candidates, int], Floats]
"""Returns the utilities of the pool's samples for a batch of the given size, (n,).

Higher is better, and only the order matters; -inf for samples that are not left or not considered, finite for at least
as many as the batch holds. The batch size is at least 1 and at most what is left. Pure: equal candidates, with the
stream in the same state, give equal utilities. :func:`dataselect_env.testing.check_strategy` checks all of it."""
