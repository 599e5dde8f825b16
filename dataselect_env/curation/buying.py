"""Buying rows step by step: a policy plays the task of a curation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from dataselect_env.core.arrays import Floats, Indices, Labels
from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.episode import Episode
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import Action, Reply
from dataselect_env.core.results import StepResult
from dataselect_env.core.tasks import Task
from dataselect_env.core.warm_start import WarmStart
from dataselect_env.evaluation.rollout import policy_rng
from dataselect_env.policies.policy import Policy

Audit = Callable[[Indices, Labels], Labels]
"""Returns the right labels, (k,), of a bought batch: rows of the table, (k,), and their given labels, (k,); codes."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The rows bought in one step.

    Attributes:
        rows: Rows of the table in the order of choice, (k,).
        given: Their given labels, (k,), codes.
        labels: Labels that the learner was trained on, (k,), codes: the right ones with an audit, else ``given``.
        suspicion: One minus the probability of the given label, (k,), in [0, 1], by the learner before it was trained
            on the batch.
    """

    rows: Indices
    given: Labels
    labels: Labels
    suspicion: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step of a curation: a batch, and the reply that the policy got.

    Attributes:
        batch: The rows bought.
        strategies: Query strategy that chose each of them, k names.
        performance: 1 / (1 + log loss) of the learner on the validation part, after the step.
        noise_estimate: Estimated share of wrong labels, in [0, 1], after the step.
    """

    batch: Batch
    strategies: tuple[str, ...]
    performance: float
    noise_estimate: float


class CurationEpisode(Episode):
    """An episode that keeps what was bought, and reveals the right labels of each batch if there is an audit.

    Args:
        task: Task of a curation.
        seed: Seed of the draws.
        audit: Reveals the right labels of a bought batch, before the learner is trained on it; None trains on the given
            labels.

    Attributes:
        batches: The batches so far.
    """

    def __init__(self, task: Task, seed: int, audit: Audit | None = None) -> None:
        super().__init__(task, seed, hold_data=True)
        self.batches: list[Batch] = []
        self._audit = audit

    def _acquire(self, start: WarmStart, batch: Indices, counts: tuple[int, ...]) -> StepResult:
        rows = batch + start.dataset.pool_rows.start
        given = self._state.pool.labels[rows]
        probabilities = self.learner.probabilities(start.dataset.X[rows])
        suspicion = 1 - probabilities[np.arange(len(rows)), given]
        labels = given if self._audit is None else self._audit(batch, given)
        self._state.pool.labels[rows] = labels
        self._state.pool.mislabelled[batch] = labels != given
        result = super()._acquire(start, batch, counts)
        self.batches.append(Batch(batch, given, labels, suspicion))
        return result


class _Env(DataSelectEnv):
    """The environment of an episode that was made elsewhere."""

    def first_reply(self) -> Reply:
        """Return the reply to the reset."""
        return self._reply(None)


def buy(policy: Policy, task: Task, seed: int, audit: Audit | None = None) -> Iterator[Step]:
    """Let a policy buy rows, and yield each step; a stop ends the steps.

    Args:
        policy: The policy.
        task: Task of a curation.
        seed: Seed of the draws; the policy's own draws depend on its name too.
        audit: As of :class:`CurationEpisode`.

    Raises:
        InvalidInput: The policy cannot play the task, or returned something that is not an action.
    """
    episode = CurationEpisode(task, seed, audit)
    env = _Env.going_on(episode, "curation")
    act, reply = policy.start(task, policy_rng(policy.name, seed)), env.first_reply()
    while not reply.done:
        action = act(reply)
        if not isinstance(action, Action):
            message = f"policy: {policy.name} returned {type(action).__name__}, not an Action"
            raise InvalidInput(message, field="policy")
        before = len(episode.batches)
        reply = env.step(action)
        if len(episode.batches) > before and reply.info is not None:
            yield Step(
                batch=episode.batches[-1],
                strategies=tuple(name for name, count in reply.info.bought_by.items() for _ in range(count)),
                performance=reply.observation.current_performance,
                noise_estimate=reply.observation.noise_estimate,
            )
