"""The environment in process: reset, step and state. It imports no transport and no store."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from dataselect_env.core.actions import action_model
from dataselect_env.core.episode import Episode
from dataselect_env.core.models import (
    DEFAULT_REWARD_MODE,
    Action,
    Grade,
    Reply,
    ResetRequest,
    RewardMode,
    State,
)
from dataselect_env.core.order import Operation, check_order
from dataselect_env.core.results import StepResult
from dataselect_env.core.sealed import SealedSeed, rounded
from dataselect_env.core.specs import choose
from dataselect_env.core.tasks import DEFAULT_SPLIT, DYNAMICS_VERSION, SPLITS, Task, split_of
from dataselect_env.core.validation import parse

if TYPE_CHECKING:
    from sklearn.linear_model import SGDClassifier


class DataSelectEnv:
    """The environment for one agent. It is not thread-safe; a server keeps one instance per episode.

    Example:
        >>> env = DataSelectEnv()
        >>> reply = env.reset(task_id="medium", seed=7)
        >>> reply = env.step(Action.select(20, diversity=1, random=1))
        >>> reply.observation.remaining_budget
        130
        >>> env.step(Action.stop()).done
        True
    """

    def __init__(self) -> None:
        self._episode: Episode | None = None
        self._episode_id = ""
        self._sealed: SealedSeed | None = None

    def reset(
        self,
        *,
        task_id: str | None = None,
        seed: int | None = None,
        episode_id: str | None = None,
        reward_mode: RewardMode | None = None,
        split: str | None = None,
        index: int | None = None,
    ) -> Reply:
        """Start an episode and abandon the running one, if any.

        Args:
            task_id: Name of the task; default ``easy``.
            seed: Determines data set, label noise and selection draws; in [0, 2^32). None draws a seed from ``split``,
                by default from the train split.
            episode_id: Id of the episode; default: a random one.
            reward_mode: ``shaped`` (default): the terms of :mod:`dataselect_env.core.reward`, with the terminal term at
                the end. ``grade``: each reward is the change of the grade, so the rewards add up to the grade.
            split: Name of the split that ``index`` refers to, or that a seed is drawn from.
            index: Index of a task spec in ``split``; determines task and seed.

        Returns:
            The first observation; its reward and info are None.

        Raises:
            EnvError: A value has the wrong type, is out of range or unknown, or two values contradict each other. A
                running episode is not affected.
        """
        choices = {
            "task_id": task_id,
            "seed": seed,
            "episode_id": episode_id,
            "reward_mode": reward_mode,
            "split": split,
            "index": index,
        }
        return self.start(parse(ResetRequest, choices))

    def start(self, request: ResetRequest, sealed: tuple[Task, SealedSeed] | None = None) -> Reply:
        """Start an episode from a validated request; see :meth:`reset`.

        Args:
            request: The request.
            sealed: Task and seed of a sealed episode, in place of those that the request names.
        """
        seed: int | None
        if sealed is not None:
            task, seed = sealed[0], sealed[1].seed
        else:
            task, seed = choose(request.task_id, request.seed, request.split, request.index)
        if seed is None:
            split = SPLITS[request.split or DEFAULT_SPLIT]
            seed = split.first_seed + secrets.randbelow(split.seeds)
        self._episode = Episode(task, seed, request.reward_mode or DEFAULT_REWARD_MODE)
        self._episode_id = request.episode_id or uuid.uuid4().hex
        self._sealed = None if sealed is None else sealed[1]
        return self._reply(None)

    @classmethod
    def going_on(cls, episode: Episode, episode_id: str, sealed: SealedSeed | None = None) -> Self:
        """Return an environment that continues ``episode`` under the id ``episode_id``; a sealed one with its seed."""
        env = cls()
        env._episode, env._episode_id, env._sealed = episode, episode_id, sealed
        return env

    def step(self, action: Action | Mapping[str, object]) -> Reply:
        """Play one action.

        Args:
            action: An :class:`Action`, or its JSON as a mapping.

        Returns:
            Observation, reward and info; ``info.grade`` is set when the step ended the episode.

        Raises:
            InvalidInput: The action is not valid; the episode is unchanged.
            NoEpisode: There is no episode yet.
            EpisodeOver: The episode is over.
        """
        episode = self._checked("step")
        if not isinstance(action, Action):
            action = parse(action_model(episode.task.extra_strategies), action)
        return self._reply(episode.step(action))

    def close(self) -> None:
        """Abandon the episode, if any. The environment can be reset again."""
        self._episode = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        episode = self._episode
        if episode is None:
            return f"<{type(self).__name__}: no episode>"
        return (
            f"<{type(self).__name__}: {episode.task.task_id}, seed {episode.seed}, step {episode.steps} of"
            f" {episode.task.max_steps}, {episode.remaining_budget} of {episode.task.budget} samples left, performance"
            f" {episode.performance:.3f}{'' if episode.end_reason is None else f', over: {episode.end_reason}'}>"
        )

    @property
    def state(self) -> State:
        """Metadata of the current episode.

        Raises:
            NoEpisode: There is no episode yet.
        """
        episode, sealed = self._checked("state"), self._sealed
        return State(
            episode_id=self._episode_id,
            task_id=episode.task.task_id,
            seed=episode.seed if sealed is None else None,
            split=split_of(episode.seed),
            index=None if sealed is None else sealed.index,
            reward_mode=episode.reward_mode,
            step_count=episode.steps,
            max_steps=episode.task.max_steps,
            done=episode.end_reason is not None,
            end_reason=episode.end_reason,
            remaining_budget=episode.remaining_budget,
            current_performance=episode.performance if sealed is None else rounded(episode.performance),
            pool_size=episode.samples_available,
            dynamics_version=DYNAMICS_VERSION,
        )

    @property
    def model(self) -> SGDClassifier:
        """The classifier of the current episode, with its weights after the last step.

        Raises:
            NoEpisode: There is no episode yet.
        """
        return self._checked("state").learner.model

    @property
    def grade(self) -> Grade:
        """Grade of the current episode, of a running one as if it ended now.

        Raises:
            NoEpisode: There is no episode yet.
        """
        return self._checked("state").grade()

    def _checked(self, operation: Operation) -> Episode:
        """Return the episode if ``operation`` is allowed in its phase; raise the error of the table otherwise."""
        check_order(operation, "none" if self._episode is None else self._episode.phase)
        assert self._episode is not None  # noqa: S101  (the table refuses every operation without an episode)
        return self._episode

    def _reply(self, result: StepResult | None) -> Reply:
        """Return the reply to a step; None stands for the reset."""
        episode, sealed = self._checked("state"), self._sealed
        reply = Reply.build(
            observation=episode.observation if result is None else result.observation,
            reward=None if result is None else result.reward,
            done=result is not None and result.done,
            metadata={
                "episode_id": self._episode_id,
                "task_id": episode.task.task_id,
                "seed": episode.seed if sealed is None else None,
                "index": None if sealed is None else sealed.index,
                "step": episode.steps,
                "info": None if result is None else result.info,
                "problem": episode.describe() if result is None and episode.task.described else None,
            },
        )
        return reply if sealed is None else Reply.model_validate(rounded(reply.model_dump()))
