"""Many episodes in lock-step in one process: arrays of actions in, arrays of observations and rewards out.

:class:`~dataselect_env.env.DataSelectEnv` is the reference: each lane's episode is the one that is played alone, bit
for bit, whatever happens in the other lanes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dataselect_env import reward as rewards
from dataselect_env import sampling
from dataselect_env.arrays import Floats, Indices, Labels, Mask
from dataselect_env.episode import end_reason, estimate_noise
from dataselect_env.errors import EpisodeOver, InvalidInput, NoEpisode
from dataselect_env.grading import TracePoint, grade
from dataselect_env.lockstep import POOL_SIZE, Lockstep, Purchases
from dataselect_env.models import DEFAULT_REWARD_MODE, EndReason, Grade, ObservationFields, RewardMode
from dataselect_env.tasks import MIN_BATCH, SEED_LIMIT, Task, get_task

OBSERVATION = tuple(name for name in ObservationFields.model_fields if name != "metadata")
"""Names of the columns of an observation."""


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """What one step did in k lanes: row i belongs to the i-th lane that was stepped.

    Attributes:
        observations: (k, 5), columns as in ``OBSERVATION``.
        rewards: (k,).
        end_reasons: Why the episode is over, or None while it goes on, k of them.
        reward_terms: Named terms that add up to the reward, each (k,).
        bought_by: Samples that each strategy chose, (k, 3).
        mislabelled: How many of them carry a wrong label, (k,).
        redundancy, gain: As in a reply's ``info``, (k,); NaN where nothing was bought.
        grades: Of the episodes that are over, else None, k of them.
    """

    observations: Floats
    rewards: Floats
    end_reasons: tuple[EndReason | None, ...]
    reward_terms: dict[str, Floats]
    bought_by: Labels
    mislabelled: Labels
    redundancy: Floats
    gain: Floats
    grades: tuple[Grade | None, ...]

    @property
    def done(self) -> Mask:
        """Where the episode is over, (k,)."""
        return np.array([reason is not None for reason in self.end_reasons])

    @property
    def bought(self) -> Labels:
        """Samples bought, (k,); 0 where an episode was stopped."""
        bought: Labels = self.bought_by.sum(axis=1)
        return bought


class Lanes:
    """A fixed number of lanes, each with one episode at a time; tasks and seeds may be mixed.

    Args:
        count: Number of lanes, at least 1. Each takes about 30 kB, and 1 MB for a data set that no other lane uses.
        reward_mode: Of all episodes; see :meth:`dataselect_env.env.DataSelectEnv.reset`.

    Raises:
        InvalidInput: There would be no lane.

    Example:
        >>> lanes = Lanes(2)
        >>> lanes.reset(["easy", "hard"], [7, 8])[:, OBSERVATION.index("remaining_budget")].tolist()
        [300.0, 100.0]
        >>> steps = lanes.step([20, 10], [[0, 1, 0], [0.2, 0.5, 0.3]])
        >>> steps.bought.tolist(), steps.done.tolist()
        ([20, 10], [False, False])
    """

    def __init__(self, count: int, *, reward_mode: RewardMode = DEFAULT_REWARD_MODE) -> None:
        if count < 1:
            raise InvalidInput(f"count: should be at least 1, not {count}", field="count")
        self.count = count
        self.reward_mode = reward_mode
        self._lockstep = Lockstep(count)
        self._tasks: list[Task | None] = [None] * count
        self._end_reasons: list[EndReason | None] = [None] * count
        self._steps = np.zeros(count, dtype=np.int64)
        self._paid = np.zeros(count)  # sum of the rewards so far
        self._flip_y = np.zeros(count)
        self._budget = np.zeros(count, dtype=np.int64)

    def reset(self, tasks: Sequence[str], seeds: Sequence[int], lanes: Sequence[int] | None = None) -> Floats:
        """Start an episode in each of some lanes; one that is running there is abandoned.

        Args:
            tasks: Task of each lane, k names.
            seeds: Seed of each lane, k integers in [0, 2^32).
            lanes: Which lanes, k distinct numbers; None is all of them in their order.

        Returns:
            The first observations, (k, 5).

        Raises:
            InvalidInput, UnknownTask: Nothing was started.
        """
        chosen = self._chosen(lanes)
        _check_length("tasks", tasks, len(chosen))
        _check_length("seeds", seeds, len(chosen))
        for seed in seeds:
            if isinstance(seed, bool) or int(seed) != seed or not 0 <= seed < SEED_LIMIT:
                raise InvalidInput(f"seeds: should be integers from 0 to {SEED_LIMIT - 1}", field="seeds")
        for lane, task, seed in zip(chosen.tolist(), [get_task(name) for name in tasks], seeds, strict=True):
            self._lockstep.start(lane, task, int(seed))
            self._tasks[lane], self._end_reasons[lane] = task, None
            self._flip_y[lane], self._budget[lane] = task.flip_y, task.budget
        self._steps[chosen] = 0
        self._paid[chosen] = 0.0
        return self._observe(chosen)

    def step(
        self,
        batch_sizes: npt.ArrayLike,
        weights: npt.ArrayLike,
        stops: npt.ArrayLike | None = None,
        lanes: Sequence[int] | None = None,
    ) -> Steps:
        """Play one action in each of some lanes.

        Args:
            batch_sizes: Samples to buy, k integers of at least 0: raised to ``MIN_BATCH``, then cut to what is left.
            weights: Mix of the strategies in the order of ``sampling.STRATEGIES``, (k, 3): finite, non-negative, no row
                all zero.
            stops: Where to stop instead, k booleans; None is nowhere. Size and weights are not looked at there.
            lanes: Which lanes, k distinct numbers; None is all of them in their order.

        Raises:
            InvalidInput, NoEpisode, EpisodeOver: No lane was stepped.
        """
        chosen = self._chosen(lanes)
        sizes, mix, stopped = _checked_actions(len(chosen), batch_sizes, weights, stops)
        self._refuse_idle(chosen)
        buying = np.flatnonzero(~stopped)
        bought_by = np.zeros(mix.shape, dtype=np.int64)
        purchases = None
        if len(buying):
            bought_by[buying] = self._quotas(chosen[buying], sizes[buying], mix[buying])
            purchases = self._lockstep.buy(chosen[buying], bought_by[buying])
        self._steps[chosen] += 1
        for lane, stop in zip(chosen.tolist(), stopped.tolist(), strict=True):
            self._end_reasons[lane] = "stop" if stop else self._end_reason(lane)
        return self._tell(chosen, buying, purchases, bought_by)

    def _tell(self, lanes: Indices, buying: Indices, purchases: Purchases | None, bought_by: Labels) -> Steps:
        """Return what a step did, and note what it paid.

        Args:
            lanes: Which were stepped, (k,).
            buying: Places among them that bought something.
            purchases: What they bought, in the order of ``buying``.
            bought_by: As of :class:`Steps`.
        """
        terms = {name: np.zeros(len(lanes)) for name in rewards.TERMS}
        mislabelled = np.zeros(len(lanes), dtype=np.int64)
        redundancy, gain = np.full((2, len(lanes)), np.nan)
        if purchases is not None:
            mislabelled[buying], redundancy[buying] = purchases.mislabelled, purchases.redundancy
            gain[buying] = rewards.gain(purchases.performance_change, purchases.distance)
            for name, values in self._selection_terms(lanes[buying], purchases).items():
                terms[name][buying] = values
        end_reasons = tuple(self._end_reasons[lane] for lane in lanes.tolist())
        grades = tuple(self._grade(lane) if self._end_reasons[lane] else None for lane in lanes.tolist())
        if self.reward_mode == "grade":
            terms = {"grade_change": np.array([self._grade(lane).score for lane in lanes.tolist()]) - self._paid[lanes]}
        else:
            terms["terminal"] += [0.0 if ended is None else rewards.terminal(ended.score) for ended in grades]
        paid = sum(terms.values(), start=np.zeros(len(lanes)))
        self._paid[lanes] += paid
        return Steps(
            observations=self._observe(lanes),
            rewards=paid,
            end_reasons=end_reasons,
            reward_terms=terms,
            bought_by=bought_by,
            mislabelled=mislabelled,
            redundancy=redundancy,
            gain=gain,
            grades=grades,
        )

    def _selection_terms(self, lanes: Indices, purchases: Purchases) -> dict[str, Floats]:
        return rewards.selection_terms(
            performance_change=purchases.performance_change,
            distance=purchases.distance,
            redundancy=purchases.redundancy,
            noise_ratio=purchases.mislabelled / purchases.bought,
            batch_size=purchases.bought.astype(np.float64),
            flip_y=self._flip_y[lanes],
        )

    def _chosen(self, lanes: Sequence[int] | None) -> Indices:
        if lanes is None:
            return np.arange(self.count)
        chosen = np.asarray(lanes, dtype=np.intp)
        if not len(chosen) or len(np.unique(chosen)) < len(chosen) or chosen.min() < 0 or chosen.max() >= self.count:
            raise InvalidInput(f"lanes: should be distinct numbers from 0 to {self.count - 1}", field="lanes")
        return chosen

    def _task(self, lane: int) -> Task:
        task = self._tasks[lane]
        if task is None:
            raise NoEpisode(f"There is no episode in lane {lane} yet; reset starts one.")
        return task

    def _refuse_idle(self, lanes: Indices) -> None:
        for lane in lanes.tolist():
            self._task(lane)
            if self._end_reasons[lane] is not None:
                raise EpisodeOver(f"The episode in lane {lane} is over; reset starts another one.")

    def _quotas(self, lanes: Indices, sizes: Labels, weights: Floats) -> Labels:
        used = self._lockstep.used[lanes]
        bought = np.minimum(np.maximum(sizes, MIN_BATCH), np.minimum(self._budget[lanes], POOL_SIZE) - used)
        pairs = zip(bought.tolist(), weights.tolist(), strict=True)
        return np.array([sampling.quotas(size, tuple(mix)) for size, mix in pairs])

    def _end_reason(self, lane: int) -> EndReason | None:
        used = int(self._lockstep.used[lane])
        return end_reason(self._task(lane), bought=used, available=POOL_SIZE - used, steps=int(self._steps[lane]))

    def _grade(self, lane: int) -> Grade:
        engine = self._lockstep
        bought, mislabelled = int(engine.used[lane]), int(engine.mislabelled[lane])
        return grade(self._task(lane), [TracePoint(bought, mislabelled, float(engine.performance[lane]))])

    def _observe(self, lanes: Indices) -> Floats:
        engine = self._lockstep
        used = engine.used[lanes].astype(np.float64)
        columns: dict[str, Floats] = {
            "remaining_budget": self._budget[lanes] - used,
            "diversity_score": engine.spread(lanes),
            "noise_estimate": estimate_noise(self._flip_y[lanes], used, engine.mislabelled[lanes].astype(np.float64)),
            "current_performance": engine.performance[lanes],
            "samples_available": POOL_SIZE - used,
        }
        return np.stack([columns[name] for name in OBSERVATION], axis=1)


def _check_length(field: str, values: Sequence[object] | npt.NDArray[np.generic], count: int) -> None:
    if len(values) != count:
        raise InvalidInput(f"{field}: should have {count} entries, one for each lane, not {len(values)}", field=field)


def _checked_actions(
    count: int, batch_sizes: npt.ArrayLike, weights: npt.ArrayLike, stops: npt.ArrayLike | None
) -> tuple[Labels, Floats, Mask]:
    """Return the actions of a step as arrays.

    Raises:
        InvalidInput: They are none; the message names the field.
    """
    stopped = np.zeros(count, dtype=np.bool_) if stops is None else np.asarray(stops)
    sizes, mix = np.asarray(batch_sizes), np.asarray(weights)
    for field, values, shape in (
        ("batch_sizes", sizes, (count,)),
        ("weights", mix, (count, len(sampling.STRATEGIES))),
        ("stops", stopped, (count,)),
    ):
        if values.shape != shape:
            raise InvalidInput(f"{field}: should have the shape {shape}, not {values.shape}", field=field)
    if stopped.dtype != np.bool_:
        raise InvalidInput("stops: should be booleans", field="stops")
    if not np.issubdtype(sizes.dtype, np.integer) or (sizes[~stopped] < 0).any():
        raise InvalidInput("batch_sizes: should be integers of at least 0", field="batch_sizes")
    if not (np.issubdtype(mix.dtype, np.floating) or np.issubdtype(mix.dtype, np.integer)):
        raise InvalidInput("weights: should be numbers", field="weights")
    used = mix[~stopped]
    if not (np.isfinite(used).all() and (used >= 0).all() and used.any(axis=1).all()):
        raise InvalidInput("weights: should be finite and at least 0, with one above 0 in each row", field="weights")
    return sizes.astype(np.int64), mix.astype(np.float64), stopped
