"""Oracles: policies that see the ground truth, in process only. They show how much better a policy can become.

An oracle needs an :class:`OracleEnv`, whose ``move`` allows what no action can express. Servers and adapters hold a
plain :class:`~dataselect_env.core.env.DataSelectEnv`, which has no such method, so an agent cannot reach the ground
truth over any transport.
"""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING

from dataselect_env.core.arrays import Indices
from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.episode import Episode
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import Reply
from dataselect_env.core.results import StepResult
from dataselect_env.core.tasks import Task
from dataselect_env.policies.policy import Move, OraclePolicy, pace

if TYPE_CHECKING:
    import numpy as np

BATCH_SIZE = 13
"""Spends nearly the whole budget of medium and hard in many steps, which earns many training passes."""
CLEAN_DRAWS = 5
"""Number of random clean batches that the greedy oracle tries in each step, besides one batch of each strategy."""


class OracleEnv(DataSelectEnv):
    """The environment with access to its episode, for oracles. Episodes, replies and rewards are the same."""

    @property
    def episode(self) -> Episode:
        """The current episode, with every hidden label.

        Raises:
            NoEpisode: There is no episode yet.
        """
        return self._checked("state")

    def move(self, move: Move) -> Reply:
        """Apply ``move`` to the running episode and return the reply, as ``step`` does.

        Args:
            move: Function of the episode that buys a batch or stops, and returns the result of the step.

        Raises:
            NoEpisode: There is no episode yet.
            EpisodeOver: The episode is over.
            InvalidInput: The task has no ground truth, or ``move`` returned something else.
        """
        episode = self._checked("step")
        if not episode.task.has_ground_truth:
            raise InvalidInput("policy: oracles need the ground truth, which this task does not have", field="policy")
        result: object = move(episode)
        if not isinstance(result, StepResult):
            message = f"policy: its move returned {type(result).__name__}, not the StepResult of the episode"
            raise InvalidInput(message, field="policy")
        return self._reply(result)


def draw_clean(episode: Episode, rng: np.random.Generator) -> Indices:
    """Draw :func:`pace` clean samples, (n,), or as many as budget and pool allow; indices into the pool."""
    clean = episode.clean_samples
    return rng.choice(clean, min(pace(episode.task, BATCH_SIZE), episode.remaining_budget, len(clean)), replace=False)


def start_oracle(_task: Task, rng: np.random.Generator) -> Move:
    """Buy random clean samples: the upper bound for policies that only avoid wrong labels."""

    def move(episode: Episode) -> StepResult:
        samples = draw_clean(episode, rng)
        return episode.buy(samples) if len(samples) else episode.stop()

    return move


def start_greedy_oracle(_task: Task, rng: np.random.Generator) -> Move:
    """Try candidate batches on copies of the episode and buy the best one.

    Candidates are a batch of each strategy and ``CLEAN_DRAWS`` random batches of clean samples. The best candidate has
    the highest grade as if the episode ended there; ties go to the higher performance. The hidden labels of the
    validation split thus decide. The policy looks one step ahead, so it is a strong reference and not an upper bound.

    References:
        Werner et al., "A Cross-Domain Benchmark for Active Learning" (CDALBench), 2024 (greedy oracle).
    """

    def move(episode: Episode) -> StepResult:
        draws = [draw_clean(episode, rng) for _ in range(CLEAN_DRAWS)]
        if not len(draws[0]):
            return episode.stop()
        moves = [partial(Episode.buy, samples=samples) for samples in draws]
        for chosen in episode.strategies:
            weights = tuple(float(name == chosen) for name in episode.strategies)
            size = pace(episode.task, BATCH_SIZE)
            moves.append(partial(Episode.select_batch, batch_size=size, weights=weights))
        outcomes = [_outcome(episode, candidate) for candidate in moves]
        return moves[outcomes.index(max(outcomes))](episode)

    return move


def _outcome(episode: Episode, candidate: Move) -> tuple[float, float]:
    """Return grade and performance after a move on a copy; the episode itself is unchanged."""
    trial = deepcopy(episode)
    candidate(trial)
    return trial.grade().score, trial.performance


ORACLES: tuple[OraclePolicy, ...] = (
    OraclePolicy("oracle", f"Sees the true labels: batches of {BATCH_SIZE} clean samples at random.", start_oracle),
    OraclePolicy(
        "greedy-oracle",
        "Sees the true labels: tries a batch of each strategy and some of clean samples, and keeps the best.",
        start_greedy_oracle,
    ),
)
