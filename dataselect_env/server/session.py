"""One client's episode: the one door that every transport goes through (``Session.handle``)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from dataselect_env.core.actions import request_models
from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.errors import DynamicsMismatch, EpisodeNotFound, EpisodeOver, InvalidInput, NoEpisode
from dataselect_env.core.models import (
    DEFAULT_REWARD_MODE,
    Action,
    Operation,
    Reply,
    ResetRequest,
    State,
    StepEnvelope,
    StepRequest,
    parse,
)
from dataselect_env.core.tasks import DYNAMICS_VERSION, get_task
from dataselect_env.server.store.base import EpisodeHeader, EpisodeStore, StoredEpisode, StoredStep, Transport

REPLAY_TOLERANCE = 1e-9
"""A replay whose rewards differ by more was recorded by other numerical libraries and is not continued."""


class Session:
    """The episodes that one client plays, one after the other, each step in the store before it is acknowledged.

    An operation that fails leaves the episode exactly as it was.

    Args:
        store: Where episodes are kept.
        transport: What the client came over.
    """

    def __init__(self, store: EpisodeStore, transport: Transport) -> None:
        self._store = store
        self._transport: Final[Transport] = transport
        self._lock = asyncio.Lock()
        self._env: DataSelectEnv | None = None
        self._header: EpisodeHeader | None = None
        self._actions: list[Action] = []

    @classmethod
    def resume(cls, store: EpisodeStore, stored: StoredEpisode) -> Session:
        """Return a session that goes on with a stored episode, rebuilt by replay.

        Raises:
            DynamicsMismatch: It was recorded under other dynamics or another definition of its task, or the replay
                gives other rewards.
        """
        if stored.header.dynamics_version != DYNAMICS_VERSION:
            raise DynamicsMismatch(
                f"The episode was played under dynamics version {stored.header.dynamics_version} and this server has"
                f" version {DYNAMICS_VERSION}; it can be graded but not continued.",
            )
        check_definition(stored.header)
        session = cls(store, stored.header.transport)
        session._header = stored.header
        session._actions = [step.action for step in stored.steps]
        session._env, rewards = _replay(stored.header, session._actions)
        differences = [abs(reward - step.reward) for reward, step in zip(rewards, stored.steps, strict=True)]
        if max(differences, default=0.0) > REPLAY_TOLERANCE:
            raise DynamicsMismatch(
                "The episode was recorded with other versions of the numerical libraries; it can be graded but not"
                " continued.",
            )
        return session

    @property
    def episode_id(self) -> str | None:
        """Id of the current episode, None before the first."""
        return None if self._header is None else self._header.episode_id

    @property
    def step_count(self) -> int:
        """Actions so far in the current episode."""
        return len(self._actions)

    async def handle(self, operation: Operation, data: object) -> Reply | State:
        """Do one operation.

        Args:
            operation: What to do.
            data: What the client sent with it, as parsed from JSON; None counts as an empty object.

        Raises:
            EnvError: Whatever was wrong; the episode is as it was.
        """
        data = {} if data is None else data
        async with self._lock:
            if operation == "reset":
                return await self._reset(data)
            return await self._step(data) if operation == "step" else self._state(data)

    async def _reset(self, data: object) -> Reply:
        request = parse(ResetRequest, data)
        env = DataSelectEnv()
        reply = env.start(request)
        header = EpisodeHeader(
            episode_id=reply.episode_id,
            transport=self._transport,
            task_id=reply.task_id,
            seed=reply.seed,
            reward_mode=request.reward_mode or DEFAULT_REWARD_MODE,
            dynamics_version=DYNAMICS_VERSION,
            task_digest=get_task(reply.task_id).digest,
        )
        await self._store.create(header)
        self._env, self._header, self._actions = env, header, []
        return reply

    async def _step(self, data: object) -> Reply:
        env, header = self._current()
        action = self._parse_action(data, header)
        try:
            reply = env.step(action)
            await self._record(header.episode_id, action, reply)
        except EpisodeOver:
            raise
        except BaseException:  # also when the request was cancelled
            self._env = None  # whatever went wrong: the next call makes the episode anew as it was before this step
            raise
        self._actions.append(action)
        return reply

    def _state(self, data: object) -> State:
        env, _ = self._current()
        if data:
            raise InvalidInput("state takes no data")
        return env.state

    def _current(self) -> tuple[DataSelectEnv, EpisodeHeader]:
        if self._header is None:
            raise NoEpisode("There is no episode yet; reset starts one.")
        if self._env is None:
            self._env, _ = _replay(self._header, self._actions)
        return self._env, self._header

    def _parse_action(self, data: object, header: EpisodeHeader) -> Action:
        request: StepEnvelope | StepRequest
        bare, wrapped = request_models(get_task(header.task_id).extra_strategies)
        if isinstance(data, dict) and "action" in data:
            request = parse(wrapped, data)
            action = request.action
        else:
            action = request = parse(bare, data)
        if request.episode_id not in (None, header.episode_id):
            raise EpisodeNotFound("episode_id: this session plays another episode", field="episode_id")
        return action

    async def _record(self, episode_id: str, action: Action, reply: Reply) -> None:
        info, reward = reply.info, reply.reward
        assert info is not None  # noqa: S101  (every step has both)
        assert reward is not None  # noqa: S101
        step = StoredStep(action, info.batch_size, info.mislabelled or 0, reply.observation.current_performance, reward)
        await self._store.append(episode_id, reply.step, step, info.grade)


def check_definition(header: EpisodeHeader) -> None:
    """Raise DynamicsMismatch unless the task of a stored episode is still what it was when the episode was started."""
    if get_task(header.task_id).digest != header.task_digest:
        raise DynamicsMismatch(
            "The episode was played under another definition of its task, or on other data; it can be graded but not"
            " continued.",
        )


def _replay(header: EpisodeHeader, actions: Sequence[Action]) -> tuple[DataSelectEnv, list[float]]:
    """Return an episode made anew from task, seed and actions, and the rewards on the way."""
    env = DataSelectEnv()
    env.start(
        ResetRequest(
            task_id=header.task_id, seed=header.seed, episode_id=header.episode_id, reward_mode=header.reward_mode
        )
    )
    return env, [env.step(action).reward or 0.0 for action in actions]
