"""What a step returns: of one episode, and of many that are stepped together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dataselect_env.core.arrays import Floats, Indices, Mask
from dataselect_env.core.models import OBSERVED, EndReason, Grade, ObservationFields, StepInfo

TOLERANCE = 1e-9
"""Largest accepted difference of a figure to that of a replay; a larger one shows that numerical libraries differ."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """The result of one step.

    Attributes:
        observation: What the agent sees after the step.
        reward: Sum of ``info.reward_terms``, added in their order.
        info: Named reward terms, counts of the batch and, at the end, the grade.
        samples: Indices into the pool, (info.batch_size,), in the order of choice. No reply reports them.
    """

    observation: ObservationFields
    reward: float
    info: StepInfo
    samples: Indices = field(repr=False, compare=False)

    @property
    def done(self) -> bool:
        """Whether the step ended the episode."""
        return self.info.end_reason is not None


@dataclass(slots=True, eq=False)
class BatchResult:
    """The results of one step in k lanes. Fields as in :class:`.StepResult` and :class:`.StepInfo`, one row for a lane.

    Attributes:
        observed: Observations, (k, 5), in columns ``OBSERVED``.
        rewards: Rewards, (k,).
        terms: Named terms of the rewards, (k,) each.
        batch_size: Samples bought, (k,).
        bought_by: Samples that each of s strategies chose, (k, s).
        mislabelled: Samples of the batch with a wrong label, (k,); NaN without an audit.
        redundancy, gain: (k,); NaN where nothing was bought.
        end_reasons, grades: Of the lanes that this step ended; None in the others, k.
    """

    observed: Floats
    rewards: Floats
    terms: dict[str, Floats]
    batch_size: Indices
    bought_by: Indices
    mislabelled: Floats
    redundancy: Floats
    gain: Floats
    end_reasons: list[EndReason | None]
    grades: list[Grade | None]

    @property
    def done(self) -> Mask:
        """Whether the step ended the episode, (k,)."""
        return np.array([reason is not None for reason in self.end_reasons], dtype=np.bool_)

    @property
    def audit(self) -> dict[str, Floats]:
        """Findings about the batches by name, (k,) each; NaN where there is none."""
        bought = np.where(self.batch_size > 0, self.batch_size, np.nan)
        return {
            "mislabelled": self.mislabelled,
            "noise_ratio": self.mislabelled / bought,
            "redundancy": self.redundancy,
            "gain": self.gain,
        }

    def rows(self, rows: Indices) -> BatchResult:
        """Return the results of some lanes."""
        return BatchResult(
            **{name: getattr(self, name)[rows] for name in _ARRAYS},
            terms={name: values[rows] for name, values in self.terms.items()},
            end_reasons=[self.end_reasons[row] for row in rows.tolist()],
            grades=[self.grades[row] for row in rows.tolist()],
        )

    @classmethod
    def empty(cls, lanes: int, strategies: int, terms: Sequence[str]) -> BatchResult:
        """Return results of steps in which nothing was bought and nothing ended."""
        return cls(
            observed=np.zeros((lanes, len(OBSERVED))),
            rewards=np.zeros(lanes),
            terms={name: np.zeros(lanes) for name in terms},
            batch_size=np.zeros(lanes, dtype=np.intp),
            bought_by=np.zeros((lanes, strategies), dtype=np.intp),
            mislabelled=np.zeros(lanes),
            redundancy=np.full(lanes, np.nan),
            gain=np.full(lanes, np.nan),
            end_reasons=[None] * lanes,
            grades=[None] * lanes,
        )

    def put(self, row: int, result: StepResult) -> None:
        """Write the result of one lane."""
        info = result.info
        self.observed[row], self.rewards[row] = result.observation.as_tuple(), result.reward
        for name, value in info.reward_terms.items():
            self.terms[name][row] = value
        self.batch_size[row], self.bought_by[row] = info.batch_size, tuple(info.bought_by.values())
        self.mislabelled[row] = np.nan if info.mislabelled is None else info.mislabelled
        if info.redundancy is not None and info.gain is not None:
            self.redundancy[row], self.gain[row] = info.redundancy, info.gain
        self.end_reasons[row], self.grades[row] = info.end_reason, info.grade


_ARRAYS = ("observed", "rewards", "batch_size", "bought_by", "mislabelled", "redundancy", "gain")
