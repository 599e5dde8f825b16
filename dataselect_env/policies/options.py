"""Options and their features: what a policy that scores each (strategy, size) pair sees.

An option is a strategy with a batch size, or a stop. Its features are those of the episode, which all options share,
and a row of its own. A row names the parts of the strategy, a filter and a ranking, and what is known about it here, so
that a network can score strategies that it was not trained on, in any number and order.

Like :mod:`.features`, they contain only what an agent can see.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Final

import numpy as np

from dataselect_env.core.actions import action_model
from dataselect_env.core.arrays import Floats
from dataselect_env.core.models import Action, ObservationFields, Reply
from dataselect_env.core.strategies.pool_statistics import STATISTICS
from dataselect_env.core.strategies.rankings import BASE
from dataselect_env.core.strategies.registry import get_strategy
from dataselect_env.core.tasks import Task

OPTIONS_VERSION: Final = 2
"""Increased whenever the features of an option change; version 1 of an agent's features is the vector of
:mod:`.features`."""

PACES: Final = (0.5, 1.0, 2.0)
"""Batch sizes, as multiples of an even share of the budget left over the steps left."""

UNKNOWN_RANGE: Final = (0.0, 1.0)
"""The performance range of a task whose warm start and ceiling are not known."""

_FILTERS: Final = ("agree", "neighbours", "confident", "held_out")
_RANKINGS: Final = ("uncertainty", "diversity", "random")
_OWN_STATISTICS: Final = ("passes", "uncertain", "far")

SHARED: Final = (
    "budget_left",  # share of the budget
    "steps_left",  # share of the steps
    "steps",  # ln(steps left), over 3
    "pace",  # ln(even batch), over 4
    "budget",  # ln(budget), over 6
    "pool",  # ln(pool size), over 7
    "bought",  # share of the pool
    "seed_size",  # ln, over 5
    "classes",  # ln, over 2.3
    "features",  # ln, over 5
    "declared_rate",  # doubled
    "audited",
    "performance",
    "performance_change",  # since the reset, times 4
    "last_change",  # times 10
    "best_before",  # highest performance so far less the current one, times 10
    "score",  # the grade's performance score as if the episode ended now, not clipped at 0; needs a known range
    "score_change",  # since the reset
    "last_score_change",  # doubled
    "range",  # width of the performance range, times 4
    "range_known",
    "noise_estimate",  # doubled
    "noise_found",  # audited share of wrong labels among all bought, doubled; 0 if not audited
    "described",  # whether statistics are known
    *STATISTICS,
)
"""Names of the features that all options of a state share, in order."""
SCALED: Final = ("score", "score_change", "last_score_change", "range", "range_known")
"""Those of them that need a known performance range; 0 otherwise."""

OWN: Final = (
    "stop",
    *(f"filter_{name}" for name in (*_FILTERS, "other")),
    *(f"ranking_{name}" for name in (*_RANKINGS, "other")),
    *_OWN_STATISTICS,  # of the filter, from the statistics
    "size",  # ln(batch size over the even share)
    "share",  # batch size over the budget left
    "bought",  # samples chosen by the strategy, share of all bought
    "tried",  # ln(1 + samples), over 5
    "noise",  # audited noise ratio of its purchases less the declared rate, times 2
    "gain",  # performance change per even batch of its purchases, times 10
    "score_gain",  # the same in scores; needs a known range
    "recency",  # 1 over the steps since the last purchase
    "last",  # share of the last batch
)
"""Names of the features of an option alone, in order."""

WIDTH: Final = len(SHARED) + len(OWN)
"""Number of features of an option."""


def state_width(strategies: int) -> int:
    """Return the length of :meth:`History.state` for a number of strategies."""
    return len(SHARED) + strategies * len(OWN)


@dataclass(frozen=True, slots=True)
class Option:
    """A strategy with a batch size; no strategy stands for a stop."""

    strategy: str | None
    batch_size: int = 0

    def action(self, extra: tuple[str, ...]) -> Action:
        """Return the action for a task that offers these extra strategies."""
        if self.strategy is None:
            return Action.stop()
        return action_model(extra).select(self.batch_size, **{self.strategy: 1.0})


class History:
    """What the features of options need of an episode so far.

    Args:
        task: Task of the episode, with the numbers of its problem.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.strategies = (*BASE, *task.extra_strategies)
        self._parts = np.array([_parts(name) for name in self.strategies])
        self._filters = [_filter_of(name) for name in self.strategies]
        n = len(self.strategies)
        self._bought, self._wrong, self._gain, self._used, self._last = (np.zeros(n) for _ in range(5))
        self.performances: list[float] = []
        self._statistics: dict[str, float] = {}
        self._seed_size = self._n_features = 0
        self._reply: Reply | None = None
        low, high = task.performance_range
        self._scale = 0.0 if (low, high) == UNKNOWN_RANGE else 1 / (high - low)

    def __deepcopy__(self, _memo: object) -> History:
        twin = copy(self)  # arrays are replaced, never changed
        twin.performances = list(self.performances)
        return twin

    def see(self, reply: Reply) -> None:
        """Add a reply: the reply to the reset first, then the reply to each step."""
        self._reply = reply
        self.performances.append(reply.observation.current_performance)
        if reply.problem is not None:
            self._statistics = reply.problem.statistics
            self._seed_size, self._n_features = reply.problem.seed_size, reply.problem.n_features
        info = reply.info
        if info is None or not info.batch_size:
            return
        counts = np.array([info.bought_by.get(name, 0) for name in self.strategies], dtype=np.float64)
        share = counts / info.batch_size
        self._bought = self._bought + counts
        self._wrong = self._wrong + share * (info.mislabelled or 0)  # attributed in proportion to the numbers bought
        self._gain = self._gain + share * (self.performances[-1] - self.performances[-2])
        self._used = np.where(counts > 0, reply.step, self._used)
        self._last = share

    def options(self, paces: Sequence[float] = PACES) -> list[Option]:
        """Return the options of the current state: each strategy in each size that makes a difference, and a stop.

        Where the performance range is not known, nobody can say whether to save the rest of the budget: there is no
        stop, and the last step spends what is left.
        """
        left = self._observation.remaining_budget
        steps = max(1, self.task.max_steps - self._step)
        most = min(left, self._observation.samples_available, self.task.max_batch or left)
        if not self._scale and steps == 1:
            paces = (1.0,)
        sizes = dict.fromkeys(min(max(self.task.min_batch, round(pace * left / steps)), most) for pace in paces)
        buying = [Option(name, size) for name in self.strategies for size in sizes]
        return [*buying, Option(None)] if self._scale else buying

    def features(self, options: Sequence[Option]) -> Floats:
        """Return the features of options in the current state, (len(options), WIDTH), each in [-1, 1]."""
        shared = np.broadcast_to(self._shared(), (len(options), len(SHARED)))
        features: Floats = np.clip(np.hstack([shared, self._rows(options)]), -1.0, 1.0)
        return features

    def state(self) -> Floats:
        """Return the features of the state as one vector, (:func:`state_width`,), each in [-1, 1].

        They are the shared features, followed by the row of each strategy at an even pace. The number of strategies is
        that of the task, so a network on this vector plays tasks with the same strategies only.
        """
        left = self._observation.remaining_budget
        even = max(1, round(left / max(1, self.task.max_steps - self._step)))
        rows = self._rows([Option(name, even) for name in self.strategies])
        vector: Floats = np.clip(np.concatenate([self._shared(), rows.reshape(-1)]), -1.0, 1.0)
        return vector

    @property
    def _observation(self) -> ObservationFields:
        assert self._reply is not None  # noqa: S101  (a policy sees the reply to the reset first)
        return self._reply.observation

    @property
    def _step(self) -> int:
        assert self._reply is not None  # noqa: S101
        return self._reply.step

    def _shared(self) -> Floats:
        task, seen, known = self.task, self._observation, self._statistics
        steps, left = max(1, task.max_steps - self._step), seen.remaining_budget
        spent = task.budget - left
        performances = self.performances
        before = performances[-2] if len(performances) > 1 else performances[-1]
        found = self._wrong.sum() / spent if spent and task.audited else 0.0
        return np.array(
            [
                left / task.budget,
                steps / task.max_steps,
                np.log(steps) / 3,
                np.log(max(left, 1) / steps) / 4,
                np.log(task.budget) / 6,
                np.log(task.pool_size) / 7,
                spent / task.pool_size,
                np.log(self._seed_size or 100) / 5,
                np.log(task.n_classes) / 2.3,
                np.log(self._n_features or 80) / 5,
                2 * task.flip_y,
                float(task.audited),
                performances[-1],
                4 * (performances[-1] - performances[0]),
                10 * (performances[-1] - before),
                10 * (max(performances) - performances[-1]),
                self._scale * (performances[-1] - task.performance_range[0]),
                self._scale * (performances[-1] - performances[0]),
                self._scale * (performances[-1] - before) * 2,
                4 / self._scale if self._scale else 0.0,
                float(bool(self._scale)),
                2 * seen.noise_estimate,
                2 * found,
                float(bool(known)),
                *(known.get(name, 0.0) for name in STATISTICS),
            ]
        )

    def _rows(self, options: Sequence[Option]) -> Floats:
        task, left = self.task, max(1, self._observation.remaining_budget)
        steps = max(1, task.max_steps - self._step)
        even, spent = left / steps, self._bought.sum()
        usual = task.budget / task.max_steps
        tried = np.maximum(self._bought, 1)
        noise = 2 * (self._wrong / tried - task.flip_y) if task.audited else np.zeros(len(tried))
        own = np.column_stack(
            [
                self._bought / max(1.0, spent),
                np.log1p(self._bought) / 5,
                np.where(self._bought > 0, noise, 0.0),
                10 * self._gain * usual / tried,
                2 * self._scale * self._gain * usual / tried,
                np.where(self._used > 0, 1 / np.maximum(1, self._step - self._used + 1), 0.0),
                self._last,
            ]
        )
        rows = np.zeros((len(options), len(OWN)))
        for row, option in zip(rows, options, strict=True):
            if option.strategy is None:
                row[0] = 1.0
                continue
            k = self.strategies.index(option.strategy)
            row[1 : 1 + self._parts.shape[1]] = self._parts[k]
            filtered = [self._statistics.get(f"{what}_{self._filters[k]}", 0.0) for what in _OWN_STATISTICS]
            size = [np.log(max(option.batch_size, 1) / even), option.batch_size / left]
            row[1 + self._parts.shape[1] :] = [*filtered, *size, *own[k]]
        return rows


def _filter_of(name: str) -> str:
    """Return the name of a strategy's filter on labels, empty without one."""
    if name in BASE:
        return ""
    label_filter = get_strategy(name).label_filter
    return "" if label_filter is None else label_filter.name


def _parts(name: str) -> list[float]:
    """Return which filter and which ranking a strategy consists of, as zeros and ones."""
    label_filter = _filter_of(name)
    ranking = name if name in BASE else get_strategy(name).ranking or name
    ranking = {"margin": "uncertainty"}.get(ranking, ranking)
    return [
        *(float(label_filter == one) for one in _FILTERS),
        float(bool(label_filter) and label_filter not in _FILTERS),
        *(float(ranking == one) for one in _RANKINGS),
        float(ranking not in _RANKINGS),
    ]
