"""Many episodes in lock-step in one process: arrays of actions in, arrays of observations and rewards out.

:class:`~dataselect_env.core.env.DataSelectEnv` is the reference: each lane's episode is the one that is played alone,
bit for bit, whatever happens in the other lanes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dataselect_env.core import reward as rewards
from dataselect_env.core.arrays import Floats, Indices, Labels, Mask
from dataselect_env.core.episode import Episode, Purchase
from dataselect_env.core.errors import EpisodeOver, InvalidInput, NoEpisode
from dataselect_env.core.models import DEFAULT_REWARD_MODE, EndReason, Grade, ObservationFields, RewardMode
from dataselect_env.core.strategies import sampling
from dataselect_env.core.tasks import SEED_LIMIT, get_task

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
        bought_by: Samples that each strategy chose, (k, s); those that a lane's task does not offer chose none.
        mislabelled: How many of them carry a wrong label, (k,); NaN where the truth is unknown.
        redundancy, gain: As in a reply's ``info``, (k,); NaN where nothing was bought.
        grades: Of the episodes that are over, else None, k of them.
    """

    observations: Floats
    rewards: Floats
    end_reasons: tuple[EndReason | None, ...]
    reward_terms: dict[str, Floats]
    bought_by: Labels
    mislabelled: Floats
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
        reward_mode: Of all episodes; see :meth:`dataselect_env.core.env.DataSelectEnv.reset`.

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
        self._episodes: list[Episode | None] = [None] * count
        self._paid = np.zeros(count)  # sum of the rewards so far

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
        started = [(get_task(name), int(seed)) for name, seed in zip(tasks, seeds, strict=True)]
        for lane, (task, seed) in zip(chosen.tolist(), started, strict=True):
            self._episodes[lane] = Episode(task, seed, hold_data=True)
        self._paid[chosen] = 0.0
        return _observe(self._running(chosen))

    def step(
        self,
        batch_sizes: npt.ArrayLike,
        weights: npt.ArrayLike,
        stops: npt.ArrayLike | None = None,
        lanes: Sequence[int] | None = None,
    ) -> Steps:
        """Play one action in each of some lanes.

        Args:
            batch_sizes: Samples to buy, k integers of at least 0: raised to the smallest batch, then cut to what is
                left.
            weights: Mix of the strategies, (k, 3): finite, non-negative, no row all zero. Their order is that of
                ``sampling.STRATEGIES``; of tasks that all offer the same further ones, these may follow, (k, s).
            stops: Where to stop instead, k booleans; None is nowhere. Size and weights are not looked at there.
            lanes: Which lanes, k distinct numbers; None is all of them in their order.

        Raises:
            InvalidInput, NoEpisode, EpisodeOver: No lane was stepped.
        """
        chosen = self._chosen(lanes)
        episodes = self._running(chosen)
        sizes, mix, stopped = _checked_actions(episodes, batch_sizes, weights, stops)
        for lane, episode in zip(chosen.tolist(), episodes, strict=True):
            if episode.end_reason is not None:
                raise EpisodeOver(f"The episode in lane {lane} is over; reset starts another one.")
        actions = zip(episodes, sizes.tolist(), mix.tolist(), stopped.tolist(), strict=True)
        return self._tell(chosen, episodes, [_play(*action) for action in actions])

    def _tell(self, lanes: Indices, episodes: Sequence[Episode], purchases: Sequence[Purchase | None]) -> Steps:
        """Return what a step did, and note what it paid."""
        buying = np.flatnonzero([purchase is not None for purchase in purchases])
        bought = [purchase for purchase in purchases if purchase is not None]
        terms = {name: np.zeros(len(lanes)) for name in rewards.TERMS}
        strategies = max(len(episode.strategies) for episode in episodes)
        bought_by = np.zeros((len(lanes), strategies), dtype=np.int64)
        mislabelled = np.array([0.0 if episode.task.has_ground_truth else np.nan for episode in episodes])
        redundancy, gain = np.full((2, len(lanes)), np.nan)
        if bought:
            buyers = [episodes[place] for place in buying.tolist()]
            change, distance = np.array([[one.performance_change, one.distance] for one in bought]).T
            size, noise, redundancy[buying] = np.array(
                [[one.bought, one.noise_ratio, one.redundancy] for one in bought]
            ).T
            mislabelled[buying] = [
                one.mislabelled if episode.task.has_ground_truth else np.nan
                for one, episode in zip(bought, buyers, strict=True)
            ]
            gain[buying] = rewards.gain(change, distance)
            for place, purchase in zip(buying.tolist(), bought, strict=True):
                bought_by[place, : len(purchase.counts)] = purchase.counts
            found = rewards.selection_terms(
                performance_change=change,
                distance=distance,
                redundancy=redundancy[buying],
                noise_ratio=noise,
                batch_size=size,
                flip_y=np.array([episode.task.flip_y for episode in buyers]),
            )
            for name, values in found.items():
                terms[name][buying] = values
        grades = tuple(episode.grade() if episode.end_reason else None for episode in episodes)
        if self.reward_mode == "grade":
            terms = {"grade_change": np.array([episode.grade().score for episode in episodes]) - self._paid[lanes]}
        else:
            terms["terminal"] += [0.0 if ended is None else rewards.terminal(ended.score) for ended in grades]
        paid = sum(terms.values(), start=np.zeros(len(lanes)))
        self._paid[lanes] += paid
        return Steps(
            observations=_observe(episodes),
            rewards=paid,
            end_reasons=tuple(episode.end_reason for episode in episodes),
            reward_terms=terms,
            bought_by=bought_by,
            mislabelled=mislabelled,
            redundancy=redundancy,
            gain=gain,
            grades=grades,
        )

    def _chosen(self, lanes: Sequence[int] | None) -> Indices:
        if lanes is None:
            return np.arange(self.count)
        chosen = np.asarray(lanes, dtype=np.intp)
        if not len(chosen) or len(np.unique(chosen)) < len(chosen) or chosen.min() < 0 or chosen.max() >= self.count:
            raise InvalidInput(f"lanes: should be distinct numbers from 0 to {self.count - 1}", field="lanes")
        return chosen

    def _running(self, lanes: Indices) -> list[Episode]:
        """Return the episodes of some lanes, over or not."""
        episodes = []
        for lane in lanes.tolist():
            episode = self._episodes[lane]
            if episode is None:
                raise NoEpisode(f"There is no episode in lane {lane} yet; reset starts one.")
            episodes.append(episode)
        return episodes


def _play(episode: Episode, size: int, weights: list[float], stop: bool) -> Purchase | None:
    if not stop:
        return episode.select_batch(size, tuple(weights))
    episode.stop()
    return None


def _observe(episodes: Sequence[Episode]) -> Floats:
    """Return the observations of k episodes, (k, 5)."""
    names = {"current_performance": "performance"}
    attributes = [names.get(name, name) for name in OBSERVATION]
    return np.array([[getattr(episode, name) for name in attributes] for episode in episodes], dtype=np.float64)


def _check_length(field: str, values: Sequence[object] | npt.NDArray[np.generic], count: int) -> None:
    if len(values) != count:
        raise InvalidInput(f"{field}: should have {count} entries, one for each lane, not {len(values)}", field=field)


def _checked_actions(
    episodes: Sequence[Episode], batch_sizes: npt.ArrayLike, weights: npt.ArrayLike, stops: npt.ArrayLike | None
) -> tuple[Labels, Floats, Mask]:
    """Return the actions of a step as arrays.

    Raises:
        InvalidInput: They are none; the message names the field.
    """
    count = len(episodes)
    stopped = np.zeros(count, dtype=np.bool_) if stops is None else np.asarray(stops)
    sizes, mix = np.asarray(batch_sizes), np.asarray(weights)
    widths = {len(sampling.STRATEGIES), min(len(episode.strategies) for episode in episodes)}
    for field, values, shapes in (
        ("batch_sizes", sizes, {(count,)}),
        ("weights", mix, {(count, width) for width in widths}),
        ("stops", stopped, {(count,)}),
    ):
        if values.shape not in shapes:
            allowed = " or ".join(map(str, sorted(shapes)))
            raise InvalidInput(f"{field}: should have the shape {allowed}, not {values.shape}", field=field)
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
