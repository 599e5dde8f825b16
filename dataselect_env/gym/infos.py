"""Infos of the Gymnasium environments, nested or flat.

Nested infos have the fields of the reply, and only those that apply to the step. Flat infos have the same keys and
types at every reset and step, and numbers only, as data sets and replay buffers need them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dataselect_env.core.arrays import Indices
from dataselect_env.core.models import EndReason, Reply, RewardMode
from dataselect_env.core.problem import Problem
from dataselect_env.core.results import BatchResult
from dataselect_env.core.reward import GRADE_TERM, TERMS
from dataselect_env.core.strategies.sampling import STRATEGIES

InfoKind = Literal["nested", "flat"]

END_REASONS: tuple[str | None, ...] = (None, *get_args(EndReason))
"""Reasons for the end of an episode, in the order of their codes in flat infos; 0 while the episode runs."""

GRADE_FIELDS = {
    "score": 0.0,
    "passed": 0,
    "breakdown_performance": 0.0,
    "breakdown_performance_score": 0.0,
    "breakdown_avg_noise_ratio": 0.0,
    "breakdown_noise_score": 0.0,
    "breakdown_efficiency": 0.0,
    "breakdown_budget_used": 0,
    "breakdown_budget": 0,
}
"""Numbers of a :class:`~dataselect_env.core.models.Grade` in flat infos, without the prefix ``grade_``, all 0."""

Numbers = dict[str, np.int64 | np.float64]


def info_of(reply: Reply) -> dict[str, Any]:
    """Return the nested info of a reply: task, seed, step and the fields of its ``StepInfo``.

    Fields that are None are left out, so that the infos of several environments can be stacked into arrays. The
    episode id, which is random, is left out too.
    """
    step_info = reply.info.model_dump(exclude_none=True) if reply.info is not None else {}
    described = {} if reply.problem is None else {"problem": numbers_of(reply.problem)}
    return {"task_id": reply.task_id, "seed": reply.seed, "step": reply.step, **described, **step_info}


def numbers_of(problem: Problem) -> dict[str, Any]:
    """Return a problem as numbers by name; the strategies are those of the task, and belong to the action space."""
    return problem.model_dump(exclude_none=True, exclude={"strategies"})


class FlatInfos:
    """The flat infos of tasks with the same strategies.

    The keys are those of nested infos joined by ``_``, as in ``bought_by_random`` and ``grade_score``. A number that
    does not apply is 0: the whole batch after a reset, ``mislabelled`` and ``noise_ratio`` unless ``audited`` is 1, the
    grade unless ``end_reason`` is above 0. ``end_reason`` is an index into ``END_REASONS``. Texts and the ``problem``
    are left out.

    Args:
        extra: Names of the extra strategies of the tasks.
        reward_mode: ``shaped`` or ``grade``; decides the terms of the reward.

    Attributes:
        zeros: Every key with 0, in the type of its numbers. These are NumPy's, because TorchRL asks for their dtype.
    """

    def __init__(self, extra: Sequence[str], reward_mode: RewardMode) -> None:
        terms = TERMS if reward_mode == "shaped" else (GRADE_TERM,)
        zeros: dict[str, int | float] = {
            **dict.fromkeys(("seed", "step", "batch_size"), 0),
            **{f"bought_by_{name}": 0 for name in (*STRATEGIES, *extra)},
            **dict.fromkeys(("audited", "mislabelled"), 0),
            **dict.fromkeys(("noise_ratio", "redundancy", "gain"), 0.0),
            **{f"reward_terms_{name}": 0.0 for name in terms},
            "end_reason": 0,
            **{f"grade_{name}": zero for name, zero in GRADE_FIELDS.items()},
        }
        self.zeros: Numbers = {
            name: np.int64() if isinstance(zero, int) else np.float64() for name, zero in zeros.items()
        }

    def of(self, reply: Reply) -> Numbers:
        """Return the info of a reply."""
        found = dict(_flattened(info_of(reply)))
        found["end_reason"] = END_REASONS.index(found.get("end_reason"))
        found["audited"] = "mislabelled" in found
        return {name: type(zero)(found.get(name, zero)) for name, zero in self.zeros.items()}

    def of_resets(self, seeds: Indices) -> dict[str, NDArray[Any]]:
        """Return the infos of resets in k lanes, (k,) each, from the seeds of their episodes."""
        return {name: np.full(len(seeds), zero) for name, zero in self.zeros.items()} | {"seed": seeds}

    def of_steps(self, seeds: Indices, steps: Indices, result: BatchResult) -> dict[str, NDArray[Any]]:
        """Return the infos of a step in k lanes, (k,) each.

        Args:
            seeds: Seeds of the episodes, (k,).
            steps: Actions so far, (k,).
            result: Results of the step, k rows.
        """
        infos = self.of_resets(seeds)
        infos |= {
            "step": steps,
            "batch_size": result.batch_size,
            "audited": (~np.isnan(result.mislabelled)).astype(int),
        }
        counts = [name for name in self.zeros if name.startswith("bought_by_")]
        infos |= dict(zip(counts, result.bought_by.T, strict=True))
        for name, values in {**{f"reward_terms_{n}": v for n, v in result.terms.items()}, **result.audit}.items():
            infos[name] = np.nan_to_num(values).astype(infos[name].dtype)
        for row, (reason, grade) in enumerate(zip(result.end_reasons, result.grades, strict=True)):
            if reason is not None and grade is not None:
                infos["end_reason"][row] = END_REASONS.index(reason)
                for name, value in _flattened({"grade": grade.model_dump(exclude_none=True)}):
                    if name in self.zeros:
                        infos[name][row] = value
        return infos


def _flattened(info: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a nested dictionary, with the keys on the way to each joined by ``_``."""
    for name, value in info.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}_{inner}", leaf) for inner, leaf in _flattened(value))
        else:
            yield name, value
