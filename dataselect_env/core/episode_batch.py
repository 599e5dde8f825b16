"""Many episodes of one task, stepped together.

A vector environment keeps each episode in a lane. Where the compiled kernel can play a lane's steps whole, the lane is
a row of arrays, and one call plays all such lanes on several threads. Any other lane holds an :class:`.Episode`, and
its steps are played one by one. Both give the same numbers, bit for bit.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from dataselect_env.core import kernel
from dataselect_env.core import reward as rewards
from dataselect_env.core.arrays import Floats, Indices, Mask, total
from dataselect_env.core.episode import Episode
from dataselect_env.core.grading import Scoring, TracePoint, grade, score, scoring_of
from dataselect_env.core.learner import passes_for_many
from dataselect_env.core.models import OBSERVED, EndReason, RewardMode
from dataselect_env.core.noise_estimate import estimate_noise
from dataselect_env.core.results import BatchResult
from dataselect_env.core.strategies import sampling
from dataselect_env.core.threads import cores

LANE = np.dtype(
    [(name, np.int64) for name in ("budget", "max_steps", "min_batch", "max_batch", "pool_size")]
    + [(name, np.int64) for name in ("used", "mislabelled", "steps", "n_rows", "updates")]
    + [(name, np.float64) for name in (*Scoring._fields[:-1], "flip_y", "performance", "spread", "returned")]
)
"""A lane as a row: numbers of its task, what has been counted, and what was measured last."""


class EpisodeBatch:
    """The episodes of n lanes, which offer the same strategies and have the same reward mode.

    Args:
        lanes: Number of lanes.
        reward_mode: As in :class:`.Episode`.
        threads: Threads that play steps; by default as many as there are cores for this process.
    """

    def __init__(self, lanes: int, reward_mode: RewardMode, threads: int | None = None) -> None:
        self.reward_mode = reward_mode
        self._episodes: list[Episode | None] = [None] * lanes
        self._handles: list[tuple[Any, Any] | None] = [None] * lanes  # what the kernel plays; None in other lanes
        self._lanes = np.zeros(lanes, dtype=LANE)
        beside = min(threads or cores(), lanes // kernel.EPISODES_A_SHARE) - 1
        self._threads = ThreadPoolExecutor(beside, "episodes") if beside > 0 else None

    def close(self) -> None:
        """End the threads. Steps are then played in the caller's."""
        if self._threads is not None:
            self._threads.shutdown()
            self._threads = None

    def start(self, lane: int, episode: Episode) -> None:
        """Put an episode at its first step into a lane; only the batch may play it from now on."""
        task = episode.task
        self._episodes[lane], self._handles[lane] = episode, episode.handles
        self._lanes[lane] = (
            *(task.budget, task.max_steps, task.min_batch, task.max_batch or task.budget, episode.samples_available),
            *(0, 0, 0, episode.samples_acquired, episode.learner.updates),
            *scoring_of(task)[:-1],
            *(task.flip_y, episode.performance, episode.observation.diversity_score, 0.0),
        )

    def step(self, lanes: Indices, stop: Mask, batch_sizes: Indices, weights: Floats) -> BatchResult:
        """Play one action in each of k lanes.

        Args:
            lanes: The lanes, (k,).
            stop: Whether the action is ``stop``, (k,).
            batch_sizes: Samples requested, (k,); meaningless where it is ``stop``.
            weights: Weights of the s strategies, (k, s): finite, non-negative, not all zero in a row.
        """
        terms = rewards.TERMS if self.reward_mode == "shaped" else (rewards.GRADE_TERM,)
        result = BatchResult.empty(len(lanes), weights.shape[1], terms)
        by_kernel = np.array([self._handles[lane] is not None for lane in lanes.tolist()], dtype=np.bool_)
        for row in np.flatnonzero(~by_kernel).tolist():
            episode = self._episodes[lanes[row]]
            assert episode is not None  # noqa: S101  (a lane is started before it is played)
            chosen = tuple(weights[row].tolist())
            result.put(row, episode.stop() if stop[row] else episode.select_batch(int(batch_sizes[row]), chosen))
        if by_kernel.any():
            self._lanes["steps"][lanes[by_kernel]] += 1
            buying = np.flatnonzero(by_kernel & ~stop)
            if len(buying):
                self._buy(buying, lanes[buying], batch_sizes[buying], weights[buying], result)
            rows = np.flatnonzero(by_kernel)
            self._conclude(rows, lanes[rows], stop[rows], result)
        return result

    def _buy(self, rows: Indices, lanes: Indices, wanted: Indices, weights: Floats, result: BatchResult) -> None:
        """Play the purchases of some lanes; write all but rewards and observations into rows of the result."""
        lane = self._lanes[lanes]
        left = np.minimum(lane["budget"], lane["pool_size"]) - lane["used"]
        sizes = np.minimum(np.minimum(np.maximum(wanted, lane["min_batch"]), lane["max_batch"]), left)
        counts = sampling.quotas_of_many(sizes, weights)
        passes = passes_for_many(lane["used"], lane["used"] + sizes)
        handles = [handle for number in lanes.tolist() if (handle := self._handles[number])]
        orders = np.column_stack([counts, lane["n_rows"], passes, lane["updates"]])
        datasets, episodes = ([pair[part] for pair in handles] for part in (0, 1))
        mislabelled, distance, redundancy, performance, spread = kernel.play(
            datasets, episodes, orders, self._threads
        ).T

        change = performance - lane["performance"]
        lane["used"] += sizes
        lane["n_rows"] += sizes
        lane["updates"] += passes * lane["n_rows"]
        lane["mislabelled"] += mislabelled.astype(np.int64)
        lane["performance"], lane["spread"] = performance, spread
        self._lanes[lanes] = lane
        terms = rewards.selection_terms(
            performance_change=change,
            distance=distance,
            redundancy=redundancy,
            noise_ratio=mislabelled / sizes,
            batch_size=sizes,
            flip_y=lane["flip_y"],
        )
        if self.reward_mode == "shaped":
            for name, values in terms.items():
                result.terms[name][rows] = values
        result.batch_size[rows], result.bought_by[rows] = sizes, counts
        result.mislabelled[rows], result.redundancy[rows] = mislabelled, redundancy
        result.gain[rows] = rewards.gain(change, distance)

    def _conclude(self, rows: Indices, lanes: Indices, stop: Mask, result: BatchResult) -> None:
        """Write observations, ends and rewards of some lanes into rows of the result."""
        lane = self._lanes[lanes]
        reasons: tuple[EndReason, ...] = ("stop", "budget", "pool", "max_steps")
        used = lane["used"]
        reached = (stop, used == lane["budget"], used == lane["pool_size"], lane["steps"] == lane["max_steps"])
        first = np.select(reached, range(len(reasons)), len(reasons))
        for place in np.flatnonzero(first < len(reasons)).tolist():
            row, end, episode = rows[place], lane[place], self._episodes[lanes[place]]
            assert episode is not None  # noqa: S101  (a lane is started before it is played)
            trace = [TracePoint(int(end["used"]), int(end["mislabelled"]), float(end["performance"]))]
            final = grade(episode.task, trace)
            result.end_reasons[row], result.grades[row] = reasons[first[place]], final
            if self.reward_mode == "shaped":
                result.terms["terminal"][row] = rewards.terminal(final.score)
        if self.reward_mode == "grade":
            scoring = Scoring(*(lane[name] for name in Scoring._fields))
            scores = score(scoring, used, lane["mislabelled"], lane["performance"]).score
            result.terms[rewards.GRADE_TERM][rows] = scores - lane["returned"]
        result.rewards[rows] = total(values[rows] for values in result.terms.values())
        self._lanes["returned"][lanes] = lane["returned"] + result.rewards[rows]
        observed = {
            "remaining_budget": lane["budget"] - used,
            "diversity_score": lane["spread"],
            "noise_estimate": estimate_noise(lane["flip_y"], used, lane["mislabelled"]),
            "current_performance": lane["performance"],
            "samples_available": lane["pool_size"] - used,
        }
        result.observed[rows] = np.column_stack([observed[name] for name in OBSERVED])
