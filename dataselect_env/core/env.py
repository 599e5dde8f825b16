"""DataSelectEnv: reset, step and state, in process. It knows no transport and no store."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from dataselect_env.core import reward as rewards
from dataselect_env.core.actions import action_model, weights_of
from dataselect_env.core.episode import Episode, Purchase
from dataselect_env.core.errors import EpisodeOver, NoEpisode
from dataselect_env.core.models import (
    DEFAULT_REWARD_MODE,
    Action,
    ObservationFields,
    Reply,
    ReplyMetadata,
    ResetRequest,
    RewardMode,
    State,
    StepInfo,
    parse,
)
from dataselect_env.core.tasks import DEFAULT_SPLIT, DYNAMICS_VERSION, SPLITS, choose, split_of

if TYPE_CHECKING:
    from sklearn.linear_model import SGDClassifier


class DataSelectEnv:
    """The environment for one agent. Not for several threads at once; a server keeps one for each episode.

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
        self._reward_mode = DEFAULT_REWARD_MODE
        self._paid = 0.0  # sum of the rewards so far

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
        """Start an episode; one that is still running is abandoned.

        Args:
            task_id: Name of the task; default ``easy``.
            seed: In [0, 2^32). Determines data set, noise and selection draws. None draws one from ``split``, by
                default from the train split.
            episode_id: Name for the episode; default a new one.
            reward_mode: ``shaped`` (default): SPEC's formula and a terminal term. ``grade``: each reward is the change
                of the grade so far, so that they add up to the grade.
            split: Name of the split that ``index``, or a drawn seed, refers to.
            index: Index of a task spec in ``split``; determines task and seed.

        Returns:
            The first observation; its reward and info are None.

        Raises:
            EnvError: A value is of the wrong type, out of range or unknown, or the choices contradict each other. An
                episode that was there before goes on.
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

    def start(self, request: ResetRequest) -> Reply:
        """Do what :meth:`reset` does, from a validated request."""
        task, seed = choose(request.task_id, request.seed, request.split, request.index)
        if seed is None:
            split = SPLITS[request.split or DEFAULT_SPLIT]
            seed = split.first_seed + secrets.randbelow(split.seeds)
        self._episode = Episode(task, seed)
        self._episode_id = request.episode_id or uuid.uuid4().hex
        self._reward_mode = request.reward_mode or DEFAULT_REWARD_MODE
        self._paid = 0.0
        return self._reply(self._episode, reward=None, info=None)

    def step(self, action: Action | Mapping[str, object]) -> Reply:
        """Play one action.

        Args:
            action: An :class:`Action`, or what one looks like in JSON.

        Returns:
            Observation, reward and info; ``info.grade`` is there when this step ended the episode.

        Raises:
            InvalidInput: It is no action.
            NoEpisode: Before the first reset.
            EpisodeOver: After the end.
        """
        if not isinstance(action, Action):
            action = parse(action_model(self._current().task.extra_strategies), action)
        if action.action_type == "stop":
            return self._advance(Episode.stop)
        weights = weights_of(action, self._current().strategies)
        return self._advance(lambda episode: episode.select_batch(action.batch_size, weights))

    @property
    def state(self) -> State:
        """Metadata of the current episode.

        Raises:
            NoEpisode: Before the first reset.
        """
        episode = self._current()
        return State(
            episode_id=self._episode_id,
            task_id=episode.task.task_id,
            seed=episode.seed,
            split=split_of(episode.seed),
            reward_mode=self._reward_mode,
            step_count=episode.steps,
            max_steps=episode.task.max_steps,
            done=episode.end_reason is not None,
            end_reason=episode.end_reason,
            remaining_budget=episode.remaining_budget,
            current_performance=episode.performance,
            pool_size=episode.samples_available,
            dynamics_version=DYNAMICS_VERSION,
        )

    @property
    def model(self) -> SGDClassifier:
        """The classifier of the current episode, its weights as of the last step.

        Raises:
            NoEpisode: Before the first reset.
        """
        return self._current().learner.model

    def _current(self) -> Episode:
        if self._episode is None:
            raise NoEpisode("There is no episode yet; reset starts one.")
        return self._episode

    def _advance(self, move: Callable[[Episode], Purchase | None]) -> Reply:
        """Make a move, which buys something or ends the episode, and answer as :meth:`step` does."""
        episode = self._current()
        if episode.end_reason is not None:
            raise EpisodeOver("The episode is over; reset starts another one.")
        purchase = move(episode)
        terms = self._reward_terms(episode, purchase)
        reward = sum(terms.values())
        self._paid += reward
        return self._reply(episode, reward=reward, info=_info(episode, purchase, terms))

    def _reward_terms(self, episode: Episode, purchase: Purchase | None) -> dict[str, float]:
        if self._reward_mode == "grade":
            return {"grade_change": episode.grade().score - self._paid}
        if purchase is None:
            terms = rewards.stop_terms()
        else:
            terms = rewards.selection_terms(
                performance_change=purchase.performance_change,
                distance=purchase.distance,
                redundancy=purchase.redundancy,
                noise_ratio=purchase.noise_ratio,
                batch_size=purchase.bought,
                flip_y=episode.task.flip_y,
            )
        if episode.end_reason is not None:
            terms["terminal"] = rewards.terminal(episode.grade().score)
        return terms

    def _reply(self, episode: Episode, *, reward: float | None, info: StepInfo | None) -> Reply:
        return Reply.build(
            observation=ObservationFields(
                remaining_budget=episode.remaining_budget,
                diversity_score=episode.diversity_score,
                noise_estimate=episode.noise_estimate,
                current_performance=episode.performance,
                samples_available=episode.samples_available,
            ),
            reward=reward,
            done=episode.end_reason is not None,
            metadata=ReplyMetadata(
                episode_id=self._episode_id,
                task_id=episode.task.task_id,
                seed=episode.seed,
                step=episode.steps,
                info=info,
            ),
        )


def _info(episode: Episode, purchase: Purchase | None, terms: dict[str, float]) -> StepInfo:
    """Return what the reply tells about a step; of a stop there is nothing to audit."""
    counts = purchase.counts if purchase else ()
    has_ground_truth = episode.task.has_ground_truth
    return StepInfo(
        reward_terms=terms,
        batch_size=purchase.bought if purchase else 0,
        bought_by=dict.fromkeys(episode.strategies, 0) | dict(zip(episode.strategies, counts, strict=False)),
        mislabelled=(purchase.mislabelled if purchase else 0) if has_ground_truth else None,
        noise_ratio=purchase.noise_ratio if purchase and has_ground_truth else None,
        redundancy=purchase.redundancy if purchase else None,
        gain=rewards.gain(purchase.performance_change, purchase.distance) if purchase else None,
        end_reason=episode.end_reason,
        grade=episode.grade() if episode.end_reason is not None else None,
    )
